"""The explicit matrix, written straight into its compressed layout.

A layout says how many entries each line of the matrix has and fills in the lines it is asked for;
everything here works with any layout. Lines are the rows, or for CSC the columns.
"""

from collections.abc import Iterator
from functools import cached_property
from math import gcd
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dhop import memory
from dhop.facts import Table, batch, entry_counts
from dhop.geometry import Index, Model, Relation
from dhop.parallel import row_blocks as split_rows
from dhop.parallel import run
from dhop.progress import Progress, reporting

Array = NDArray[Any]
Format: TypeAlias = Literal["csr", "csc", "bsr", "coo"]
FORMATS: tuple[Format, ...] = ("csr", "csc", "bsr", "coo")

INT32_LIMIT = np.iinfo(np.int32).max
NANOSECONDS = 4.0  # to fill in one entry


class Layout(Protocol):
    """The lines of a matrix that is not there yet.

    Attributes
    ----------
    shape : (int, int)
        Number of lines, and of entries that a full one would have.
    dtype : dtype
    width : int
        Entries that share one index, neighbours in a line.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    width: int

    def total(self) -> int:
        """Number of indices in all."""

    def counts(self) -> Index:
        """Number of indices in each line."""

    def fill(
        self, lines: Index, pointer: Array, start: int, stop: int, indices: Array, data: Array
    ) -> None:
        """Write the lines ``lines[start:stop]``, line `k` from ``pointer[k]`` on.

        `data` holds zeros where `width` is more than 1.
        """


class ModelLayout:
    """Lines of the matrix of a `Model`.

    The columns of the matrix are the rows of its transpose, so CSR and CSC are one filling with the
    relations of the axes read from either side. BSR is CSR with the columns counted in blocks.
    """

    def __init__(self, model: Model, format: Format) -> None:
        self.model = model
        self.dtype = model.dtype
        rows, columns = model.rows, model.columns
        b0, b1, b2 = model.around
        outputs = (b0, rows.outputs, b1, columns.outputs, b2)
        pixels = (b0, rows.size, b1, columns.size, b2)
        if format == "csc":
            self._sizes, self._others = pixels, outputs
            self._relations = rows.by_pixel, columns.by_pixel
        else:
            self._sizes, self._others = outputs, pixels
            self._relations = rows.by_output, columns.by_output
        self.shape = (int(np.prod(self._sizes)), int(np.prod(self._others)))
        self.width = block_width(model) if format == "bsr" else 1

    @cached_property
    def _counts(self) -> Table:
        along, across = self._relations
        blocked = Relation(across.start, across.line // self.width, across.tap)
        return entry_counts(along, blocked, self.model.weights)

    def total(self) -> int:
        return batch(self.model) * int(self._counts.total())

    def counts(self) -> Index:
        counts = self._counts.lines()[None, :, None, :, None]
        return np.broadcast_to(counts, self._sizes).reshape(-1)

    def fill(
        self, lines: Index, pointer: Array, start: int, stop: int, indices: Array, data: Array
    ) -> None:
        from dhop.kernels.entries import fill

        tables = [
            table
            for relation in self._relations
            for table in (relation.start, relation.line, relation.tap)
        ]
        fill(
            *tables, self.model.weights, self._sizes, self._others,
            lines, pointer, self.width, start, stop, indices, data,
        )  # fmt: skip


def block_width(model: Model) -> int:
    """Columns of a BSR block: `factor`, or the part of it that divides the image's width."""
    return gcd(model.columns.factor, model.columns.size) if model.around[2] == 1 else 1


def nbytes(layout: Layout, format: Format, blocks: int, rows: int | None = None) -> int:
    """Bytes of the arrays of the matrix, or of some rows of it, with so many indices."""
    lines = layout.shape[0] if rows is None else rows
    index = index_dtype(layout.shape, blocks).itemsize
    values = blocks * layout.width * layout.dtype.itemsize
    if format == "coo":
        return values + 2 * blocks * index
    return values + (blocks + lines + 1) * index


def index_dtype(shape: tuple[int, int], blocks: int) -> np.dtype[Any]:
    """Of both index arrays of a matrix: 32 bits where they suffice."""
    return np.dtype(np.int32 if max(blocks, *shape) <= INT32_LIMIT else np.int64)


