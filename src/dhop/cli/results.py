"""Files that ``dhop superres`` writes: the image and its standard deviations."""

import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from dhop import Solution, images, io
from dhop.cli import srgb
from dhop.cli.sampling import median
from dhop.cli.terminal import progress
from dhop.cli.units import written
from dhop.io import Options, Original, Picture

UNSEEN = 1e-3  # of the median coverage: pixels with less are marked in DQ
NO_DATA = 1  # their value in DQ


@dataclass(frozen=True)
class Output:
    """The file of an image.

    Attributes
    ----------
    path : Path
    bits : int or None
    header : Original
        Metadata of the file.
    options : Options
    axes : str
        Letters of the axes, channels last.
    linear : bool
        Whether the image is linear light, to be written as sRGB.
    """

    path: Path
    bits: int | None
    header: Original
    options: Options
    axes: str
    linear: bool

    def save(self, image: Any) -> None:
        """Write an image whose channels are first; under another name if its own is taken."""
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

    def check_errors(self, path: Path, shape: tuple[int, ...]) -> None:
        """Refuse a file that does not hold what `save_errors` writes."""
        format = io.format_of(path)
        if images.BITS[32] not in format.types:
            raise ValueError(
                f"--errors {path.name}: standard deviations are fractions, which "
                f"{io.ending(path)} does not hold; write a .tif, .npy, .zarr or .fits"
            )
        images.check(path, 32, self.header if format is io.FITS else None, shape, self.axes)

    def save_errors(self, path: Path, solution: Solution, deviation: Any) -> Any:
        """Write standard deviations in floating point, and return them in the unit of the image.

        FITS holds the image too: SCI, with the extensions ERR and DQ. Other files hold the
        deviations alone.
        """
        one = written(self.path, self.bits, self.header)
        image, errors = solution.image, deviation
        if self.linear:
            image, errors = srgb.encode(image), errors * srgb.encode_slope(image)
        image, errors = one * image, one * errors
        channels = self.axes.endswith("C")
        if io.format_of(path) is not io.FITS:
            last = np.moveaxis(errors, 0, -1) if channels else errors
            images.write(path, last, 32, None, self.options, self.axes)
            return errors
        coverage = solution.coverage()
        unseen = coverage <= UNSEEN * median(coverage)
        others = {"ERR": errors, "DQ": unseen.astype(np.int32) * NO_DATA}
        axes = "C" + self.axes[:-1] if channels else self.axes
        io.write(path, Picture(image, axes, self.header, others=others), self.options)
        return errors

    def _write(self, path: Path, picture: Any) -> None:
        images.write(path, picture, self.bits, self.header, self.options, self.axes)
