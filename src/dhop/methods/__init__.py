"""Algorithms for the products: one file each, each a plan prepared for one compute dtype."""

from importlib import import_module
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from dhop.geometry import Model

PLANS = {
    "direct": ("dhop.methods.direct", "DirectPlan"),
    "separable": ("dhop.methods.separable", "SeparablePlan"),
    "fft": ("dhop.methods.fft", "FftPlan"),
}


class Plan(Protocol):
    """Products with batches of images, C-contiguous, of the plan's dtype; `x`, `y` read-only.

    Attributes
    ----------
    faithful : bool
        Whether NaN and Inf reach just the outputs that a non-zero tap joins to them.
    """

    faithful: ClassVar[bool]

    def forward(self, x: NDArray[Any], out: NDArray[Any], workers: int | None) -> None:
        """Blur and decimate the (B, n0, n1) array `x` into the (B, m0, m1) array `out`."""

    def adjoint(self, y: NDArray[Any], out: NDArray[Any], workers: int | None) -> None:
        """Apply the conjugate transpose to the (B, m0, m1) array `y`, into (B, n0, n1) `out`."""


class NotFiniteError(ValueError):
    """A transform spreads NaN and Inf over the whole image."""

    def __init__(self) -> None:
        super().__init__(
            'method="fft" gave a product that is not finite: NaN, Inf or huge values in the array '
            'spread over the whole image; use method="auto" or "direct"'
        )


def prepare(method: str, model: Model, dtype: np.dtype[Any]) -> Plan:
    """The plan of a method by name. Compiled code is imported here, not before it is needed."""
    module, name = PLANS[method]
    plan: Plan = getattr(import_module(module), name)(model, dtype)
    return plan


def is_finite(array: NDArray[Any]) -> bool:
    """Whether all of an array is finite; False also if its sum overflows."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(array.sum()))
