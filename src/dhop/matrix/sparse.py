"""The explicit matrix, written straight into its compressed form.

`Rows` count and fill in any rows of a matrix. All functions work with any `Rows`, in memory and
time in proportion to the rows asked for. CSC is made from the rows of the transpose.
"""

from collections.abc import Iterator
from functools import cached_property
from math import gcd, prod
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dhop.matrix.facts import Table, batch, entry_counts
from dhop.model.axis import Axis
from dhop.model.geometry import Model
from dhop.model.lines import LineAxis
from dhop.model.relations import Index, Kinds, Relation
from dhop.runtime import memory
from dhop.runtime.parallel import row_blocks as split_rows
from dhop.runtime.parallel import run
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]
Chosen: TypeAlias = range | Index  # numbers of rows
Format: TypeAlias = Literal["csr", "csc", "bsr", "coo"]
FORMATS: tuple[Format, ...] = ("csr", "csc", "bsr", "coo")

INT32_LIMIT = np.iinfo(np.int32).max
NANOSECONDS = 4.0  # to fill in one entry
CHUNK = 2**14  # rows that are counted at a time, which fit into the processor's cache
MOST_ROWS = 2**20  # of a block, to bound the memory of its row pointer
LONG = 2**16  # entries of an axis' table; larger ones are made for the rows asked for alone


class Rows(Protocol):
    """The rows of a matrix that is not built, any of which can be counted and filled in.

    Attributes
    ----------
    shape : (int, int)
    dtype : dtype
    width : int
        Number of adjacent entries that share one index.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    width: int

    def total(self) -> int:
        """Total number of indices."""

    def counts(self, rows: Index) -> Index:
        """Number of indices in each of some rows."""

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        """Write some rows, ``rows[k]`` from ``pointer[k]`` to ``pointer[k + 1]``.

        `data` holds zeros where `width` is more than 1.
        """


class ModelRows:
    """Rows of the matrix of a `Model`, or of its transpose; see `Rows`.

    Both use the relations of the axes, from one side or the other. With a `width` above 1, columns
    are counted in blocks of as many.
    """

    def __init__(self, model: Model, *, transposed: bool = False, width: int = 1) -> None:
        self.dtype = model.dtype
        self.width = width
        self._model = model
        self._transposed = transposed
        b0, b1, b2 = model.sides
        axes = model.rows, model.columns
        outputs = (b0, axes[0].outputs, b1, axes[1].outputs, b2)
        pixels = (b0, axes[0].size, b1, axes[1].size, b2)
        self._sizes, self._others = (pixels, outputs) if transposed else (outputs, pixels)
        self.shape = prod(self._sizes), prod(self._others)

    @cached_property
    def _counts(self) -> Table:
        axes = self._model.rows, self._model.columns
        along, across = (
            axis.pixel_kinds if self._transposed else axis.output_kinds for axis in axes
        )
        single = across.relation
        blocked = Relation(single.start, single.line // self.width, single.tap)
        return entry_counts(along, Kinds(blocked, across.kind), self._model.weights)

    def total(self) -> int:
        return batch(self._model) * int(self._counts.total())

    def counts(self, rows: Index) -> Index:
        return self._counts.of(rows, self._sizes)

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        from dhop.kernels.matrix_entries import fill

        axes = self._model.rows, self._model.columns
        rows, sizes, relations = _restricted(rows, self._sizes, axes, self._transposed)
        tables = [table for each in relations for table in (each.start, each.line, each.tap)]
        fill(
            *tables, self._model.weights, sizes, self._others,
            *of_one_dtype(rows, pointer), self.width, indices, data,
        )  # fmt: skip


def of_one_dtype(*arrays: Array) -> list[Index]:
    """Arrays converted to one dtype, so that a kernel is compiled once."""
    return [np.asarray(array, np.intp) for array in arrays]


def _restricted(
    rows: Index, sizes: tuple[int, ...], axes: tuple[LineAxis, Axis], transposed: bool
) -> tuple[Index, tuple[int, ...], list[Relation]]:
    """Relations of both axes for some rows, and the rows as indices into an array of new sizes.

    Long axes are restricted to the lines of these rows.
    """
    if all(axis.outputs * axis.taps <= LONG for axis in axes):
        return rows, sizes, [axis.by_pixel if transposed else axis.by_output for axis in axes]
    places, new, relations = list(np.unravel_index(rows, sizes)), list(sizes), []
    for k, axis in zip((1, 3), axes, strict=True):
        lines, places[k] = np.unique(places[k], return_inverse=True)
        new[k] = lines.size
        relations.append(axis.of_pixels(lines) if transposed else axis.of_outputs(lines))
    return np.ravel_multi_index(tuple(places), tuple(new)), tuple(new), relations


def block_width(model: Model) -> int:
    """Columns of a BSR block: the common divisor of `factor` and the image's width."""
    return gcd(model.columns.factor, model.columns.size) if model.sides[2] == 1 else 1


def nbytes(rows: Rows, format: Format, blocks: int, lines: int) -> int:
    """Bytes of the arrays of a matrix with `blocks` indices in `lines` rows or columns."""
    index = index_dtype(rows.shape, blocks).itemsize
    values = blocks * rows.width * rows.dtype.itemsize
    if format == "coo":
        return values + 2 * blocks * index
    return values + (blocks + lines + 1) * index


def index_dtype(shape: tuple[int, int], blocks: int) -> np.dtype[Any]:
    """Dtype of the index arrays of a matrix: 32 bits where they suffice."""
    return np.dtype(np.int32 if max(blocks, *shape) <= INT32_LIMIT else np.int64)


