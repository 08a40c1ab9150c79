"""Normal equations in closed form: an inverse without iterations."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from dhop.closed.aliased import aliased_equations
from dhop.closed.kronecker import kronecker_equations
from dhop.geometry import Model

Frames = Sequence[tuple[Model, float]]


class Equations(Protocol):
    r"""Normal equations :math:`N + \beta P = \sum_i w_i A_i^H A_i + \beta \sum_j S_j^H S_j`."""

    def inverse(self, beta: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
        """The function that solves for images, the last two axes of its argument."""


def exact_equations(frames: Frames, penalties: Sequence[Model]) -> Equations | None:
    """The normal equations in a closed form that holds, if there is one."""
    return aliased_equations(frames, penalties) or kronecker_equations(frames, penalties)


def nearest_equations(frames: Frames, penalties: Sequence[Model]) -> Equations | None:
    """The exact equations or, to precondition with, those of similar operators; None if none is."""
    exact = exact_equations(frames, penalties)
    return exact or aliased_equations(frames, penalties, exact=False)
