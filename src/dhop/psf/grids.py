"""Fields of PSFs as telescopes publish them: grids of oversampled stamps.

They are effective PSFs: which part of a star's light a pixel of the detector receives at each
distance. As the pixel is included, an operator samples and does not sum:
``DHOperator(dims, field, factor, decimation="sample")``.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop import io
from dhop.io.errors import ContentError, in_words
from dhop.psf.piff import Jacobian, read_piff
from dhop.runtime.arguments import numbers, positive
from dhop.runtime.extras import needed

Array = NDArray[Any]

STDPSF_SAMPLES = 4  # samples of a detector pixel, not given in the files
POLYNOMIAL_NODES = 9  # along each axis; a polynomial of low degree is nearly linear in between


StampGrid: TypeAlias = tuple[Array, tuple[Array, Array]]  # stamps; rows, columns of nodes


def read(path: str | os.PathLike[str], factor: int, jacobian: Jacobian | None = None) -> StampGrid:
    """The stamps and nodes of a file, see `dhop.psf.Field.from_file`."""
    factor = positive("factor", factor)
    source = io.file_of(Path(path))
    with in_words(source):
        fits = needed("astropy.io.fits", "fits", f"reading {source.name}")
        with fits.open(source) as file:
            if "psf_interp_solution" in file:
                return read_piff(file, factor, jacobian)
            if jacobian is not None:
                raise ContentError(
                    f"{source.name} is no model of Piff: its psfs are on pixels of the detector, "
                    "and need no jacobian"
                )
            for hdu in file:
                names = hdu.columns.names if getattr(hdu, "columns", None) is not None else ()
                if "PSF_MASK" in names:
                    return _psfex(hdu.header, np.asarray(hdu.data["PSF_MASK"][0]), factor)
                if hdu.data is not None and getattr(hdu.data, "ndim", 0) == 3:
                    found = _places(hdu.header, len(hdu.data))
                    if found is not None:
                        places, samples = found
                        return arranged(hdu.data, places, samples, factor)
    raise ContentError(
        f"{source.name} holds no field of psfs: neither a cube with NXPSFS or DET_YX0 in its "
        "header, nor a table with PSF_MASK, nor a model of Piff"
    )


def arranged(data: ArrayLike, places: ArrayLike, oversampling: Any, factor: int) -> StampGrid:
    """Stamps in any order, sorted to a grid; see `dhop.psf.Field.from_grid`."""
    stamps = np.asarray(numbers("data", data), np.float64)
    where = np.asarray(numbers("places", places), np.float64)
    if stamps.ndim != 3 or where.shape != (len(stamps), 2):
        raise ValueError(
            "data must have the shape (N, ny, nx) and places (N, 2), "
            f"got {stamps.shape} and {where.shape}"
        )
    samples, factor = positive("oversampling", oversampling), positive("factor", factor)
    columns, rows = np.unique(where[:, 0]), np.unique(where[:, 1])
    order = np.lexsort((where[:, 0], where[:, 1]))
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    if not np.array_equal(where[order], grid):
        raise ValueError(f"{len(where)} places are not the nodes of a grid, each once")
    made = _resampled(stamps[order], samples / factor)
    shape = rows.size, columns.size, *made.shape[1:]
    return made.reshape(shape), (factor * rows, factor * columns)


def _places(header: Any, count: int) -> tuple[Array, int] | None:
    """Columns and rows of the stamps of a cube, and their oversampling, from its header."""
    try:
        if "NXPSFS" in header:
            columns = [header[f"IPSFX{k:02d}"] - 1 for k in range(1, header["NXPSFS"] + 1)]
            rows = [header[f"JPSFY{k:02d}"] - 1 for k in range(1, header["NYPSFS"] + 1)]
            return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2), STDPSF_SAMPLES
        if "DET_YX0" in header:
            found = [re.findall(r"[-+.\deE]+", str(header[f"DET_YX{k}"])) for k in range(count)]
            return np.array(found, np.float64)[:, ::-1], int(header["OVERSAMP"])
    except (KeyError, ValueError, TypeError) as error:
        raise ContentError(f"its header tells no grid of {count} psfs: {error}") from None
    return None


def _psfex(header: Any, masks: Array, factor: int) -> StampGrid:
    """Polynomials over the detector, evaluated on a grid over the stars they were fitted to."""
    if int(header["POLNAXIS"]) != 2 or int(header["POLNGRP"]) != 1:
        raise ContentError("only psfs that are a polynomial of row and column can be read")
    degree = int(header["POLDEG1"])
    axis = np.linspace(-0.5, 0.5, POLYNOMIAL_NODES if degree else 1)
    columns, rows = (
        float(header[f"POLZERO{k}"]) + float(header[f"POLSCAL{k}"]) * axis - 1 for k in (1, 2)
    )
    powers = [(i, j) for j in range(degree + 1) for i in range(degree + 1 - j)]
    terms = np.array([np.multiply.outer(axis**j, axis**i) for i, j in powers])
    stamps = np.tensordot(terms, np.asarray(masks, np.float64), (0, 0))
    made = _resampled(stamps.reshape(-1, *stamps.shape[2:]), 1 / float(header["PSF_SAMP"]) / factor)
    shape = *stamps.shape[:2], *made.shape[1:]
    return made.reshape(shape), (factor * rows, factor * columns)


def _resampled(stamps: Array, step: float) -> Array:
    """Stamps sampled with a `step`, about the same middle."""
    middle = [(size - 1) / 2 for size in stamps.shape[1:]]
    lines = [np.arange(-int(m / step), int(m / step) + 1) * step + m for m in middle]
    if all((line == np.rint(line)).all() for line in lines):
        rows, columns = (line.astype(np.intp) for line in lines)
        return stamps[:, rows[:, None], columns]
    from scipy.ndimage import map_coordinates  # rarely needed

    interpolate: Callable[..., Array] = map_coordinates
    places = np.meshgrid(*lines, indexing="ij")
    return np.array([interpolate(stamp, places, order=3, mode="constant") for stamp in stamps])
