"""The range of values that frames show, and how far an image leaves it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PLAUSIBLE = 0.2  # of its range an image may lie beyond that of the frames, on both sides
FAR = 0.5  # the same below alone


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


def caution(image: Array, span: tuple[float, float]) -> str | None:
    """What to say of an image that leaves the range of the frames by far."""
    both, one = beyond(image, span)
    if both <= 1.5 * PLAUSIBLE and one <= FAR:
        return None
    return (
        f"the image leaves the range of the frames, {span[0]:.3g} to {span[1]:.3g}, by far: "
        f"{image.min():.3g} to {image.max():.3g}; the psf may be too wide, or beta too small"
    )
