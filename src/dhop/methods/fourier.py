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
from dhop.model.axis import Split
from dhop.model.boundary import OUTSIDE
from dhop.model.geometry import Model
from dhop.model.relations import Index
from dhop.runtime.parallel import row_blocks, run, threads

Array = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
Phase: TypeAlias = tuple[int, ...]

LARGE = 2**21  # numbers of a batch that are transformed at a time
POINT = 1.0  # nanoseconds to multiply a point


class FourierPlan(Plan):
    """Transform each phase of the image, multiply and add, transform back the one small image.

    As `dhop.methods.fft.FftPlan`, which has two axes and transforms of its own: decimation is in
    the phases, so that no transform is longer than the low-resolution image and its margin, and an
    axis that repeats itself has none. Axes are transformed one after the other, each continued just
    before and cut just after, so that no line of zeros is transformed.

    Workspace: the spectra of some phases of the image, and their sum.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        self._cost = cost.fft(model, dtype)
        axes = model.axes[1:] if model.is_line else model.axes
        self._pixels = tuple(axis.size for axis in axes)
        self._outputs = tuple(axis.outputs for axis in axes)
        self._real = dtype.kind != "c"
        self._splits = [transform_split(axis) for axis in axes]
        self._lengths = tuple(split.pixel.shape[1] for split in self._splits)
        taps = model.taps.astype(dtype).reshape([axis.taps for axis in axes])
        phases = product(*(range(len(split.pixel)) for split in self._splits))
        self._spectra = {phase: self._spectrum(taps, phase) for phase in phases}

    def _spectrum(self, taps: Array, phase: Phase) -> Array:
        """That of the taps of a phase, by which the phase of the image is multiplied."""
        steps = zip(phase, self._splits, strict=True)
        some = taps[tuple(slice(p, None, len(split.pixel)) for p, split in steps)]
        placed = np.zeros(self._lengths, np.result_type(taps, np.float64))
        places = [np.arange(n) % size for n, size in zip(some.shape, self._lengths, strict=True)]
        np.add.at(placed, np.ix_(*places), some.conj())
        found = (fft.rfftn if self._real else fft.fftn)(placed).conj()
        return np.asarray(found.astype(np.result_type(taps, np.complex64)))

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        count = threads(self._cost, workers)
        for images, results in self._parts(x, out, self._pixels, self._outputs):
            total: Any = None
            for phase, points in self._analysed(images, (), count, workers):
                if total is None:
                    total = _multiplied(points, self._spectra[phase], points, workers)
                else:
                    total += _multiplied(points, self._spectra[phase], points, workers)
            for axis, size in enumerate(self._outputs):
                total = self._back(total, axis, count)[_along(axis, slice(size))]
            _copy(total, results, workers)
        return bool(np.isfinite(out.sum()))

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        count = threads(self._cost, workers)
        for images, results in self._parts(y, out, self._outputs, self._pixels):
            given = images
            for axis in reversed(range(len(self._outputs))):
                given = self._there(given, axis, count, given is not images)
            alone = given if len(self._spectra) == 1 else None  # is not needed again

            def synthesised(
                axes: int, phase: Phase, given: Array = given, alone: Array | None = alone
            ) -> Array:
                """The product for a phase of the other axes, with so many axes in pixels."""
                if axes == 0:
                    return _multiplied(given, self._spectra[phase], alone, workers, adjoint=True)
                axis = axes - 1
                parts = [
                    self._back(synthesised(axis, (p, *phase)), axis, count)
                    for p in range(len(self._splits[axis].pixel))
                ]
                return _gathered(parts, self._splits[axis], axis)

            _copy(synthesised(len(self._pixels), ()), results, workers)
        return bool(np.isfinite(out.sum()))

    def _parts(
        self, x: Array, out: Array, given: Shape, wanted: Shape
    ) -> Iterator[tuple[Array, Array]]:
        """Some images at a time, and their results."""
        images, results = x.reshape(-1, *given), out.reshape(-1, *wanted)
        count = max(1, LARGE // prod(self._lengths))
        for start in range(0, len(images), count):
            yield images[start : start + count], results[start : start + count]

    def _analysed(
        self, images: Array, phase: Phase, count: int, workers: int | None
    ) -> Iterator[tuple[Phase, Array]]:
        """The spectra of all phases of the axes that are left, the last one first."""
        axis = len(self._splits) - len(phase) - 1
        if axis < 0:
            yield phase, images
            return
        for p in range(len(self._splits[axis].pixel)):
            placed = _placed(images, self._splits[axis], p, axis, workers)
            points = self._there(placed, axis, count, placed.dtype.kind == "c")
            yield from self._analysed(points, (p, *phase), count, workers)

    def _there(self, images: Array, axis: int, count: int, overwrite: bool = False) -> Array:
        """Transform an axis, with zeros behind it as far as the transform is longer.

        It may write into them with `overwrite`.
        """
        real = self._real and axis == len(self._lengths) - 1
        transform = fft.rfft if real else fft.fft
        size = self._lengths[axis]
        return np.asarray(transform(images, size, axis + 1, overwrite_x=overwrite, workers=count))

    def _back(self, points: Array, axis: int, count: int) -> Array:
        real = self._real and axis == len(self._lengths) - 1
        transform = fft.irfft if real else fft.ifft
        size = self._lengths[axis]
        return np.asarray(transform(points, size, axis + 1, overwrite_x=True, workers=count))


def _along(axis: int, part: Any) -> tuple[Any, ...]:
    """An index for an axis of images, which come one after the other."""
    return (slice(None),) * (axis + 1) + (part,)


def _multiplied(
    points: Array, spectrum: Array, out: Array | None, workers: int | None, adjoint: bool = False
) -> Array:
    """Points times a spectrum, or its conjugate, by several threads; into `out` if it is given."""
    found = np.empty(points.shape, points.dtype) if out is None else out
    lines = points.reshape(len(points), spectrum.shape[0], -1)
    others, results = spectrum.reshape(len(spectrum), -1), found.reshape(lines.shape)

    def part(start: int, stop: int) -> None:
        some = others[start:stop].conj() if adjoint else others[start:stop]
        np.multiply(lines[:, start:stop], some, out=results[:, start:stop])

    run(part, row_blocks(len(others), POINT * points.size, workers), workers)
    return found


def _run(pixel: Index) -> tuple[slice, slice] | None:
    """Places and pixels of a phase that has nothing but zeros beside them, if that is so."""
    used = np.flatnonzero(pixel != OUTSIDE)
    if not used.size:
        return slice(0), slice(0)
    first, last = int(used[0]), int(used[-1]) + 1
    steps = np.diff(pixel[first:last])
    step = int(steps[0]) if steps.size else 1
    if step < 1 or (steps != step).any():
        return None
    return slice(first, last), slice(int(pixel[first]), int(pixel[last - 1]) + 1, step)


def _copy(source: Array, target: Array, workers: int | None) -> None:
    """Copy images by several threads."""

    def part(start: int, stop: int) -> None:
        target[:, start:stop] = source[:, start:stop]

    run(part, row_blocks(target.shape[1], POINT * target.size, workers), workers)


def _placed(images: Array, split: Split, phase: int, axis: int, workers: int | None) -> Array:
    """The places of one phase of an axis, with what lies beyond the ends of the image."""
    pixel = split.pixel[phase]
    found = _run(pixel)
    if found is None:
        placed = images.take(pixel.clip(0), axis + 1)
        placed[_along(axis, pixel == OUTSIDE)] = 0
        return placed
    place, source = found
    shape = list(images.shape)
    shape[axis + 1] = pixel.size
    placed = np.zeros(shape, images.dtype)
    _copy(images[_along(axis, source)], placed[_along(axis, place)], workers)
    return placed


def _gathered(parts: list[Array], split: Split, axis: int) -> Array:
    """What stands at all places of each pixel of an axis, added up; a part for each phase."""
    start, member = split.by_pixel
    counts = np.diff(start)
    runs = [_run(pixel) for pixel in split.pixel]
    shape = list(parts[0].shape)
    shape[axis + 1] = split.size
    if (counts == 1).all() and all(runs):
        if len(parts) == 1:
            return parts[0][_along(axis, runs[0][0])]  # type: ignore[index]
        found = np.empty(shape, parts[0].dtype)
        for part, (places, pixels) in zip(parts, filter(None, runs), strict=True):
            found[_along(axis, pixels)] = part[_along(axis, places)]
        return found
    taken = np.concatenate(parts, axis + 1).take(member, axis + 1)
    if (counts == 1).all():
        return taken
    found = np.zeros(shape, taken.dtype)
    seen = counts > 0
    if seen.any():
        found[_along(axis, seen)] = np.add.reduceat(taken, start[:-1][seen], axis + 1)
    return found
