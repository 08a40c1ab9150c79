"""What an image file holds, in one form whatever the format."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# What an axis of pixels may be. All others are pages: the user knows what is on them.
ROWS, COLUMNS, CHANNELS = "YXC"


class Metadatum:
    """Something that a file says besides its pixels. This one does not depend on their size."""

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
        A letter for each axis of `pixels`: Y rows, X columns, C channels, another letter for pages
        of which the file does not say whether they are frames or channels.
    original : Original
    """

    pixels: Array
    axes: str
    original: Original

    def arranged(self, axes: str) -> Array:
        """The pixels with their axes in another order.

        Examples
        --------
        >>> picture = Picture(np.zeros((3, 20, 30)), "CYX", Original(np.dtype("f8")))
        >>> picture.arranged("YXC").shape
        (20, 30, 3)
        """
        return np.transpose(self.pixels, [self.axes.index(axis) for axis in axes])
