"""The Fourier method for lines and for volumes, by transforms of `scipy.fft`."""

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.methods import Plan, cost
from dhop.methods.lengths import transform_split
from dhop.model.boundary import OUTSIDE
from dhop.model.geometry import Model
from dhop.model.relations import Index
from dhop.runtime.parallel import threads

Array = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]

LARGE = 2**21  # numbers of a batch that are transformed at a time


class FourierPlan(Plan):
    """Transform each phase of the image, multiply and add, transform back the one small image.

    As `dhop.methods.fft.FftPlan`, which has two axes and transforms of its own: decimation is in
    the phases, so that no transform is larger than the low-resolution image and its margin, and an
    axis that repeats itself has none. All products of phases go through spectra of half the
    frequencies where numbers are real.

    Workspace: one phase of the continued image, and its spectrum and the sum of these.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        self._cost = cost.fft(model, dtype)
        axes = model.axes[1:] if model.is_line else model.axes
        self._pixels = tuple(axis.size for axis in axes)
        self._outputs = tuple(axis.outputs for axis in axes)
        self._splits = [transform_split(axis) for axis in axes]
        self._lengths = tuple(split.pixel.shape[1] for split in self._splits)
        self._phases = list(product(*(range(len(split.pixel)) for split in self._splits)))
        real = dtype.kind != "c"
        self._there, self._here = (fft.rfftn, fft.irfftn) if real else (fft.fftn, fft.ifftn)
        self._over = tuple(range(-len(axes), 0))
        taps = model.taps.astype(dtype).reshape([axis.taps for axis in axes])
        self._spectra = [self._spectrum(taps, phase) for phase in self._phases]

    def _spectrum(self, taps: Array, phase: tuple[int, ...]) -> Array:
        """That of the taps of a phase, by which the phase of the image is multiplied."""
        steps = zip(phase, self._splits, strict=True)
        some = taps[tuple(slice(p, None, len(split.pixel)) for p, split in steps)]
        placed = np.zeros(self._lengths, np.result_type(taps, np.float64))
        places = [
            np.arange(size) % length for size, length in zip(some.shape, self._lengths, strict=True)
        ]
        np.add.at(placed, np.ix_(*places), some.conj())
        found = self._there(placed).conj()
        return np.asarray(found.astype(np.result_type(taps, np.complex64)))

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        for images, results in self._parts(x, out, self._pixels, self._outputs):
            total = None
            for phase, spectrum in zip(self._phases, self._spectra, strict=True):
                points = self._transform(self._placed(images, phase), workers)
                points *= spectrum
                total = points if total is None else np.add(total, points, out=total)
            self._back(total, results, workers)
        return bool(np.isfinite(out.sum()))

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        whole = tuple(len(split.pixel) for split in self._splits)
        for images, results in self._parts(y, out, self._outputs, self._pixels):
            padded = np.zeros((len(images), *self._lengths), y.dtype)
            padded[(slice(None), *map(slice, self._outputs))] = images
            given = self._transform(padded, workers)
            phases = np.empty((*whole, *padded.shape), y.dtype)
            for phase, spectrum in zip(self._phases, self._spectra, strict=True):
                self._back(given * spectrum.conj(), phases[phase], workers)
            results[:] = self._gathered(phases)
        return bool(np.isfinite(out.sum()))

    def _parts(
        self, x: Array, out: Array, given: Shape, wanted: Shape
    ) -> Iterator[tuple[Array, Array]]:
        """Some images at a time, and their results."""
        images, results = x.reshape(-1, *given), out.reshape(-1, *wanted)
        count = max(1, LARGE // prod(self._lengths))
        for start in range(0, len(images), count):
            yield images[start : start + count], results[start : start + count]

    def _transform(self, images: Array, workers: int | None) -> Array:
        return np.asarray(self._there(images, axes=self._over, workers=self._threads(workers)))

    def _back(self, points: Any, results: Array, workers: int | None) -> None:
        """Transform back, as much of it as there is room for."""
        found = self._here(points, self._lengths, self._over, workers=self._threads(workers))
        results[:] = found[tuple(map(slice, results.shape))]

    def _threads(self, workers: int | None) -> int:
        return threads(self._cost, workers)

    def _placed(self, images: Array, phase: tuple[int, ...]) -> Array:
        """The places of one phase, continued past the ends of the image."""
        pixels = [split.pixel[p] for split, p in zip(self._splits, phase, strict=True)]
        runs = [_run(pixel) for pixel in pixels]
        if all(runs):  # nothing but zeros around some pixels: they are copied once
            placed = np.zeros((len(images), *self._lengths), images.dtype)
            to, source = zip(*runs, strict=True)
            placed[(slice(None), *to)] = images[(slice(None), *source)]
            return placed
        for axis, pixel in enumerate(pixels, 1):
            images = images.take(pixel.clip(0), axis)
            images[(slice(None),) * axis + (pixel == OUTSIDE,)] = 0
        return images

    def _gathered(self, phases: Array) -> Array:
        """What stands at all places of each pixel, added up."""
        ndim = len(self._splits)
        order = [ndim, *(k for axis in range(ndim) for k in (axis, ndim + 1 + axis))]
        shape = [split.pixel.size for split in self._splits]
        whole = phases.transpose(order).reshape(-1, *shape)
        for axis, split in enumerate(self._splits, 1):
            start, member = split.by_pixel
            taken, seen = whole.take(member, axis), np.diff(start) > 0
            if member.size == split.size == np.count_nonzero(seen):
                whole = taken
                continue
            sizes = [*whole.shape[:axis], split.size, *whole.shape[axis + 1 :]]
            whole = np.zeros(sizes, phases.dtype)
            if seen.any():
                sums = np.add.reduceat(taken, start[:-1][seen], axis)
                whole[(slice(None),) * axis + (seen,)] = sums
        return whole


def _run(pixel: Index) -> tuple[slice, slice] | None:
    """Places and pixels of a phase that has nothing else but zeros, if that is so."""
    used = np.flatnonzero(pixel != OUTSIDE)
    if not used.size:
        return slice(0, 0), slice(0, 0)
    place = slice(int(used[0]), int(used[-1]) + 1)
    steps = np.diff(pixel[place])
    step = int(steps[0]) if steps.size else 1
    if step < 1 or (steps != step).any():
        return None
    return place, slice(int(pixel[used[0]]), int(pixel[used[-1]]) + 1, step)
