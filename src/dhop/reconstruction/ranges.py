"""The range of values of the frames, and how far an image exceeds it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.frames.masks import each_weight, seen
from dhop.reconstruction import solvers
from dhop.reconstruction.problem import Problem

Array = NDArray[Any]

PLAUSIBLE = 0.2  # of its own range an image may exceed that of the frames, on both sides
NOTABLE = 0.3  # the same, from which on a warning is due
FAR = 0.5  # the same, below alone
CALM = 0.12  # the same, of a rough image; without ringing sharp edges reach it
LOOKS, ROUGH = 30, 1e-2  # iterations and tolerance of an image that is looked at
STEPS, GROWTH = 40, 3  # of beta: at most, and the factor of each


def visible_range(frames: Array, weights: Sequence[Array] | None) -> tuple[float, float]:
    """Least and largest value of the pixels that have a weight."""
    maps = each_weight(weights, len(frames))
    low, high = np.inf, -np.inf
    for frame, weight in zip(frames, maps, strict=True):
        pixels = seen(frame, weight)
        if pixels.size:
            low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def beyond(image: Array, span: tuple[float, float]) -> tuple[float, float]:
    """How far an image exceeds a range on both sides, and below, relative to its own range.

    Ringing exceeds it on both sides; a star that has become sharp, far above and hardly below.
    """
    low, high = span
    width = (high - low) or abs(high) or 1.0
    below = max((low - float(image.min())) / width, 0.0)
    above = max((float(image.max()) - high) / width, 0.0)
    sides = below / (1 + above), above / (1 + below)
    return min(sides), below / (1 + above)


def rings(image: Array, span: tuple[float, float]) -> bool:
    """Whether an image exceeds a range on both sides by more than is plausible."""
    return beyond(image, span)[0] > PLAUSIBLE


def plausible(problem: Callable[[float], Problem], beta: float, span: tuple[float, float]) -> float:
    """Raise `beta` until the image does not exceed the range of the frames by far.

    The image is the solution of the nearest closed form; without one nothing is raised. At borders
    of zeros that rings far more than the image itself. There a few iterations find the least `beta`
    up to that with which the image is calm.
    """
    steps = 0
    while steps < STEPS:
        given = problem(beta * GROWTH**steps)
        inverse = given.nearest_inverse()
        if inverse is None or beyond(inverse(given.normal_residual()[0]), span)[0] <= NOTABLE:
            break
        steps += 1
    least = 0 if "constant" in np.atleast_1d(problem(beta).boundary) else steps
    while least < steps:
        middle = (least + steps) // 2
        given = problem(beta * GROWTH**middle)
        if beyond(solvers.solve(given, "cg", maxiter=LOOKS, rtol=ROUGH).x, span)[0] > CALM:
            least = middle + 1
        else:
            steps = middle
    return beta * GROWTH**steps


def caution(image: Array, span: tuple[float, float]) -> str | None:
    """The text of a warning if an image exceeds the range of the frames by far."""
    both, one = beyond(image, span)
    if both <= NOTABLE and one <= FAR:
        return None
    return (
        f"the image leaves the range of the frames, {span[0]:.3g} to {span[1]:.3g}, by far: "
        f"{image.min():.3g} to {image.max():.3g}; the psf may be too wide, or beta too small"
    )
