"""Products of a warp: the spline filter along each axis, then the spline at each output."""

from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import GROUP
from dhop.model.relations import Index
from dhop.model.warping import GAIN, POLE, SplineAxis, Warp
from dhop.runtime import workspace
from dhop.runtime.parallel import row_blocks, run

Array = NDArray[Any]

STRIP = 2**19  # bytes of columns that are filtered together, which a cache holds
LEAST = 16  # columns in a strip, for whole lines of the cache
FILTER = 2.5  # nanoseconds of a pixel in one filter
SPLINE = {4: 10.0, 2: 5.0, 1: 3.0}  # of an output, by the taps; three times as many in a volume
TRANSPOSE = 1.5  # times as many in the transpose


class WarpPlan:
    """Products with one image at a time, of any real dtype.

    Workspace: the coefficients, an array between two filters, and a band or a strip per thread.

    Parameters
    ----------
    warp : Warp
    """

    def __init__(self, warp: Warp) -> None:
        from dhop.kernels import warp as kernels
        from dhop.kernels.warp_positions import BLOCK, band, packed

        self._warp = warp
        self._kernels, self._block = kernels, BLOCK
        self._table = packed(warp)
        self._band = band(warp)
        planes, rows, columns = warp.axes
        self._down = [_Down(rows, planes.count, columns.size)]
        if warp.volume:
            self._down.insert(0, _Down(planes, 1, rows.size * columns.size))
        self._along = _filter(columns, planes.count * rows.count, 0)
        self._numbers = _numbers(columns)

    @property
    def _spline(self) -> float:
        """Nanoseconds of an output."""
        return SPLINE[self._warp.taps] * (3 if self._warp.volume else 1)

    def _work(self, dtype: np.dtype[Any]) -> tuple[Array, Index]:
        """Workspace for a block of outputs."""
        return np.empty(4 * self._block, dtype), np.empty(self._block, np.intp)

    @cached_property
    def _bands(self) -> Index:
        """The runs of outputs of each band, packed."""
        from dhop.kernels.flat import pack

        places, axes = self._warp.places, self._warp.axes[:2]
        count = prod(-(-axis.count // most) for axis, most in zip(axes, self._band, strict=True))
        first = np.zeros(count + 1, np.int64)
        nothing = np.zeros((0, 3), np.int64)
        self._kernels.find_runs(self._table, places, first, nothing)
        first = np.cumsum(first)
        runs = np.zeros((int(first[-1]), 3), np.int64)
        if len(runs):
            self._kernels.find_runs(self._table, places, first, runs)
        return pack(self._kernels.Bands(count, first, runs))

    def forward(self, x: Array, out: Array, workers: int | None) -> None:
        """Write the outputs of an image, one after the other, into `out`."""
        from dhop.kernels.spline import filter_rows

        warp, kernels = self._warp, self._kernels
        for down in self._down:
            x = down.forward(x, workers)
        lines = x.size // warp.axes[-1].size
        coefficients = workspace.empty((lines * warp.axes[-1].count,), x.dtype)

        def along(start: int, stop: int) -> None:
            filter_rows(x, self._along, self._numbers, start, stop, coefficients)

        run(along, row_blocks(-(-lines // GROUP), FILTER * coefficients.size, workers), workers)

        def gather(start: int, stop: int) -> None:
            work, at = self._work(x.dtype)
            kernels.forward(
                coefficients, self._table, warp.places, warp.area, work, at, start, stop, out
            )

        lines = warp.shape[0] * warp.shape[1]
        run(gather, row_blocks(lines, self._spline * warp.outputs, workers), workers)

    def adjoint(self, y: Array, out: Array, workers: int | None) -> None:
        """Write the transpose's image of outputs `y` into `out`."""
        warp, kernels = self._warp, self._kernels
        planes, rows, columns = warp.axes
        between = workspace.empty((planes.count * rows.count * columns.size,), y.dtype)
        bands, around = self._bands, 2 * kernels.MOST
        deep, tall = self._band
        band_rows = (deep + around * warp.volume) * (tall + around)

        def gather(start: int, stop: int) -> None:
            work, at = self._work(y.dtype)
            band = np.empty(band_rows * columns.count, y.dtype)
            kernels.adjoint(
                y, self._table, bands, self._along, warp.places, warp.area, self._numbers,
                band, work, at, start, stop, between,
            )  # fmt: skip

        work = TRANSPOSE * self._spline * warp.outputs + FILTER * between.size
        run(gather, row_blocks(int(bands[0]), work, workers), workers)
        for down in reversed(self._down[1:]):
            between = down.adjoint(between, None, workers)
        self._down[0].adjoint(between, out, workers)


class _Down:
    """The filter down an axis that is not the last, of images with `lines` along it each."""

    def __init__(self, axis: SplineAxis, images: int, lines: int) -> None:
        self._pixels, self._coefficients = (images * n * lines for n in (axis.size, axis.count))
        self._numbers = _numbers(axis)
        widths = {size: STRIP // (axis.count * size) // LEAST * LEAST for size in (4, 8)}
        self._width = {size: max(LEAST, width) for size, width in widths.items()}
        self._strips = {size: images * -(-lines // width) for size, width in self._width.items()}
        self._table = {size: _filter(axis, lines, width) for size, width in self._width.items()}

    def forward(self, x: Array, workers: int | None) -> Array:
        """The coefficients of pixels `x`."""
        from dhop.kernels.spline import filter_columns

        size = x.itemsize
        out = workspace.empty((self._coefficients,), x.dtype)

        def some(start: int, stop: int) -> None:
            work = np.empty(self._width[size], x.dtype)
            filter_columns(x, self._table[size], self._numbers, work, start, stop, out)

        run(some, row_blocks(self._strips[size], FILTER * out.size, workers), workers)
        return out

    def adjoint(self, y: Array, out: Array | None, workers: int | None) -> Array:
        """The transpose, which overwrites `y`; into `out` if that is given."""
        from dhop.kernels.spline import filter_columns_transposed

        size = y.itemsize
        result = workspace.empty((self._pixels,), y.dtype) if out is None else out

        def some(start: int, stop: int) -> None:
            filter_columns_transposed(y, self._table[size], self._numbers, start, stop, result)

        run(some, row_blocks(self._strips[size], FILTER * y.size, workers), workers)
        return result


def _numbers(axis: SplineAxis) -> Array:
    """The pole, the gain and the factors of the tails."""
    return np.concatenate([[POLE, GAIN], axis.factor])


def _filter(axis: SplineAxis, lines: int, strip: int) -> Index:
    """A packed `dhop.kernels.spline.Filter`."""
    from dhop.kernels.flat import pack
    from dhop.kernels.spline import Filter

    begin, stop = axis.inner
    groups = axis.by_pixel
    away = groups.member[groups.start[begin]] - axis.tail - begin if stop > begin else 0
    if stop == begin:
        begin = stop = axis.size
    return pack(Filter(
        axis.size, axis.count, axis.tail, lines, strip, begin, stop, int(away),
        axis.pixels, *groups, axis.line,
    ))  # fmt: skip
