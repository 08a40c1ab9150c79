"""Conversion of options in the unit of the files to that of the library, where white is 1."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop import images
from dhop.cautions import RangeWarning
from dhop.cli.sampling import median
from dhop.io import Original

Array = NDArray[Any]

ROUNDING = 12**-0.5  # standard deviation of the rounding to integers


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Unit:
    """The unit of the pixel values in files."""

    white: int | None  # the value of white in files of integers; None if values are not scaled

    @property
    def one(self) -> float:
        """1 of the file, in the unit of the library."""
        return 1 / (self.white or 1)

    def positive(self, name: str, number: float, *, zero: bool = False) -> float:
        """A finite positive number, or also zero, converted."""
        if not np.isfinite(number) or number < 0 or (number == 0 and not zero):
            least = "not be negative" if zero else "be positive"
            raise ValueError(f"{name} must {least}, and be finite, got {number:g}")
        return number * self.one

    def noise(self, number: float) -> float:
        """A standard deviation, converted; a warning if it is below the rounding of integers."""
        scaled = self.positive("noise", number, zero=True)
        if self.white and 0 < number < ROUNDING:
            warnings.warn(
                f"noise of {number:g} is less than what integers leave out, {ROUNDING:.2f}; it is "
                f"in the numbers of the file, where white is {self.white}",
                RangeWarning,
                stacklevel=2,
            )
        return scaled

    def bounds(self, text: str, nonnegative: bool) -> tuple[float, float]:
        """The bounds of an image, converted."""
        try:
            low, high = (float(each) for each in text.split(","))
        except ValueError:
            raise ValueError(f"--bounds must be two numbers, as 0,255, got {text!r}") from None
        if not low < high:
            raise ValueError(f"--bounds must be a smaller and a larger number, got {text}")
        if nonnegative and low < 0:
            raise ValueError(f"--nonnegative contradicts --bounds {text}: take one of them")
        return low * self.one, high * self.one

    def caution_bounds(self, bounds: tuple[float, float], frames: Array) -> None:
        """Warn if the bounds exclude the median of the frames."""
        low, high = bounds
        middle = median(frames)
        if not low <= middle <= high:
            warnings.warn(
                f"--bounds {low / self.one:g},{high / self.one:g} leave out what half of the "
                f"frames' pixels show: their median is {middle / self.one:g}, in the numbers of "
                "the files",
                RangeWarning,
                stacklevel=2,
            )


def written(out: Path, bits: int | None, original: Original) -> float:
    """The value in a file to be written that stands for 1."""
    kind = images.kind_of(out, bits, original)
    counts = original.white is None and kind == original.dtype
    return 1.0 if kind.kind == "f" or counts else float(np.iinfo(kind).max)
