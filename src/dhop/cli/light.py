"""Numbers of sRGB, as photographs have them, and the light that they stand for; white is 1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STEEP = 12.92  # near black, numbers are proportional to light
DARK = 0.04045  # up to this number
OFFSET, POWER = 0.055, 2.4  # and beyond, a power of it with an offset


def decoded(numbers: Array) -> Array:
    """The light of numbers.

    Examples
    --------
    >>> decoded(np.array([0.0, 0.5, 1.0])).round(3)
    array([0.   , 0.214, 1.   ])
    """
    power = ((np.maximum(numbers, DARK) + OFFSET) / (1 + OFFSET)) ** POWER
    return np.where(numbers <= DARK, numbers / STEEP, power).astype(numbers.dtype)


def encoded(light: Array) -> Array:
    """The numbers that stand for light; negative light, which is none, is on the straight part."""
    dark = DARK / STEEP
    root = (1 + OFFSET) * np.maximum(light, dark) ** (1 / POWER) - OFFSET
    return np.where(light <= dark, light * STEEP, root).astype(light.dtype)


def slope(light: Array) -> Array:
    """By how much numbers change with light, of which errors of numbers follow."""
    dark = DARK / STEEP
    steep = (1 + OFFSET) / POWER * np.maximum(light, dark) ** (1 / POWER - 1)
    return np.where(light <= dark, STEEP, steep).astype(light.dtype)
