"""Lines of matrices that are made of other matrices; see `dhop.sparse.Layout`."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from dhop import sparse
from dhop.geometry import Index

Array = NDArray[Any]

ENTRIES = 2**22  # that are merged at a time
LINES = 2**16


class Weighted:
    """Lines times numbers, conjugated before if asked for; a line times zero stores nothing.

    Parameters
    ----------
    layout : Layout
    factors : number or ndarray, shape (lines,)
        Rounded to the precision of `dtype`.
    dtype : dtype
        Of the products.
    conjugate : bool
    """

    width = 1

    def __init__(
        self, layout: sparse.Layout, factors: Any, dtype: np.dtype[Any], conjugate: bool = False
    ) -> None:
        self.shape = layout.shape
        self.dtype = dtype
        self._layout = layout
        one = dtype.type(0)
        kind = one if np.iscomplexobj(factors) else one.real
        self._factors = np.asarray(factors).astype(kind.dtype)
        self._stored = np.asarray(factors) != 0
        self._conjugate = conjugate

    def total(self) -> int:
        if self._stored.all():
            return self._layout.total()
        return int(self.counts().sum(dtype=np.int64))

    def counts(self) -> Index:
        counts = self._layout.counts()
        return counts if self._stored.all() else np.where(self._stored, counts, 0)

    def fill(
        self, lines: Index, pointer: Array, start: int, stop: int, indices: Array, data: Array
    ) -> None:
        begins, length = pointer[start:stop], np.diff(pointer[start : stop + 1])
        kept = length > 0
        if not kept.any():
            return
        span = slice(int(begins[0]), int(pointer[stop]))
        local = np.append(begins[kept], span.stop) - span.start
        values = data[span]
        if self._layout.dtype != data.dtype:  # rounded as the operator rounds
            values = np.empty(values.size, self._layout.dtype)
        rows = lines[start:stop][kept]
        self._layout.fill(rows, local, 0, rows.size, indices[span], values)
        factors = self._factors
        if factors.ndim:
            factors = np.repeat(factors[rows], length[kept])
        data[span] = (values.conj() if self._conjugate else values) * factors


class Stacked:
    """Lines of several matrices under each other."""

    width = 1

    def __init__(self, layouts: Sequence[sparse.Layout], dtype: np.dtype[Any]) -> None:
        self._edges = np.cumsum([0, *(layout.shape[0] for layout in layouts)])
        self.shape = int(self._edges[-1]), layouts[0].shape[1]
        self.dtype = dtype
        self._layouts = layouts

    def total(self) -> int:
        return sum(layout.total() for layout in self._layouts)

    def counts(self) -> Index:
        return np.concatenate([layout.counts() for layout in self._layouts])

    def fill(
        self, lines: Index, pointer: Array, start: int, stop: int, indices: Array, data: Array
    ) -> None:
        which = np.searchsorted(self._edges, lines[start:stop], "right") - 1
        changes = np.flatnonzero(np.diff(which)) + 1
        for begin, end in pairwise([0, *changes.tolist(), which.size]):
            number = which[begin]
            layout = self._layouts[number]
            span = slice(int(pointer[start + begin]), int(pointer[start + end]))
            local = pointer[start + begin : start + end + 1] - span.start
            rows = lines[start + begin : start + end] - self._edges[number]
            values = data[span]
            if layout.dtype != data.dtype:
                values = np.empty(values.size, layout.dtype)
            layout.fill(rows, local, 0, rows.size, indices[span], values)
            data[span] = values


class Merged:
    """Lines that are known only when they are computed, by scipy, some at a time.

    They are computed twice: to be counted, and to be filled in.

    Parameters
    ----------
    shape : (int, int)
    dtype : dtype
    most : int
        Entries that a line may have.
    compute : callable
        Gives the lines of some numbers as a csr_array.
    """

    width = 1

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        most: int,
        compute: Callable[[Index], Any],
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self._compute = compute
        self._step = max(1, min(LINES, ENTRIES // max(most, 1)))

    def total(self) -> int:
        return int(self.counts().sum(dtype=np.int64))

    def counts(self) -> Index:
        return self._counts

    @cached_property
    def _counts(self) -> Index:
        counts = np.empty(self.shape[0], np.intp)
        for start, stop in self._bands(0, self.shape[0]):
            counts[start:stop] = np.diff(self._compute(np.arange(start, stop)).indptr)
        return counts

    def fill(
        self, lines: Index, pointer: Array, start: int, stop: int, indices: Array, data: Array
    ) -> None:
        for first, last in self._bands(start, stop):
            part = self._compute(lines[first:last])
            span = slice(int(pointer[first]), int(pointer[last]))
            indices[span], data[span] = part.indices, part.data

    def _bands(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        return pairwise([*range(start, stop, self._step), stop])


def total_of(layouts: Sequence[sparse.Layout], dtype: np.dtype[Any]) -> sparse.Layout:
    """Lines of the sum of matrices."""

    def compute(lines: Index) -> Any:
        first, *others = (lines_of(layout, lines).astype(dtype) for layout in layouts)
        for other in others:
            first = first + other
        return first

    return Merged(layouts[0].shape, dtype, sum(map(most_entries, layouts)), compute)


def side_by_side(
    weighted: Sequence[tuple[sparse.Layout, Array]], dtype: np.dtype[Any]
) -> sparse.Layout:
    """Lines of several matrices that are next to each other, each times weights.

    Parameters
    ----------
    weighted : sequence of (Layout, ndarray)
        The weights are a number, or one for each column of the matrix. Where they are zero nothing
        is stored.
    dtype : dtype
    """

    def compute(lines: Index) -> Any:
        return hstack([part(*each, lines) for each in weighted], "csr", dtype)

    def part(layout: sparse.Layout, weights: Array, lines: Index) -> Any:
        found = lines_of(layout, lines)
        own = weights[found.indices] if weights.ndim else np.broadcast_to(weights, found.nnz)
        kept = own != 0
        pointer = np.append(0, np.cumsum(kept))[found.indptr]
        return csr_array((found.data[kept] * own[kept], found.indices[kept], pointer), found.shape)

    given = [layout for layout, _ in weighted]
    shape = given[0].shape[0], sum(layout.shape[1] for layout in given)
    return Merged(shape, dtype, sum(map(most_entries, given)), compute)


def product_of(left: sparse.Layout, right: sparse.Layout, dtype: np.dtype[Any]) -> sparse.Layout:
    """Lines of the product of two matrices, row by row as F. G. Gustavson has it.

    Only the lines of the right matrix that a band of the product needs are ever there.

    References
    ----------
    F. G. Gustavson, "Two fast algorithms for sparse matrices: multiplication and permuted
    transposition", ACM Trans. Math. Software 4 (1978) 250-269,
    https://doi.org/10.1145/355791.355796.
    """

    def compute(lines: Index) -> Any:
        first = lines_of(left, lines)
        needed, first.indices = np.unique(first.indices, return_inverse=True)
        first = sparse.compressed(
            "csr", (lines.size, needed.size), first.data.astype(dtype), first.indices, first.indptr
        )
        product = first @ lines_of(right, needed)
        product.sort_indices()
        return product

    most = min(most_entries(left) * most_entries(right), right.shape[1])
    return Merged((left.shape[0], right.shape[1]), dtype, most, compute)


def lines_of(layout: sparse.Layout, lines: Index) -> Any:
    """Some lines of a matrix as a csr_array."""
    return sparse.build(layout, "csr", lines, 1)


def most_entries(layout: sparse.Layout) -> int:
    """Entries of the longest line."""
    return int(layout.counts().max(initial=0))
