"""Blocks of products from pieces: what a chunk gives by itself, and seams along its edges.

To join a chunk with the edges of its neighbours would copy all of it. So a block of the result is
first computed from its own chunk where that lies, as if there were zeros around it. That is wrong
where the PSF reaches into other chunks. These strips, the seams, are computed once more, each from
a joined copy of the few lines that it depends on, and put in their places::

    +----------------------+
    |         seam         |
    |------+--------+------|
    | seam | inner  | seam |
    |------+--------+------|
    |         seam         |
    +----------------------+
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.dask.blocks import Cut, Ends
from dhop.dask.halo import CopyEdges, Halo, Mosaic, Outline, along, back
from dhop.dask.tasks import Key, of_one, task, value
from dhop.kernels import GROUP
from dhop.model.axis import Axis
from dhop.model.boundary import OUTSIDE
from dhop.model.relations import Index

Array: TypeAlias = NDArray[Any]
Chunks: TypeAlias = tuple[tuple[int, ...], ...]
Cutting: TypeAlias = Callable[[list[list[Ends]], list[list[Ends | None]]], Any]

EDGES, GIVEN = "edges", "given"  # arrays that have no names yet


class Seam(NamedTuple):
    """A range of a block's lines along an axis, and how they are computed.

    Attributes
    ----------
    number : int
        Of the part of the `Cut` that computes them.
    to : slice
        Which lines of the block they are.
    """

    number: int
    to: slice


@dataclass(frozen=True)
class Line:
    """The ranges of a block along an axis.

    Attributes
    ----------
    whole : Seam
        All lines, from all that they depend on.
    alone : Seam or None
        All lines, from the block's own chunk. None if that is right for no line.
    inner : Seam
        The lines for which that is right, from all that they depend on.
    seams : tuple of Seam
        The lines before and after these.
    """

    whole: Seam
    alone: Seam | None
    inner: Seam
    seams: tuple[Seam, ...] = ()


class Plan:
    """The pieces of all blocks of an operator's products in one direction.

    Parameters
    ----------
    axes : sequence of Axis
        Of the image.
    edges, others : sequence of sequences of int
        Where blocks begin and end along each of them, and the chunks that they are made from.
    adjoint : bool
    alone : bool
        Whether chunks may be read as if there were zeros around them.
    cut : callable
        Gives the lines that blocks need, and their `Cut`, from ranges of these and own lines, see
        `dhop.dask.blocks.cut`.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        edges: Sequence[Sequence[int]],
        others: Sequence[Sequence[int]],
        adjoint: bool,
        alone: bool,
        cut: Cutting,
    ) -> None:
        self._lines: list[list[Line]] = []
        ranges: list[list[Ends]] = []
        own: list[list[Ends | None]] = []
        for number, (axis, here, there) in enumerate(zip(axes, edges, others, strict=True)):
            group = GROUP if number == 0 else 1
            making = _Making(axis, adjoint, group, list(pairwise(here)), list(pairwise(there)))
            self._lines.append([making.line(k, alone) for k in range(len(here) - 1)])
            ranges.append(making.ranges)
            own.append(making.own)
        self._needed, self.cut = cut(ranges, own)
        self._given = [tuple(b - a for a, b in pairwise(there)) for there in others]
        self._layouts: dict[tuple[Chunks, bool], Layout] = {}

    def layout(
        self, chunks: Chunks, places: Sequence[int], axes: tuple[int, ...], whole: bool
    ) -> "Layout":
        """What to do for all blocks.

        Parameters
        ----------
        chunks : tuple of tuple of int
            Of the array that is multiplied.
        places : sequence of int
            How many blocks there are along each axis.
        axes : tuple of int
            Of the image.
        whole : bool
            See `dhop.dask.halo.Halo`.
        """
        if (chunks, whole) not in self._layouts:
            aligned = all(
                chunks[axis] == there for axis, there in zip(axes, self._given, strict=True)
            )
            halo = Halo(EDGES, Outline(GIVEN, chunks), axes, whole)
            blocks = [
                (place, *self._recipe(place, [place[axis] for axis in axes], halo, aligned))
                for place in np.ndindex(*places)
            ]
            self._layouts[chunks, whole] = Layout(blocks, halo.copies())
        return self._layouts[chunks, whole]

    def _recipe(
        self, place: Sequence[int], at: Sequence[int], halo: Halo, aligned: bool
    ) -> tuple["Recipe", list[Key]]:
        """What to do for a block, and its sources in the order in which they are needed.

        Those that are `aligned` have a chunk for each block.
        """
        lines = [some[k] for some, k in zip(self._lines, at, strict=True)]
        pieces, sources = [], []
        for seams in _parts(lines, aligned):
            numbers = tuple(seam.number for seam in seams)
            needed = [some[k] for some, k in zip(self._needed, numbers, strict=True)]
            mosaic, found = halo.block(place, needed)
            pieces.append(Piece(numbers, mosaic, tuple(seam.to for seam in seams)))
            sources += found
        return Recipe(pieces), sources


def _parts(lines: Sequence[Line], aligned: bool) -> Iterator[list[Seam]]:
    """All of a block, then the seams that are put upon it: for each of them its range on each axis.

    Seams of the first axis are as wide as the block, those of the next lie between them.
    """
    alone = [line.alone for line in lines if line.alone is not None]
    if not aligned or len(alone) < len(lines):
        yield [line.whole for line in lines]
        return
    yield alone
    for axis, line in enumerate(lines):
        for seam in line.seams:
            before = [each.inner for each in lines[:axis]]
            yield [*before, seam, *(each.whole for each in lines[axis + 1 :])]


