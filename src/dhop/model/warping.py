"""Warps as data: positions of the outputs in an image, and the spline coefficients they read.

An image `x` is continued by its boundary, however far that is, and the spline through it is

.. math:: s(p) = \\sum_k c_k B(p - k), \\qquad c_k = \\sum_e h_0 z^{|k - e|} \\mathrm{ext}(x)_e,

along each axis, with the cubic B-spline `B` and its pole ``z = sqrt(3) - 2``; the linear one needs
no filter. So an axis is a range of coefficients, with a source pixel for each of them and for
`TAIL` positions before and behind. Pixels further away change no bit.
"""

from dataclasses import dataclass
from functools import cached_property
from math import floor, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import AFFINE, MAPPED, PROJECTIVE
from dhop.model.boundary import Boundary, extended_index
from dhop.model.relations import Groups, Index, group_by

Array = NDArray[Any]

POLE = sqrt(3) - 2
GAIN = -6 * POLE / (1 - POLE**2)  # h_0
TAIL = 32  # POLE**32 is 5e-19
REACH = {1: 1, 2: 1, 4: 12}  # pixels around the image, beyond which the spline is zero, by taps
NEAR = 16  # pixels around the image, beyond which positions are mapped back
LARGEST = 4, 2**16  # most coefficients: a multiple of the pixels, plus a number


@dataclass(frozen=True, eq=False)
class SplineAxis:
    """The coefficients that are read along an axis.

    Attributes
    ----------
    size : int
        Number of pixels.
    low, end : int
        Outputs at positions ``low <= p < end`` read coefficients, those elsewhere are zero.
    taps : int
        Coefficients that a position reads: 4 of a cubic spline, 2 of a linear one, 1 if positions
        are those of pixels.
    boundary : str
    """

    size: int
    low: int
    end: int
    taps: int
    boundary: Boundary

    @classmethod
    def build(
        cls, size: int, first: float, last: float, taps: int, boundary: Boundary
    ) -> "SplineAxis":
        """The axis for positions from `first` to `last`."""
        low, end = floor(first), floor(last) + 1
        if boundary == "constant":
            low, end = max(low, -REACH[taps]), min(end, size - 1 + REACH[taps])
        if low >= end:  # nothing is read
            low, end = 0, 1
        return cls(size, low, end, taps, boundary)

    @property
    def first(self) -> int:
        """Position of the first coefficient."""
        return self.low - (1 if self.taps == 4 else 0)

    @property
    def count(self) -> int:
        """Number of coefficients."""
        return self.end - self.low + self.taps - 1

    @property
    def tail(self) -> int:
        """Number of positions before and behind that the coefficients depend on."""
        return TAIL if self.taps == 4 else 0

    @cached_property
    def pixels(self) -> Index:
        """Source pixel of each coefficient and of the tails, -1 outside."""
        start, stop = self.first - self.tail, self.first + self.count + self.tail
        return extended_index(self.size, start, stop, self.boundary)

    @cached_property
    def by_pixel(self) -> Groups:
        """Where in `pixels` each pixel is."""
        return group_by(self.pixels, self.size)

    @cached_property
    def line(self) -> Index:
        """The coefficient to which each position of `pixels` passes its adjoint."""
        return (np.arange(self.pixels.size) - self.tail).clip(0, self.count - 1)

    @cached_property
    def factor(self) -> NDArray[np.float64]:
        """The factor of that adjoint, which decays in the tails."""
        away = np.abs(np.arange(self.pixels.size) - self.tail - self.line)
        return np.asarray(POLE**away)

    @cached_property
    def inner(self) -> tuple[int, int]:
        """The longest range of pixels that occur once, as consecutive coefficients."""
        start, member = self.by_pixel
        place = np.where(np.diff(start) == 1, np.append(member, 0)[start[:-1]], -2)
        place[(place < self.tail) | (place >= self.tail + self.count)] = -2
        follows = (place[:-1] >= 0) & (np.diff(place) == 1)
        edges = np.flatnonzero(np.diff(follows, prepend=False, append=False)).reshape(-1, 2)
        if not len(edges):
            return 0, 0
        begin, last = edges[np.argmax(np.diff(edges)[:, 0])].tolist()
        return begin, last + 1


