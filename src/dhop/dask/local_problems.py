"""Blocks of a chunked image, each with what lies around it, as problems that memory holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.dask.frame_operators import (
    ChunkedOperator,
    DaskChannelOperator,
    DaskMovedOperator,
    of_images,
)
from dhop.dask.operator import DaskArray
from dhop.dask.problem import Problem
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.channels import ChannelOperator
from dhop.operators.moved import MovedOperator
from dhop.operators.stack import FrameStack
from dhop.psf.field import Field
from dhop.reconstruction import problem

Array = NDArray[Any]
Make: TypeAlias = Callable[[], Any]  # of an operator: it travels to where that is needed

AROUND = 16  # pixels of the frames, and as many as PSF and target cover
EACH = 512  # pixels of the image along each axis of a block, at most


@dataclass(frozen=True)
class LocalProblem:
    """The least squares of a block of the image and of what lies around it.

    Attributes
    ----------
    operators : sequence of Make
        Of the frames' parts; frames that see the same way share theirs.
    dims : tuple of int
        Of the block and what lies around it, channels first.
    ndim : int
        Axes of an image.
    inner : tuple of slice
        Where the block lies in it.
    """

    operators: Sequence[Make]
    dims: tuple[int, ...]
    ndim: int
    inner: tuple[Any, ...]

    def posed(
        self, weights: Sequence[Any], regulariser: Any, beta: float, boundary: Any
    ) -> problem.Problem:
        """The problem without its data.

        Parameters
        ----------
        weights : sequence of (float or ndarray)
            Of the pixels of the frames' parts.
        regulariser, beta, boundary
            As for `dhop.super_resolve`.
        """
        made = {make: make() for make in dict.fromkeys(self.operators)}
        operators = [made[make] for make in self.operators]
        maps = [_on_scene(A, np.asarray(w)) for A, w in zip(operators, weights, strict=True)]
        stack = FrameStack(operators, maps)
        data = np.empty((len(operators), *self.dims[: -self.ndim], 0), stack.dtype)
        return problem.Problem(stack, data, regulariser, beta, boundary, self.ndim)


class Line(NamedTuple):
    """A block along an axis, with what lies around it.

    Attributes
    ----------
    outputs : ndarray of int
        The pixels of a frame that has not moved.
    pixels : ndarray of int
        Those of the image.
    inner : slice
        Where the block lies among these.
    """

    outputs: Array
    pixels: Array
    inner: slice


class LocalProblems:
    """Those of the blocks of an image, cut along its chunks.

    Parameters
    ----------
    given : Problem
        The least squares that the image is of.
    image : dask.array.Array
        Channels first.
    target : tuple of int
        Pixels that the image is shown through, along each axis.

    Attributes
    ----------
    shape : tuple of int
        How many blocks there are along each axis of an image.
    """

    def __init__(self, given: Problem, image: DaskArray, target: tuple[int, ...]) -> None:
        self._given, self._image = given, image
        self._axes = given.operators[0].image_axes
        each = [A for B in given.operators for A in of_images(B)]
        psfs = [A.near.psf for A in each]
        reach = np.max([psf.shape for psf in psfs], axis=0) + target - 1
        moved = any(isinstance(A, DaskMovedOperator) for A in each)
        varies = moved or any(isinstance(psf, Field) for psf in psfs)
        self._lines = [
            _lines(given.operators[0], number, int(taps), varies)
            for number, taps in enumerate(reach)
        ]
        self.shape = tuple(map(len, self._lines))

    def at(self, place: Sequence[int]) -> tuple[LocalProblem, list[Any], DaskArray]:
        """A block's problem, the weights of its frames, and its part of the image."""
        given = self._given
        own = [some[k] for some, k in zip(self._lines, place, strict=True)]
        dims = list(given.operators[0].dims)
        for axis, line in zip(self._axes, own, strict=True):
            dims[axis] = len(line.pixels)
        distinct = {id(B): B for B in given.operators}
        parts = {key: _part(B, tuple(dims), own) for key, B in distinct.items()}
        makes, outputs = zip(*(parts[id(B)] for B in given.operators), strict=True)
        weights = [
            taken(w, some) if getattr(w, "ndim", 0) else w
            for w, some in zip(given.weights, outputs, strict=True)
        ]
        inner = (..., *(line.inner for line in own))
        local = LocalProblem(makes, tuple(dims), len(own), inner)
        return local, weights, taken(self._image, [line.pixels for line in own])


