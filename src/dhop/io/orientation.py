"""Orientation tags of TIFF and EXIF (TIFF 6.0, page 36)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TAG = 0x0112
SWAPPED = (5, 6, 7, 8)  # orientations that exchange rows and columns


def upright(array: NDArray[Any], axes: str, tag: Any) -> NDArray[Any]:
    """The pixels turned upright; unchanged for an unknown orientation.

    tifffile's `reorient` confuses two of the eight.
    """
    rows = axes.find("YX")
    if tag not in range(2, 9) or rows < 0:
        return array
    columns = rows + 1
    if tag in SWAPPED:
        array = np.swapaxes(array, rows, columns)
    if tag in (3, 4, 7, 8):
        array = np.flip(array, rows)
    if tag in (2, 3, 6, 7):
        array = np.flip(array, columns)
    return array