@dataclass(frozen=True, eq=False)
class Warp:
    """A warp of an image or of a volume as data. An image is a volume of one plane.

    Attributes
    ----------
    axes : tuple of SplineAxis
        Of planes, rows and columns.
    shape : (int, int, int)
        Of the outputs.
    volume : bool
        Whether positions have a plane.
    kind : int
        `AFFINE`, `PROJECTIVE` or `MAPPED`.
    places : ndarray of float64
        The matrix, 3 x 3 or of a volume 4 x 4, or the positions of all outputs, planes or rows
        first.
    area : ndarray of float64
        Factor of the outputs, one number for all or one for each.
    """

    axes: tuple[SplineAxis, ...]
    shape: tuple[int, ...]
    volume: bool
    kind: int
    places: Array
    area: Array

    @classmethod
    def build(
        cls,
        size: tuple[int, ...],
        shape: tuple[int, ...],
        coordinates: Array,
        *,
        order: int,
        boundary: tuple[Boundary, ...],
        flux: bool,
    ) -> "Warp":
        """Tabulate two or three axes for a matrix or an array of positions."""
        kind, places = MAPPED, coordinates
        if coordinates.ndim == 2:
            kind = PROJECTIVE if coordinates[-1, :-1].any() else AFFINE
            places = _normalised(coordinates, shape)
        area = _area(kind, places, shape) if flux else np.ones(1)
        axes = _axes(kind, places, size, shape, order, boundary)
        most = LARGEST[0] * prod(size) + LARGEST[1]
        if kind == MAPPED or prod(axis.count for axis in axes) > most:
            found = positions(kind, places, shape, np.arange(prod(shape)))
            each = zip(found, size, boundary, strict=True)
            kind, places = MAPPED, np.stack([_mapped_back(*one) for one in each])
            axes = _axes(kind, places, size, shape, order, boundary)
        numbers = np.ascontiguousarray(places).reshape(-1)
        volume = len(size) == 3
        if not volume:
            axes, shape = [SplineAxis.build(1, 0, 0, 1, "constant"), *axes], (1, *shape)
        return cls(tuple(axes), shape, volume, kind, numbers, area)

    @property
    def taps(self) -> int:
        """Coefficients that an output reads along each warped axis."""
        return self.axes[-1].taps

    @property
    def pixels(self) -> int:
        """Number of pixels of the image."""
        return prod(axis.size for axis in self.axes)

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return prod(self.shape)

    @property
    def warped(self) -> tuple[SplineAxis, ...]:
        """The axes that have positions."""
        return self.axes if self.volume else self.axes[1:]

    @property
    def located(self) -> Array:
        """Positions of all outputs."""
        return self.positions(np.arange(self.outputs))

    def positions(self, outputs: Index) -> Array:
        """Positions of some outputs in the image, rows first, or planes of a volume."""
        count = len(self.warped)
        places = self.places.reshape(count if self.kind == MAPPED else count + 1, -1)
        return positions(self.kind, places, self.shape[-count:], outputs)


def positions(kind: int, places: Array, shape: tuple[int, ...], outputs: Index) -> Array:
    """Positions of some outputs in the image, bit-identical to those of the kernels."""
    if kind == MAPPED:
        return np.asarray(places.reshape(len(places), -1)[:, outputs])
    *before, last = (each.astype(np.float64) for each in np.unravel_index(outputs, shape))
    found = []
    for *steps, step, start in places:
        first = sum(a * place for a, place in zip(steps, before, strict=True))
        found.append((first + start) + step * last)
    return np.stack(found[:-1]) if kind == AFFINE else np.stack(found[:-1]) / found[-1]


