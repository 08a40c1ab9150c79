"""What ``dhop superres`` writes."""

import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from dhop import Solution, images
from dhop.cli import deviations, srgb
from dhop.cli.terminal import progress
from dhop.cli.units import written
from dhop.io import Options, Original


@dataclass(frozen=True)
class Output:
    """The file of an image.

    Attributes
    ----------
    path : Path
    bits : int or None
    header : Original
        What the file says besides.
    options : Options
    axes : str
        Letters of the axes, channels last.
    linear : bool
        Whether the image is light, of which numbers of sRGB are to be written.
    """

    path: Path
    bits: int | None
    header: Original
    options: Options
    axes: str
    linear: bool

    def save(self, image: Any) -> None:
        """Write an image whose channels are first; beside a file that has taken its name."""
        with progress("writing", 1) as bar:
            picture = np.moveaxis(image, 0, -1) if self.axes.endswith("C") else image
            picture = srgb.encode(picture) if self.linear else picture
            try:
                self._write(self.path, picture)
            except FileExistsError as error:
                names = (self.path.with_name(f"{k}.{self.path.name}") for k in count(1))
                free = next(name for name in names if not os.path.lexists(name))
                self._write(free, picture)
                raise FileExistsError(f"{error}; the image is in {free}") from None
            bar(1, 1)

    def save_errors(self, path: Path, solution: Solution, deviation: Any) -> Any:
        """Write standard deviations, and return them in the numbers of the image as written."""
        number = written(self.path, self.bits, self.header)
        shown, erring = solution.image, deviation
        if self.linear:
            shown, erring = srgb.encode(shown), erring * srgb.encode_slope(shown)
        erring = number * erring
        deviations.write(
            path, solution, number * shown, erring, self.header, self.axes, self.options
        )
        return erring

    def _write(self, path: Path, picture: Any) -> None:
        images.write(path, picture, self.bits, self.header, self.options, self.axes)
