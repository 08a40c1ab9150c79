"""From a batch of vectors to the plan that multiplies them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop import workspace
from dhop.geometry import Model
from dhop.methods import Plan, Product, cost, prepare

Array = NDArray[Any]


class Products:
    """The products of a model by one method, or by ``"auto"``, with a plan for each dtype.

    The method of a part of a larger model is told by `chosen`, where it is not for the part to say.
    """

    def __init__(
        self,
        model: Model,
        method: str,
        workers: int | None,
        chosen: Mapping[np.dtype[Any], str] | None = None,
    ) -> None:
        self.model = model
        self.asked = method
        self.workers = workers
        self._chosen = dict(chosen or {})
        self._usual: dict[np.dtype[Any], Plan] = {}
        self._direct: dict[np.dtype[Any], Plan] = {}  # for what the usual method cannot do
        pixels = -1, model.rows.size, model.columns.size
        outputs = -1, model.rows.outputs, model.columns.outputs
        # What each product is given, and what it gives, image by image.
        self._shapes = {
            "forward": (pixels, outputs),
            "adjoint": (outputs, pixels),
            "gram": (pixels, pixels),
        }

    def method(self, dtype: np.dtype[Any]) -> str:
        """The method of products in `dtype`."""
        if dtype not in self._chosen:
            auto = self.asked == "auto"
            self._chosen[dtype] = cost.choose(self.model, dtype) if auto else self.asked
        return self._chosen[dtype]

    def apply(self, x: Array, product: Product, out: Array) -> None:
        """Write the product with each row of `x` into the same row of `out`, both C-contiguous."""
        plan = self._usual.get(x.dtype)
        if plan is None:
            plan = self._usual[x.dtype] = prepare(self.method(x.dtype), self.model, x.dtype)
        if self._multiply(plan, x, product, out) or self.asked in ("direct", "separable"):
            return
        if self.asked == "fft":
            raise ValueError(
                'method="fft" gave a product that is not finite: NaN, Inf or huge values in the '
                'array spread over the whole image; use method="auto" or "direct"'
            )
        if x.dtype not in self._direct:
            self._direct[x.dtype] = prepare("direct", self.model, x.dtype)
        self._multiply(self._direct[x.dtype], x, product, out)

    def _multiply(self, plan: Plan, x: Array, product: Product, out: Array) -> bool:
        """Bring the two axes to the end, where the plans have them."""
        given, wanted = self._shapes[product]
        multiply: Callable[[Array, Array, int | None], bool] = getattr(plan, product)
        _, between, after = self.model.around
        if between == after == 1:
            return multiply(x.reshape(given), out.reshape(wanted), self.workers)
        images = x.reshape(-1, given[1], between, given[2], after).transpose(0, 2, 4, 1, 3)
        images = np.ascontiguousarray(images)
        images.flags.writeable = False
        results = workspace.empty((*images.shape[:3], *wanted[1:]), out.dtype)
        reliable = multiply(images.reshape(given), results.reshape(wanted), self.workers)
        out.reshape(-1, wanted[1], between, wanted[2], after)[:] = results.transpose(0, 3, 1, 4, 2)
        return reliable
