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
    """Common tables of rows and columns."""

    width = 1

    def __init__(self, warp: Warp, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._warp = warp
        # Pixels further from a position change no bit.
        self._reach = ceil(log(np.finfo(dtype).eps / 2) / log(-POLE)) if warp.taps == 4 else 1
        self._powers = GAIN * POLE ** np.arange(self._reach + 2)

    @cached_property
    def _tables(self) -> tuple[Array, ...]:
        """Leading arguments of the kernels."""
        from dhop.kernels.warp_entries import packed_axes
        from dhop.kernels.warp_positions import packed

        lines = packed_axes(self._warp, self._reach)
        return packed(self._warp), lines, self._warp.places, self._warp.area, self._powers


class WarpRows(_Entries):
    """Rows of the matrix of a warp.

    A row is the product of a line along each axis, whose pixels and weights follow from a position.
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
        """For each axis, pixels of a line for a position on a pixel and for one between pixels."""
        tables = []
        for axis in self._warp.warped:
            here = axis.pixels[axis.low - axis.first + axis.tail :][: axis.end - axis.low] >= 0
            between = np.full(here.size, 2 * self._reach)
            first = np.arange(here.size) + axis.low - axis.first + axis.tail - self._reach + 1
            start = first + axis.first - axis.tail
            for k in np.flatnonzero((start < 0) | (start + 2 * self._reach > axis.size)):
                window = axis.pixels[first[k] : first[k] + 2 * self._reach]
                between[k] = np.unique(window[window >= 0]).size
            tables.append(np.stack([here, between]))
        return tables

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        from dhop.kernels.warp_entries import fill

        fill(*self._tables, *of_one_dtype(rows, pointer), indices, data)


class WarpColumns(_Entries):
    """Columns of the matrix of a warp, as rows of its transpose.

    They are found by a pass over the nearby outputs, once to count and once to fill in.
    """

    def __init__(self, warp: Warp, dtype: np.dtype[Any]) -> None:
        super().__init__(warp, dtype)
        self.shape = warp.pixels, warp.outputs

    def total(self) -> int:
        return WarpRows(self._warp, self.dtype).total()

    def counts(self, rows: Index) -> Index:
        counts = np.zeros(rows.size, np.int64)
        self._pass_outputs(rows, counts, np.zeros(0, np.int64), np.zeros(0, self.dtype))
        return counts[_firsts(rows)]

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        self._pass_outputs(rows, pointer[:-1].astype(np.int64), indices, data)
        firsts = _firsts(rows)
        for again in np.flatnonzero(firsts != np.arange(rows.size)):
            here, there = (slice(*pointer[k : k + 2].tolist()) for k in (again, firsts[again]))
            indices[here], data[here] = indices[there], data[there]

    def _pass_outputs(self, pixels: Index, pointer: Array, indices: Array, data: Array) -> None:
        """Fill in each distinct pixel, at its first occurrence in `pixels`."""
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
        """For each axis the line of each output, and the first and last pixel of each line."""
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
    """For each number the index of its first occurrence."""
    _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    return first[which]