def build(
    rows: Rows,
    format: Format,
    chosen: Chosen,
    workers: int | None = None,
    progress: Progress = None,
) -> Any:
    """Some rows of the matrix, as a scipy sparse array in canonical form."""
    count, columns = len(chosen), rows.shape[1]
    if isinstance(chosen, range) and chosen == range(rows.shape[0]):
        blocks = rows.total()
        _require(nbytes(rows, format, blocks, count), format)
        pointer = row_pointer(rows, chosen, index_dtype(rows.shape, blocks))
    else:
        _require(8 * count, format)
        pointer = row_pointer(rows, chosen, np.dtype(np.int64))
        blocks = int(pointer[-1])
        _require(nbytes(rows, format, blocks, count), format)
        pointer = pointer.astype(index_dtype(rows.shape, blocks), copy=False)
    indices, data = _filled(rows, chosen, pointer, workers, progress)
    if format == "coo":
        numbers = np.repeat(np.arange(count, dtype=pointer.dtype), np.diff(pointer))
        matrix = sparse.coo_array((data, (numbers, indices)), shape=(count, columns))
        matrix.has_canonical_format = True
        return matrix
    if format == "bsr":
        data = data.reshape(-1, 1, rows.width)
    shape = (columns, count) if format == "csc" else (count, columns)
    return compressed(format, shape, data, indices, pointer)


def row_pointer(rows: Rows, chosen: Chosen, dtype: np.dtype[Any]) -> Array:
    """The row pointer of some rows."""
    pointer = np.zeros(len(chosen) + 1, dtype)
    place = 1
    for part in pointer_parts(rows, chosen):
        pointer[place : place + part.size] = part
        place += part.size
    return pointer


def pointer_parts(rows: Rows, chosen: Chosen) -> Iterator[Index]:
    """The row pointer of some rows without its leading zero, in parts."""
    end = 0
    for start in range(0, len(chosen), CHUNK):
        part = np.cumsum(rows.counts(_numbers(chosen[start : start + CHUNK])))
        part += end
        end = int(part[-1])
        yield part


def count(rows: Rows, chosen: Chosen) -> int:
    """Number of indices in some rows."""
    return max((int(part[-1]) for part in pointer_parts(rows, chosen)), default=0)


def _numbers(chosen: Chosen) -> Index:
    if isinstance(chosen, range):
        return np.arange(chosen.start, chosen.stop, chosen.step)
    return chosen


def compressed(
    format: Literal["csr", "csc", "bsr"],
    shape: tuple[int, int],
    data: Array,
    indices: Array,
    pointer: Array,
) -> Any:
    """A scipy array of sorted, distinct indices, without copies or checks.

    The constructor would copy 64-bit indices that fit into 32 bits.
    """
    if format == "bsr":
        matrix = sparse.bsr_array(shape, dtype=data.dtype, blocksize=data.shape[1:])
    else:
        container = sparse.csr_array if format == "csr" else sparse.csc_array
        matrix = container(shape, dtype=data.dtype)
    matrix.data, matrix.indices, matrix.indptr = data, indices, pointer
    matrix.has_sorted_indices = True
    if format != "bsr":
        matrix.has_canonical_format = True
    return matrix


def row_blocks(rows: Rows, max_nbytes: int, workers: int | None) -> Iterator[tuple[slice, Any]]:
    """The matrix as CSR arrays of consecutive rows."""
    for block, pointer in blocks_of_rows(rows, max_nbytes):
        shape = (block.stop - block.start, rows.shape[1])
        pointer = pointer.astype(index_dtype(shape, int(pointer[-1])))
        chosen = range(block.start, block.stop)
        indices, data = _filled(rows, chosen, pointer, workers, None)
        yield block, compressed("csr", shape, data, indices, pointer)


def blocks_of_rows(rows: Rows, max_nbytes: int) -> Iterator[tuple[slice, Index]]:
    """Split the rows into ranges of at most `max_nbytes`, each with its row pointer."""
    # With 8 bytes for each index of a row and of an entry, an upper bound.
    entry = rows.dtype.itemsize * rows.width + 8
    start, look = 0, 1
    while start < rows.shape[0]:
        stop = min(start + look, rows.shape[0])
        pointer = row_pointer(rows, range(start, stop), np.dtype(np.int64))
        ends = pointer * entry + 8 * np.arange(pointer.size)
        fit = int(np.searchsorted(ends, min(max_nbytes, int(ends[-1])), "right")) - 1
        if fit == stop - start < min(MOST_ROWS, rows.shape[0] - start):
            look *= 2  # more may fit
            continue
        if fit <= 0:
            raise ValueError(
                f"max_nbytes must be at least {ends[1]}, what row {start} takes; got {max_nbytes}"
            )
        yield slice(start, start + fit), pointer[: fit + 1]
        start += fit
        look = min(MOST_ROWS, fit + fit // 16 + 1)


def _filled(
    rows: Rows, chosen: Chosen, pointer: Array, workers: int | None, progress: Progress
) -> tuple[Array, Array]:
    """Indices and values of some rows."""
    blocks = int(pointer[-1])
    indices = np.empty(blocks, pointer.dtype)
    new = np.empty if rows.width == 1 else np.zeros
    data = new(blocks * rows.width, rows.dtype)
    work = blocks * rows.width * NANOSECONDS
    with reporting(progress, blocks, "matrix") as advance:

        def fill(start: int, stop: int) -> None:
            part = pointer[start : stop + 1]
            rows.fill(_numbers(chosen[start:stop]), part, indices, data)
            advance(int(part[-1] - part[0]))

        run(fill, split_rows(len(chosen), work, workers), workers)
    return indices, data


def _require(size: int, format: Format) -> None:
    advice = "write it to disk or row_blocks(...) to work on a part at a time"
    memory.require(size, f"the matrix as {format}", f"; use export(...) to {advice}")
