"""Rows of the explicit matrix ``A^H W A``."""

import itertools
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.matrix.facts import Table
from dhop.matrix.sparse import of_one_dtype
from dhop.model.boundary import OUTSIDE
from dhop.model.geometry import Model
from dhop.model.lines import LineAxis, Lines
from dhop.model.relations import Index, ranges
from dhop.runtime.parallel import row_blocks, run


class GramRows:
    """Rows of ``A^H W A`` for the matrix `A` of a model; see `dhop.matrix.sparse.Rows`.

    Pixels of an axis that outputs read in the same way form a class. Without weights a row depends
    only on its two classes, and is summed once for each pair of them. In the interior there are
    `factor` classes, and the row is the decimated autocorrelation of the folded PSF.
    """

    width = 1

    def __init__(
        self, model: Model, weights: NDArray[np.float64] | None, workers: int | None
    ) -> None:
        rows, columns = model.rows, model.columns
        b0, b1, b2 = model.sides
        self.dtype = model.dtype
        self._workers = workers
        self._sizes = (b0, rows.size, b1, columns.size, b2)
        size = int(np.prod(self._sizes))
        self.shape = (size, size)
        observed = (b0, rows.outputs, b1, columns.outputs, b2)
        # Copies, since a kernel is compiled again for read-only or non-contiguous arrays.
        given = np.zeros((0,) * 5) if weights is None else weights.reshape(observed)
        self._given = np.array(given, np.float64, order="C")
        relations = rows.by_pixel, columns.by_pixel
        self._neighbours = _neighbours(rows), _neighbours(columns)
        self._tables = (
            *(table for each in relations for table in (each.start, each.line, each.tap)),
            *(np.array(axis.windows, order="C") for axis in (rows, columns)),
            *(table for each in self._neighbours for table in (each.start, each.member)),
            model.weights,
        )  # fmt: skip

    @cached_property
    def _rows(self) -> tuple[Index, NDArray[Any], NDArray[np.bool_]]:
        """Offset of the row of each pair of classes, all rows, and which entries are stored."""
        from dhop.kernels.gram import tabulate

        first, second = self._neighbours
        sizes = np.multiply.outer(first.sizes[first.pixels], second.sizes[second.pixels])
        offset = np.append(0, np.cumsum(sizes))[:-1].reshape(sizes.shape)
        sums = np.empty(sizes.sum(), self._tables[-1].dtype)
        reached = np.empty(sums.size, bool)
        taps = self._tables[-1].size
        blocks = row_blocks(sizes.size, float(sizes.size * taps * taps), self._workers)
        run(
            lambda i, j: tabulate(
                *self._tables, first.pixels, second.pixels, offset, i, j, sums, reached
            ),
            blocks,
            self._workers,
        )
        return offset, sums, reached

    @cached_property
    def _counts(self) -> Table:
        """Number of entries of each pixel of one image."""
        offset, _, reached = self._rows
        first, second = self._neighbours
        stored = np.append(0, np.cumsum(reached))
        edges = np.append(offset, reached.size)
        counts = np.diff(stored[edges]).reshape(offset.shape)
        return Table(counts, first.which, second.which)

    def total(self) -> int:
        return int(self._counts.total()) * int(np.prod(self._sizes[::2]))

    def counts(self, rows: Index) -> Index:
        return self._counts.of(rows, self._sizes)

    def fill(
        self, rows: Index, pointer: NDArray[Any], indices: NDArray[Any], data: NDArray[Any]
    ) -> None:
        from dhop.kernels.gram import fill

        first, second = self._neighbours
        fill(
            *self._tables, first.which, second.which, *self._rows, self._given, self._sizes,
            *of_one_dtype(rows, pointer), 0, rows.size, indices, data,
        )  # fmt: skip


class _Neighbours(NamedTuple):
    """For each pixel of an axis the pixels that share an output with it, and classes of pixels.

    Attributes
    ----------
    start, member : ndarray of int
        Pixel `k` shares outputs with ``member[start[k]:start[k + 1]]``, ascending.
    which, pixels : ndarray of int
        The class of each pixel, and one pixel of each class, which differs from the others by a
        shift.
    """

    start: Index
    member: Index
    which: Index
    pixels: Index

    @property
    def sizes(self) -> Index:
        """Number of neighbours of each pixel."""
        return np.diff(self.start)


def _neighbours(axis: LineAxis) -> _Neighbours:
    if isinstance(axis, Lines):
        return _pairs(_neighbours(axis.first), _neighbours(axis.second))
    relation, windows = axis.by_pixel, axis.windows
    near: list[Index] = []
    known: dict[bytes, int] = {}
    pixels: list[int] = []
    which = np.empty(axis.size, np.intp)
    for k, (first, last) in enumerate(itertools.pairwise(relation.start)):
        seen = windows[relation.line[first:last]]
        members = np.unique(seen)
        members = members[members >= 0]
        places = np.where(seen < 0, OUTSIDE, np.searchsorted(members, seen))
        key = relation.tap[first:last].tobytes() + places.tobytes()
        which[k] = known.setdefault(key, len(known))
        if len(known) > len(pixels):
            pixels.append(k)
        near.append(members)
    start = np.append(0, np.cumsum([members.size for members in near]))
    return _Neighbours(start, np.concatenate(near), which, np.array(pixels))


def _pairs(first: _Neighbours, second: _Neighbours) -> _Neighbours:
    """Neighbours on two axes joined into one."""
    one, two = first.sizes, second.sizes
    counts = np.multiply.outer(one, two).ravel()
    place = ranges(np.zeros_like(counts), counts)
    across = np.repeat(np.tile(two, one.size), counts)
    outer, inner = np.divmod(place, across)
    outer += np.repeat(np.repeat(first.start[:-1], two.size), counts)
    inner += np.repeat(np.tile(second.start[:-1], one.size), counts)
    return _Neighbours(
        np.append(0, np.cumsum(counts)),
        first.member[outer] * two.size + second.member[inner],
        np.add.outer(first.which * second.pixels.size, second.which).ravel(),
        np.add.outer(first.pixels * two.size, second.pixels).ravel(),
    )
