"""The Fourier method: a strided convolution is a sum of small circular ones over the phases."""

from cmath import isfinite
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.geometry import Axis, Model, Split
from dhop.kernels import spectral
from dhop.methods import cost
from dhop.parallel import run, threads

Array = NDArray[Any]
Blocks = list[tuple[int, int]]

BLOCK = (
    2**20
)  # bytes that are transformed at a time; more blocks cost more in handing over than they gain


class FftPlan:
    """Transform the phase images, multiply and add, transform back the one small image.

    Decimation is in the phases, so that no transform is larger than the low-resolution image and
    its margin. Where the boundary is ``"wrap"`` and a phase of the image has a length that
    transforms well, the transform is as long and there is no margin.

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
        rows, columns = self._rows, self._columns
        (f0, p0), (f1, p1) = rows.pixel.shape, columns.pixel.shape
        workers = threads(self._cost, workers)
        sources = rows.pixel.ravel()
        spectra = np.empty((f0 * p0, *self._weights.shape[2:]), self._weights.dtype)
        m0, m1 = out.shape[1:]
        sums: list[Any] = []
        low = np.empty((m0, spectra.shape[2]), spectra.dtype)

        for image, result in zip(x, out, strict=True):

            def rows_in(start: int, stop: int, image: Array = image) -> None:
                lines = np.empty((stop - start, f1, p1), x.dtype)
                tables = sources[start:stop], columns.pixel, columns.inner
                spectral.split_rows(image, *tables, lines)
                spectra[start:stop] = self._transform(lines)

            def between(start: int, stop: int) -> None:
                phases = spectra[:, :, start:stop].reshape(f0, p0, f1, stop - start)
                total = np.empty((p0, stop - start), spectra.dtype)
                spectral.add_products(fft.fft(phases, axis=1), self._weights, start, total)
                low[:, start:stop] = fft.ifft(total, axis=0, overwrite_x=True)[:m0]

            def rows_out(start: int, stop: int, result: Array = result) -> None:
                result[start:stop] = self._inverse(low[start:stop])[:, :m1]
                sums.append(_sum(result[start:stop]))

            run(rows_in, _blocks(f0 * p0, self._row_size), workers)
            run(between, self._column_blocks, workers)
            run(rows_out, _blocks(m0, low[0].nbytes), workers)
        return all(map(isfinite, sums))

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        rows, columns = self._rows, self._columns
        (f0, p0), f1 = rows.pixel.shape, len(columns.pixel)
        workers = threads(self._cost, workers)
        spectra = np.empty((f0, p0, *self._weights.shape[2:]), self._weights.dtype)
        m0 = y.shape[1]
        sums: list[Any] = []
        low = np.empty((m0, spectra.shape[3]), spectra.dtype)

        for image, result in zip(y, out, strict=True):

            def rows_in(start: int, stop: int, image: Array = image) -> None:
                low[start:stop] = self._transform(image[start:stop])

            def between(start: int, stop: int) -> None:
                total = fft.fft(low[:, start:stop], p0, axis=0)
                phases = np.empty((f0, p0, f1, stop - start), spectra.dtype)
                spectral.spread_products(total, self._weights, start, phases)
                spectra[..., start:stop] = fft.ifft(phases, axis=1, overwrite_x=True)

            def rows_out(start: int, stop: int, result: Array = result) -> None:
                places = np.empty((stop - start, *spectra.shape[2:]), spectra.dtype)
                spectral.sum_places(
                    spectra.reshape(f0 * p0, -1), *rows.by_pixel, start,
                    places.reshape(stop - start, -1),
                )  # fmt: skip
                lines = self._inverse(places)
                tables = *columns.by_pixel, columns.single
                spectral.fold_rows(lines, *tables, result[start:stop])
                sums.append(_sum(result[start:stop]))

            run(rows_in, _blocks(m0, low[0].nbytes), workers)
            run(between, self._column_blocks, workers)
            run(rows_out, _blocks(result.shape[0], self._row_size), workers)
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
