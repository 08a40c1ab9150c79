"""A field of PSFs from the stars of an image: effective PSFs, as photutils builds them.

References
----------
J. Anderson and I. R. King, "Toward high-precision astrometry with WFPC2. I.", PASP 112 (2000)
1360-1382, https://doi.org/10.1086/316632.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.psf import grids
from dhop.runtime.arguments import each, numbers, positive
from dhop.runtime.extras import needed

Array = NDArray[Any]

OVERSAMPLING = 4  # samples of a pixel, from stars at all subpixel positions


def read_stars(
    image: ArrayLike, positions: ArrayLike, grid: int | Sequence[int], size: int, factor: int
) -> grids.StampGrid:
    """The stamps and nodes of the tiles of an image, see `dhop.psf.Field.from_stars`."""
    needed("photutils.psf", "stars", "psf.Field.from_stars")
    values = np.asarray(numbers("image", image), np.float64)
    if values.ndim != 2:
        raise ValueError(f"image must have two axes, got an array of {values.shape}")
    places = np.asarray(numbers("positions", positions), np.float64)
    if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
        raise ValueError(
            f"positions must be finite rows and columns of shape (N, 2), got {places.shape}"
        )
    size = positive("size", size)
    if size % 2 == 0 or size < 5:
        raise ValueError(f"size must be odd and at least 5, got {size}")
    tiles = each("grid", grid, 2, positive)
    reach = size // 2
    nearest = np.rint(places).astype(np.intp)
    whole = ((nearest >= reach) & (nearest < np.array(values.shape) - reach)).all(axis=1)
    places, nearest = places[whole], nearest[whole]
    tile = (places + 0.5) * tiles // values.shape
    stamps, nodes = [], []
    for g, h in np.ndindex(*tiles):
        own = (tile == (g, h)).all(axis=1)
        if not own.any():
            raise ValueError(
                f"no star lies in tile ({g}, {h}) of {tiles[0]} x {tiles[1]}, at least "
                f"{reach} pixels from the border; take a coarser grid or a smaller size"
            )
        stamps.append(_effective(values, places[own], nearest[own], reach))
        row, column = (
            (k + 0.5) * n / t - 0.5 for k, n, t in zip((g, h), values.shape, tiles, strict=True)
        )
        nodes.append((column, row))
    return grids.arranged(np.array(stamps), nodes, OVERSAMPLING, factor)


def _effective(image: Array, places: Array, nearest: Array, reach: int) -> Array:
    """The effective PSF of some stars."""
    photutils = needed("photutils.psf", "stars", "psf.Field.from_stars")
    stars = []
    for (row, column), (i, j) in zip(places, nearest, strict=True):
        stamp = image[i - reach : i + reach + 1, j - reach : j + reach + 1]
        seen = np.isfinite(stamp)
        border = np.concatenate([stamp[0], stamp[-1], stamp[1:-1, 0], stamp[1:-1, -1]])
        border = border[np.isfinite(border)]
        if not (seen[reach, reach] and border.size):  # saturated, or beside the sensor
            continue
        stamp = np.where(seen, stamp - np.median(border), 0)
        if not stamp.sum() > 0:
            continue
        center = column - j + reach, row - i + reach
        weights = seen.astype(float)
        stars.append(photutils.EPSFStar(stamp, weights=weights, cutout_center=center))
    if not stars:
        raise ValueError(f"no star at {places[0]} or of its tile is brighter than its surroundings")
    build = photutils.EPSFBuilder(oversampling=OVERSAMPLING, progress_bar=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of single stars that it leaves out
        return np.asarray(build(photutils.EPSFStars(stars))[0].data)
