"""Products of a warp: the filter along both axes, then the spline at each output, and back."""

from functools import cached_property
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
FILTER = 2.5  # nanoseconds of a pixel, of one filter ...
SPLINE = {4: 10.0, 2: 5.0, 1: 3.0}  # ... and of an output, by the taps
BACK = 1.5  # times that is what the transpose takes


class WarpPlan:
    """Products with one image at a time, of any dtype that is real.

    Workspace: the coefficients, an array between the filters, and a band or a strip per thread.

    Parameters
    ----------
    warp : Warp
    """

    def __init__(self, warp: Warp) -> None:
        from dhop.kernels import spline
        from dhop.kernels import warp as kernels

        self._warp = warp
        self._spline, self._kernels = spline, kernels
        rows, columns = warp.rows, warp.columns
        self._table = kernels.packed(warp)
        self._down = [self._filter(rows, columns.size, size) for size in (4, 8)]
        self._along = self._filter(columns, rows.count, 4)
        self._numbers = [np.concatenate([[POLE, GAIN], axis.factor]) for axis in (rows, columns)]

    def _filter(self, axis: SplineAxis, lines: int, itemsize: int) -> Index:
        from dhop.kernels.flat import pack

        begin, stop = axis.inner
        groups = axis.by_pixel
        away = groups.member[groups.start[begin]] - axis.tail - begin if stop > begin else 0
        if stop == begin:
            begin = stop = axis.size
        return pack(self._spline.Filter(
            axis.size, axis.count, axis.tail, lines, self._strip(itemsize), begin, stop, int(away),
            axis.pixels, *groups, axis.line,
        ))  # fmt: skip

    def _strip(self, itemsize: int) -> int:
        width = STRIP // (self._warp.rows.count * itemsize) // LEAST * LEAST
        return max(LEAST, width)

    def _block(self, dtype: np.dtype[Any]) -> tuple[Array, Index]:
        """Workspace for the outputs that are located at a time."""
        block = self._kernels.BLOCK
        return np.empty(3 * block, dtype), np.empty(block, np.intp)

    @cached_property
    def _bands(self) -> Index:
        """The runs of outputs of each band, packed."""
        from dhop.kernels.flat import pack

        places = self._warp.places
        count = -(-self._warp.rows.count // self._kernels.BAND)
        first = np.zeros(count + 1, np.int64)
        nothing = np.zeros((0, 3), np.int64)
        self._kernels.find_runs(self._table, places, first, nothing)
        first = np.cumsum(first)
        runs = np.zeros((int(first[-1]), 3), np.int64)
        if len(runs):
            self._kernels.find_runs(self._table, places, first, runs)
        return pack(self._kernels.Bands(count, first, runs))

    def forward(self, x: Array, out: Array, workers: int | None) -> None:
        """Write the outputs of a (n0 * n1,) image into the (m0 * m1,) array `out`."""
        warp, kernels, spline = self._warp, self._kernels, self._spline
        rows, columns = warp.rows, warp.columns
        down = self._down[x.itemsize // 8]
        strip = self._strip(x.itemsize)
        between = workspace.empty((rows.count * columns.size,), x.dtype)

        def filter_columns(start: int, stop: int) -> None:
            work = np.empty(strip, x.dtype)
            spline.filter_columns(x, down, self._numbers[0], work, start, stop, between)

        strips = -(-columns.size // strip)
        run(filter_columns, row_blocks(strips, FILTER * between.size, workers), workers)
        coefficients = workspace.empty((rows.count * columns.count,), x.dtype)

        def filter_rows(start: int, stop: int) -> None:
            spline.filter_rows(between, self._along, self._numbers[1], start, stop, coefficients)

        groups = -(-rows.count // GROUP)
        run(filter_rows, row_blocks(groups, FILTER * coefficients.size, workers), workers)

        def gather(start: int, stop: int) -> None:
            work, at = self._block(x.dtype)
            kernels.forward(
                coefficients, self._table, warp.places, warp.area, work, at, start, stop, out
            )

        run(gather, row_blocks(warp.shape[0], SPLINE[warp.taps] * warp.outputs, workers), workers)

    def adjoint(self, y: Array, out: Array, workers: int | None) -> None:
        """Write the image of (m0 * m1,) numbers `y` into the (n0 * n1,) array `out`."""
        warp, kernels, spline = self._warp, self._kernels, self._spline
        rows, columns = warp.rows, warp.columns
        between = workspace.empty((rows.count * columns.size,), y.dtype)
        bands = self._bands

        def gather(start: int, stop: int) -> None:
            work, at = self._block(y.dtype)
            band = np.empty((kernels.BAND + 2 * kernels.MOST) * columns.count, y.dtype)
            kernels.adjoint(
                y, self._table, bands, self._along, warp.places, warp.area, self._numbers[1],
                band, work, at, start, stop, between,
            )  # fmt: skip

        work = BACK * SPLINE[warp.taps] * warp.outputs + FILTER * between.size
        run(gather, row_blocks(-(-rows.count // kernels.BAND), work, workers), workers)
        down = self._down[y.itemsize // 8]

        def filter_columns(start: int, stop: int) -> None:
            spline.filter_columns_back(between, down, self._numbers[0], start, stop, out)

        strips = -(-columns.size // self._strip(y.itemsize))
        run(filter_columns, row_blocks(strips, FILTER * between.size, workers), workers)
