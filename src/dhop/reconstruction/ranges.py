"""The range of values that frames show, and how far an image leaves it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.reconstruction.objective import inverse_near
from dhop.reconstruction.problem import Problem

Array = NDArray[Any]

PLAUSIBLE = 0.2  # of its range an image may lie beyond that of the frames, on both sides
NOTABLE = 0.3  # the same, where it must be said
FAR = 0.5  # the same below alone
STEPS, GROWTH = 40, 3  # of a beta, at most, until an image is plausible


def visible_range(frames: Array, weights: Sequence[Array] | None) -> tuple[float, float]:
    """Least and largest value of the pixels that have a weight."""
    maps = weights or [np.ones(())] * len(frames)
    low, high = np.inf, -np.inf
    for frame, weight in zip(frames, maps, strict=True):
        seen = frame[np.broadcast_to(weight > 0, frame.shape)]
        if seen.size:
            low, high = min(low, float(seen.min())), max(high, float(seen.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def beyond(image: Array, span: tuple[float, float]) -> tuple[float, float]:
    """How far an image leaves a range on both sides, and on one, relative to its own range.

    What rings does so on both sides of what it rings about; a star that has become sharp rises far
    above what the frames show of it, and leaves the ground but little.
    """
    low, high = span
    width = (high - low) or abs(high) or 1.0
    below = max((low - float(image.min())) / width, 0.0)
    above = max((float(image.max()) - high) / width, 0.0)
    sides = below / (1 + above), above / (1 + below)
    return min(sides), below / (1 + above)


def rings(image: Array, span: tuple[float, float]) -> bool:
    """Whether an image leaves a range on both sides by more than is plausible."""
    return beyond(image, span)[0] > PLAUSIBLE


def plausible(posed: Callable[[float], Problem], beta: float, span: tuple[float, float]) -> float:
    """A `beta`, or a larger one at which the image does not leave the range of the frames by far.

    It looks at the solution of equations that are near, if there are any.
    """
    for _ in range(STEPS):
        problem = posed(beta)
        near = inverse_near(problem)
        if near is None or beyond(near(problem.normal_residual()[0]), span)[0] <= NOTABLE:
            break
        beta *= GROWTH
    return beta


def caution(image: Array, span: tuple[float, float]) -> str | None:
    """What to say of an image that leaves the range of the frames by far."""
    both, one = beyond(image, span)
    if both <= NOTABLE and one <= FAR:
        return None
    return (
        f"the image leaves the range of the frames, {span[0]:.3g} to {span[1]:.3g}, by far: "
        f"{image.min():.3g} to {image.max():.3g}; the psf may be too wide, or beta too small"
    )
