"""Algorithms for the products: a file for each, with a plan that is prepared for one dtype."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.methods.transform_lengths import segment_outputs
from dhop.model.field import FieldModel
from dhop.model.geometry import Model
from dhop.runtime import workspace

Array = NDArray[Any]
Product: TypeAlias = Literal["forward", "adjoint", "gram"]
Multiply: TypeAlias = Callable[[Array, Array, int | None], bool]

PLANS = {
    "direct": ("dhop.methods.direct", "DirectPlan"),
    "separable": ("dhop.methods.separable", "SeparablePlan"),
    "fft": ("dhop.methods.fft", "FftPlan"),
}
VOLUMES = PLANS | {"separable": ("dhop.methods.separable_volume", "SeparableVolumePlan")}
LINES = PLANS | {"fft": ("dhop.methods.line_fft", "LineFftPlan")}


class Plan:
    """Products with images that follow each other, of the plan's dtype; `x`, `y` are read-only.

    Each returns whether the result can be relied on: except in the direct method, NaN, Inf and
    sums that overflow may reach further than the taps do.

    Attributes
    ----------
    model : Model
    forward : callable
        ``forward(x, out, workers)`` blurs and decimates the (B * n0 * n1,) array `x` into the
        (B * m0 * m1,) array `out`.
    adjoint : callable
        ``adjoint(y, out, workers)`` applies the conjugate transpose to (B * m0 * m1,) `y`, into
        (B * n0 * n1,) `out`.
    """

    model: Model
    forward: Multiply
    adjoint: Multiply

    def gram(self, x: Array, out: Array, workers: int | None) -> bool:
        """The adjoint of the product with the (B * n0 * n1,) array `x`, into `out` of its shape."""
        y = workspace.empty((x.size // self.model.pixels * self.model.outputs,), x.dtype)
        reliable = self.forward(x, y, workers)
        y.flags.writeable = False
        return self.adjoint(y, out, workers) and reliable


def prepare(method: str, model: Model, dtype: np.dtype[Any]) -> Plan:
    """The plan of a method by name; imports the compiled code of that method."""
    plans = VOLUMES if len(model.axes) == 3 else LINES if model.is_line else PLANS
    module, name = plans[method]
    kind = getattr(import_module(module), name)
    outputs = segment_outputs(model, method)
    if outputs < model.columns.outputs:
        from dhop.methods.segments import SegmentsPlan

        return SegmentsPlan(model, dtype, kind, outputs)
    plan: Plan = kind(model, dtype)
    return plan


def prepare_field(field: FieldModel, method: str, model: Model, dtype: np.dtype[Any]) -> Plan:
    """As `prepare`, for a PSF that varies; `model` is that of the field."""
    if method == "direct" and len(model.axes) == 2:
        from dhop.methods.field import FieldPlan

        return FieldPlan(field, dtype)
    from dhop.methods.tiles import TilesPlan

    return TilesPlan(field, dtype, method)
