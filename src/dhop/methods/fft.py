"""The Fourier method: a strided convolution is a sum of small circular ones over the phases."""

from collections.abc import Callable
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.kernels import spectral
from dhop.kernels.vectors import BYTES
from dhop.methods import Plan, cost
from dhop.methods.lengths import transform_split
from dhop.methods.transforms import Transform, backend_is_set
from dhop.model.axis import Split
from dhop.model.boundary import OUTSIDE
from dhop.model.geometry import Model
from dhop.runtime.parallel import row_blocks, run, threads
from dhop.runtime.workspace import Borrowed

Array = NDArray[Any]
Blocks = list[tuple[int, int]]

BLOCK = 2**20  # bytes of points that are worked on at a time; the L2 cache holds them, or nearly
WIDE = 4  # blocks of columns, at least: of large images they take less than three times as one
WAKING = 13  # as many times must a thread be worth it, which is woken for each step
SMALL = 7.5e5  # nanoseconds of an image that other threads do not help with


class _Side:
    """The places of the pixels of high resolution, or of those of low resolution.

    Attributes
    ----------
    rows, columns : ndarray of intp, shape (phases * places,)
        Source pixel of each place, -1 for a zero.
    row_places, column_places : Groups
        Places of each pixel.
    row_phases, column_phases : int
    shape : (int, int)
        Of the image.
    blocks, width : int
        Number of blocks of columns that are transformed side by side, and of columns with those
        that fill the last block.
    """

    def __init__(self, rows: Split, columns: Split, columns_of_block: int) -> None:
        self.rows, self.columns = rows.pixel.ravel(), columns.pixel.ravel()
        self.row_places, self.column_places = rows.by_pixel, columns.by_pixel
        self.row_phases, self.column_phases = len(rows.pixel), len(columns.pixel)
        self.shape = rows.size, columns.size
        self.blocks = -(-columns.size // columns_of_block)
        self.width = self.blocks * columns_of_block


class FftPlan(Plan):
    """Transform the phase images, multiply and add, transform back the one small image.

    Decimation is in the phases, so that no transform is larger than the low-resolution image and
    its margin. Where the boundary is ``"wrap"`` and a phase of the image has a length that
    transforms well, the transform is as long and there is no margin; then the two products of the
    normal equations are one round trip.

    A few columns of the image at a time are split into phases and transformed, then the rows of a
    few frequencies at a time, with everything that happens between their two transforms, then the
    columns of the result. The tables of the two axes say which pixel stands at which place.

    Workspace: the spectra of the larger image, whose place those of the other take, and per thread
    up to four times `BLOCK` bytes or `WIDE` blocks of columns, the larger; see `Borrowed`.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        parts = dtype.type().real.dtype
        self._lanes = BYTES // parts.itemsize
        self._lines = 1 if dtype.kind == "c" else 2  # of pixels in a lane
        self._columns = self._lines * self._lanes  # of a block
        rows, columns = map(transform_split, model.axes)
        p0, p1 = rows.pixel.shape[1], columns.pixel.shape[1]
        m0, m1 = model.low
        self._high = _Side(rows, columns, self._columns)
        self._low = _Side(_low_split(m0, p0), _low_split(m1, p1), self._columns)
        self._whole = (p0, p1) == (m0, m1)
        self._cost = cost.fft(model, dtype)
        self._down, self._along = Transform(p0, parts), Transform(p1, parts)
        count = p0 if self._lines == 1 else p0 // 2 + 1
        kept = np.arange(count)
        self._order = np.stack([self._down.places[kept], self._down.places[-kept]], 1)
        self._order = np.ascontiguousarray(self._order[:, : self._lines])
        self._groups = -(-count // self._lanes)
        self._scale = np.array([1 / (p0 * p1 * self._lines)], parts)
        self._weights = self._spectra(model.taps.astype(dtype))

    def _spectra(self, weights: Array) -> Array:
        """Conjugate transforms of the phases of the reversed PSF, as points in the kernels' order.

        Returns
        -------
        ndarray, shape (groups, f0 * f1, p1, 2, lanes)
        """
        f0, f1 = self._high.row_phases, self._high.column_phases
        p0, p1 = self._down.length, self._along.length
        u0, u1 = np.indices(weights.shape)
        place0, place1 = u0 // f0 % p0, u1 // f1 % p1
        shape = place0.max() + 1, f0, f1, place1.max() + 1
        phases = np.zeros(shape, np.result_type(weights, np.float64))
        np.add.at(phases, (place0, u0 % f0, u1 % f1, place1), weights.conj())
        down = (fft.fft if self._lines == 1 else fft.rfft)(phases, p0, axis=0)
        points = np.zeros((self._groups, f0 * f1, p1, 2, self._lanes), weights.real.dtype)
        for g, group in enumerate(points):
            rows = fft.fft(down[g * self._lanes :][: self._lanes], p1)[..., self._along.frequencies]
            rows = np.moveaxis(rows.reshape(-1, f0 * f1, p1), 0, -1)
            group[:, :, 0, : rows.shape[-1]] = rows.real
            group[:, :, 1, : rows.shape[-1]] = -rows.imag
        return points

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        return self._apply(x, out, self._high, self._low, _add, workers)

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        return self._apply(y, out, self._low, self._high, _spread, workers)

    def gram(self, x: Array, out: Array, workers: int | None) -> bool:
        """Without margins nothing is cut off between the two products: one round trip."""
        if not self._whole:
            return super().gram(x, out, workers)

        return self._apply(x, out, self._high, self._high, _add_and_spread, workers)

    def _apply(
        self,
        x: Array,
        out: Array,
        source: _Side,
        target: _Side,
        multiply: Callable[[Array, Array, Array], None],
        workers: int | None,
    ) -> bool:
        """Several threads for each image, or each image for one thread if it is smaller."""
        backend = backend_is_set()  # perhaps for this thread alone
        shared = 1 if backend else threads(self._cost / WAKING, workers)
        sums: list[float] = []
        given, results = x.reshape(-1, *source.shape), out.reshape(-1, *target.shape)

        def images(start: int, stop: int) -> None:
            for pair in zip(given[start:stop], results[start:stop], strict=True):
                sums.append(self._image(*pair, source, target, multiply, backend, shared))

        if backend or shared > 1 or self._cost < SMALL:
            images(0, len(given))
        else:
            run(images, row_blocks(len(given), len(given) * self._cost, workers), workers)
        return all(map(isfinite, sums))

    def _image(
        self,
        image: Array,
        result: Array,
        source: _Side,
        target: _Side,
        multiply: Callable[[Array, Array, Array], None],
        backend: bool,
        workers: int,
    ) -> float:
        """Transform an image at the source's places, multiply, gather from the target's.

        Returns
        -------
        float
            Not finite if a pixel of the result is not.
        """
        parts, point = self._weights.dtype, (2, self._lanes)
        p0, p1 = self._down.length, self._along.length
        stride = max(side.row_phases * side.width for side in (source, target))
        sums: list[float] = []

        def analyse(start: int, stop: int) -> None:
            count, first = stop - start, start * self._columns
            with Borrowed(parts, (count * source.row_phases, p0, *point)) as (points,):
                spectral.gather_rows(image, source.rows, first, points.reshape(count, -1, *point))
                self._down.forward(points, backend)
                spectral.to_frequencies(
                    points, self._order, first, source.width, source.row_phases, spectra
                )

        def between(start: int, stop: int) -> None:
            count, rows = stop - start, spectra[start:stop]
            lines = [count * side.row_phases * side.column_phases for side in (source, target)]
            shapes = [(n, p1, *point) for n in lines]
            with Borrowed(parts, *shapes) as (points, products):
                spectral.gather_columns(
                    rows, source.width, source.row_phases, source.columns, points
                )
                self._along.forward(points, backend)
                multiply(points, self._weights[start:stop], products)
                self._along.inverse(products, backend)
                spectral.scatter_columns(
                    products,
                    *target.column_places,
                    self._scale,
                    target.width,
                    target.row_phases,
                    rows,
                )

        def synthesise(start: int, stop: int) -> None:
            count, first = stop - start, start * self._columns
            with Borrowed(parts, (count * target.row_phases, p0, *point)) as (points,):
                spectral.from_frequencies(
                    spectra, self._order, first, target.width, target.row_phases, points
                )
                self._down.inverse(points, backend)
                flat = points.reshape(count, -1, *point)
                sums.append(spectral.scatter_rows(flat, *target.row_places, first, result))

        with Borrowed(parts, (self._groups, stride, *point)) as (spectra,):
            for step, lines, points_of_line, least in (
                (analyse, source.blocks, source.row_phases * p0, WIDE),
                (between, self._groups, self._weights.shape[1] * p1, 1),
                (synthesise, target.blocks, target.row_phases * p0, WIDE),
            ):
                run(step, _blocks(lines, points_of_line * 2 * BYTES, least, workers), workers)
        return sum(sums)


def _add(points: Array, weights: Array, total: Array) -> None:
    spectral.add_products(points, weights, total)


def _spread(total: Array, weights: Array, points: Array) -> None:
    spectral.spread_products(total, weights, points)


def _add_and_spread(points: Array, weights: Array, products: Array) -> None:
    total = np.empty((len(weights), *points.shape[1:]), points.dtype)
    spectral.add_products(points, weights, total)
    spectral.spread_products(total, weights, products)


def _blocks(lines: int, size: int, least: int, workers: int) -> Blocks:
    """Split lines of `size` bytes into even blocks of about `BLOCK` bytes, as many a thread.

    A block has about the `least` number of lines, too.
    """
    count = max(1, round(lines * size / max(BLOCK, least * size)))
    count = min(lines, -(-count // workers) * workers)
    if count == 1:
        return [(0, lines)]
    edges = [lines * k // count for k in range(count + 1)]
    return list(pairwise(edges))


def _low_split(outputs: int, places: int) -> Split:
    """The low-resolution axis, padded with zeros."""
    pixel = np.full((1, places), OUTSIDE)
    pixel[0, :outputs] = np.arange(outputs)
    return Split(pixel, 0, outputs)