def build(
    layout: Layout,
    format: Format,
    rows: Index | None = None,
    workers: int | None = None,
    progress: Progress = None,
) -> Any:
    """The matrix, or some of its rows, as a scipy sparse array in canonical form."""
    counts = layout.counts()
    shape = layout.shape
    if rows is not None:
        counts, shape = counts[rows], (rows.size, shape[1])
    lines = np.arange(counts.size) if rows is None else rows
    blocks = int(counts.sum())
    _require(nbytes(layout, format, blocks, counts.size), format)
    pointer = np.zeros(counts.size + 1, index_dtype(layout.shape, blocks))
    np.cumsum(counts, out=pointer[1:])
    indices, data = _filled(layout, lines, pointer, workers, progress)
    if format == "coo":
        numbers = np.repeat(np.arange(counts.size, dtype=pointer.dtype), counts)
        matrix = sparse.coo_array((data, (numbers, indices)), shape=shape)
        matrix.has_canonical_format = True
        return matrix
    if format == "bsr":
        data = data.reshape(-1, 1, layout.width)
    if format == "csc":
        shape = shape[::-1]
    return compressed(format, shape, data, indices, pointer)


def compressed(
    format: Literal["csr", "csc", "bsr"],
    shape: tuple[int, int],
    data: Array,
    indices: Array,
    pointer: Array,
) -> Any:
    """The scipy array of sorted, distinct indices, without a copy or a check.

    The constructor would copy 64-bit indices that happen to fit into 32 bits.
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


def row_blocks(layout: Layout, max_nbytes: int, workers: int | None) -> Iterator[tuple[slice, Any]]:
    """The matrix as CSR arrays of some rows each, in order."""
    for block, pointer in blocks_of_lines(layout, max_nbytes):
        lines = np.arange(block.start, block.stop)
        kind = index_dtype((lines.size, layout.shape[1]), int(pointer[-1]))
        pointer = pointer.astype(kind)
        indices, data = _filled(layout, lines, pointer, workers, None)
        shape = (lines.size, layout.shape[1])
        yield block, compressed("csr", shape, data, indices, pointer)


def blocks_of_lines(layout: Layout, max_nbytes: int) -> Iterator[tuple[slice, Index]]:
    """Split the lines into ranges of at most so many bytes, each with its pointer from 0 on."""
    counts = layout.counts()
    pointer = np.append(0, np.cumsum(counts))
    # An index of 8 bytes for each line and each entry is the most that it takes.
    ends = pointer * (layout.dtype.itemsize * layout.width + 8) + 8 * np.arange(pointer.size)
    room = max(0, min(max_nbytes, int(ends[-1])))  # that fits the index type, whatever was given
    start = 0
    while start < counts.size:
        stop = int(np.searchsorted(ends, ends[start] + room, "right")) - 1
        if stop <= start:
            raise ValueError(
                f"max_nbytes must be at least {ends[start + 1] - ends[start]}, what row {start} "
                f"takes; got {max_nbytes}"
            )
        yield slice(start, stop), pointer[start : stop + 1] - pointer[start]
        start = stop


def _filled(
    layout: Layout, lines: Index, pointer: Array, workers: int | None, progress: Progress
) -> tuple[Array, Array]:
    """Indices and values of the lines."""
    blocks = int(pointer[-1])
    indices = np.empty(blocks, pointer.dtype)
    new = np.empty if layout.width == 1 else np.zeros
    data = new(blocks * layout.width, layout.dtype)
    work = blocks * layout.width * NANOSECONDS
    with reporting(progress, blocks, "matrix") as advance:

        def fill(start: int, stop: int) -> None:
            layout.fill(lines, pointer, start, stop, indices, data)
            advance(int(pointer[stop] - pointer[start]))

        run(fill, split_rows(lines.size, work, workers), workers)
    return indices, data


def _require(size: int, format: Format) -> None:
    advice = "write it to disk or row_blocks(...) to work on a part at a time"
    memory.require(size, f"the matrix as {format}", f"; use export(...) to {advice}")
