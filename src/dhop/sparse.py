"""The explicit matrix, written straight into its compressed layout.

The columns of the matrix are the rows of its transpose, so CSR and CSC are one filling with the
relations of the axes read from either side. BSR is CSR with the columns counted in blocks.
"""

from math import gcd
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dhop.facts import batch, entry_counts
from dhop.geometry import Model, Relation
from dhop.parallel import row_blocks, run

Format: TypeAlias = Literal["csr", "csc", "bsr", "coo"]
FORMATS: tuple[Format, ...] = ("csr", "csc", "bsr", "coo")

INT32_LIMIT = np.iinfo(np.int32).max


def to_sparse(model: Model, format: Format, workers: int | None) -> Any:
    """The matrix of `model` as a scipy sparse array in canonical form."""
    layout = _Layout(model, format)
    pointer = layout.pointer()
    indices, data = layout.fill(pointer, workers)
    shape = layout.shape
    if format == "coo":
        rows = np.repeat(np.arange(shape[0], dtype=pointer.dtype), np.diff(pointer))
        matrix = sparse.coo_array((data, (rows, indices)), shape=shape)
        matrix.has_canonical_format = True
        return matrix
    if format == "bsr":
        data = data.reshape(-1, 1, layout.width)
        matrix = sparse.bsr_array(shape, dtype=data.dtype, blocksize=(1, layout.width))
    else:
        container = sparse.csr_array if format == "csr" else sparse.csc_array
        matrix = container(shape, dtype=data.dtype)
    # The constructor would copy 64-bit indices that happen to fit into 32 bits.
    matrix.data, matrix.indices, matrix.indptr = data, indices, pointer
    matrix.has_sorted_indices = True
    if format != "bsr":
        matrix.has_canonical_format = True
    return matrix


def nbytes(model: Model, format: Format) -> int:
    """Bytes of the arrays of the matrix, before it is built."""
    layout = _Layout(model, format)
    blocks = layout.blocks
    index = layout.index_dtype.itemsize
    values = blocks * layout.width * model.dtype.itemsize
    if format == "coo":
        return values + 2 * blocks * index
    return values + (blocks + layout.lines + 1) * index


def block_width(model: Model) -> int:
    """Columns of a BSR block: `factor`, or the part of it that divides the image's width."""
    return gcd(model.columns.factor, model.columns.size) if model.around[2] == 1 else 1


class _Layout:
    """Which lines are compressed, in blocks of what width, and how many blocks each has."""

    def __init__(self, model: Model, format: Format) -> None:
        self.model = model
        rows, columns = model.rows, model.columns
        b0, b1, b2 = model.around
        outputs = (b0, rows.outputs, b1, columns.outputs, b2)
        pixels = (b0, rows.size, b1, columns.size, b2)
        self.shape = (int(np.prod(outputs)), int(np.prod(pixels)))
        if format == "csc":
            self.sizes, self.others = pixels, outputs
            self.relations = rows.by_pixel, columns.by_pixel
        else:
            self.sizes, self.others = outputs, pixels
            self.relations = rows.by_output, columns.by_output
        self.width = block_width(model) if format == "bsr" else 1
        along, across = self.relations
        blocked = Relation(across.start, across.line // self.width, across.tap)
        self.counts = entry_counts(along, blocked, model.weights)
        self.lines = int(np.prod(self.sizes))
        self.blocks = batch(model) * int(self.counts.total())
        self.index_dtype = np.dtype(
            np.int32 if max(self.blocks, *self.shape) <= INT32_LIMIT else np.int64
        )

    def pointer(self) -> NDArray[Any]:
        """Where each line begins, counted in blocks, and where the last one ends."""
        counts = np.broadcast_to(self.counts.lines()[None, :, None, :, None], self.sizes)
        pointer = np.zeros(self.lines + 1, self.index_dtype)
        np.cumsum(counts, out=pointer[1:])
        return pointer

    def fill(self, pointer: NDArray[Any], workers: int | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Indices and values of all blocks."""
        from dhop.kernels.entries import fill

        model = self.model
        indices = np.empty(self.blocks, self.index_dtype)
        new = np.empty if self.width == 1 else np.zeros
        data = new(self.blocks * self.width, model.dtype)
        tables = [
            table
            for relation in self.relations
            for table in (relation.start, relation.line, relation.tap)
        ]
        lines = row_blocks(self.lines, self.blocks * self.width * 4.0, workers)
        run(
            lambda start, stop: fill(
                *tables, model.weights, self.sizes, self.others,
                pointer, self.width, start, stop, indices, data,
            ),
            lines,
            workers,
        )  # fmt: skip
        return indices, data
