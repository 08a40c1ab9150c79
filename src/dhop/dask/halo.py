"""The lines of a chunked array that blocks need: a chunk each, and the edges of its neighbours.

One task for each chunk copies all of its edges that others need. They are small: a chunk itself is
read where its block is computed, and travels to no other worker. Larger ones, as whole faces of
volumes, have a task each, so that only those travel that are needed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, product
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.dask.tasks import Key, of_one
from dhop.model.relations import Index
from dhop.runtime import workspace

Array: TypeAlias = NDArray[Any]
DaskArray: TypeAlias = Any
Ends: TypeAlias = tuple[int, int]
Patch: TypeAlias = tuple[Ends, ...]

LARGE = 2**18  # bytes of a block, of which the memory is used again
APART = 2**17  # numbers of a patch that is copied by a task of its own


@dataclass(frozen=True)
class CopyEdges:
    """Patches of a chunk, the axes of the PSF last. Views would keep all of it in memory."""

    axes: tuple[int, ...]
    patches: tuple[Patch, ...]

    def __call__(self, chunk: Array) -> dict[Patch, Array]:
        return {patch: _patch(chunk, self.axes, patch).copy() for patch in self.patches}


@dataclass(frozen=True)
class Mosaic:
    """A block of lines as patches of chunks.

    Attributes
    ----------
    axes : tuple of int
        Of the PSF.
    lines : tuple of tuples of (int, int)
        For each of these axes, first line and end, within its chunk, of each patch along it.
    """

    axes: tuple[int, ...]
    lines: tuple[tuple[Ends, ...], ...]

    def assemble(self, sources: Iterator[Any]) -> Array:
        """Put the patches together, the axes of the PSF last.

        Parameters
        ----------
        sources : iterator of (ndarray or dict)
            Chunks, or their edges, in C order; no more are taken than there are patches.
        """
        patches = [self._from(next(sources), patch) for patch in product(*self.lines)]
        return join(patches, [len(some) for some in self.lines])

    def _from(self, source: Any, patch: Patch) -> Array:
        return source[patch] if isinstance(source, dict) else _patch(source, self.axes, patch)


def join(patches: Sequence[Array], counts: Sequence[int]) -> Array:
    """Patches in C order, so many along each of the last axes, as one array.

    A single one is not copied.
    """
    if len(patches) == 1:
        return patches[0]
    first, ndim = patches[0], len(counts)
    numbers = np.arange(len(patches)).reshape(counts)
    edges = []
    for axis in range(ndim):
        alone = np.moveaxis(numbers, axis, 0).reshape(counts[axis], -1)[:, 0]
        lengths = [patches[k].shape[axis - ndim] for k in alone]
        edges.append(list(pairwise(accumulate(lengths, initial=0))))
    lengths = [some[-1][1] for some in edges]
    whole = workspace.empty((*first.shape[:-ndim], *lengths), first.dtype, LARGE)
    for patch, ends in zip(patches, product(*edges), strict=True):
        whole[_index(ends)] = patch
    return whole


def back(block: Array, axes: Sequence[int]) -> Array:
    """A block whose last axes are those of the PSF, with these in their places."""
    return np.ascontiguousarray(np.moveaxis(block, range(-len(axes), 0), axes))


def _patch(chunk: Array, axes: Sequence[int], patch: Patch) -> Array:
    last = np.moveaxis(chunk, axes, range(-len(axes), 0))
    return last[_index(patch)]


def along(slices: Iterable[slice]) -> tuple[Any, ...]:
    """The index of slices along the last axes."""
    return (..., *slices)


def _index(patch: Patch) -> tuple[Any, ...]:
    """That of a patch along the last axes."""
    return along(slice(*ends) for ends in patch)


class Outline(NamedTuple):
    """What is known of a chunked array before there is one."""

    name: str
    chunks: tuple[tuple[int, ...], ...]


class Halo:
    """What blocks need of a chunked array.

    Parameters
    ----------
    name : str
        Of the tasks that copy edges.
    x : dask.array.Array or Outline
    axes : tuple of int
        Of the PSF. Along other axes a block needs one chunk.
    whole : bool
        Whether blocks read the chunks of their neighbours themselves, without copies of edges.
    """

    def __init__(
        self, name: str, x: DaskArray | Outline, axes: tuple[int, ...], whole: bool = False
    ) -> None:
        self._name, self._x, self._axes, self._whole = name, x, axes, whole
        self._edges = [np.append(0, np.cumsum(x.chunks[axis])) for axis in axes]
        self._copies: dict[Key, dict[Patch, None]] = {}

    def block(self, place: Sequence[int], lines: Sequence[Index]) -> tuple[Mosaic, list[Key]]:
        """A block and its sources.

        Parameters
        ----------
        place : sequence of int
            Number of the chunk along all axes, of which those of the PSF do not count.
        lines : sequence of ndarray
            Lines of the array along each axis of the PSF, ascending.
        """
        chunk = list(place)
        pieces = [_pieces(some, edges) for some, edges in zip(lines, self._edges, strict=True)]
        sources: list[Key] = []
        for patch in product(*pieces):
            for axis, (number, _) in zip(self._axes, patch, strict=True):
                chunk[axis] = number
            own = chunk == list(place)
            sources.append(self._source(tuple(chunk), tuple(ends for _, ends in patch), own))
        ends = tuple(tuple(ends for _, ends in some) for some in pieces)
        return Mosaic(self._axes, ends), sources

    def _source(self, chunk: tuple[int, ...], patch: Patch, own: bool) -> Key:
        whole = prod(self._x.chunks[axis][chunk[axis]] for axis in self._axes)
        size = prod(stop - start for start, stop in patch)
        if own or self._whole or 2 * size > whole:
            return (self._x.name, *chunk)
        key = (self._name, *chunk, *((patch,) if size >= APART else ()))
        self._copies.setdefault(key, {})[patch] = None
        return key

    def tasks(self) -> dict[Key, Any]:
        """Those that copy edges, for the blocks so far."""
        return {key: of_one(key, copy, source) for key, source, copy in self.copies()}

    def copies(self) -> list[tuple[Key, Key, CopyEdges]]:
        """What copies the edges of chunks, for the blocks so far: key, source and function."""
        count = len(self._x.chunks)
        return [
            (key, (self._x.name, *key[1 : 1 + count]), CopyEdges(self._axes, tuple(patches)))
            for key, patches in self._copies.items()
        ]


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
