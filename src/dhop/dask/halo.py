"""The lines of a chunked array that blocks need: a chunk each, and the edges of its neighbours.

One task for each chunk copies all of its edges that others need. They are small: a chunk itself is
read where its block is computed, and travels to no other worker.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.model.relations import Index

Array: TypeAlias = NDArray[Any]
DaskArray: TypeAlias = Any
Key: TypeAlias = tuple[Any, ...]
Ends: TypeAlias = tuple[int, int]
Patch: TypeAlias = tuple[Ends, Ends]


@dataclass(frozen=True)
class CopyEdges:
    """Patches of a chunk, rows and columns last. Views would keep all of the chunk in memory."""

    axes: tuple[int, int]
    patches: tuple[Patch, ...]

    def __call__(self, chunk: Array) -> dict[Patch, Array]:
        return {patch: _patch(chunk, self.axes, patch).copy() for patch in self.patches}


@dataclass(frozen=True)
class Mosaic:
    """A block of lines as patches of chunks.

    Attributes
    ----------
    axes : (int, int)
        Of rows and columns.
    rows, columns : tuple of (int, int)
        First line and end, within its chunk, of each row and column of patches.
    """

    axes: tuple[int, int]
    rows: tuple[Ends, ...]
    columns: tuple[Ends, ...]

    def assemble(self, sources: Iterator[Any]) -> Array:
        """Put the patches together, rows and columns last.

        Parameters
        ----------
        sources : iterator of (ndarray or dict)
            Chunks, or their edges, row by row; no more are taken than there are patches.
        """
        patches = [
            [self._from(next(sources), (down, across)) for across in self.columns]
            for down in self.rows
        ]
        return join(patches)

    def _from(self, source: Any, patch: Patch) -> Array:
        return source[patch] if isinstance(source, dict) else _patch(source, self.axes, patch)


def join(patches: list[list[Array]]) -> Array:
    """`numpy.block`, but for a single array, which is not copied."""
    first = patches[0][0]
    if len(patches) == len(patches[0]) == 1:
        return first
    height = sum(line[0].shape[-2] for line in patches)
    width = sum(patch.shape[-1] for patch in patches[0])
    whole = np.empty((*first.shape[:-2], height, width), first.dtype)
    bottom = 0
    for line in patches:
        top, bottom, right = bottom, bottom + line[0].shape[-2], 0
        for patch in line:
            left, right = right, right + patch.shape[-1]
            whole[..., top:bottom, left:right] = patch
    return whole


def _patch(chunk: Array, axes: tuple[int, int], patch: Patch) -> Array:
    down, across = patch
    return np.moveaxis(chunk, axes, (-2, -1))[..., slice(*down), slice(*across)]


class Halo:
    """What blocks need of a chunked array.

    Parameters
    ----------
    name : str
        Of the tasks that copy edges.
    x : dask.array.Array
    axes : (int, int)
        Of rows and columns. Along other axes a block needs one chunk.
    """

    def __init__(self, name: str, x: DaskArray, axes: tuple[int, int]) -> None:
        self._name, self._x, self._axes = name, x, axes
        self._edges = [np.append(0, np.cumsum(x.chunks[axis])) for axis in axes]
        self._patches: dict[tuple[int, ...], dict[Patch, None]] = {}

    def block(self, place: Sequence[int], rows: Index, columns: Index) -> tuple[Mosaic, list[Key]]:
        """A block and its sources.

        Parameters
        ----------
        place : sequence of int
            Number of the chunk along all axes, of which those of rows and columns do not count.
        rows, columns : ndarray
            Lines of the array, ascending.
        """
        chunk = list(place)
        down, across = (
            _pieces(lines, edges) for lines, edges in zip((rows, columns), self._edges, strict=True)
        )
        sources: list[Key] = []
        for chunk[self._axes[0]], high in down:
            for chunk[self._axes[1]], wide in across:
                sources.append(self._source(tuple(chunk), (high, wide)))
        return Mosaic(
            self._axes, *(tuple(ends for _, ends in some) for some in (down, across))
        ), sources

    def _source(self, chunk: tuple[int, ...], patch: Patch) -> Key:
        size = prod(self._x.chunks[axis][chunk[axis]] for axis in self._axes)
        if 2 * prod(stop - start for start, stop in patch) > size:
            return (self._x.name, *chunk)
        self._patches.setdefault(chunk, {})[patch] = None
        return (self._name, *chunk)

    def tasks(self) -> dict[Key, Any]:
        """Those that copy edges, for the blocks so far."""
        return {
            (self._name, *chunk): (CopyEdges(self._axes, tuple(patches)), (self._x.name, *chunk))
            for chunk, patches in self._patches.items()
        }


def _pieces(lines: Index, edges: Index) -> list[tuple[int, Ends]]:
    """Ascending lines of chunked ones: number of a chunk, first line and end within it."""
    chunk = np.searchsorted(edges, lines, "right") - 1
    ends = np.flatnonzero((np.diff(lines) > 1) | (np.diff(chunk) > 0)) + 1
    found = []
    for run in np.split(np.arange(lines.size), ends):
        number = int(chunk[run[0]])
        first, last = (int(lines[k] - edges[number]) for k in (run[0], run[-1]))
        found.append((number, (first, last + 1)))
    return found
