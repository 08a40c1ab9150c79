"""Gaps: regions of pixels without observations."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.sparse import block_diag, csr_array, diags_array, eye_array, hstack
from scipy.sparse.linalg import splu

from dhop.closed.bases import Basis
from dhop.model.boundary import OUTSIDE, Boundary, extended_index
from dhop.model.geometry import Model, Rules

Array = NDArray[Any]

EMPTY = 0.1  # part of the full weight that counts as none
REACH = 3  # pixels that the blur of the grid spreads, as far as it matters
AROUND = 4  # pixels around a gap that are unknowns, too
# Spacing of the splines that stand for pixels from some depth on: they reach three spacings back,
# and must not reach pixels whose blur is observed.
SPACINGS = {3 * 4 + REACH: 4, 3 * 16 + REACH: 16}
MOST = 250_000  # unknowns; each takes about three kilobytes
NOTHING = 1e-12  # of the largest diagonal entry is added, against singularity
BAND = 2**17  # rows of a sparse matrix that are built at a time


class Gaps:
    r"""An approximate inverse of :math:`D^{-1} - H`, to precondition with.

    A grid of pixels has been observed with weights :math:`\omega` of which the largest is one, and
    :math:`D = 1 - \omega`. `H` maps frames without a gap to their fit. If it is that of an image on
    the same grid, :math:`H = T (\beta R + T^2)^{-1} T` with a blur `T` and a penalty `R`, then

    .. math:: (D^{-1} - H)^{-1} = D + D T (\beta R + T \omega T)^{-1} T D.

    The second term matters in wide gaps, which `R` alone fills, and is computed only there: the
    matrix in brackets is restricted to the pixels of wide gaps and some around, and factorised.
    Far from the edge of a gap the solution is smooth, and splines stand for the pixels.

    Workspace: about three kilobytes for each pixel that is near the edge of a wide gap, on the
    inside up to a depth of 15. If these are more than `MOST` the second term is left out.

    Parameters
    ----------
    basis : Basis
    omega : ndarray, shape (m0, m1)
    blur : ndarray, shape (m0, m1)
        The gain of `T` at each frequency.
    penalties : sequence of Model
        `R` is the sum of their ``S^H S``.
    beta : float
    least : int
        Width from which on a gap is wide, odd.
    """

    def __init__(
        self,
        basis: Basis,
        omega: Array,
        blur: Array,
        penalties: Sequence[Model],
        beta: float,
        least: int,
    ) -> None:
        self._args = basis, omega, blur, penalties, beta, least
        self._basis, self._blur = basis, blur
        self._missing = 1 - omega
        self._solve = None
        boundary = basis.boundary
        near = around_gaps(omega, boundary, least)
        if not near.any():
            return
        pixels, splines = _unknowns(near & (omega < EMPTY), near, boundary)
        if pixels.size + splines.shape[1] > MOST:
            return
        kept = np.arange(pixels.size), pixels
        units = csr_array((np.ones(pixels.size), kept), shape=(pixels.size, omega.size)).T
        self._unknowns = hstack([units, splines], format="csr")
        seen = omega.ravel()
        matrix = sum(
            part.T @ (diags_array(seen[outputs]) @ part)
            for part, outputs in columns_of(_blur_model(basis, blur), pixels)
        )
        smooth = splines.T @ (diags_array(blur.max() ** 2 * seen) @ splines)
        matrix = block_diag([matrix, smooth], format="csr")
        pixels = np.flatnonzero(near)
        unknowns = self._unknowns[pixels]
        for model in penalties:
            for part, _ in columns_of(model, pixels):
                part = part @ unknowns
                matrix = matrix + beta * (part.T @ part)
        most = matrix.diagonal().max()
        if most == 0:
            return
        matrix = matrix + NOTHING * most * eye_array(matrix.shape[0])
        options = {"SymmetricMode": True}
        self._solve = splu(
            matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options=options
        ).solve

    def __reduce__(self) -> Any:
        return Gaps, self._args  # a factorisation cannot be pickled

    def __call__(self, image: Array) -> Array:
        """The product with an image."""
        reduced = self._missing * image
        if self._solve is None:
            return reduced
        seen = self._basis.filtered(reduced, self._blur).ravel()
        filled = self._unknowns @ self._solve(self._unknowns.T @ seen)
        filled = self._basis.filtered(filled.reshape(image.shape), self._blur)
        filled *= self._missing
        filled += reduced
        return filled


def around_gaps(omega: Array, boundary: Boundary, least: int) -> NDArray[np.bool_]:
    """The pixels of gaps that somewhere contain a square of side `least`, and some around them."""
    margin = least + AROUND
    empty = np.pad(omega < EMPTY, margin, mode=boundary)
    wide = scipy.ndimage.binary_opening(empty, np.ones((least, least)))
    if wide.any():
        wide = scipy.ndimage.binary_propagation(wide, np.ones((3, 3)), empty)
        wide = scipy.ndimage.binary_dilation(wide, np.ones((3, 3)), AROUND)
    return np.asarray(wide[margin:-margin, margin:-margin])


def _unknowns(
    gap: NDArray[np.bool_], near: NDArray[np.bool_], boundary: Boundary
) -> tuple[NDArray[np.intp], Any]:
    """The pixels outside and at the edge of gaps, and splines for the others, as columns."""
    margin = max(SPACINGS)
    padded = np.pad(gap, margin, mode=boundary)
    depth = scipy.ndimage.distance_transform_cdt(padded)[margin:-margin, margin:-margin]
    edges = [*SPACINGS, gap.size]
    blocks = [csr_array((gap.size, 0))]
    for (first, last), spacing in zip(pairwise(edges), SPACINGS.values(), strict=True):
        # Without those within the region of the next, which would be redundant.
        blocks.append(_splines(depth > first, depth > last, spacing, boundary))
    return np.flatnonzero(near & (depth <= edges[0])), hstack(blocks, format="csr")


def _splines(
    some: NDArray[np.bool_], none: NDArray[np.bool_], spacing: int, boundary: Boundary
) -> Any:
    """The quadratic splines with a part in one region and no part in another, as columns."""
    (i, x), (j, y) = (_splines_of_axis(size, spacing, boundary) for size in some.shape)
    down, across = (
        csr_array((v.ravel(), k.ravel(), np.arange(len(k) + 1) * k.shape[1]), (len(k), size))
        for k, v, size in ((i, x, some.shape[0]), (j, y, some.shape[1]))
    )
    parts = (down @ region.astype(np.float64) @ across.T for region in (some, none))
    first, second = np.nonzero((next(parts) > 0) & (next(parts) == 0))
    rows = i[first][:, :, None] * some.shape[1] + j[second][:, None, :]
    values = x[first][:, :, None] * y[second][:, None, :]
    pointer = np.arange(first.size + 1) * (i.shape[1] * j.shape[1])
    return csr_array((values.ravel(), rows.ravel(), pointer), (first.size, some.size)).T


def _splines_of_axis(size: int, spacing: int, boundary: Boundary) -> tuple[Array, Array]:
    """For each spline of an axis the pixels that it reaches, and its values there."""
    count = -(-size // spacing)
    step = size / count
    middle = (np.arange(count) + 0.5) * step - 0.5
    position = np.ceil(middle - 1.5 * step).astype(np.intp)[:, None] + np.arange(int(3 * step) + 1)
    t = np.abs(position - middle[:, None]) / step
    value = np.where(t < 0.5, 0.75 - t**2, 0.5 * (1.5 - t).clip(0) ** 2)
    first, last = position[0, 0], position[-1, -1]
    return extended_index(size, first, last + 1, boundary)[position - first], value


def columns_of(model: Model, pixels: NDArray[np.intp]) -> Iterator[tuple[Any, NDArray[np.intp]]]:
    """Columns of the matrix of a model with factor one, for bands of its rows.

    Yields the rows that have entries in any of these columns, as a sparse matrix, and their
    numbers.
    """
    rows, columns = model.rows.windows, model.columns.windows
    # Outside, -1, is one more row and column.
    number = np.full((model.rows.size + 1, model.columns.size + 1), OUTSIDE)
    number[np.divmod(pixels, model.columns.size)] = np.arange(pixels.size)
    seen = np.logical_or.reduce([(number != OUTSIDE)[line] for line in rows.T])
    seen = np.logical_or.reduce([seen[:, line] for line in columns.T])
    outputs = np.flatnonzero(seen)
    for band in np.split(outputs, range(BAND, outputs.size, BAND)):
        i, j = np.divmod(band, model.columns.outputs)
        found = number[rows[i][:, :, None], columns[j][:, None, :]]
        kept = (found != OUTSIDE) & (model.weights != 0)
        data = np.broadcast_to(model.weights, found.shape)[kept]
        pointer = np.append(0, np.cumsum(kept.sum(axis=(1, 2))))
        yield csr_array((data, found[kept], pointer), (i.size, pixels.size)), band


def _blur_model(basis: Basis, gain: Array) -> Model:
    """The convolution with the central part of the kernel of a gain."""
    impulse = np.zeros(gain.shape)
    middle = tuple(size // 2 for size in gain.shape)
    impulse[middle] = 1
    reach = [min(REACH, k, size - 1 - k) for k, size in zip(middle, gain.shape, strict=True)]
    part = tuple(slice(k - r, k + r + 1) for k, r in zip(middle, reach, strict=True))
    rules = Rules(
        "sample", (basis.boundary,) * 2, tuple(reach), (0, 0), (0, 1), np.dtype(np.float64)
    )
    return Model.build(gain.shape, basis.filtered(impulse, gain)[part], (1, 1), rules)
