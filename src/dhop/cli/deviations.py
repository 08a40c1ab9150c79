"""Files of standard deviations."""

from pathlib import Path
from typing import Any

import numpy as np

from dhop import Solution, images, io
from dhop.cli.sampling import median
from dhop.io import Options, Original, Picture

UNSEEN = 1e-3  # of what a pixel counts in the frames as a rule: what has less nobody saw
NO_DATA = 1  # in a plane of data quality


def check(path: Path, header: Original, shape: tuple[int, ...], axes: str) -> None:
    """Refuse a file that does not hold what `write` writes."""
    if images.BITS[32] not in io.format_of(path).types:
        raise ValueError(
            f"--errors {path.name}: standard deviations are fractions, which {io.ending(path)} "
            "does not hold; write a .tif, .npy, .zarr or .fits"
        )
    images.check(path, 32, header if io.format_of(path) is io.FITS else None, shape, axes)


def write(
    path: Path,
    solution: Solution,
    image: Any,
    deviation: Any,
    header: Original,
    axes: str,
    options: Options,
) -> None:
    """Write deviations as floating-point numbers, of the image as it is written.

    FITS holds image, deviations and data quality, the extensions ERR and DQ behind SCI; other files
    hold the deviations alone.
    """
    if io.format_of(path) is not io.FITS:
        last = np.moveaxis(deviation, 0, -1) if axes.endswith("C") else deviation
        images.write(path, last, 32, None, options, axes)
        return
    others = {"ERR": deviation, "DQ": _unseen(solution).astype(np.int32) * NO_DATA}
    first = "C" + axes[:-1] if axes.endswith("C") else axes
    io.write(path, Picture(image, first, header, others=others), options)


def _unseen(solution: Solution) -> Any:
    """Which pixels of the scene no pixel with a weight looks at, but for the skirts of a PSF."""
    seen = solution.coverage()
    return seen <= UNSEEN * median(seen)