def _lines(A: ChunkedOperator, number: int, taps: int, varies: bool) -> list[Line]:
    """The blocks along an axis.

    Parameters
    ----------
    A : ChunkedOperator
    number : int
        Of the axis among those of an image.
    taps : int
        Pixels that PSF and target cover together.
    varies : bool
        Whether frames see each pixel another way, so that none stands for another beyond an edge
        where images wrap.
    """
    axis, near = A.image_axes[number], A.near
    index = near.axes.index(axis)
    factor, size, sized = near.factor[index], A.dims[axis], near.dimsd[axis]
    around = AROUND + ceil(taps / factor)
    edges = [0, *(np.cumsum(A.chunks[axis])[:-1] // factor).tolist(), sized]
    step = max(EACH // factor, 1)
    starts = [k for a, b in pairwise(edges) for k in range(a, b, step)]
    wraps = near.boundary[index] == "wrap"
    whole = wraps and (size != factor * sized or varies)
    found = []
    for start, stop in pairwise([*starts, sized]):
        low, high = start - around, stop + around
        if whole or (wraps and high - low >= sized):
            low, high = 0, sized
        elif not wraps:
            low, high = max(low, 0), min(high, sized)
        end = size if high == sized else factor * high
        last = size if stop == sized else factor * stop
        inner = slice(factor * (start - low), last - factor * low)
        found.append(Line(np.arange(low, high) % sized, np.arange(factor * low, end) % size, inner))
    return found


def _part(
    A: ChunkedOperator, dims: tuple[int, ...], lines: Sequence[Line]
) -> tuple[Make, list[Array]]:
    """What sees a part of the image, and which lines of the frame along each axis belong to it."""
    if isinstance(A, DaskChannelOperator):
        parts = [_part(each, dims[1:], lines) for each in A.each]
        return partial(_side_by_side, [make for make, _ in parts]), parts[0][1]
    pixels = [line.pixels for line in lines]
    if isinstance(A, DaskMovedOperator):
        box = [(int(some[0]), int(some[-1]) + 1) for some in pixels]
        make, slices = A.operator.part(box)
        return make, [np.arange(each.start, each.stop) for each in slices]
    psf, factor, settings = A.operator.psf, A.operator.factor, A.operator.settings()
    if isinstance(psf, Field):
        first = (int(some[0]) for some in pixels)
        psf = Field(psf.stamps, [p - k for p, k in zip(psf.positions, first, strict=True)])
    outputs = [line.outputs for line in lines]
    return partial(DHOperator, dims, psf, factor, **settings), outputs


def _side_by_side(makes: Sequence[Make]) -> ChannelOperator:
    return ChannelOperator([make() for make in makes])


def _on_scene(A: Any, weight: Array) -> Array:
    """Weights without the pixels of a frame that has moved whose centres are not on the part."""
    first = A.operators[0] if isinstance(A, ChannelOperator) else A
    if not isinstance(first, MovedOperator):
        return weight
    return np.broadcast_to(weight * first.seen, A.dimsd)


def taken(array: DaskArray, lines: Sequence[Array]) -> DaskArray:
    """Lines along each of the last axes."""
    for axis, some in zip(range(-len(lines), 0), lines, strict=True):
        index: Any = some
        if (np.diff(some) == 1).all():
            index = slice(int(some[0]), int(some[-1]) + 1)
        array = array[(..., index, *[slice(None)] * (-axis - 1))]
    return array
