"""What an image file holds, in one form whatever the format."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Metadatum:
    """Something that a file says besides its pixels. This one does not depend on their size."""

    missed = True  # whether a user is told where it cannot be kept

    def resized(self, scale: Fraction, *, sampled: bool = False) -> "Metadatum":
        """The same for an image in which `scale` pixels stand where one stood on each axis.

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

    def resized(self, scale: Fraction, *, sampled: bool = False) -> "Resolution":
        return replace(self, across=float(self.across * scale), down=float(self.down * scale))


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

    def resized(self, scale: Fraction | int, *, sampled: bool = False) -> "Original":
        """The same for an image of `scale` times as many pixels on each axis."""
        kept = {
            name: each.resized(Fraction(scale), sampled=sampled) for name, each in self.kept.items()
        }
        return replace(self, kept=kept)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as a file holds it.

    Attributes
    ----------
    pixels : ndarray
        Numbers as they are in the file, in native byte order, transparency left out.
    axes : str
        A letter for each axis of `pixels`: F frames, Y rows, X columns, C channels, T, Z or I for
        pages that may be frames or channels, ? for an axis of which nothing is known.
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
