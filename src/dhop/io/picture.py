"""The content of an image file, in one form for all formats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Scale: TypeAlias = Fraction | int | Sequence[Fraction | int]

SPACE = "ZYX"  # letters of spatial axes; images and lines have the last ones


def along(scale: Scale) -> dict[str, Fraction]:
    """The scale of each axis by its letter, from one number for rows and columns or one for each.

    Examples
    --------
    >>> along((1, 2, 3))
    {'Z': Fraction(1, 1), 'Y': Fraction(2, 1), 'X': Fraction(3, 1)}
    """
    scales = (scale, scale) if isinstance(scale, Fraction | int) else scale
    return dict(zip(SPACE[-len(scales) :], map(Fraction, scales), strict=True))


class Metadatum:
    """Metadata of a file beside its pixels; by default independent of their size."""

    missed = True  # whether users are warned where it cannot be kept

    def resized(self, scales: Mapping[str, Fraction], *, sampled: bool = False) -> "Metadatum":
        """The metadata of an image in which each pixel became `scales` pixels, by axis letter.

        With `sampled` the first of them has the centre of the old pixel, else their block has.
        """
        return self


@dataclass(frozen=True)
class Constant(Metadatum):
    """Bytes or text that do not depend on the pixels, such as a colour profile."""

    value: Any


@dataclass(frozen=True)
class Resolution(Metadatum):
    """Pixels for each unit of length, across and down."""

    across: float
    down: float
    unit: str  # "inch", "centimeter", or "none" where only their ratio is known

    def resized(self, scales: Mapping[str, Fraction], *, sampled: bool = False) -> "Resolution":
        across, down = self.across * scales["X"], self.down * scales.get("Y", 1)
        return replace(self, across=float(across), down=float(down))


@dataclass(frozen=True)
class Unkept(Metadatum):
    """Metadata that no format here can write; kept so that a warning can name them."""


@dataclass(frozen=True, eq=False)
class Original:
    """The metadata of a file, to be written with images that are made from it.

    Attributes
    ----------
    dtype : dtype
        Of the pixels in the file; for FITS always floating point.
    white : int or None
        The integer that stands for 1; None if values are not scaled.
    kept : mapping of str to Metadatum
        By names for users.
    """

    dtype: np.dtype[Any]
    white: int | None = None
    kept: Mapping[str, Metadatum] = field(default_factory=dict)

    def resized(self, scale: Scale, *, sampled: bool = False) -> "Original":
        """The metadata of an image with `scale` times as many pixels on each axis."""
        scales = along(scale)
        kept = {name: each.resized(scales, sampled=sampled) for name, each in self.kept.items()}
        return replace(self, kept=kept)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as a file holds it.

    Attributes
    ----------
    pixels : ndarray
        Values in the file, in native byte order and without transparency: an array, a Dask array,
        or an object that is sliced to get them.
    axes : str
        A letter for each axis of `pixels`: F frames, Z planes of a volume, Y rows, X columns, C
        channels, P planes that are channels or a volume, T or I for pages that may be anything,
        ? for an axis of which nothing is known.
    original : Original
    lossy : bool
        Whether the file is compressed with losses, as JPEG is.
    nodata : float or None
        The value in `pixels` that marks missing ones.
    others : mapping of str to ndarray
        Other values of each pixel, by the names of extensions; only FITS holds them.
    """

    pixels: Array
    axes: str
    original: Original
    lossy: bool = False
    nodata: float | None = None
    others: Mapping[str, Array] = field(default_factory=dict)

    def arranged(self, axes: str) -> Array:
        """The pixels with their axes in the order of `axes`, whose missing letters are skipped.

        Examples
        --------
        >>> picture = Picture(np.zeros((3, 20, 30)), "CYX", Original(np.dtype("f8")))
        >>> picture.arranged("FYXC").shape
        (20, 30, 3)
        """
        order = [self.axes.index(axis) for axis in axes if axis in self.axes]
        return np.transpose(self.pixels, order)

    def values(self, axes: str) -> Array:
        """As `arranged`, with NaN for missing pixels.

        Examples
        --------
        >>> picture = Picture(np.array([[3, 0, 5]]), "YX", Original(np.dtype("i8")), nodata=0)
        >>> picture.values("YX")
        array([[ 3., nan,  5.]])
        """
        pixels = self.arranged(axes)
        if self.nodata is None:
            return pixels
        with np.errstate(over="ignore"):  # nodata may not fit the dtype
            absent = pixels == self.nodata
        return np.where(absent, np.nan, pixels) if absent.any() else pixels


def white_of(dtype: np.dtype[Any]) -> int | None:
    """The value of white, for dtypes whose whole range images use.

    Other integers are counts or labels, and are not scaled.
    """
    return {"b1": 1, "u1": 255, "u2": 65535}.get(dtype.str[1:])
