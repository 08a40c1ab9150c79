"""Losses of residuals, and the weights of their quadratic majorisers.

A residual is ``u = sqrt(w) (A x - y)``. A loss that has the slope of ``weight * u**2`` at the
present residual and is, but for a constant, nowhere above it, is minimised by iteratively
reweighted least squares.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

Array: TypeAlias = Any
Name: TypeAlias = Literal["gaussian", "huber", "l1", "poisson"]

EFFICIENT = 1.345  # standard deviations: 95 % efficiency for normal residuals
ROUND = 1e-2  # of the threshold: below that the absolute value is rounded


class Loss(Protocol):
    """A loss of residuals, which may be a lazy array."""

    def value(self, u: Array) -> Any:
        """The sum over all residuals."""

    def weights(self, u: Array) -> Array:
        """Half the slope over the residual: those of the quadratic majoriser."""

    def robustness(self, u: Array) -> Array:
        """The robustness weights: one for inliers, less for outliers."""


class Square:
    """``u**2``."""

    def value(self, u: Array) -> Any:
        return np.sum(u * u)

    def weights(self, u: Array) -> Array:
        return np.ones_like(u)

    def robustness(self, u: Array) -> Array:
        return np.ones_like(u)


@dataclass(frozen=True)
class Huber:
    """``u**2`` up to a threshold, from there on its tangent ``2 t |u| - t**2``.

    P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35 (1964) 73-101,
    https://doi.org/10.1214/aoms/1177703732.

    Examples
    --------
    >>> import numpy as np
    >>> loss = Huber(1.0)
    >>> float(loss.value(np.array([0.5, -3.0])))
    5.25
    >>> loss.weights(np.array([0.5, -4.0]))
    array([1.  , 0.25])
    """

    threshold: float

    def value(self, u: Array) -> Any:
        size, t = abs(u), self.threshold
        return np.sum(np.where(size <= t, u * u, t * (2 * size - t)))

    def weights(self, u: Array) -> Array:
        return self.threshold / np.maximum(abs(u), self.threshold)

    def robustness(self, u: Array) -> Array:
        return self.weights(u)


@dataclass(frozen=True)
class Absolute:
    """``2 t |u|``, whose tip is that of a parabola.

    With the threshold of `Huber` it weighs residuals about as `u**2` does, so that `beta` keeps its
    meaning.
    """

    threshold: float

    def value(self, u: Array) -> Any:
        return Huber(ROUND * self.threshold).value(u) / ROUND

    def weights(self, u: Array) -> Array:
        return Huber(ROUND * self.threshold).weights(u) / ROUND

    def robustness(self, u: Array) -> Array:
        return Huber(self.threshold).weights(u)


def robust(name: Name, threshold: float) -> Loss:
    """The robust loss of a name."""
    return Huber(threshold) if name == "huber" else Absolute(threshold)