def _axes(
    kind: int,
    places: Array,
    size: tuple[int, ...],
    shape: tuple[int, ...],
    order: int,
    boundary: tuple[Boundary, ...],
) -> list[SplineAxis]:
    taps = 1 if _whole(kind, places) else order + 1
    ends = _ends(kind, places, shape)
    return [
        SplineAxis.build(n, *reach, taps, rule)
        for n, reach, rule in zip(size, ends, boundary, strict=True)
    ]


def _corners(shape: tuple[int, ...]) -> Index:
    """Numbers of the outputs at the corners."""
    ends = np.meshgrid(*((0, m - 1) for m in shape), indexing="ij")
    return np.ravel_multi_index(ends, shape).reshape(-1)


def _normalised(matrix: Array, shape: tuple[int, ...]) -> Array:
    """The matrix scaled to a positive denominator, which is 1 at the first output if possible."""
    corners = np.stack(np.unravel_index(_corners(shape), shape))
    sides = matrix[-1, :-1] @ corners + matrix[-1, -1]
    if not ((sides > 0).all() or (sides < 0).all()):
        raise ValueError(
            "the projective map has its horizon among the outputs, where positions are infinite"
        )
    return matrix / (matrix[-1, -1] or sides[0])


def _ends(kind: int, places: Array, shape: tuple[int, ...]) -> list[tuple[float, float]]:
    """The least and largest position on each axis; of a matrix they are at corners."""
    if kind == MAPPED:
        found = places.reshape(len(places), -1)
    else:
        found = positions(kind, places, shape, _corners(shape))
        slack = 1e-9 * (1 + np.abs(found))  # rounding inside may exceed that at the corners
        exact = kind == AFFINE and _whole(kind, places)
        found = found if exact else np.concatenate([found - slack, found + slack], axis=1)
    return [(float(each.min()), float(each.max())) for each in found]


def _whole(kind: int, places: Array) -> bool:
    """Whether all positions are pixels, so that no interpolation is needed."""
    return kind != PROJECTIVE and bool((places == np.rint(places)).all())


def _area(kind: int, places: Array, shape: tuple[int, ...]) -> Array:
    """The area of the image that an output covers: the Jacobian determinant of the map."""
    if kind == AFFINE:
        return np.array([abs(np.linalg.det(places[:-1, :-1]))])
    if kind == PROJECTIVE:
        grid = np.ogrid[tuple(slice(m) for m in shape)]
        *steps, start = places[-1]
        w = sum(a * place for a, place in zip(steps, grid, strict=True)) + start
        return np.abs(np.linalg.det(places) / w ** len(places)).reshape(-1)
    slopes = [
        [
            # A lone row or column is taken to be as high or wide as one of the image.
            np.gradient(each, axis=axis) if shape[axis] > 1 else np.full(shape, float(k == axis))
            for axis in range(len(shape))
        ]
        for k, each in enumerate(places)
    ]
    return np.abs(_determinant(slopes)).reshape(-1)


def _determinant(rows: list[list[Array]]) -> Array:
    """Determinants by expansion of the first row, several times faster than LAPACK."""
    if len(rows) == 1:
        return rows[0][0]
    total = np.zeros(rows[0][0].shape)
    for k, number in enumerate(rows[0]):
        minor = number * _determinant([row[:k] + row[k + 1 :] for row in rows[1:]])
        total = total - minor if k % 2 else total + minor
    return total


def _mapped_back(place: Array, size: int, boundary: Boundary) -> Array:
    """Positions far outside, mapped to nearer ones with the same value of the continued image."""
    match boundary:
        case "wrap":
            inside = place % size
        case "symmetric":
            lap = (place + 0.5) % (2 * size)
            inside = np.minimum(lap, 2 * size - lap) - 0.5
        case "reflect":
            lap = place % max(2 * size - 2, 1)
            inside = np.minimum(lap, max(2 * size - 2, 1) - lap)
        case _:
            inside = place.clip(-NEAR, size - 1 + NEAR)
    far = (place < -NEAR) | (place > size - 1 + NEAR)
    return np.where(far, inside, place)
