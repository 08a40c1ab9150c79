"""Normal equations in closed form: an inverse without iterations."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dhop.closed.aliased import aliased_equations
from dhop.closed.diagonal import diagonal_equations, undecimated_equations
from dhop.closed.inverse import Inverse
from dhop.closed.kronecker import kronecker_equations
from dhop.closed.masked import masked_equations
from dhop.model.geometry import Model

__all__ = ["Equations", "Inverse", "even_equations", "exact_equations", "nearest_equations"]

Frames = Sequence[tuple[Model, float]]


class Equations(Protocol):
    r"""Normal equations :math:`N + \beta P = \sum_i w_i A_i^H A_i + \beta \sum_j S_j^H S_j`."""

    def inverse(self, beta: float, *, once: bool = False) -> Inverse:
        """The inverse for one `beta`; `once` if there will be no other."""


def exact_equations(frames: Frames, penalties: Sequence[Model]) -> Equations | None:
    """The normal equations in a closed form that holds, if there is one."""
    return aliased_equations(frames, penalties) or kronecker_equations(frames, penalties)


def even_equations(frames: Frames, penalties: Sequence[Model]) -> Equations | None:
    """The exact equations or those of similar operators; None if none is near."""
    return (
        exact_equations(frames, penalties)
        or diagonal_equations(frames, penalties)
        or aliased_equations(frames, penalties, exact=False)
    )


def nearest_equations(
    frames: Sequence[tuple[Model, float | NDArray[np.float64]]], penalties: Sequence[Model]
) -> Equations | None:
    """The exact equations or, as preconditioner, those of similar operators; None if none is near.

    Weights may differ from pixel to pixel.
    """
    masked = None
    if not all(np.ptp(weight) == 0 for _, weight in frames):
        masked = masked_equations(frames, penalties)
    means = [(model, float(np.mean(weight))) for model, weight in frames]
    return masked or undecimated_equations(means, penalties) or even_equations(means, penalties)
