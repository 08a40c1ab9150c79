"""Algorithms for the products: one file each, each a plan prepared for one compute dtype."""

from typing import Any, Protocol

from numpy.typing import NDArray

from dhop.methods.direct import DirectPlan

__all__ = ["DirectPlan", "Plan"]


class Plan(Protocol):
    """Products with batches of images, C-contiguous, of the plan's dtype; `x`, `y` read-only."""

    def forward(self, x: NDArray[Any], out: NDArray[Any], workers: int | None) -> None:
        """Blur and decimate the (B, n0, n1) array `x` into the (B, m0, m1) array `out`."""

    def adjoint(self, y: NDArray[Any], out: NDArray[Any], workers: int | None) -> None:
        """Apply the conjugate transpose to the (B, m0, m1) array `y`, into (B, n0, n1) `out`."""
