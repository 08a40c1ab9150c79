"""The explicit matrix of a warp; see `dhop.matrix.sparse.Rows`."""

from functools import cached_property
from math import ceil, log
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dhop.matrix.sparse import of_one_dtype
from dhop.model.relations import Index
from dhop.model.warping import GAIN, POLE, Warp

Array = NDArray[Any]


class _Entries:
    """What rows and columns have in common.

    Parameters
    ----------
    warp : Warp
    dtype : dtype
    """

    width = 1

    def __init__(self, warp: Warp, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._warp = warp
        # Further from a position than that no pixel changes a bit.
        self._reach = ceil(log(np.finfo(dtype).eps / 2) / log(-POLE)) if warp.taps == 4 else 1
        self._powers = GAIN * POLE ** np.arange(self._reach + 2)

    @cached_property
    def _tables(self) -> tuple[Array, ...]:
        """The first arguments of the kernels."""
        from dhop.kernels.warp_entries import packed_lines
        from dhop.kernels.warp_places import packed

        lines = packed_lines(self._warp, self._reach)
        return packed(self._warp), lines, self._warp.places, self._warp.area, self._powers


class WarpRows(_Entries):
    """Rows of the matrix of a warp.

    A row is the product of a line along each axis, of which the places and the weights follow from
    a position.
    """

    def __init__(self, warp: Warp, dtype: np.dtype[Any]) -> None:
        super().__init__(warp, dtype)
        self.shape = warp.outputs, warp.pixels

    def total(self) -> int:
        step = 2**18
        outputs = self._warp.outputs
        parts = (np.arange(k, min(k + step, outputs)) for k in range(0, outputs, step))
        return sum(int(self.counts(part).sum()) for part in parts)

    def counts(self, rows: Index) -> Index:
        found = self._warp.positions(rows)
        counts = np.ones(rows.size, np.intp)
        for place, axis, table in zip(found, self._warp.warped, self._distinct, strict=True):
            below = np.floor(place)
            seen = (place >= axis.low) & (place < axis.end)
            number = np.where(seen, below - axis.low, 0).astype(np.intp)
            counts *= table[(place != below).astype(np.intp), number] * seen
        return counts

    @cached_property
    def _distinct(self) -> list[Index]:
        """How many pixels a line has that begins at a pixel, and one between, for each axis."""
        tables = []
        for axis in self._warp.warped:
            here = axis.pixels[axis.low - axis.first + axis.tail :][: axis.end - axis.low] >= 0
            between = np.full(here.size, 2 * self._reach)
            first = np.arange(here.size) + axis.low - axis.first + axis.tail - self._reach + 1
            beside = first + axis.first - axis.tail
            for k in np.flatnonzero((beside < 0) | (beside + 2 * self._reach > axis.size)):
                window = axis.pixels[first[k] : first[k] + 2 * self._reach]
                between[k] = np.unique(window[window >= 0]).size
            tables.append(np.stack([here, between]))
        return tables

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        from dhop.kernels.warp_entries import fill

        fill(*self._tables, *of_one_dtype(rows, pointer), indices, data)


class WarpColumns(_Entries):
    """Columns of the matrix of a warp, as rows of its transpose.

    They are found by going through the outputs that lie near, twice: to be counted and filled in.
    """

    def __init__(self, warp: Warp, dtype: np.dtype[Any]) -> None:
        super().__init__(warp, dtype)
        self.shape = warp.pixels, warp.outputs

    def total(self) -> int:
        return WarpRows(self._warp, self.dtype).total()

    def counts(self, rows: Index) -> Index:
        counts = np.zeros(rows.size, np.int64)
        self._go_through(rows, counts, np.zeros(0, np.int64), np.zeros(0, self.dtype))
        return counts[_firsts(rows)]

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        self._go_through(rows, pointer[:-1].astype(np.int64), indices, data)
        firsts = _firsts(rows)
        for again in np.flatnonzero(firsts != np.arange(rows.size)):
            here, there = (slice(*pointer[k : k + 2].tolist()) for k in (again, firsts[again]))
            indices[here], data[here] = indices[there], data[there]

    def _go_through(self, pixels: Index, pointer: Array, indices: Array, data: Array) -> None:
        """Only where a pixel is named first."""
        from dhop.kernels.warp_entries import fill_columns

        if not pixels.size:
            return
        near = np.ones(self._warp.outputs, bool)
        axes = self._warp.axes
        places = np.stack(np.unravel_index(pixels, [axis.size for axis in axes]))
        first, last = places.min(axis=1), places.max(axis=1)
        for k, (number, least, most) in enumerate(self._spans, len(axes) - len(self._spans)):
            near &= (number >= 0) & (least[number] <= last[k]) & (most[number] >= first[k])
        shape = last - first + 1
        order = np.full(shape.prod(), -1)
        order[np.ravel_multi_index(tuple(places - first[:, None]), tuple(shape))] = _firsts(pixels)
        window = np.concatenate([first, shape])
        fill_columns(*self._tables, np.flatnonzero(near), window, order, pointer, indices, data)

    @cached_property
    def _spans(self) -> list[tuple[Index, Index, Index]]:
        """For each axis the number of each output's line, and the ends of the lines."""
        spans = []
        for place, axis in zip(self._warp.located, self._warp.warped, strict=True):
            seen = (place >= axis.low) & (place < axis.end)
            number = np.where(seen, np.floor(place) - axis.low, -1).astype(np.intp)
            first = axis.low - axis.first + axis.tail - self._reach + 1
            read = axis.pixels[first:]
            length = 1 if axis.taps == 1 else 2 * self._reach
            windows = sliding_window_view(read, length)[: axis.end - axis.low]
            least = np.where(windows < 0, axis.size, windows).min(axis=1)
            spans.append((number, least, windows.max(axis=1)))
        return spans


def _firsts(numbers: Index) -> Index:
    """For each number the place where it comes first."""
    _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    return first[which]
