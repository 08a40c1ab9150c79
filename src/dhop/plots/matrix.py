"""The explicit matrix, of which only the part that is drawn is built."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from dhop.operators.blur_decimate import DHOperator
from dhop.operators.explicit import ExplicitOperator
from dhop.plots.axes import add_color_bar, new_axes, require_blur
from dhop.runtime.arguments import integer

CELLS = 800  # of a picture, per axis
ENTRIES = 2**20  # of the matrix in memory at a time


def spy(
    A: ExplicitOperator,
    *,
    rows: slice | None = None,
    columns: slice | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The matrix, or a part of it: where its entries are, and how large.

    Rows are built a few at a time and forgotten again. Of a part that has more rows or columns than
    the picture has cells, each cell shows the largest absolute value that falls into it.

    Parameters
    ----------
    A : DHOperator or FrameStack
    rows, columns : slice, optional
        The part to draw, without steps; all by default.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a slice has a step or chooses nothing.

    Examples
    --------
    >>> from dhop import DHOperator, plots, psf
    >>> A = DHOperator((400, 400), psf.gaussian(9, 1.5), 2)
    >>> ax = plots.spy(A, rows=slice(0, 600), columns=slice(0, 4000))
    """
    if not isinstance(A, ExplicitOperator):
        raise TypeError(f"a matrix is drawn of an operator of dhop, got {type(A).__name__}")
    top, bottom = _range("rows", rows, A.shape[0])
    left, right = _range("columns", columns, A.shape[1])
    shape = min(bottom - top, CELLS), min(right - left, CELLS)
    cells = np.zeros(shape)
    step = max(1, int(ENTRIES / max(1, A.nnz / A.shape[0])))
    for start in range(top, bottom, step):
        part = A.to_sparse("coo", rows=slice(start, min(start + step, bottom)))
        column = part.coords[1].astype(np.int64) - left
        inside = (column >= 0) & (column < right - left)
        row = part.coords[0][inside].astype(np.int64) + (start - top)
        cell = row * shape[0] // (bottom - top), column[inside] * shape[1] // (right - left)
        np.maximum.at(cells, cell, np.abs(part.data[inside]))
    ax = ax or new_axes()[0]
    image = ax.imshow(
        np.ma.masked_equal(cells, 0),
        extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5),
        aspect="auto",
        cmap="viridis_r",
        vmin=0,
        interpolation="nearest",
    )
    ax.set(xlabel="column (high-resolution pixel)", ylabel="row (low-resolution pixel)")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    whole = shape == (bottom - top, right - left)
    add_color_bar(image, "absolute value" if whole else "largest absolute value")
    return ax


def row(
    A: DHOperator, pixel: int | tuple[int, ...], *, margin: int = 3, ax: Axes | None = None
) -> Axes:
    """One row of the matrix as an image: what a low-resolution pixel sees of the scene.

    Parameters
    ----------
    A : DHOperator
    pixel : int or tuple of int
        Number of the row, or index of the low-resolution pixel in an array of shape `dimsd`.
    margin : int
        Pixels to show around those that are seen.
    ax : Axes, optional

    Returns
    -------
    Axes
        With the block of pixels outlined that the decimation sums, averages or samples.

    Raises
    ------
    ValueError, IndexError
        If there is no such pixel, or the operator is one of lines or volumes.

    Examples
    --------
    >>> from dhop import DHOperator, plots, psf
    >>> A = DHOperator((400, 400), psf.gaussian(9, 1.5), 2, boundary="symmetric")
    >>> ax = plots.row(A, (0, 100))
    """
    require_blur(A, "a row")
    if A.psf.ndim != 2:
        raise ValueError(f"a row is drawn as an image, the psf has {A.psf.ndim} axes; see `spy`")
    index = _index(pixel, A.dimsd)
    number = int(np.ravel_multi_index(index, A.dimsd))
    seen = _image(A, A.to_sparse(rows=[number]), index)
    top, bottom, left, right = _box(seen, margin)
    part = seen[top:bottom, left:right]
    ax = ax or new_axes()[0]
    signed = part.min() < 0
    largest = np.abs(part).max() or 1.0
    image = ax.imshow(
        part,
        extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5),
        cmap="RdBu_r" if signed else "viridis",
        vmin=-largest if signed else 0,
        vmax=largest,
        interpolation="nearest",
    )
    start = [A.phase[k] + A.factor[k] * index[axis] - 0.5 for k, axis in enumerate(A.axes)]
    size = (1, 1) if A.decimation == "sample" else A.factor
    ax.add_patch(
        Rectangle((start[1], start[0]), size[1], size[0], fill=False, color="tab:red", lw=1.5)
    )
    ax.set(
        title=f"row {number}: pixel {index}",
        xlabel="column (high-resolution pixel)",
        ylabel="row (high-resolution pixel)",
    )
    add_color_bar(image, "weight")
    return ax


def _range(name: str, chosen: slice | None, size: int) -> tuple[int, int]:
    if not isinstance(chosen, slice | None):
        raise TypeError(f"{name} must be a slice, got {chosen!r}")
    start, stop, step = (chosen or slice(None)).indices(size)
    if step != 1:
        raise ValueError(f"{name} must be a slice without a step, got {chosen}")
    if start >= stop:
        raise ValueError(f"{name} {chosen} chooses none of {size}")
    return start, stop


def _index(pixel: int | tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    if not isinstance(pixel, tuple):
        number = integer("pixel", pixel)
        if not 0 <= number < np.prod(shape):
            raise IndexError(f"row {number} is out of range for {np.prod(shape)} rows")
        return tuple(int(k) for k in np.unravel_index(number, shape))
    index = tuple(integer("pixel", k) for k in pixel)
    if len(index) != len(shape) or not all(0 <= k < n for k, n in zip(index, shape, strict=True)):
        raise IndexError(f"pixel {index} is not in an array of shape {shape}")
    return index


def _image(A: DHOperator, line: Any, index: tuple[int, ...]) -> NDArray[Any]:
    """The image, of the batch, that a row of the matrix belongs to; absolute if complex."""
    whole = line.toarray().reshape(A.dims)
    within = tuple(slice(None) if k in A.axes else index[k] for k in range(len(A.dims)))
    image = whole[within] if A.axes[0] < A.axes[1] else whole[within].T
    return np.abs(image) if image.dtype.kind == "c" else image


def _box(image: NDArray[Any], margin: int) -> tuple[int, int, int, int]:
    """Bounding box of the nonzero pixels with a margin: top, bottom, left, right."""
    ends: list[int] = []
    for axis, size in enumerate(image.shape):
        hits = np.flatnonzero(image.any(axis=1 - axis))
        first, last = (int(hits[0]), int(hits[-1])) if hits.size else (0, size - 1)
        ends += [max(first - margin, 0), min(last + margin + 1, size)]
    return ends[0], ends[1], ends[2], ends[3]
