"""The Fourier method: a strided convolution is a sum of small circular ones over the phases."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.geometry import Axis, Index, Model, Split
from dhop.kernels import spectral
from dhop.methods import NotFiniteError, cost, is_finite
from dhop.parallel import row_blocks, run, threads

Array = NDArray[Any]


class FftPlan:
    """Transform the phase images, multiply and add, transform back the one small image.

    Decimation is in the phases, so that no transform is larger than the low-resolution image and
    its margin. Where the boundary is ``"wrap"`` and a phase of the image has a length that
    transforms well, the transform is as long and there is no margin.

    Workspace: the continued image and its spectra, twice the size of the image.
    """

    faithful = False

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        self.real = dtype.kind != "c"
        self._rows, self._columns = (
            _transform_split(axis, self.real) for axis in (model.rows, model.columns)
        )
        self._cost = cost.fft(model, dtype)
        weights = model.taps.astype(dtype)
        (f0, p0), (f1, p1) = self._rows.pixel.shape, self._columns.pixel.shape
        phases = np.zeros((f0, f1, p0, p1), np.result_type(dtype, np.float64))
        u0, u1 = np.indices(weights.shape)
        np.add.at(phases, (u0 % f0, u1 % f1, u0 // f0 % p0, u1 // f1 % p1), weights)
        spectra = self._transform(phases.conj(), None).conj()
        self._weights = spectra.astype(np.result_type(dtype, np.complex64)).reshape(
            f0 * f1, *spectra.shape[2:]
        )

    def forward(self, x: Array, out: Array, workers: int | None) -> None:
        rows, columns = self._rows, self._columns
        (f0, p0), (f1, p1) = rows.pixel.shape, columns.pixel.shape
        touching = cost.TOUCH * f0 * p0 * f1 * p1
        phases = np.empty((f0, f1, p0, p1), x.dtype)
        for image, result in zip(x, out, strict=True):
            constants = image, rows.pixel, columns.pixel, columns.inner
            blocks = row_blocks(f0 * p0, touching, workers)
            run(lambda i, j, c=constants: spectral.split_image(*c, i, j, phases), blocks, workers)
            spectra = self._transform(phases, workers)
            spectra = spectra.reshape(f0 * f1, *spectra.shape[2:])
            total = np.empty(spectra.shape[1:], spectra.dtype)
            lines = row_blocks(p0, touching, workers)
            run(
                lambda i, j, s=spectra, t=total: spectral.add_products(s, self._weights, i, j, t),
                lines,
                workers,
            )
            m0, m1 = result.shape
            result[:] = self._inverse(total, workers)[:m0, :m1]
            if not is_finite(result):
                raise NotFiniteError

    def adjoint(self, y: Array, out: Array, workers: int | None) -> None:
        rows, columns = self._rows, self._columns
        (f0, p0), (f1, p1) = rows.pixel.shape, columns.pixel.shape
        touching = cost.TOUCH * f0 * p0 * f1 * p1
        padded = np.zeros((p0, p1), y.dtype)
        for image, result in zip(y, out, strict=True):
            padded[: image.shape[0], : image.shape[1]] = image
            spectrum = self._transform(padded, workers)
            spectra = np.empty_like(self._weights)
            lines = row_blocks(p0, touching, workers)
            run(
                lambda i, j, s=spectrum, t=spectra: spectral.spread_products(
                    s, self._weights, i, j, t
                ),
                lines,
                workers,
            )
            phases = self._inverse(spectra, workers).reshape(f0, f1, p0, p1)
            constants = phases, *rows.by_pixel, *columns.by_pixel, columns.single
            blocks = row_blocks(result.shape[0], touching, workers)
            run(
                lambda i, j, c=constants, r=result: spectral.fold_image(*c, i, j, r),
                blocks,
                workers,
            )
            if not is_finite(result):
                raise NotFiniteError

    def _transform(self, images: Array, workers: int | None) -> Array:
        transform = fft.rfft2 if self.real else fft.fft2
        columns = images.shape[-1] // 2 + 1 if self.real else images.shape[-1]
        dtype = np.result_type(images.dtype, np.complex64)
        return self._each(transform, images, (images.shape[-2], columns), dtype, workers)

    def _inverse(self, spectra: Array, workers: int | None) -> Array:
        shape = self._rows.pixel.shape[1], self._columns.pixel.shape[1]
        if not self.real:
            return self._each(fft.ifft2, spectra, shape, spectra.dtype, workers)
        dtype = spectra.real.dtype
        return self._each(lambda each: fft.irfft2(each, shape), spectra, shape, dtype, workers)

    def _each(
        self,
        transform: Callable[[Array], Array],
        images: Array,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        workers: int | None,
    ) -> Array:
        """Transform each image on one thread: the bits of `scipy.fft` depend on its workers."""
        results = np.empty((*images.shape[:-2], *shape), dtype)

        def one(k: int) -> None:
            index = np.unravel_index(k, images.shape[:-2])
            results[index] = transform(images[index])

        count = int(np.prod(images.shape[:-2]))
        run(one, [(k,) for k in range(count)], threads(self._cost, workers))
        return results


def _transform_split(axis: Axis, real: bool) -> Split:
    """The split of a continued axis into phases of the length to transform."""
    if axis.boundary == "wrap" and axis.size % axis.factor == 0:
        places = axis.size // axis.factor
        if fft.next_fast_len(places, real=real) == places:
            return Split.of(axis, axis.continued(axis.size), places)
    extended: Index = axis.extended
    places = fft.next_fast_len(axis.split.pixel.shape[1], real=real)
    return Split.of(axis, extended, places)
