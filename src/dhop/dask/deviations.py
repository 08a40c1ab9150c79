"""How sure each pixel of a chunked image is: block by block, with what lies around it.

A pixel is correlated with those near it alone. So the deviations of a block are those of a small
problem in memory, of the frames' pixels that lie over the block and `AROUND` more on every side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.dask.operator import DaskArray, DaskDHOperator, da, dask
from dhop.dask.problem import Problem
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.stack import FrameStack
from dhop.psf.field import Field
from dhop.reconstruction import problem
from dhop.reconstruction.posterior import Posterior

Array = NDArray[Any]

AROUND = 16  # pixels of the frames, and as many as PSF and target cover
EACH = 512  # pixels of the image along each axis of a block, at most
SOME = 5  # blocks that degrees of freedom are counted in
TOLERANCE = 1e-3  # of their estimates


@dataclass(frozen=True)
class Small:
    """The problem of a block of the image and of what lies around it.

    Attributes
    ----------
    operators : sequence of (array, dict)
        The PSF and the settings of each.
    dims, factor : tuple of int
    inner : tuple of slice
        Where the block lies in it.
    regulariser, beta, boundary, bounds
        As for `dhop.super_resolve`.
    edge : float or None
        Of total variation.
    target : ndarray or None
        What the image is shown through.
    """

    operators: Sequence[tuple[Any, dict[str, Any]]]
    dims: tuple[int, ...]
    factor: tuple[int, ...]
    inner: tuple[Any, ...]
    regulariser: Any
    beta: float
    boundary: Any
    bounds: tuple[float, float] | None
    edge: float | None
    target: Array | None

    def posterior(self, weights: list[Any], scene: Array) -> Posterior:
        """What is known about its part of the solution."""
        made: dict[tuple[int, int], DHOperator] = {}
        operators = []
        for psf, settings in self.operators:  # frames that see the same way share theirs
            key = id(psf), id(settings)
            if key not in made:
                made[key] = DHOperator(self.dims, psf, self.factor, **settings)
            operators.append(made[key])
        stack = FrameStack(operators, [np.asarray(w) for w in weights])
        frames = np.zeros((len(operators), *operators[0].dimsd), stack.dtype)
        posed = problem.Problem(
            stack, frames, self.regulariser, self.beta, self.boundary, len(self.factor)
        )
        return Posterior(posed, scene.reshape(-1), self.bounds, self.edge, self.target)

    def deviations(
        self, weights: list[Any], scene: Array, sigma: float, noise: bool, probes: int
    ) -> Array:
        """Those of the block's pixels."""
        rng = np.random.default_rng(0)
        found = self.posterior(weights, scene).deviations(sigma, noise, probes, rng)[0]
        return found.reshape(self.dims)[self.inner]

    def degrees_of_freedom(self, weights: list[Any], scene: Array) -> tuple[float, int]:
        """How many numbers of the data determine the image, and how many pixels that has."""
        rng = np.random.default_rng(0)
        return self.posterior(weights, scene).degrees_of_freedom(rng, TOLERANCE), scene.size


