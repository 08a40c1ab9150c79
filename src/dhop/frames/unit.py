"""A unit for frames whose squares would overflow or underflow: a power of two."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.frames.masks import each_weight, seen

Array = NDArray[Any]

ORDINARY = 30  # largest size of an exponent that single precision holds the fourth power of


def exponent(frames: Array, weights: Sequence[Array] | None = None) -> int:
    """The power of two nearest above the brightest pixel, zero if squares are no concern.

    Parameters
    ----------
    frames : ndarray, shape (F, ...)
    weights : sequence of ndarray, optional
        Pixels of weight zero do not count.

    Examples
    --------
    >>> import numpy as np
    >>> exponent(np.array([[3.0, 255.0]])), exponent(np.array([[0.0, -(2.0**100)]]))
    (0, 101)
    """
    largest = 0.0
    for frame, weight in zip(frames, each_weight(weights, len(frames)), strict=True):
        pixels = seen(frame, weight)
        ends = float(pixels.min(initial=0)), float(pixels.max(initial=0))
        largest = max(largest, -ends[0], ends[1])
    power = int(np.frexp(largest)[1]) if np.isfinite(largest) else 0
    return power if abs(power) > ORDINARY else 0


def times_power(numbers: Any, power: int) -> Any:
    """Real numbers times two to a power, exact but for over- and underflow."""
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(numbers, power)
