"""A field in tiles: pieces of the continued scene, each blurred by one PSF.

The support of a node's hat on the continued axis is an interval, which is cut into pieces if it is
long. Pieces of one node have one size, so that one `Model` blurs them all ::

    hats       \\    /\\    /\\    /         nodes 0, 1, 2, 3
                \\  /  \\  /  \\  /
                 \\/    \\/    \\/
    pieces    |-----|                   of node 0
                |-------|               of node 1
                    |-------|           of node 2

A tile is a piece along each axis. Its outputs are those that read any of its places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, product
from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.model.axis import Axis
from dhop.model.boundary import OUTSIDE
from dhop.model.field import FieldModel, Hats
from dhop.model.geometry import Model
from dhop.model.relations import Index

Place = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of the support of a node's hat along an axis.

    Attributes
    ----------
    node : int
    pixel : ndarray of intp, shape (size,)
        Source pixel of each place, -1 outside the support.
    hat : ndarray of float64, shape (size,)
        Zero outside the support.
    seen, outputs : slice
        Outputs of the piece that exist on the axis, and their indices there.
    """

    node: int
    pixel: Index
    hat: NDArray[np.float64]
    seen: slice
    outputs: slice

    @property
    def support(self) -> slice:
        """From the first pixel to the last."""
        pixels = self.pixel[self.pixel != OUTSIDE]
        return slice(int(pixels.min()), int(pixels.max()) + 1)

    @property
    def runs(self) -> Index:
        """Place, pixel and length of each run of consecutive pixels."""
        place = np.flatnonzero(self.pixel != OUTSIDE)
        pixel = self.pixel[place]
        new = (np.diff(place, prepend=-2) != 1) | (np.diff(pixel, prepend=-2) != 1)
        begins = np.flatnonzero(new)
        return np.column_stack([place[begins], pixel[begins], np.diff(begins, append=place.size)])


@dataclass(frozen=True, eq=False)
class Tile:
    """A piece along each axis."""

    pieces: tuple[Piece, ...]

    @property
    def node(self) -> Place:
        """The node whose PSF blurs the tile."""
        return tuple(piece.node for piece in self.pieces)

    @property
    def seen(self) -> tuple[slice, ...]:
        """The outputs of the tile that exist in the scene."""
        return tuple(piece.seen for piece in self.pieces)

    @property
    def outputs(self) -> tuple[slice, ...]:
        """Their indices among the outputs of the scene."""
        return tuple(piece.outputs for piece in self.pieces)


class Tiling:
    """The tiles of a field, with the models that blur them.

    Parameters
    ----------
    field : FieldModel
    dtype : dtype
        Of the products; taps are rounded to it.
    numbers, together : float
        Most pixels, with margin, of a tile, and of one tile for each node together; tiles get no
        shorter than the PSF.

    Attributes
    ----------
    tiles : list of Tile
        Of nodes whose PSF is not zero.
    models : dict of tuple of int to Model
        Of each node.
    """

    def __init__(
        self, field: FieldModel, dtype: np.dtype[Any], numbers: float, together: float = inf
    ) -> None:
        axes = field.model.axes
        intervals = [_supports(axis, hats) for axis, hats in zip(axes, field.hats, strict=True)]
        sizes = _sizes(axes, [_longest(each) for each in intervals], numbers, together)
        along = [
            _pieces(axis, hats, _cut(each, size))
            for axis, hats, each, size in zip(axes, field.hats, intervals, sizes, strict=True)
        ]
        self._along = along
        self.models: dict[Place, Model] = {}
        self.tiles: list[Tile] = []
        around = (1,) * (len(axes) + 1)
        short = cache(piece_axis)  # equal axes share their tables
        for pieces in product(*along):
            tile = Tile(pieces)
            if tile.node not in self.models:
                own = [short(a, p.pixel.size) for a, p in zip(axes, pieces, strict=True)]
                self.models[tile.node] = Model(tuple(own), field.node(tile.node), dtype, around)
            if self.models[tile.node].weights.any():
                self.tiles.append(tile)

    @cached_property
    def by_outputs(self) -> list[list[Tile]]:
        """Groups of tiles that share no output."""
        return self._disjoint(lambda piece: piece.outputs)

    @cached_property
    def by_pixels(self) -> list[list[Tile]]:
        """Groups of tiles that share no pixel."""
        return self._disjoint(lambda piece: piece.support)

    def _disjoint(self, covered: Callable[[Piece], slice]) -> list[list[Tile]]:
        """Groups of tiles by the colours of their pieces, in a fixed order."""
        colours: dict[Piece, int] = {}
        for pieces in self._along:
            colours |= zip(pieces, _colours([covered(piece) for piece in pieces]), strict=True)
        groups: dict[Place, list[Tile]] = {}
        for tile in self.tiles:
            groups.setdefault(tuple(colours[piece] for piece in tile.pieces), []).append(tile)
        return [groups[key] for key in sorted(groups)]