class Deviations:
    """The blocks of an image.

    Parameters
    ----------
    given : Problem
        The least squares that the image is of.
    image : dask.array.Array
        That it is of, channels first.
    regulariser, beta, boundary, bounds, edge, target
        Of `Small`.
    """

    def __init__(
        self,
        given: Problem,
        image: DaskArray,
        *,
        regulariser: Any,
        beta: float,
        boundary: Any,
        bounds: tuple[float, float] | None,
        edge: float | None,
        target: Array | None,
    ) -> None:
        self._given, self._image = given, image
        self._rest = regulariser, beta, boundary, bounds, edge, target
        A = given.operators[0]
        self._axes = A.image_axes
        shown = (1,) * len(self._axes) if target is None else target.shape
        self._lines = [_blocks(A, number, reach) for number, reach in enumerate(shown)]

    def noise(self, misfit: float) -> float:
        """The standard deviation of the noise of a pixel of weight one, from all residuals."""
        given = self._given
        seen = [da.broadcast_to(da.asarray(w > 0), given.frames.shape[1:]) for w in given.weights]
        places = list(np.ndindex(*map(len, self._lines)))
        some = places[:: ceil(len(places) / SOME)]
        counted = [dask.delayed(Small.degrees_of_freedom)(*self._small(place)) for place in some]
        counts, found = dask.compute([on.sum() for on in seen], counted)
        used = sum(one for one, _ in found) / sum(pixels for _, pixels in found)
        left = float(sum(counts)) - used * float(np.prod(given.operators[0].dims))
        if not left >= 1:
            raise ValueError(
                "the residuals say nothing of the noise: the image follows the frames; give noise"
            )
        return misfit / sqrt(left)

    def of_pixels(self, noise: float, what: str, probes: int) -> DaskArray:
        """The standard deviation of each pixel, channels first, not yet computed."""
        A = self._given.operators[0]
        channels = A.dims[: -len(self._axes)]
        rows = np.empty(tuple(map(len, self._lines)), dtype=object)
        for place in np.ndindex(*rows.shape):
            small, *parts = self._small(place)
            found = dask.delayed(Small.deviations)(small, *parts, noise, what == "noise", probes)
            size = [each.stop - each.start for each in small.inner[1:]]
            rows[place] = da.from_delayed(found, (*channels, *size), np.float64)
        return da.block(rows.tolist()).astype(self._given.frames.dtype)

    def _small(self, place: Sequence[int]) -> tuple[Small, list[Any], Any]:
        """The problem of a block, the weights of its frames, and its part of the image."""
        given = self._given
        A = given.operators[0]
        own = [some[k] for some, k in zip(self._lines, place, strict=True)]
        dims = list(A.dims)
        for axis, (_, _, pixels) in zip(self._axes, own, strict=True):
            dims[axis] = len(pixels)
        outputs = [each for each, _, _ in own]
        inner = (..., *(where for _, where, _ in own))
        first = [int(pixels[0]) for _, _, pixels in own]
        known: dict[int, tuple[Any, dict[str, Any]]] = {}
        recipes = [
            known.setdefault(id(B), (_moved(B.operator.psf, first), B.operator.settings()))
            for B in given.operators
        ]
        small = Small(recipes, tuple(dims), A.operator.factor, inner, *self._rest)
        weights = [_taken(w, outputs) if getattr(w, "ndim", 0) else w for w in given.weights]
        return small, weights, _taken(self._image, [pixels for _, _, pixels in own])


def _blocks(A: DaskDHOperator, number: int, reach: int) -> list[tuple[Array, slice, Array]]:
    """Along an axis: the outputs of each small problem, where its block lies, and its pixels.

    A target has `reach` pixels along the axis.
    """
    axis, operator = A.image_axes[number], A.operator
    index = operator.axes.index(axis)
    factor, size, sized = operator.factor[index], A.dims[axis], A.dimsd[axis]
    around = AROUND + ceil((operator.psf.shape[index] + reach - 1) / factor)
    edges = np.append(0, np.cumsum(A.chunksd[axis]))
    step = max(EACH // factor, 1)
    starts = [k for a, b in pairwise(edges.tolist()) for k in range(a, b, step)]
    wraps = operator.boundary[index] == "wrap"
    whole = wraps and (size != factor * sized or isinstance(operator.psf, Field))
    found = []
    for start, stop in pairwise([*starts, sized]):
        low, high = start - around, stop + around
        if whole or (wraps and high - low >= sized):
            low, high = 0, sized
        elif not wraps:
            low, high = max(low, 0), min(high, sized)
        end = size if high == sized else factor * high
        pixels = np.arange(factor * low, end) % size
        last = size if stop == sized else factor * stop
        where = slice(factor * (start - low), last - factor * low)
        found.append((np.arange(low, high) % sized, where, pixels))
    return found


def _moved(psf: Any, first: list[int]) -> Any:
    """A PSF as it is, a field with its positions counted from a pixel."""
    if not isinstance(psf, Field):
        return psf
    return Field(psf.stamps, [p - k for p, k in zip(psf.positions, first, strict=True)])


def _taken(array: DaskArray, lines: Sequence[Array]) -> DaskArray:
    """Lines along each of the last axes."""
    for axis, some in zip(range(-len(lines), 0), lines, strict=True):
        index: Any = some
        if (np.diff(some) == 1).all():
            index = slice(int(some[0]), int(some[-1]) + 1)
        array = array[(..., index, *[slice(None)] * (-axis - 1))]
    return array
