"""What an image file holds, in one form whatever the format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Scale: TypeAlias = Fraction | int | Sequence[Fraction | int]

SPACE = "ZYX"  # letters of the axes of a volume; of an image and a line the last ones


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
    """Something that a file says besides its pixels. This one does not depend on their size."""

    missed = True  # whether a user is told where it cannot be kept

    def resized(self, scales: Mapping[str, Fraction], *, sampled: bool = False) -> "Metadatum":
        """The same for an image in which so many pixels stand where one stood, by axes' letters.

        With `sampled` the first of them has its centre where the pixel had it, else the block has.
        """
        return self


@dataclass(frozen=True)
class Constant(Metadatum):
    """Bytes or text that stay as they are, as a colour profile."""

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
    """Something that no format of ours can say again, there to be named."""


@dataclass(frozen=True, eq=False)
class Original:
    """What a file says besides its pixels, to be said again of what is made from them.

    Attributes
    ----------
    dtype : dtype
        Of the pixels in the file; of FITS, floating point in any case.
    white : int or None
        The integer that stands for 1. None where numbers are what they are.
    kept : mapping of str to Metadatum
        By the names that users know them by.
    """

    dtype: np.dtype[Any]
    white: int | None = None
    kept: Mapping[str, Metadatum] = field(default_factory=dict)

    def resized(self, scale: Scale, *, sampled: bool = False) -> "Original":
        """The same for an image of `scale` times as many pixels on each axis."""
        scales = along(scale)
        kept = {name: each.resized(scales, sampled=sampled) for name, each in self.kept.items()}
        return replace(self, kept=kept)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as a file holds it.

    Attributes
    ----------
    pixels : ndarray
        Numbers as they are in the file, in native byte order, transparency left out. Or what can be
        sliced to them, or a Dask array.
    axes : str
        A letter for each axis of `pixels`: F frames, Z planes of a volume, Y rows, X columns, C
        channels, P planes that are channels or a volume, T or I for pages that may be anything,
        ? for an axis of which nothing is known.
    original : Original
    lossy : bool
        Whether the file holds the pixels only nearly, as JPEG does.
    nodata : float or None
        The number that stands in `pixels` where there is no value.
    others : mapping of str to ndarray
        What else is known of each pixel, by the names of extensions. FITS alone holds it.
    """

    pixels: Array
    axes: str
    original: Original
    lossy: bool = False
    nodata: float | None = None
    others: Mapping[str, Array] = field(default_factory=dict)

    def arranged(self, axes: str) -> Array:
        """The pixels with their axes in the order of those of `axes` that they have.

        Examples
        --------
        >>> picture = Picture(np.zeros((3, 20, 30)), "CYX", Original(np.dtype("f8")))
        >>> picture.arranged("FYXC").shape
        (20, 30, 3)
        """
        order = [self.axes.index(axis) for axis in axes if axis in self.axes]
        return np.transpose(self.pixels, order)

    def values(self, axes: str) -> Array:
        """The same, with NaN where there is no value.

        Examples
        --------
        >>> picture = Picture(np.array([[3, 0, 5]]), "YX", Original(np.dtype("i8")), nodata=0)
        >>> picture.values("YX")
        array([[ 3., nan,  5.]])
        """
        pixels = self.arranged(axes)
        if self.nodata is None:
            return pixels
        with np.errstate(over="ignore"):  # of a number that their type does not hold
            absent = pixels == self.nodata
        return np.where(absent, np.nan, pixels) if absent.any() else pixels


def white_of(dtype: np.dtype[Any]) -> int | None:
    """The value of full light, for types of which images have the whole range.

    Other integers are counts, labels, or whatever NumPy made of them, and are not scaled.
    """
    return {"b1": 1, "u1": 255, "u2": 65535}.get(dtype.str[1:])
