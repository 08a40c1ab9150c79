"""The Fourier method for lines, by transforms of `scipy.fft`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.methods import Plan, cost
from dhop.methods.transform_lengths import transform_split
from dhop.methods.transforms import backend_is_set
from dhop.model.axis import Split
from dhop.model.boundary import OUTSIDE
from dhop.model.geometry import Model
from dhop.model.relations import Index
from dhop.runtime.parallel import row_blocks, run

Array = NDArray[Any]


class LineFftPlan(Plan):
    """Transform each phase of a line, multiply and add, transform back the one short line.

    Decimation is in the phases, as in `dhop.methods.fft.FftPlan`: no transform is longer than the
    low-resolution line and its margin. Threads share the lines.

    Workspace: the spectra of a phase of some lines, and their sum.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        axis = model.columns
        self.model = model
        self._cost = cost.fft(model, dtype)
        self._real = dtype.kind != "c"
        self._split = transform_split(axis)
        phases, self._length = self._split.pixel.shape
        taps = model.taps.astype(dtype).ravel()
        self._spectra = [self._spectrum(taps[p::phases]) for p in range(phases)]

    def _spectrum(self, taps: Array) -> Array:
        """Of the taps of a phase, by which the spectrum of the phase is multiplied."""
        placed = np.zeros(self._length, np.result_type(taps, np.float64))
        np.add.at(placed, np.arange(taps.size) % self._length, taps.conj())
        return np.asarray(self._there(placed).conj().astype(np.result_type(taps, np.complex64)))

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        axis = self.model.columns

        def product(lines: Array) -> Array:
            total = self._there(_placed(lines, self._split.pixel[0]))
            total *= self._spectra[0]
            for pixel, spectrum in zip(self._split.pixel[1:], self._spectra[1:], strict=True):
                total += self._there(_placed(lines, pixel)) * spectrum
            return self._back(total)[:, : axis.outputs]

        return self._apply(product, x.reshape(-1, axis.size), out, workers)

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        axis = self.model.columns

        def product(lines: Array) -> Array:
            points = self._there(lines)
            parts = [self._back(points * spectrum.conj()) for spectrum in self._spectra]
            return _gathered(parts, self._split)

        return self._apply(product, y.reshape(-1, axis.outputs), out, workers)

    def _apply(
        self, product: Callable[[Array], Array], lines: Array, out: Array, workers: int | None
    ) -> bool:
        results = out.reshape(len(lines), -1)

        def some(start: int, stop: int) -> None:
            results[start:stop] = product(lines[start:stop])

        workers = 1 if backend_is_set() else workers  # perhaps for this thread alone
        run(some, row_blocks(len(lines), self._cost * len(lines), workers), workers)
        return bool(np.isfinite(out.sum()))

    def _there(self, lines: Array) -> Array:
        """Transform lines, padded with zeros to the length."""
        return np.asarray((fft.rfft if self._real else fft.fft)(lines, self._length))

    def _back(self, points: Array) -> Array:
        transform = fft.irfft if self._real else fft.ifft
        return np.asarray(transform(points, self._length))


def _run(pixel: Index) -> tuple[slice, slice] | None:
    """Places and pixels of a phase if both are slices, with zeros elsewhere; else None."""
    used = np.flatnonzero(pixel != OUTSIDE)
    if not used.size:
        return slice(0), slice(0)
    first, last = int(used[0]), int(used[-1]) + 1
    steps = np.diff(pixel[first:last])
    step = int(steps[0]) if steps.size else 1
    if step < 1 or (steps != step).any():
        return None
    return slice(first, last), slice(int(pixel[first]), int(pixel[last - 1]) + 1, step)


def _placed(lines: Array, pixel: Index) -> Array:
    """The places of one phase of the continued lines."""
    found = _run(pixel)
    if found is None:
        placed = lines.take(pixel.clip(0), 1)
        placed[:, pixel == OUTSIDE] = 0
        return placed
    places, pixels = found
    placed = np.zeros((len(lines), pixel.size), lines.dtype)
    placed[:, places] = lines[:, pixels]
    return placed


def _gathered(parts: list[Array], split: Split) -> Array:
    """The sum of all places of each pixel, from a part for each phase."""
    start, member = split.by_pixel
    counts = np.diff(start)
    runs = [_run(pixel) for pixel in split.pixel]
    found = np.zeros((len(parts[0]), split.size), parts[0].dtype)
    if (counts == 1).all() and all(runs):
        for part, (places, pixels) in zip(parts, filter(None, runs), strict=True):
            found[:, pixels] = part[:, places]
        return found
    taken = np.concatenate(parts, 1).take(member, 1)
    seen = counts > 0
    if seen.any():
        found[:, seen] = np.add.reduceat(taken, start[:-1][seen], 1)
    return found
