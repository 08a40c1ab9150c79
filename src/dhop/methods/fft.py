"""The Fourier method: a strided convolution as a sum of circular ones over the phases."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isfinite, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.kernels import spectral
from dhop.kernels.vectors import BYTES
from dhop.methods import Plan, cost
from dhop.methods.transform_lengths import transform_split
from dhop.methods.transforms import Transform, backend_is_set
from dhop.model.axis import Split
from dhop.model.boundary import OUTSIDE
from dhop.model.geometry import Model
from dhop.runtime.parallel import row_blocks, run, threads
from dhop.runtime.workspace import Borrowed

Array = NDArray[Any]
Blocks = list[tuple[int, int]]

BLOCK = 2**20  # bytes of points at a time, about the L2 cache
WIDE = 4  # least blocks of columns: of large images they take less than three times as one
WAKING = 6  # factor on the least work of a thread, which is woken for each step
SPECTRUM = 8.0  # nanoseconds of each number of the transformed PSF
SMALL = 7.5e5  # nanoseconds of an image that is computed by one thread


class _Grid:
    """The places of the pixels, or of the outputs.

    Attributes
    ----------
    planes, rows, columns : ndarray of intp, shape (phases * places,)
        Source pixel of each place, -1 for a zero.
    plane_places, row_places, column_places : Groups
        Places of each pixel.
    row_phases, phases : int
        Of the rows, and of rows and columns together.
    shape : (int, int, int)
        Of the volume; an image is one plane.
    blocks, width : int
        Number of blocks of columns that are transformed side by side, and of columns in them, the
        last block filled.
    """

    def __init__(self, splits: Sequence[Split], columns_of_block: int) -> None:
        self.planes, self.rows, self.columns = (split.pixel.ravel() for split in splits)
        self.plane_places, self.row_places, self.column_places = (s.by_pixel for s in splits)
        _, self.row_phases, column_phases = (len(split.pixel) for split in splits)
        self.phases = self.row_phases * column_phases
        planes, rows, columns = (split.size for split in splits)
        self.shape = planes, rows, columns
        self.blocks = -(-columns // columns_of_block)
        self.width = self.blocks * columns_of_block


class _Product(NamedTuple):
    """From spectra at the places of `source` to those of `target`; the kernel multiplies."""

    source: _Grid
    target: _Grid
    multiply: Callable[[Array, Array, Array], object]


class FftPlan(Plan):
    """Transform the phase images, multiply and add, transform back the one small image.

    Decimation is in the phases, so that no transform is larger than the low-resolution image and
    its margin. With the boundary ``"wrap"`` and a smooth length there is no margin; then the two
    products of the normal equations are one round trip.

    A few columns of the image at a time are split into phases and transformed, then the rows of a
    few frequencies at a time, multiplied and transformed back, then the columns of the result. Of a
    volume this is done plane by plane, with transforms across the planes between those of the rows.

    Workspace: the spectra of the larger image, and per thread up to four times `BLOCK` bytes or
    `WIDE` blocks of columns, the larger; of a volume as well the rows of `lanes` frequencies in all
    planes. See `Borrowed`.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        parts = dtype.type().real.dtype
        self._lanes = BYTES // parts.itemsize
        self._lines = 1 if dtype.kind == "c" else 2  # columns in a lane
        columns_of_block = self._columns = self._lines * self._lanes
        high = [transform_split(axis) for axis in model.volume]
        lengths = [split.pixel.shape[1] for split in high]
        outputs = [axis.outputs for axis in model.volume]
        pixels = _Grid(high, columns_of_block)
        low = _Grid(list(map(_low_split, outputs, lengths)), columns_of_block)
        self._forward = _Product(pixels, low, spectral.add_products)
        self._adjoint = _Product(low, pixels, spectral.spread_products)
        self._gram = _Product(pixels, pixels, _add_and_spread)
        self._whole = lengths == outputs
        self._is_volume = len(model.axes) == 3
        self._cost = cost.fft(model, dtype)
        self._across, self._down, self._along = (Transform(p, parts) for p in lengths)
        p0 = self._down.length
        count = p0 if self._lines == 1 else p0 // 2 + 1
        kept = np.arange(count)
        self._order = np.stack([self._down.places[kept], self._down.places[-kept]], 1)
        self._order = np.ascontiguousarray(self._order[:, : self._lines])
        self._groups = -(-count // self._lanes)
        self._scale = np.array([1 / (prod(lengths) * self._lines)], parts)
        self._weights = self._spectra(model.taps.astype(dtype), [len(s.pixel) for s in high])

    def _spectra(self, weights: Array, factors: list[int]) -> Array:
        """Conjugate transforms of the phases of the reversed PSF, as points in the kernels' order.

        Returns
        -------
        ndarray, shape (groups, phases, p1, 2, lanes), of volumes (groups, p1, phases, p, 2, lanes)
        """
        transforms = self._across, self._down, self._along
        weights = weights.reshape([axis.taps for axis in self.model.volume])
        taps = np.indices(weights.shape)
        place = [u // f % t.length for u, f, t in zip(taps, factors, transforms, strict=True)]
        phase = [u % f for u, f in zip(taps, factors, strict=True)]
        places = [each.max() + 1 for each in place]
        phases = np.zeros((*places, *factors), np.result_type(weights, np.float64))
        np.add.at(phases, (*place, *phase), weights.conj())
        phases = phases.transpose(1, 2, 4, 5, 3, 0)  # the phases of a volume's planes are the last
        down = (fft.fft if self._lines == 1 else fft.rfft)(phases, self._down.length, axis=0)
        p, p1 = self._across.length, self._along.length
        shape = (p1, prod(factors), p) if self._is_volume else (prod(factors), p1)
        points = np.zeros((self._groups, *shape, 2, self._lanes), weights.real.dtype)

        step = max(1, BLOCK // (self._lanes * prod(factors) * p * points.itemsize))

        def of_groups(first: int, end: int) -> None:
            for g, group in enumerate(points[first:end], first):
                rows = down[g * self._lanes :][: self._lanes]
                rows = fft.fft(rows, p1, axis=1).take(self._along.frequencies, 1)
                if not self._is_volume:
                    write(np.moveaxis(rows, 1, -1), group)
                    continue
                for k in range(0, p1, step):
                    some = fft.fft(rows[:, k : k + step], p, axis=5)
                    write(some.take(self._across.frequencies, 5), group[k : k + step])

        def write(some: Array, into: Array) -> None:
            some = np.moveaxis(some, 0, -1)
            some = some.reshape(*into.shape[:-2], -1)
            into[..., 0, : some.shape[-1]] = some.real
            into[..., 1, : some.shape[-1]] = -some.imag

        run(of_groups, row_blocks(self._groups, SPECTRUM * points.size))
        return points

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        return self._apply(self._forward, x, out, workers)

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        return self._apply(self._adjoint, y, out, workers)

    def gram(self, x: Array, out: Array, workers: int | None) -> bool:
        """One round trip if there are no margins to cut off between the two products."""
        if not self._whole:
            return super().gram(x, out, workers)
        return self._apply(self._gram, x, out, workers)

    def _apply(self, product: _Product, x: Array, out: Array, workers: int | None) -> bool:
        """Threads share each image, or if images are small the batch."""
        backend = backend_is_set()  # perhaps for this thread alone
        shared = 1 if backend else threads(self._cost / WAKING, workers)
        sums: list[float] = []
        given = x.reshape(-1, *product.source.shape)
        results = out.reshape(-1, *product.target.shape)

        def images(start: int, stop: int) -> None:
            for pair in zip(given[start:stop], results[start:stop], strict=True):
                sums.append(self._image(product, *pair, backend, shared))

        if backend or shared > 1 or self._cost < SMALL:
            images(0, len(given))
        else:
            run(images, row_blocks(len(given), len(given) * self._cost, workers), workers)
        return all(map(isfinite, sums))

    def _image(
        self, product: _Product, image: Array, result: Array, backend: bool, workers: int
    ) -> float:
        """Transform the places of the source, multiply, transform back, sum those of the target.

        Returns
        -------
        float
            Not finite if a pixel of the result is not.
        """
        source, target, multiply = product
        parts, point = self._weights.dtype, (2, self._lanes)
        p0, p1 = self._down.length, self._along.length
        stride = max(side.row_phases * side.width for side in (source, target))
        depth = max(source.shape[0], target.shape[0])
        sums: list[float] = []

        def analyse(plane: int, start: int, stop: int) -> None:
            count, first = stop - start, start * self._columns
            with Borrowed(parts, (count * source.row_phases, p0, *point)) as (points,):
                into = points.reshape(count, -1, *point)
                spectral.gather_rows(image[plane], source.rows, first, into)
                self._down.forward(points, backend)
                spectral.to_frequencies(
                    points, self._order, plane * stride + first, source.width, source.row_phases,
                    spectra,
                )  # fmt: skip

        def between(start: int, stop: int) -> None:
            rows = spectra[start:stop].reshape(-1, stride, *point)
            given, found = (stop - start) * source.shape[0], (stop - start) * target.shape[0]
            shapes = (given * source.phases, p1, *point), (found * target.phases, p1, *point)
            with Borrowed(parts, *shapes) as (points, products):
                spectral.gather_columns(
                    rows[:given], source.width, source.row_phases, source.columns, points
                )
                self._along.forward(points, backend)
                if self._is_volume:
                    self._planes(product, points, start, products, backend)
                else:
                    multiply(points, self._weights[start:stop], products)
                self._along.inverse(products, backend)
                spectral.scatter_columns(
                    products, *target.column_places, self._scale, target.width, target.row_phases,
                    rows[:found],
                )  # fmt: skip

        def synthesise(plane: int, start: int, stop: int) -> None:
            count, first = stop - start, start * self._columns
            with Borrowed(parts, (count * target.row_phases, p0, *point)) as (points,):
                spectral.from_frequencies(
                    spectra, self._order, plane * stride + first, target.width, target.row_phases,
                    points,
                )  # fmt: skip
                self._down.inverse(points, backend)
                flat = points.reshape(count, -1, *point)
                sums.append(spectral.scatter_rows(flat, *target.row_places, first, result[plane]))

        def by_plane(side: _Grid) -> list[tuple[int, ...]]:
            size = side.row_phases * p0 * 2 * BYTES
            blocks = _blocks(side.blocks, size, WIDE, 1 if self._is_volume else workers)
            return [(plane, *block) for plane in range(side.shape[0]) for block in blocks]

        if self._is_volume:
            groups = [(group, group + 1) for group in range(self._groups)]
        else:
            groups = _blocks(self._groups, self._weights.shape[1] * p1 * 2 * BYTES, 1, workers)
        with Borrowed(parts, (self._groups, depth * stride, *point)) as (spectra,):
            run(analyse, by_plane(source), workers)
            run(between, groups, workers)
            run(synthesise, by_plane(target), workers)
        return sum(sums)

    def _planes(
        self, product: _Product, points: Array, group: int, products: Array, backend: bool
    ) -> None:
        """Transform and multiply across the planes, for a few points of their rows at a time."""
        source, target, multiply = product
        weights, point = self._weights[group], points.shape[-2:]
        count, phases, places = weights.shape[:3]
        points, products = (
            each.reshape(side.shape[0], side.phases, count, *point)
            for each, side in ((points, source), (products, target))
        )
        shapes = [(side.phases * side.planes.size, *point) for side in (source, target)]
        step = max(1, BLOCK // (phases * places * 2 * BYTES))
        for start in range(0, count, step):
            some = weights[start : start + step]
            lines = [(len(some) * size // places, places, *point) for size, *point in shapes]
            with Borrowed(weights.dtype, *lines) as (given, found):
                spectral.gather_planes(points, start, source.planes, given)
                self._across.forward(given, backend)
                multiply(given, some, found)
                self._across.inverse(found, backend)
                spectral.scatter_planes(found, *target.plane_places, start, len(some), products)


def _add_and_spread(points: Array, weights: Array, products: Array) -> None:
    total = np.empty((len(weights), *points.shape[1:]), points.dtype)
    spectral.add_products(points, weights, total)
    spectral.spread_products(total, weights, products)


def _blocks(lines: int, size: int, least: int, workers: int) -> Blocks:
    """Even blocks of lines of `size` bytes: a multiple of `workers` of about `BLOCK` bytes each.

    A block has about the `least` number of lines, or more.
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
