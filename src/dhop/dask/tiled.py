r"""A preconditioner of chunked images: the nearest closed form of each tile.

A tile is a chunk and some pixels around it. With :math:`R_k` taking an image to tile `k`,
:math:`W_k` a window, and :math:`K_k` equations near those of the tile, it is

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

from dhop.dask.halo import Halo, Key, Mosaic, along, back
from dhop.dask.operator import DaskArray, HighLevelGraph, Place, da, dask
from dhop.dask.problem import Problem
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.inverse import InverseOperator, inverse_of
from dhop.operators.stack import FrameStack
from dhop.psf.field import Field
from dhop.reconstruction import problem

Array = NDArray[Any]

AROUND = 32  # pixels of a tile beyond its chunk, and as many as the PSF covers


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
    spans : sequence of sequences of Span
        Of the tiles along each axis.
    """

    def __init__(
        self,
        recipes: Sequence[tuple[Any, dict[str, Any]]],
        weights: Sequence[float],
        factor: tuple[int, ...],
        regulariser: Any,
        beta: float,
        boundary: Any,
        spans: Sequence[Sequence[Span]],
    ) -> None:
        self.args = recipes, weights, factor, regulariser, beta, boundary, spans
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

    def solve(self, mosaic: Mosaic, place: Place, sources: list[Any]) -> Array:
        """What a tile makes of its part of an image, the axes of the PSF last."""
        spans = [some[k] for some, k in zip(self.args[-1], place.numbers, strict=True)]
        given = mosaic.assemble(iter(sources))
        first, *others = windows = np.ix_(*[span.window.astype(given.dtype) for span in spans])
        image = given * first  # it may be a chunk itself, that others read
        del given
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
        self._spans = tiles.args[-1]
        self._edges = [[0, *np.cumsum(A.chunks[axis]).tolist()] for axis in A.image_axes]
        self._tiles = dask.delayed(tiles, pure=True, traverse=False)

    @classmethod
    def of(cls, given: Problem, regulariser: Any, boundary: Any) -> "TiledInverse | None":
        """That of a problem; None if it has no regulariser, or tiles have no closed form."""
        A = given.operators[0]
        near = [B.near for B in given.operators]
        fields = any(isinstance(B.psf, Field) for B in near)
        spans = [_spans(A, number) for number in range(len(A.image_axes))]
        if not given.beta or fields or any(not some for some in spans):
            return None
        kept = {"boundary": boundary, "axes": None}
        recipes = [(B.psf, B.settings() | kept) for B in near]
        tiles = Tiles(
            recipes, given.typical(), near[0].factor, regulariser, given.beta, boundary, spans
        )
        first = tuple(some[0].stop - some[0].first for some in spans)
        return None if tiles.inverse(first) is None else cls(A, tiles)

    def __call__(self, x: DaskArray) -> DaskArray:
        """The product with an array of the shape of images, not yet computed."""
        x = x.rechunk(self._chunks, method="tasks")
        name = f"dhop-tiled-{dask.base.tokenize(x.name, self._tiles.key)}"
        halo = Halo(f"{name}-edges", x, self._axes)
        tasks: dict[Key, Any] = {}
        for place in np.ndindex(*x.numblocks):
            at = tuple(place[axis] for axis in self._axes)
            spans = [some[k] for some, k in zip(self._spans, at, strict=True)]
            lines = [np.arange(span.first, span.stop) for span in spans]
            mosaic, sources = halo.block(place, lines)
            tasks[f"{name}-tile", *place] = _solve, self._tiles.key, mosaic, Place(at), sources
        for place in np.ndindex(*x.numblocks):
            parts, sources = self._parts(place, f"{name}-tile")
            tasks[name, *place] = parts.added, sources
        tasks |= halo.tasks()
        graph = HighLevelGraph.from_collections(name, tasks, dependencies=[x, self._tiles])
        return da.Array(graph, name, x.chunks, meta=x._meta)

    def _parts(self, place: Sequence[int], name: str) -> tuple["Parts", list[Key]]:
        """What tiles have of a chunk."""
        ways, shape = [], []
        for axis, edges, spans in zip(self._axes, self._edges, self._spans, strict=True):
            start, stop = edges[place[axis]], edges[place[axis] + 1]
            shape.append(stop - start)
            ways.append([
                (k, slice(max(start, span.first) - span.first, min(stop, span.stop) - span.first),
                 slice(max(start, span.first) - start, min(stop, span.stop) - start))
                for k, span in enumerate(spans) if span.first < stop and span.stop > start
            ])  # fmt: skip
        slices, sources = [], []
        for some in product(*ways):
            tile = list(place)
            for axis, (k, _, _) in zip(self._axes, some, strict=True):
                tile[axis] = k
            sources.append((name, *tile))
            slices.append((tuple(each[1] for each in some), tuple(each[2] for each in some)))
        return Parts(self._axes, tuple(shape), slices), sources


@dataclass(frozen=True)
class Parts:
    """Where tiles have what a chunk is the sum of."""

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    slices: list[tuple[tuple[slice, ...], tuple[slice, ...]]]

    def added(self, tiles: list[Array]) -> Array:
        first = tiles[0]
        total = np.zeros((*first.shape[: -len(self.shape)], *self.shape), first.dtype)
        for tile, (taken, given) in zip(tiles, self.slices, strict=True):
            total[along(given)] += tile[along(taken)]
        return back(total, self.axes)


def _solve(tiles: Tiles, mosaic: Mosaic, place: Place, sources: list[Any]) -> Array:
    return tiles.solve(mosaic, place, sources)


def _spans(A: Any, number: int) -> list[Span]:
    """Those along an axis, as long as each other so that one closed form serves all; or none."""
    axis, operator = A.image_axes[number], A.near
    index = operator.axes.index(axis)
    factor, chunks, size = operator.factor[index], A.chunks[axis], A.dims[axis]
    around = -(-(AROUND + operator.psf.shape[index]) // factor) * factor
    if len(chunks) > 1:
        around = min(around, min(chunks) // 2 // factor * factor)
    if not around:  # chunks are too short for windows
        return []
    length = factor * next_fast_len(-(-(max(chunks) + 2 * around) // factor), real=True)
    rising = np.sqrt((np.arange(2 * around) + 0.5) / (2 * around))
    edges = [0, *np.cumsum(chunks).tolist()]
    found = []
    for start, stop in pairwise(edges):
        first = max(0, min(start - around, (size - length) // factor * factor))
        last = size if stop == size else min(first + length, size)
        window = np.zeros(last - first)
        window[max(start - around, 0) - first : min(stop + around, size) - first] = 1
        if start:
            window[start - around - first :][: 2 * around] = rising
        if stop < size:
            window[stop - around - first :][: 2 * around] = rising[::-1]
        found.append(Span(first, last, window))
    return found
