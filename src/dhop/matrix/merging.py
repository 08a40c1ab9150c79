"""Rows of matrices made from other matrices; see `dhop.matrix.sparse.Rows`."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from dhop.matrix import sparse
from dhop.matrix.sparse import Rows
from dhop.model.relations import Index

Array = NDArray[Any]

ENTRIES = 2**20  # that are merged at a time
PROBE = 64  # first rows, by which their number of entries is estimated


class WeightedRows:
    """Rows, conjugated if asked for, times factors; a row times zero has no entries.

    Parameters
    ----------
    rows : Rows
    factors : number or ndarray, shape (M,)
        Rounded to the precision of `dtype`.
    dtype : dtype
        Of the products.
    conjugate : bool
    """

    width = 1

    def __init__(
        self, rows: Rows, factors: Any, dtype: np.dtype[Any], conjugate: bool = False
    ) -> None:
        self.shape = rows.shape
        self.dtype = dtype
        self._rows = rows
        one = dtype.type(0)
        kind = one if np.iscomplexobj(factors) else one.real
        self._factors = np.asarray(factors).astype(kind.dtype)
        self._conjugate = conjugate

    def total(self) -> int:
        if self._factors.ndim == 0:
            return self._rows.total() if self._factors else 0
        return sparse.count(self._rows, np.flatnonzero(self._factors))

    def counts(self, rows: Index) -> Index:
        return self._rows.counts(rows) * (self._of(rows) != 0)

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        length = np.diff(pointer)
        kept = length > 0
        if not kept.any():
            return
        span = slice(int(pointer[0]), int(pointer[-1]))
        local = np.append(pointer[:-1][kept], span.stop) - span.start
        values = data[span]
        if self._rows.dtype != data.dtype:  # rounded as the operator rounds
            values = np.empty(values.size, self._rows.dtype)
        rows = rows[kept]
        self._rows.fill(rows, local, indices[span], values)
        factors = self._of(rows)
        if factors.ndim:
            factors = np.repeat(factors, length[kept])
        data[span] = (values.conj() if self._conjugate else values) * factors

    def _of(self, rows: Index) -> Array:
        return self._factors[rows] if self._factors.ndim else self._factors


class StackedRows:
    """Rows of several matrices under each other."""

    width = 1

    def __init__(self, parts: Sequence[Rows], dtype: np.dtype[Any]) -> None:
        self._edges = np.cumsum([0, *(part.shape[0] for part in parts)])
        self.shape = int(self._edges[-1]), parts[0].shape[1]
        self.dtype = dtype
        self._parts = parts

    def total(self) -> int:
        return sum(part.total() for part in self._parts)

    def counts(self, rows: Index) -> Index:
        counts = np.empty(rows.size, np.intp)
        which = self._which(rows)
        for number in np.unique(which):
            here = np.flatnonzero(which == number)
            counts[here] = self._parts[number].counts(rows[here] - self._edges[number])
        return counts

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        which = self._which(rows)
        changes = np.flatnonzero(np.diff(which)) + 1
        for begin, end in pairwise([0, *changes.tolist(), rows.size]):
            part = self._parts[which[begin]]
            span = slice(int(pointer[begin]), int(pointer[end]))
            values = data[span]
            if part.dtype != data.dtype:
                values = np.empty(values.size, part.dtype)
            local = pointer[begin : end + 1] - span.start
            part.fill(rows[begin:end] - self._edges[which[begin]], local, indices[span], values)
            data[span] = values

    def _which(self, rows: Index) -> Index:
        return np.searchsorted(self._edges, rows, "right") - 1


class PlacedRows:
    """Rows that begin at column `first` of a matrix with so many `columns`."""

    width = 1

    def __init__(self, rows: Rows, first: int, columns: int) -> None:
        self.shape = rows.shape[0], columns
        self.dtype = rows.dtype
        self._rows = rows
        self._first = first

    def total(self) -> int:
        return self._rows.total()

    def counts(self, rows: Index) -> Index:
        return self._rows.counts(rows)

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        self._rows.fill(rows, pointer, indices, data)
        indices[int(pointer[0]) : int(pointer[-1])] += self._first


class MergedRows:
    """Rows that scipy computes, some at a time.

    `compute` gives some rows as a csr_array. It is called twice: to count and to fill in.
    """

    width = 1

    def __init__(
        self, shape: tuple[int, int], dtype: np.dtype[Any], compute: Callable[[Index], Any]
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self._compute = compute

    @cached_property
    def _pointer(self) -> Array:
        """The row pointer of the whole matrix."""
        sizes = self._sizes(np.arange(self.shape[0]))
        return np.append(0, np.cumsum(sizes, dtype=np.int64))

    def total(self) -> int:
        return int(self._pointer[-1])

    def counts(self, rows: Index) -> Index:
        if "_pointer" in self.__dict__:
            return self._pointer[rows + 1] - self._pointer[rows]
        return self._sizes(rows)

    def _sizes(self, rows: Index) -> Index:
        parts = [np.diff(part.indptr) for part in self._parts(rows)]
        return np.concatenate([np.zeros(0, np.intp), *parts])

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        place = int(pointer[0])
        for part in self._parts(rows):
            span = slice(place, place + part.nnz)
            indices[span], data[span] = part.indices, part.data
            place = span.stop

    def _parts(self, rows: Index) -> Iterator[Any]:
        """The rows in parts of about `ENTRIES` entries."""
        start, step = 0, PROBE
        while start < rows.size:
            part = self._compute(rows[start : start + step])
            yield part
            start += step
            step = max(1, step * ENTRIES // max(part.nnz, step))


def diagonal_of(parts: Sequence[Rows], dtype: np.dtype[Any]) -> Rows:
    """Rows of a block-diagonal matrix."""
    edges = np.cumsum([0, *(part.shape[1] for part in parts)]).tolist()
    placed = [PlacedRows(*each, edges[-1]) for each in zip(parts, edges, strict=False)]
    return StackedRows(placed, dtype)


def sum_of(parts: Sequence[Rows], dtype: np.dtype[Any]) -> Rows:
    """Rows of the sum of matrices."""

    def compute(rows: Index) -> Any:
        first, *others = (built(part, rows).astype(dtype) for part in parts)
        for other in others:
            first = first + other
        return first

    return MergedRows(parts[0].shape, dtype, compute)


def side_by_side(weighted: Sequence[tuple[Rows, Array]], dtype: np.dtype[Any]) -> Rows:
    """Rows of several matrices side by side, each times weights.

    The weights are a number, or one for each column of the matrix. Where they are zero nothing is
    stored.
    """

    def compute(rows: Index) -> Any:
        return hstack([part(*each, rows) for each in weighted], "csr", dtype)

    def part(given: Rows, weights: Array, rows: Index) -> Any:
        found = built(given, rows)
        own = weights[found.indices] if weights.ndim else np.broadcast_to(weights, found.nnz)
        kept = own != 0
        pointer = np.append(0, np.cumsum(kept))[found.indptr]
        return csr_array((found.data[kept] * own[kept], found.indices[kept], pointer), found.shape)

    shapes = [given.shape for given, _ in weighted]
    return MergedRows((shapes[0][0], sum(width for _, width in shapes)), dtype, compute)


def product_of(left: Rows, right: Rows, dtype: np.dtype[Any]) -> Rows:
    """Rows of the product of two matrices, by Gustavson's algorithm.

    Only the rows of the right matrix that a part of the product needs are built.

    References
    ----------
    F. G. Gustavson, "Two fast algorithms for sparse matrices: multiplication and permuted
    transposition", ACM Trans. Math. Software 4 (1978) 250-269,
    https://doi.org/10.1145/355791.355796.
    """

    def compute(rows: Index) -> Any:
        first = built(left, rows)
        needed, numbers = np.unique(first.indices, return_inverse=True)
        shape = rows.size, needed.size
        first = sparse.compressed("csr", shape, first.data.astype(dtype), numbers, first.indptr)
        product = first @ built(right, needed)
        product.sort_indices()
        return product

    return MergedRows((left.shape[0], right.shape[1]), dtype, compute)


def built(part: Rows, rows: Index) -> Any:
    """Some rows of a matrix as a csr_array."""
    return sparse.build(part, "csr", rows, 1)
