"""The Fourier method: a strided convolution is a sum of small circular ones over the phases."""

from cmath import isfinite
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.geometry import Axis, Model, Split
from dhop.kernels import spectral
from dhop.methods import Plan, cost
from dhop.parallel import run, threads

Array = NDArray[Any]
Blocks = list[tuple[int, int]]

BLOCK = (
    2**20
)  # bytes that are transformed at a time; more blocks cost more in handing over than they gain


class FftPlan(Plan):
    """Transform the phase images, multiply and add, transform back the one small image.

    Decimation is in the phases, so that no transform is larger than the low-resolution image and
    its margin. Where the boundary is ``"wrap"`` and a phase of the image has a length that
    transforms well, the transform is as long and there is no margin; then the two products of the
    normal equations are one round trip.

    Rows are transformed a block at a time, as they are split or before they are folded; columns a
    block at a time, with everything that happens between their two transforms. The blocks are the
    same for any number of workers, since the rounding of `scipy.fft` may depend on the block.

    Workspace: the spectra, twice the size of the image.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        self.real = dtype.kind != "c"
        self._rows, self._columns = (
            _transform_split(axis, self.real) for axis in (model.rows, model.columns)
        )
        self._whole = all(
            split.pixel.shape[1] == axis.outputs
            for split, axis in ((self._rows, model.rows), (self._columns, model.columns))
        )
        self._cost = cost.fft(model, dtype)
        weights = model.taps.astype(dtype)
        (f0, p0), (f1, p1) = self._rows.pixel.shape, self._columns.pixel.shape
        phases = np.zeros((f0, p0, f1, p1), np.result_type(dtype, np.float64))
        u0, u1 = np.indices(weights.shape)
        np.add.at(phases, (u0 % f0, u0 // f0 % p0, u1 % f1, u1 // f1 % p1), weights)
        spectra = fft.fft(self._transform(phases.conj()), axis=1).conj()
        self._weights = spectra.astype(np.result_type(dtype, np.complex64))
        numbers = spectra.shape[-1]
        self._row_size = f1 * numbers * self._weights.itemsize
        self._column_blocks = _blocks(numbers, f0 * p0 * f1 * self._weights.itemsize)

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        workers = threads(self._cost, workers)
        p0 = self._rows.pixel.shape[1]
        m0, m1 = out.shape[1:]
        spectra = np.empty_like(self._weights)
        low = np.empty((m0, spectra.shape[3]), spectra.dtype)
        sums: list[Any] = []

        def between(start: int, stop: int) -> None:
            total = np.empty((p0, stop - start), spectra.dtype)
            phases = fft.fft(spectra[..., start:stop], axis=1)
            spectral.add_products(phases, self._weights, start, total)
            low[:, start:stop] = fft.ifft(total, axis=0, overwrite_x=True)[:m0]

        for image, result in zip(x, out, strict=True):

            def rows_out(start: int, stop: int, result: Array = result) -> None:
                result[start:stop] = self._inverse(low[start:stop])[:, :m1]
                sums.append(_sum(result[start:stop]))

            self._split(image, spectra, workers)
            run(between, self._column_blocks, workers)
            run(rows_out, _blocks(m0, low[0].nbytes), workers)
        return all(map(isfinite, sums))

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        workers = threads(self._cost, workers)
        p0, m0 = self._rows.pixel.shape[1], y.shape[1]
        spectra = np.empty_like(self._weights)
        low = np.empty((m0, spectra.shape[3]), spectra.dtype)
        reliable = True

        def between(start: int, stop: int) -> None:
            total = fft.fft(low[:, start:stop], p0, axis=0)
            phases = np.empty((*spectra.shape[:3], stop - start), spectra.dtype)
            spectral.spread_products(total, self._weights, start, phases)
            spectra[..., start:stop] = fft.ifft(phases, axis=1, overwrite_x=True)

        for image, result in zip(y, out, strict=True):

            def rows_in(start: int, stop: int, image: Array = image) -> None:
                low[start:stop] = self._transform(image[start:stop])

            run(rows_in, _blocks(m0, low[0].nbytes), workers)
            run(between, self._column_blocks, workers)
            reliable &= self._fold(spectra, result, workers)
        return reliable

    def gram(self, x: Array, out: Array, workers: int | None) -> bool:
        """Without margins nothing is cut off between the two products: one round trip."""
        if not self._whole:
            return super().gram(x, out, workers)
        workers = threads(2 * self._cost, workers)
        spectra = np.empty_like(self._weights)
        reliable = True

        def between(start: int, stop: int) -> None:
            phases = fft.fft(spectra[..., start:stop], axis=1)
            total = np.empty((phases.shape[1], stop - start), spectra.dtype)
            spectral.add_products(phases, self._weights, start, total)
            spectral.spread_products(total, self._weights, start, phases)
            spectra[..., start:stop] = fft.ifft(phases, axis=1, overwrite_x=True)

        for image, result in zip(x, out, strict=True):
            self._split(image, spectra, workers)
            run(between, self._column_blocks, workers)
            reliable &= self._fold(spectra, result, workers)
        return reliable

    def _split(self, image: Array, spectra: Array, workers: int) -> None:
        """Transform the rows of an image, split into phases."""
        rows, columns = self._rows, self._columns
        lines_out = spectra.reshape(rows.pixel.size, *spectra.shape[2:])

        def block(start: int, stop: int) -> None:
            lines = np.empty((stop - start, *columns.pixel.shape), image.dtype)
            sources = rows.pixel.ravel()[start:stop]
            spectral.split_rows(image, sources, columns.pixel, columns.inner, lines)
            lines_out[start:stop] = self._transform(lines)

        run(block, _blocks(rows.pixel.size, self._row_size), workers)

    def _fold(self, spectra: Array, result: Array, workers: int) -> bool:
        """Transpose of `_split`: every pixel sums its places. Tells whether all are finite."""
        rows, columns = self._rows, self._columns
        lines_in = spectra.reshape(rows.pixel.size, -1)
        sums: list[Any] = []

        def block(start: int, stop: int) -> None:
            places = np.empty((stop - start, *spectra.shape[2:]), spectra.dtype)
            flat = places.reshape(stop - start, -1)
            spectral.sum_places(lines_in, *rows.by_pixel, start, flat)
            tables = *columns.by_pixel, columns.single
            spectral.fold_rows(self._inverse(places), *tables, result[start:stop])
            sums.append(_sum(result[start:stop]))

        run(block, _blocks(len(result), self._row_size), workers)
        return all(map(isfinite, sums))

    def _transform(self, lines: Array) -> Array:
        """Along the rows, padded with zeros to the length of a phase."""
        transform = fft.rfft if self.real else fft.fft
        return np.asarray(transform(lines, self._columns.pixel.shape[1]))

    def _inverse(self, spectra: Array) -> Array:
        if self.real:
            return np.asarray(fft.irfft(spectra, self._columns.pixel.shape[1]))
        return np.asarray(fft.ifft(spectra))


def _sum(pixels: Array) -> Any:
    with np.errstate(all="ignore"):
        return pixels.sum()


def _blocks(lines: int, size: int) -> Blocks:
    """Split lines of `size` bytes into even blocks of about `BLOCK` bytes."""
    count = max(1, min(lines, round(lines * size / BLOCK)))
    edges = [lines * k // count for k in range(count + 1)]
    return list(pairwise(edges))


def _transform_split(axis: Axis, real: bool) -> Split:
    """The split of a continued axis into phases of the length to transform."""
    if axis.boundary == "wrap" and axis.size % axis.factor == 0:
        places = axis.size // axis.factor
        if fft.next_fast_len(places, real=real) == places:
            return Split.of(axis, axis.continued(axis.size), places)
    places = fft.next_fast_len(axis.split.pixel.shape[1], real=real)
    return Split.of(axis, axis.extended, places)