class _Making:
    """Makes the ranges of blocks along an axis, and numbers them.

    Attributes
    ----------
    ranges, own : list
        Of each range, what `dhop.dask.blocks.cut` wants to know.
    """

    def __init__(
        self, axis: Axis, adjoint: bool, group: int, here: list[Ends], there: list[Ends]
    ) -> None:
        self.ranges: list[Ends] = []
        self.own: list[Ends | None] = []
        self._axis, self._adjoint, self._group = axis, adjoint, group
        self._here, self._there = here, there

    def line(self, k: int, alone: bool) -> Line:
        """The ranges of block `k`, whose chunk may be read `alone` or not."""
        start, stop = self._here[k]
        whole = self._seam(start, (start, stop))
        inner = self._inner(k) if alone else None
        if inner is None:
            return Line(whole, None, whole)
        mine = self._seam(start, (start, stop), self._there[k])
        if inner == (start, stop):
            return Line(whole, mine, whole)
        rest = [(start, inner[0]), (inner[1], stop)]
        seams = tuple(self._seam(start, ends) for ends in rest if ends[0] < ends[1])
        return Line(whole, mine, self._seam(start, inner), seams)

    def _seam(self, start: int, ends: Ends, own: Ends | None = None) -> Seam:
        """Lines of a block that begins at `start`: from `own` ones of the chunk, or all needed."""
        self.ranges.append(ends)
        self.own.append(own)
        return Seam(len(self.own) - 1, slice(ends[0] - start, ends[1] - start))

    def _inner(self, k: int) -> Ends | None:
        """The run of lines that the own chunk alone gives, None if there is no such run."""
        (start, stop), own = self._here[k], self._there[k]
        right = np.flatnonzero(
            (_pixels if self._adjoint else _outputs)(self._axis, start, stop, own)
        )
        if not right.size or right[-1] - right[0] + 1 != right.size:
            return None
        first, last = start + int(right[0]), start + int(right[-1]) + 1
        # Lines that are summed side by side need all of them what they read.
        first += -first % self._group
        last -= last % self._group if last < self._here[-1][1] else 0
        return (first, last) if first < last else None


def _outputs(axis: Axis, start: int, stop: int, own: Ends) -> NDArray[np.bool_]:
    """Which of some outputs read no pixels but own ones."""
    source = axis.extended[axis.factor * start : axis.factor * (stop - 1) + axis.taps]
    foreign = (source != OUTSIDE) & ((source < own[0]) | (source >= own[1]))
    before = np.append(0, np.cumsum(foreign))
    first = axis.factor * np.arange(stop - start)
    return before[first + axis.taps] == before[first]


def _pixels(axis: Axis, start: int, stop: int, own: Ends) -> NDArray[np.bool_]:
    """Which of some pixels are read by no outputs but own ones."""
    place: Index = np.flatnonzero((axis.extended >= start) & (axis.extended < stop))
    first = np.maximum(-((axis.taps - 1 - place) // axis.factor), 0)
    last = np.minimum(place // axis.factor, axis.outputs - 1)
    foreign = (first <= last) & ((first < own[0]) | (last >= own[1]))
    alone = np.ones(stop - start, bool)
    alone[axis.extended[place[foreign]] - start] = False
    return alone


class Piece(NamedTuple):
    """A part of a block.

    Attributes
    ----------
    numbers : tuple of int
        Of the block of a `Cut`.
    source : Mosaic
    to : tuple of slice
        Where it lies.
    """

    numbers: tuple[int, ...]
    source: Mosaic
    to: tuple[slice, ...]


class Layout(NamedTuple):
    """The tasks of a product, of which only the names of arrays are missing.

    It is made once for all products with arrays of the same chunks.

    Attributes
    ----------
    blocks : list of (tuple of int, Recipe, list of Key)
        Where each block is, what to do for it, and from which sources.
    edges : list of (Key, Key, CopyEdges)
        What copies those of chunks, see `dhop.dask.halo.Halo.copies`.
    """

    blocks: list[tuple[tuple[int, ...], "Recipe", list[Key]]]
    edges: list[tuple[Key, Key, CopyEdges]]

    def tasks(self, name: str, given: str, cut: Key) -> dict[Key, Any]:
        """Those of a product of a name with an array of another.

        `cut` is the key of the `Cut`.
        """
        names = {EDGES: f"{name}-edges", GIVEN: given}

        def named(key: Key) -> Key:
            return (names[key[0]], *key[1:])

        found: dict[Key, Any] = {}
        for place, recipe, keys in self.blocks:
            sources = list(map(named, keys))
            found[name, *place] = task((name, *place), recipe.product, value(cut), sources=sources)
        for key, source, copy in self.edges:
            found[named(key)] = of_one(named(key), copy, named(source))
        return found


@dataclass(frozen=True)
class Recipe:
    """The pieces of a block, the first of which is all of it."""

    pieces: list[Piece]

    def product(self, cut: Cut, sources: list[Any]) -> Array:
        """The block, from the sources that a `Layout` names."""
        given = iter(sources)
        first, *seams = self.pieces
        block = cut.product(first.source.assemble(given), first.numbers)
        for each in seams:
            block[along(each.to)] = cut.product(each.source.assemble(given), each.numbers)
        return back(block, first.source.axes)
