"""A field in tiles: pieces of the continued scene, each blurred by one PSF.

Along an axis the hat of a node lights a stretch of the continued axis; where that is long it is cut
into pieces. Pieces of one node are of one size, so that one `Model` blurs them all ::

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
    """A part of what the hat of a node lights along an axis.

    Attributes
    ----------
    node : int
    pixel : ndarray of intp, shape (size,)
        Source pixel of each place, -1 where it is dark.
    hat : ndarray of float64, shape (size,)
        Zero where it is dark.
    seen, outputs : slice
        Those of the outputs of the piece that are outputs of the axis, and which ones.
    """

    node: int
    pixel: Index
    hat: NDArray[np.float64]
    seen: slice
    outputs: slice

    @property
    def lit(self) -> slice:
        """From the first pixel to the last."""
        pixels = self.pixel[self.pixel != OUTSIDE]
        return slice(int(pixels.min()), int(pixels.max()) + 1)

    @property
    def runs(self) -> Index:
        """Place, pixel and length of each run of pixels that follow each other."""
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
        """Whose PSF it is blurred by."""
        return tuple(piece.node for piece in self.pieces)

    @property
    def seen(self) -> tuple[slice, ...]:
        """Those of its outputs that are outputs of the scene."""
        return tuple(piece.seen for piece in self.pieces)

    @property
    def outputs(self) -> tuple[slice, ...]:
        """The outputs of the scene that these are."""
        return tuple(piece.outputs for piece in self.pieces)


class Tiling:
    """The tiles of a field, with the models that blur them.

    Parameters
    ----------
    field : FieldModel
    dtype : dtype
        Of the products; taps are rounded to it.
    numbers, together : float
        Pixels and margin of a tile, and of one tile for each node together, at most, as long as
        tiles are longer than the PSF.

    Attributes
    ----------
    tiles : list of Tile
        Of nodes whose PSF is not zero everywhere.
    models : dict of tuple of int to Model
        Of each node.
    """

    def __init__(
        self, field: FieldModel, dtype: np.dtype[Any], numbers: float, together: float = inf
    ) -> None:
        axes = field.model.axes
        stretches = [_stretches(axis, hats) for axis, hats in zip(axes, field.hats, strict=True)]
        sizes = _sizes(axes, [_longest(each) for each in stretches], numbers, together)
        along = [
            _pieces(axis, hats, _cut(each, size))
            for axis, hats, each, size in zip(axes, field.hats, stretches, sizes, strict=True)
        ]
        self._along = along
        self.models: dict[Place, Model] = {}
        self.tiles: list[Tile] = []
        around = (1,) * (len(axes) + 1)
        short = cache(piece_axis)  # axes that are one share their tables
        for pieces in product(*along):
            tile = Tile(pieces)
            if tile.node not in self.models:
                own = [short(a, p.pixel.size) for a, p in zip(axes, pieces, strict=True)]
                self.models[tile.node] = Model(tuple(own), field.node(tile.node), dtype, around)
            if self.models[tile.node].weights.any():
                self.tiles.append(tile)

    @cached_property
    def by_outputs(self) -> list[list[Tile]]:
        """The tiles in groups, of which no two tiles share an output."""
        return self._apart(lambda piece: piece.outputs)

    @cached_property
    def by_pixels(self) -> list[list[Tile]]:
        """The tiles in groups, of which no two tiles share a pixel."""
        return self._apart(lambda piece: piece.lit)

    def _apart(self, covered: Callable[[Piece], slice]) -> list[list[Tile]]:
        """Tiles whose pieces have the same turns are a group; the groups in a fixed order."""
        turns: dict[Piece, int] = {}
        for pieces in self._along:
            turns |= zip(pieces, _turns([covered(piece) for piece in pieces]), strict=True)
        groups: dict[Place, list[Tile]] = {}
        for tile in self.tiles:
            groups.setdefault(tuple(turns[piece] for piece in tile.pieces), []).append(tile)
        return [groups[key] for key in sorted(groups)]


def piece_axis(axis: Axis, size: int) -> Axis:
    """The axis from the places of a piece to all outputs that read any of them."""
    outputs = (size + axis.taps - 2) // axis.factor + 1
    factor = axis.factor if outputs > 1 else 1  # a lone output has no step
    return Axis(size, outputs, factor, axis.taps, 1 - axis.taps, "constant")


Stretch = tuple[int, int, int]  # a node, and from where to where it lights the continued axis


def _stretches(axis: Axis, hats: Hats) -> list[Stretch]:
    found: list[Stretch] = []
    for node in range(hats.nodes):
        lit = np.append(hats.weights(node) != 0, False)[axis.extended]
        edges = np.flatnonzero(np.diff(lit, prepend=False, append=False)).reshape(-1, 2)
        found += [(node, begin, end) for begin, end in edges.tolist()]
    return found


def _longest(stretches: Sequence[Stretch]) -> dict[int, int]:
    """The longest stretch of each node."""
    longest: dict[int, int] = {}
    for node, begin, end in stretches:
        longest[node] = max(longest.get(node, 0), end - begin)
    return longest


def _sizes(
    axes: Sequence[Axis], longest: Sequence[dict[int, int]], numbers: float, together: float
) -> list[int]:
    """How long pieces may be: what is longest beside the PSF is halved until tiles are small."""
    sizes = [max(each.values(), default=1) for each in longest]

    def tiles() -> tuple[int, int]:
        """Numbers of the largest, and of one for each node."""
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


def _cut(stretches: Sequence[Stretch], size: int) -> list[Stretch]:
    found: list[Stretch] = []
    for node, begin, end in stretches:
        count = -(-(end - begin) // size)
        edges = [begin + (end - begin) * k // count for k in range(count + 1)]
        found += [(node, a, b) for a, b in pairwise(edges)]
    return found


def _pieces(axis: Axis, hats: Hats, stretches: Sequence[Stretch]) -> list[Piece]:
    """Pieces that begin where an output of theirs reads its last tap, if need be in the dark."""
    margin = axis.taps - 1
    begins = [begin - (begin - margin) % axis.factor for _, begin, _ in stretches]
    shifted = zip(stretches, begins, strict=True)
    longest = _longest([(node, begin, end) for (node, _, end), begin in shifted])
    found = []
    for (node, first, last), begin in zip(stretches, begins, strict=True):
        size = longest[node]
        pixel = np.full(size, OUTSIDE)
        pixel[first - begin : last - begin] = axis.extended[first:last]
        hat = np.append(hats.weights(node), 0)[pixel]
        output = (begin - margin) // axis.factor
        a, b = max(0, -output), min(piece_axis(axis, size).outputs, axis.outputs - output)
        if a < b:  # with a PSF shorter than the factor nothing may read it
            found.append(Piece(node, pixel, hat, slice(a, b), slice(a + output, b + output)))
    return found


def _turns(ranges: Sequence[slice]) -> list[int]:
    """The first turn of each range in which it overlaps none that begins before it."""
    turns, ends = [0] * len(ranges), [0]
    for k in sorted(range(len(ranges)), key=lambda k: ranges[k].start):
        free = [turn for turn, end in enumerate(ends) if end <= ranges[k].start]
        turns[k] = free[0] if free else len(ends)
        ends[turns[k] :] = [ranges[k].stop, *ends[turns[k] + 1 :]]
    return turns
