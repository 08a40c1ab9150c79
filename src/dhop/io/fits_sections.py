"""Pixels of FITS images that stay in their files until they are sliced."""

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.runtime.extras import needed

Array = NDArray[Any]

_one_at_a_time = threading.Lock()


def taking_turns(unit: Any) -> AbstractContextManager[Any]:
    """What threads enter to unpack an image, where only one of them can at a time.

    CFITSIO unpacks HCOMPRESS by way of global variables, and astropy lets other threads run then.
    """
    packed = getattr(unit, "compression_type", "")
    return _one_at_a_time if packed == "HCOMPRESS_1" else nullcontext()


class FilePixels:
    """What slices to arrays, as a Dask array is made from it.

    Attributes
    ----------
    shape : tuple of int
    """

    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        return self[(slice(0, 1),) * self.ndim].dtype

    def __getitem__(self, index: Any) -> Array:
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[...], dtype)


@dataclass(frozen=True, eq=False)
class MappedPixels(FilePixels):
    """Values of a file that is not compressed, scaled when they are sliced.

    Attributes
    ----------
    raw : memmap
    header : astropy.io.fits.Header
    shape : tuple of int
    """

    raw: Array
    header: Any
    shape: tuple[int, ...]

    @classmethod
    def of(cls, path: Path, unit: Any) -> "MappedPixels":
        bits = unit.header["BITPIX"]
        kind = f">{'f' if bits < 0 else 'u' if bits == 8 else 'i'}{abs(bits) // 8}"
        place = unit.fileinfo()["datLoc"]
        return cls(np.memmap(path, kind, "r", place, unit.shape), unit.header, unit.shape)

    def __getitem__(self, index: Any) -> Array:
        return scaled(self.raw[index], self.header)


@dataclass(frozen=True, eq=False)
class PackedPixels(FilePixels):
    """Pixels that are compressed by tiles: a slice unpacks the tiles that it touches.

    Attributes
    ----------
    path : Path
    number : int
        Of the unit in the file.
    header : astropy.io.fits.Header
    shape, chunks : tuple of int
        Of the image and of a tile.
    """

    path: Path
    number: int
    header: Any
    shape: tuple[int, ...]
    chunks: tuple[int, ...]

    def __getitem__(self, index: Any) -> Array:
        fits = needed("astropy.io.fits", "fits", f"reading {self.path.name}")
        # Opened for each slice: threads that shared a file would move its position.
        with fits.open(self.path, memmap=False, do_not_scale_image_data=True) as units:
            unit = units[self.number]
            with taking_turns(unit):
                return scaled(np.asarray(unit.section[index]), self.header)


def scaled(raw: Array, header: Any) -> Array:
    """Pixels after BSCALE, BZERO and BLANK, in double precision if any of these is given."""
    raw = np.asarray(raw, raw.dtype.newbyteorder("="))
    slope, zero = float(header.get("BSCALE", 1)), float(header.get("BZERO", 0))
    blank = header.get("BLANK") if raw.dtype.kind in "iu" else None
    if (slope, zero, blank) == (1, 0, None):
        return raw
    pixels = raw * np.float64(slope) + zero
    if blank is not None:
        pixels[raw == blank] = np.nan
    return pixels
