"""FITS of images larger than memory: headers by astropy, numbers as they come."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.io.bands import bands

Array = NDArray[Any]

UNIT = 2880  # bytes, of which headers and numbers take whole multiples


def outline(pixels: Any) -> Array:
    """Zeros of the shape and type of an array, which take no memory."""
    return np.broadcast_to(np.zeros((), pixels.dtype), pixels.shape)


def write(fits: Any, file: Any, units: Any, images: Sequence[Any]) -> None:
    """Write units, of which the first with pixels have those of Dask arrays instead of their own.

    Parameters
    ----------
    fits : module
        That of astropy.
    file : binary file
    units : astropy.io.fits.HDUList
    images : sequence of dask.array.Array
        Of the same shapes and types.
    """
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
        for band in bands(pixels if pixels.ndim > 1 else pixels[np.newaxis]):
            size += file.write(np.ascontiguousarray(band, band.dtype.newbyteorder(">")).data)
        file.write(bytes(-size % UNIT))


def _alone(fits: Any, unit: Any, first: bool) -> bytes:
    """The bytes of a unit."""
    content = io.BytesIO()
    whole = [unit] if first else [fits.PrimaryHDU(), unit]
    fits.HDUList(whole).writeto(content, output_verify="silentfix")
    written = content.getvalue()
    return written if first else written[UNIT:]
