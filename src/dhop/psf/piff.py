"""Fields fitted by Piff: pixels on the sky, each a polynomial of the position on the sky.

References
----------
M. Jarvis et al., "Dark Energy Survey year 3 results: point spread function modelling", MNRAS 501
(2021) 1282-1299, https://doi.org/10.1093/mnras/staa3679.
"""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.io.errors import ContentError

Array = NDArray[Any]
Jacobian: TypeAlias = Callable[[float, float], Any]

NODES = 33  # along each axis; interpolation errors stay below the effect of tree rings
DEFAULT_LANCZOS = 3  # order, of files that do not give it
SKY_DEGREE = 2  # of the polynomial from the detector to the sky


def read_piff(
    file: Any, factor: int, jacobian: Jacobian | None = None
) -> tuple[Array, tuple[Array, Array]]:
    """The stamps and nodes of an open FITS file, in pixels of the scene.

    The map from the detector to the sky is fitted to the stars of the file, as the file holds it
    only as pickled code, which is not run. So tree rings, which change the shape of pixels, are
    included only by `jacobian`.
    """
    model, interpolation = file["psf_model"].data, file["psf_interp"].data
    kinds = str(model["type"][0]).strip(), str(interpolation["type"][0]).strip()
    if kinds != ("PixelGrid", "BasisPolynomial"):
        raise ContentError(
            "of Piff's models PixelGrid by BasisPolynomial can be read, got "
            f"{kinds[0]} by {kinds[1]}"
        )
    scale, size = float(model["scale"][0]), int(model["size"][0])
    named = None
    if "interp" in model.columns.names:
        named = re.search(r"Lanczos\((\d+)", str(model["interp"][0]))
    order = int(named[1]) if named else DEFAULT_LANCZOS
    degree = int(np.max(interpolation["order"][0]))
    coefficients = np.asarray(file["psf_interp_solution"].data["q"][0], np.float64)

    stars = file["psf_stars"].data
    x, y = (np.asarray(stars[name], np.float64) - 1 for name in ("x", "y"))
    sky = [_Polynomial(x, y, np.asarray(stars[name], np.float64)) for name in ("u", "v")]
    ends = [(float(place.min()), float(place.max())) for place in (x, y)]
    columns, rows = (np.linspace(first, last, NODES) for first, last in ends)
    slopes = [each.slopes(x.mean(), y.mean()) for each in sky]
    pixel = np.sqrt(abs(np.linalg.det(slopes)))
    reach = int(factor * size * scale / pixel / 2)
    down, across = np.mgrid[-reach : reach + 1, -reach : reach + 1] / factor
    stamps = np.empty((NODES, NODES, *down.shape))
    for g, h in np.ndindex(NODES, NODES):
        column, row = float(columns[h]), float(rows[g])
        u, v = (each(column, row) for each in sky)
        powers = [u**i * v**j for i in range(degree + 1) for j in range(degree + 1 - i)]
        grid = _pixel_grid(coefficients @ powers, size, scale)
        if jacobian is None:
            slopes = [each.slopes(column, row) for each in sky]
        else:
            slopes = _checked_jacobian(jacobian, column, row)
        du, dv = ((dx * across + dy * down).ravel() / scale for dx, dy in slopes)
        one, two = (_lanczos(places, size, order) for places in (dv, du))
        seen = np.einsum("pv,vu,pu->p", one, grid, two)
        stamps[g, h] = seen.reshape(down.shape)
    return stamps, (factor * rows, factor * columns)


def _checked_jacobian(jacobian: Jacobian, column: float, row: float) -> Any:
    """The value of a caller's function at a position."""
    try:
        slopes = np.asarray(jacobian(column, row), np.float64)
    except Exception as error:  # a caller's function may raise anything
        raise ContentError(f"jacobian fails of {column:g}, {row:g}: {error}") from error
    if slopes.shape != (2, 2) or not np.isfinite(slopes).all() or np.linalg.det(slopes) == 0:
        raise ContentError(
            "jacobian must give ((du/dx, du/dy), (dv/dx, dv/dy)) of each column and row, finite "
            f"and not singular, got {slopes.tolist()} of {column:g}, {row:g}"
        )
    return slopes.tolist()


class _Polynomial:
    """The least-squares polynomial of column and row through values at some positions."""

    def __init__(self, x: Array, y: Array, values: Array) -> None:
        self._middle = x.mean(), y.mean()
        self._terms = [(i, j) for i in range(SKY_DEGREE + 1) for j in range(SKY_DEGREE + 1 - i)]
        x, y = x - self._middle[0], y - self._middle[1]
        matrix = np.column_stack([x**i * y**j for i, j in self._terms])
        size = np.abs(matrix).max(axis=0)
        self._coefficients = np.linalg.lstsq(matrix / size, values)[0] / size

    def __call__(self, x: float, y: float) -> float:
        x, y = x - self._middle[0], y - self._middle[1]
        values = [x**i * y**j for i, j in self._terms]
        return float(self._coefficients @ values)

    def slopes(self, x: float, y: float) -> tuple[float, float]:
        """Derivatives by column and row, by differences that are exact up to degree two."""
        return (self(x + 1, y) - self(x - 1, y)) / 2, (self(x, y + 1) - self(x, y - 1)) / 2


def _pixel_grid(values: Array, size: int, scale: float) -> Array:
    """The pixels of a model; old files omit one or three.

    The omitted ones follow from the flux, and from the centroid in the middle.
    """
    missing = size * size - values.size
    if missing == 0:
        return values.reshape(size, size)
    if missing not in (1, 3):
        raise ContentError(f"its model has {values.size} values, not {size} x {size}")
    middle, grid, known = size // 2, np.zeros((size, size)), np.ones((size, size), bool)
    known[middle, middle] = False
    if missing == 3:
        known[middle + 1, middle] = known[middle, middle + 1] = False
    grid[known] = values
    place = np.arange(size) - middle
    if missing == 3:
        down, across = place @ grid.sum(axis=1), place @ grid.sum(axis=0)
        grid[middle + 1, middle], grid[middle, middle + 1] = -down, -across
    grid[middle, middle] = 1 / scale**2 - grid.sum()
    return grid


def _lanczos(places: Array, size: int, order: int) -> Array:
    """Interpolation weights of the pixels of a line at positions from its middle; of sum one."""
    near = np.arange(-order, size + order)  # beyond the line there are zeros
    distance = places[:, None] + size // 2 - near
    weights = np.where(np.abs(distance) < order, np.sinc(distance) * np.sinc(distance / order), 0)
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(weights[:, order : order + size] / np.where(total == 0, 1, total))