def piece_axis(axis: Axis, size: int) -> Axis:
    """The axis from a piece to all outputs that read any of its places."""
    outputs = (size + axis.taps - 2) // axis.factor + 1
    factor = axis.factor if outputs > 1 else 1  # a lone output has no step
    return Axis(size, outputs, factor, axis.taps, 1 - axis.taps, "constant")


Interval = tuple[int, int, int]  # a node, begin and end of its support on the continued axis


def _supports(axis: Axis, hats: Hats) -> list[Interval]:
    found: list[Interval] = []
    for node in range(hats.nodes):
        inside = np.append(hats.weights(node) != 0, False)[axis.extended]
        edges = np.flatnonzero(np.diff(inside, prepend=False, append=False)).reshape(-1, 2)
        found += [(node, begin, end) for begin, end in edges.tolist()]
    return found


def _longest(intervals: Sequence[Interval]) -> dict[int, int]:
    """The longest interval of each node."""
    longest: dict[int, int] = {}
    for node, begin, end in intervals:
        longest[node] = max(longest.get(node, 0), end - begin)
    return longest


def _sizes(
    axes: Sequence[Axis], longest: Sequence[dict[int, int]], numbers: float, together: float
) -> list[int]:
    """Lengths of pieces: the longest, relative to the PSF, is halved until tiles are small."""
    sizes = [max(each.values(), default=1) for each in longest]

    def tiles() -> tuple[int, int]:
        """Pixels of the largest tile, and of one for each node together."""
        along = [
            [min(length, size) + axis.taps for length in each.values()]
            for axis, each, size in zip(axes, longest, sizes, strict=True)
        ]
        return prod(max(each, default=0) for each in along), prod(map(sum, along))

    while any(count > most for count, most in zip(tiles(), (numbers, together), strict=True)):
        lengths = [size / axis.taps for size, axis in zip(sizes, axes, strict=True)]
        k = int(np.argmax(lengths))
        if lengths[k] <= 1:
            break
        sizes[k] = -(-sizes[k] // 2)
    return sizes


def _cut(intervals: Sequence[Interval], size: int) -> list[Interval]:
    found: list[Interval] = []
    for node, begin, end in intervals:
        count = -(-(end - begin) // size)
        edges = [begin + (end - begin) * k // count for k in range(count + 1)]
        found += [(node, a, b) for a, b in pairwise(edges)]
    return found


def _pieces(axis: Axis, hats: Hats, intervals: Sequence[Interval]) -> list[Piece]:
    """Pieces, begun early enough for an output to read its last tap at the first place."""
    margin = axis.taps - 1
    begins = [begin - (begin - margin) % axis.factor for _, begin, _ in intervals]
    shifted = zip(intervals, begins, strict=True)
    longest = _longest([(node, begin, end) for (node, _, end), begin in shifted])
    found = []
    for (node, first, last), begin in zip(intervals, begins, strict=True):
        size = longest[node]
        pixel = np.full(size, OUTSIDE)
        pixel[first - begin : last - begin] = axis.extended[first:last]
        hat = np.append(hats.weights(node), 0)[pixel]
        output = (begin - margin) // axis.factor
        a, b = max(0, -output), min(piece_axis(axis, size).outputs, axis.outputs - output)
        if a < b:  # with a PSF shorter than the factor nothing may read it
            found.append(Piece(node, pixel, hat, slice(a, b), slice(a + output, b + output)))
    return found


def _colours(ranges: Sequence[slice]) -> list[int]:
    """A colour for each range, so that ranges of one colour do not overlap."""
    colours, ends = [0] * len(ranges), [0]
    for k in sorted(range(len(ranges)), key=lambda k: ranges[k].start):
        free = [colour for colour, end in enumerate(ends) if end <= ranges[k].start]
        colours[k] = free[0] if free else len(ends)
        ends[colours[k] :] = [ranges[k].stop, *ends[colours[k] + 1 :]]
    return colours
