"""Writing FITS images larger than memory: headers by astropy, pixels strip by strip."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.io.strips import strips

Array = NDArray[Any]

UNIT = 2880  # bytes of a FITS block; headers and data take whole ones


def outline(pixels: Any) -> Array:
    """Zeros with the shape and dtype of an array, which take no memory."""
    return np.broadcast_to(np.zeros((), pixels.dtype), pixels.shape)


def write(fits: Any, file: Any, units: Any, images: Sequence[Any]) -> None:
    """Write an HDUList, whose first HDUs with pixels take these from Dask arrays."""
    units.update_extend()
    left = list(images)
    for number, unit in enumerate(units):
        if not (left and unit.is_image and unit.shape):
            file.write(_alone(fits, unit, number == 0))
            continue
        unit.verify("silentfix")
        file.write(unit.header.tostring().encode("ascii"))
        size = 0
        pixels = left.pop(0).reshape(unit.shape)
        for strip in strips(pixels if pixels.ndim > 1 else pixels[np.newaxis]):
            size += file.write(np.ascontiguousarray(strip, strip.dtype.newbyteorder(">")).data)
        file.write(bytes(-size % UNIT))


def _alone(fits: Any, unit: Any, first: bool) -> bytes:
    """The bytes of an HDU."""
    content = io.BytesIO()
    whole = [unit] if first else [fits.PrimaryHDU(), unit]
    fits.HDUList(whole).writeto(content, output_verify="silentfix")
    written = content.getvalue()
    return written if first else written[UNIT:]
