"""The separable method for volumes: a sum of axial profiles times lateral planes."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.methods import Plan, Product, cost, prepare
from dhop.model.axis import Axis
from dhop.model.geometry import Model
from dhop.runtime import workspace

Array = NDArray[Any]


class SeparableVolumePlan(Plan):
    """One pass along the planes' axis and one over each plane, for each term of the sum.

    A plane is blurred by the method that is fastest for it. The pass that leaves fewer numbers to
    the other comes first. The error is that of `dhop.model.separation` and of the planes' method.

    Workspace: the result of the first pass; with several terms one more result.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        same = np.finfo(dtype).eps == np.finfo(model.dtype).eps
        # In higher precision the operator is that of the rounded taps.
        model = model if same else replace(model.rounded, dtype=dtype)
        self._terms: list[tuple[Plan, Plan]] = []
        for plane, profile in zip(model.planes, model.factors[0], strict=True):
            across = prepare(cost.choose(plane, dtype), plane, dtype)
            first = cost.profile_first(model, plane, dtype)
            along = prepare("direct", _along(model, profile, first), dtype)
            self._terms.append((along, across) if first else (across, along))

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        return self._summed("forward", x, out, workers)

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        return self._summed("adjoint", y, out, workers)

    def _summed(self, product: Product, given: Array, out: Array, workers: int | None) -> bool:
        """The sum over the terms of both passes."""
        reliable = True
        for number, passes in enumerate(self._terms):
            first, last = passes if product == "forward" else passes[::-1]
            sizes = first.model.pixels, first.model.outputs
            size, left = sizes if product == "forward" else sizes[::-1]
            between = workspace.empty((given.size // size * left,), given.dtype)
            reliable &= getattr(first, product)(given, between, workers)
            between.flags.writeable = False
            part = np.empty_like(out) if number else out
            reliable &= getattr(last, product)(between, part, workers)
            if number:
                out += part
        return reliable


def _along(model: Model, profile: Array, first: bool) -> Model:
    """The pass along the planes' axis, over pixels of planes if it is the first, else outputs."""
    sizes = model.size if first else model.low
    axes = model.axes[0], Axis.batch(sizes[1] * sizes[2])
    return Model(axes, profile[:, None], model.dtype, (1, 1, 1))
