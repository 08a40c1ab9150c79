r"""A preconditioner of chunked images: the nearest closed form of each tile.

A tile is a chunk, or a part of a large one, and some pixels around it. With :math:`R_k` taking an
image to tile `k`, :math:`W_k` a window, and :math:`K_k` equations near those of the tile, it is

.. math:: \sum_k R_k^T W_k K_k^{-1} W_k R_k, \qquad \sum_k R_k^T W_k^2 R_k = 1,

which is symmetric, as conjugate gradients want it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from dhop.dask.halo import CopyEdges, Halo, Mosaic, Patch, along, back
from dhop.dask.operator import DaskArray, HighLevelGraph, at_hand, da, dask
from dhop.dask.problem import Problem
from dhop.dask.tasks import Key, of_one, task, value
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.inverse import InverseOperator, inverse_of
from dhop.operators.stack import FrameStack
from dhop.psf.field import Field
from dhop.reconstruction import problem

Array = NDArray[Any]

AROUND = 32  # pixels of a tile beyond its part of a chunk, and as many as the PSF covers
MOST = {1: 2**20, 2: 1024, 3: 256}  # pixels of that part along an axis, by the number of axes


class Span(NamedTuple):
    """A tile along an axis.

    Attributes
    ----------
    first, stop : int
        Its pixels.
    window : ndarray
        Of which the squares of all tiles are one together.
    """

    first: int
    stop: int
    window: Array


class Row(NamedTuple):
    """The tiles of a chunk along an axis.

    Attributes
    ----------
    first, stop : int
        All of their pixels.
    spans : list of Span
    """

    first: int
    stop: int
    spans: list[Span]


class Tiles:
    """The closed forms of tiles, made where they are computed, once for each size.

    Parameters
    ----------
    recipes : sequence of (PSF, dict)
        Of the operators of frames.
    weights : sequence of float
        One for each frame.
    factor : tuple of int
    regulariser
        Of squares.
    beta : float
    boundary
    rows : sequence of sequences of Row
        Of each chunk along each axis.
    """

    def __init__(
        self,
        recipes: Sequence[tuple[Any, dict[str, Any]]],
        weights: Sequence[float],
        factor: tuple[int, ...],
        regulariser: Any,
        beta: float,
        boundary: Any,
        rows: Sequence[Sequence[Row]],
    ) -> None:
        self.args = recipes, weights, factor, regulariser, beta, boundary, rows
        self._inverses: dict[tuple[int, ...], InverseOperator] = {}

    def __reduce__(self) -> tuple[type["Tiles"], tuple[Any, ...]]:
        return Tiles, self.args

    def inverse(self, dims: tuple[int, ...]) -> InverseOperator | None:
        """That of tiles of a size; None if no closed form is near."""
        if dims not in self._inverses:
            recipes, weights, factor, regulariser, beta, boundary, _ = self.args
            operators = [DHOperator(dims, psf, factor, **settings) for psf, settings in recipes]
            stack = FrameStack(operators, list(weights))
            frames = np.zeros((len(operators), *operators[0].dimsd), stack.dtype)
            posed = problem.Problem(stack, frames, regulariser, beta, boundary, len(dims))
            near = posed.even_equations() or posed.equations(exact=False)
            if near is None:
                return None
            self._inverses[dims] = inverse_of(stack, near, beta)
        return self._inverses[dims]

    def solve(self, mosaic: Mosaic, place: tuple[int, ...], sources: list[Any]) -> Array:
        """What the tiles of a chunk make of their part of an image, the axes of the PSF last."""
        rows = [some[k] for some, k in zip(self.args[-1], place, strict=True)]
        given = mosaic.assemble(iter(sources))
        total = np.zeros_like(given)
        for spans in product(*(row.spans for row in rows)):
            ends = zip(spans, rows, strict=True)
            part = along(slice(s.first - row.first, s.stop - row.first) for s, row in ends)
            total[part] += self._solved(given[part], spans)
        return total

    def _solved(self, given: Array, spans: Sequence[Span]) -> Array:
        """What one of them makes of it."""
        first, *others = windows = np.ix_(*[span.window.astype(given.dtype) for span in spans])
        image = given * first
        for window in others:
            image *= window
        inverse = self.inverse(image.shape[-len(spans) :])
        assert inverse is not None
        found = inverse.rounded(image.ravel()).reshape(image.shape)
        for window in windows:
            found *= window
        return found


class TiledInverse:
    """The preconditioner of a problem, a function of Dask arrays of its images."""

    def __init__(self, A: Any, tiles: Tiles) -> None:
        self._axes, self._chunks = A.image_axes, A.chunks
        self._rows = tiles.args[-1]
        self._edges = [[0, *np.cumsum(A.chunks[axis]).tolist()] for axis in A.image_axes]
        self._tiles = dask.delayed(tiles, pure=True, traverse=False)

    @classmethod
    def of(cls, given: Problem, regulariser: Any, boundary: Any) -> "TiledInverse | None":
        """That of a problem; None if it has no regulariser, or tiles have no closed form."""
        A = given.operators[0]
        near = [B.near for B in given.operators]
        fields = any(isinstance(B.psf, Field) for B in near)
        rows = [_rows(A, number) for number in range(len(A.image_axes))]
        if not given.beta or fields or any(not some for some in rows):
            return None
        kept = {"boundary": boundary, "axes": None}
        recipes = [(B.psf, B.settings() | kept) for B in near]
        tiles = Tiles(
            recipes, given.typical(), near[0].factor, regulariser, given.beta, boundary, rows
        )
        lengths = [{span.stop - span.first for row in some for span in row.spans} for some in rows]
        found = [tiles.inverse(dims) for dims in product(*lengths)]
        return None if None in found else cls(A, tiles)

    def __call__(self, x: DaskArray) -> DaskArray:
        """The product with an array of the shape of images, not yet computed."""
        x = x.rechunk(self._chunks, method="tasks")
        name = f"dhop-tiled-{dask.base.tokenize(x.name, self._tiles.key)}"
        halo = Halo(f"{name}-edges", x, self._axes, at_hand(x))
        tasks: dict[Key, Any] = {}
        for place in np.ndindex(*x.numblocks):
            at = tuple(place[axis] for axis in self._axes)
            rows = [some[k] for some, k in zip(self._rows, at, strict=True)]
            lines = [np.arange(row.first, row.stop) for row in rows]
            mosaic, sources = halo.block(place, lines)
            key = f"{name}-tile", *place
            given = value(self._tiles.key), mosaic, at
            tasks[key] = task(key, Tiles.solve, *given, sources=sources)
        margins: dict[tuple[int, ...], dict[Patch, None]] = {}
        for place in np.ndindex(*x.numblocks):
            parts, sources = self._parts(place, name, margins)
            key = name, *place
            tasks[key] = task(key, parts.added, sources=sources)
        last = tuple(range(x.ndim - len(self._axes), x.ndim))
        for tile, patches in margins.items():
            key = f"{name}-margins", *tile
            tasks[key] = of_one(key, CopyEdges(last, tuple(patches)), (f"{name}-tile", *tile))
        tasks |= halo.tasks()
        graph = HighLevelGraph.from_collections(name, tasks, dependencies=[x, self._tiles])
        return da.Array(graph, name, x.chunks, meta=x._meta)

    def _parts(
        self, place: Sequence[int], name: str, margins: dict[tuple[int, ...], dict[Patch, None]]
    ) -> tuple["Parts", list[Key]]:
        """What tiles have of a chunk: its own all, the others `margins`, which are noted."""
        ways, shape = [], []
        for axis, edges, rows in zip(self._axes, self._edges, self._rows, strict=True):
            start, stop = edges[place[axis]], edges[place[axis] + 1]
            shape.append(stop - start)
            ways.append([
                (k, slice(max(start, row.first) - row.first, min(stop, row.stop) - row.first),
                 slice(max(start, row.first) - start, min(stop, row.stop) - start))
                for k, row in enumerate(rows) if row.first < stop and row.stop > start
            ])  # fmt: skip
        slices, sources = [], []
        for some in product(*ways):
            tile = list(place)
            for axis, (k, _, _) in zip(self._axes, some, strict=True):
                tile[axis] = k
            patch = tuple((each[1].start, each[1].stop) for each in some)
            own = tile == list(place)
            if not own:
                margins.setdefault(tuple(tile), {})[patch] = None
            sources.append((f"{name}-{'tile' if own else 'margins'}", *tile))
            slices.append((patch, tuple(each[2] for each in some)))
        return Parts(self._axes, tuple(shape), slices), sources


@dataclass(frozen=True)
class Parts:
    """Where tiles have what a chunk is the sum of, and where that lies in it."""

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    slices: list[tuple[Patch, tuple[slice, ...]]]

    def added(self, tiles: list[Array | dict[Patch, Array]]) -> Array:
        """The chunk, of tiles or their margins."""
        found = [
            tile[patch] if isinstance(tile, dict) else tile[along(slice(*ends) for ends in patch)]
            for tile, (patch, _) in zip(tiles, self.slices, strict=True)
        ]
        total = np.zeros((*found[0].shape[: -len(self.shape)], *self.shape), found[0].dtype)
        for part, (_, given) in zip(found, self.slices, strict=True):
            total[along(given)] += part
        return back(total, self.axes)


def _rows(A: Any, number: int) -> list[Row]:
    """The tiles along an axis, as long as each other so that one closed form serves all.

    None where chunks are too short for windows.
    """
    axis, operator = A.image_axes[number], A.near
    index = operator.axes.index(axis)
    factor, chunks, size = operator.factor[index], A.chunks[axis], A.dims[axis]
    most = MOST[len(A.image_axes)]
    edges = [_parts_of(*ends, most, factor) for ends in pairwise([0, *np.cumsum(chunks).tolist()])]
    sizes = [stop - start for some in edges for start, stop in pairwise(some)]
    around = -(-(AROUND + operator.psf.shape[index]) // factor) * factor
    if len(sizes) > 1:
        around = min(around, min(sizes) // 2 // factor * factor)
    if not around:
        return []
    length = factor * next_fast_len(-(-(max(sizes) + 2 * around) // factor), real=True)
    rising = np.sqrt((np.arange(2 * around) + 0.5) / (2 * around))
    found = []
    for some in edges:
        spans = []
        for start, stop in pairwise(some):
            first = max(0, min(start - around, (size - length) // factor * factor))
            last = size if stop == size else min(first + length, size)
            window = np.zeros(last - first)
            window[max(start - around, 0) - first : min(stop + around, size) - first] = 1
            if start:
                window[start - around - first :][: 2 * around] = rising
            if stop < size:
                window[stop - around - first :][: 2 * around] = rising[::-1]
            spans.append(Span(first, last, window))
        ends = min(span.first for span in spans), max(span.stop for span in spans)
        found.append(Row(*ends, spans))
    return found


def _parts_of(start: int, stop: int, most: int, factor: int) -> list[int]:
    """Where parts of a chunk begin, nearly as long as each other, and where the last one ends."""
    count = -(-(stop - start) // most)
    cuts = np.rint(np.linspace(start, stop, count + 1) / factor).astype(int) * factor
    return [start, *cuts[1:-1].tolist(), stop]
