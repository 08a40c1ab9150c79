"""The transfer function of sRGB (IEC 61966-2-1), between pixel values and linear light."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Up to CUTOFF a line through zero, above it a power with an offset.
CUTOFF, LINE_SLOPE = 0.04045, 12.92
OFFSET, POWER = 0.055, 2.4


def decode(values: Array) -> Array:
    """Linear light of pixel values; white is 1 in both.

    Examples
    --------
    >>> decode(np.array([0.0, 0.5, 1.0])).round(3)
    array([0.   , 0.214, 1.   ])
    """
    power = ((np.maximum(values, CUTOFF) + OFFSET) / (1 + OFFSET)) ** POWER
    return np.where(values <= CUTOFF, values / LINE_SLOPE, power).astype(values.dtype)


def encode(light: Array) -> Array:
    """Pixel values of linear light; negative light continues the line."""
    cutoff = CUTOFF / LINE_SLOPE
    root = (1 + OFFSET) * np.maximum(light, cutoff) ** (1 / POWER) - OFFSET
    return np.where(light <= cutoff, light * LINE_SLOPE, root).astype(light.dtype)


def encode_slope(light: Array) -> Array:
    """The derivative of `encode`, which turns errors of light into errors of pixel values."""
    cutoff = CUTOFF / LINE_SLOPE
    slope = (1 + OFFSET) / POWER * np.maximum(light, cutoff) ** (1 / POWER - 1)
    return np.where(light <= cutoff, LINE_SLOPE, slope).astype(light.dtype)
