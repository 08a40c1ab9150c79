"""Products of a model with a batch of vectors: the plan for their dtype, and its threads."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.methods import Multiply, Plan, Product, cost, prepare
from dhop.model.geometry import Model
from dhop.model.relations import Index
from dhop.runtime import workspace
from dhop.runtime.parallel import share

Array = NDArray[Any]


class Products:
    """The products of a model by one method, or by ``"auto"``, with a plan for each dtype.

    `chosen` has the methods of dtypes where they are known, as for parts of a larger model. `plan`
    makes plans and `choose` finds the fastest method, by default for one PSF.
    """

    def __init__(
        self,
        model: Model,
        method: str,
        workers: int | None,
        chosen: Mapping[np.dtype[Any], str] | None = None,
        plan: Callable[[str, Model, np.dtype[Any]], Plan] = prepare,
        choose: Callable[[Model, np.dtype[Any]], str] = cost.choose,
    ) -> None:
        self.model = replace(model, around=(1,) * len(model.around))  # of the plans
        self.asked = method
        self.workers = workers
        self._plan, self._choose = plan, choose
        self._around = model.around
        self._last = prod(model.around[1:]) == 1  # the axes are the last ones
        self._chosen = dict(chosen or {})
        self._plans: dict[np.dtype[Any], Plan] = {}
        self._fallbacks: dict[np.dtype[Any], Plan] = {}  # direct, for NaN, Inf and overflow

    def method(self, dtype: np.dtype[Any]) -> str:
        """The method of products in `dtype`."""
        if dtype not in self._chosen:
            auto = self.asked == "auto"
            self._chosen[dtype] = self._choose(self.model, dtype) if auto else self.asked
        return self._chosen[dtype]

    def apply(self, x: Array, product: Product, out: Array) -> None:
        """Write the products with the vectors in `x` into `out`, both contiguous."""
        plan = self._plans.get(x.dtype)
        if plan is None:
            plan = self._plans[x.dtype] = self._plan(self.method(x.dtype), self.model, x.dtype)
        if self._multiply(plan, x, product, out) or self.asked in ("direct", "separable"):
            return
        if self.asked == "fft":
            raise ValueError(
                'method="fft" gave a product that is not finite: NaN, Inf or huge values in the '
                'array spread over the whole image; use method="auto" or "direct"'
            )
        if x.dtype not in self._fallbacks:
            self._fallbacks[x.dtype] = self._plan("direct", self.model, x.dtype)
        self._multiply(self._fallbacks[x.dtype], x, product, out)

    def _multiply(self, plan: Plan, x: Array, product: Product, out: Array) -> bool:
        """Multiply with the axes last, as the plans have them."""
        multiply: Multiply = getattr(plan, product)
        if self._last:
            return multiply(x, out, self.workers)
        pixels, outputs = self.model.size, self.model.low
        given = self._batch_first(x, outputs if product == "adjoint" else pixels)
        wanted = self._batch_first(out, outputs if product == "forward" else pixels)
        images = np.ascontiguousarray(given)
        images.flags.writeable = False
        results = workspace.empty(wanted.shape, out.dtype)
        reliable = multiply(images.ravel(), results.ravel(), self.workers)
        wanted[:] = results
        return reliable

    def _batch_first(self, x: Array, size: tuple[int, ...]) -> Array:
        """A view of images of some size, with their axes behind those of the batch."""
        pairs = zip(size, self._around[1:], strict=True)
        shape = [-1, *(count for pair in pairs for count in pair)]
        order = [*range(0, len(shape), 2), *range(1, len(shape), 2)]
        return x.reshape(shape).transpose(order)


def threaded(
    kernel: Callable[..., bool],
    table: Index,
    weights: Array,
    *,
    work: int,
    size: int,
    rows: int,
    cost: float,
    clear: bool = False,
) -> Multiply:
    """One direction of a plan, by a kernel that takes shares of the rows of a result.

    Parameters
    ----------
    kernel : callable
        ``kernel(images, table, weights, workspace, shares, own, status, results)`` returns whether
        the results can be relied on; see `dhop.kernels.work_sharing`.
    table : ndarray of int64
        A packed NamedTuple, see `dhop.kernels.flat.pack`.
    weights : ndarray, of the plan's dtype
    work : int
        Numbers in the workspace of a thread.
    size : int
        Numbers in an image.
    rows : int
        Rows of a result, or pairs or groups of them.
    cost : float
        Nanoseconds of an image.
    clear : bool
        Whether the workspace has to be zeros.
    """
    new = np.zeros if clear else np.empty

    def multiply(x: Array, out: Array, workers: int | None) -> bool:
        images = x.size // size

        def part(shares: Index, own: int, status: Index) -> bool:
            return kernel(x, table, weights, new(work, x.dtype), shares, own, status, out)

        return share(part, images * rows, images * cost, workers)

    return multiply
