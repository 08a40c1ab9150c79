"""Regions of chunked frames, small enough for memory: each is a burst of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.dask.operator import DaskArray, dask
from dhop.estimation.photometry import Photometry
from dhop.frames import motions
from dhop.frames.observations import NOT_FINITE
from dhop.model.decimation import Decimation
from dhop.reconstruction import inputs
from dhop.reconstruction.preparation import Preparation
from dhop.reconstruction.requests import Request
from dhop.reconstruction.variational import Variational

Array = NDArray[Any]

SIDE = {2: 512, 3: 64}  # pixels of a frame along each axis, by the number of axes
STEPS = 4  # to a place in a frame, each of which leaves of the way what the frame is turned by
PLACES = 0.5, 0.25, 0.75  # of the middles of regions along an axis


@dataclass
class Region:
    """A part of all frames.

    Attributes
    ----------
    known : Preparation
        What is known of it.
    special : Variational or None
        How to solve it, if not by least squares.
    frames : ndarray
        Without their background.
    starts : ndarray of int, shape (F, ndim)
        Where it begins in each frame.
    motion : list or None
        Of its frames, as `dhop.frames.motions` has it.
    """

    known: Preparation
    special: Variational | None
    frames: Array
    starts: Array
    motion: list[Any] | None

    @property
    def moved(self) -> Array:
        """Whole pixels by which it lies elsewhere than in frame 0."""
        return self.starts - self.starts[0]


def read_regions(
    stack: DaskArray,
    weights: Sequence[Any] | None,
    background: DaskArray | None,
    shifts: Array,
    motion: list[Any] | None,
    factor: tuple[int, ...],
    decimation: Decimation,
    request: Request,
    changes: bool,
) -> list[Region]:
    """Some regions, in which all frames show about the same of the scene; the middle one first.

    Parameters
    ----------
    stack : dask.array.Array, shape (F, ..., m0, m1)
    weights : sequence of (float or dask.array.Array) or None
    background : dask.array.Array or None
        Of the shape of the frames.
    shifts : ndarray, shape (F, ndim)
        As far as they are known.
    motion : list or None
        If it is more than that.
    factor, decimation
    request : Request
    changes : bool
        Whether the brightness is to be found, too.
    """
    shape = stack.shape[-len(factor) :]
    where = places(shape)
    cuts = [
        _starts(place, shape, shifts) if motion is None else moved_starts(place, shape, motion)
        for place in where
    ]
    parts = [[part(start, shape) for start in starts] for starts in cuts]
    given = dask.compute(
        [
            [
                [stack[i][part] for i, part in enumerate(some)],
                None if weights is None
                else [_cut(w, part) for w, part in zip(weights, some, strict=True)],
                None if background is None
                else [background[i][part] for i, part in enumerate(some)],
            ]
            for some in parts
        ]
    )[0]  # fmt: skip
    regions = []
    for place, starts, (frames, maps, back) in zip(where, cuts, given, strict=True):
        pixels = np.stack(frames)
        if maps is not None:
            maps = [np.asarray(w, np.float64) for w in maps]
        if not all(inputs.finite_where_weighted(pixels, maps)):
            raise ValueError(NOT_FINITE)
        if back is not None:
            request = request._replace(background=np.stack(back))
        special = None
        answer = request.variational(pixels, maps, None, changes)
        if answer is not None:
            special, pixels, maps = answer
        left = shifts - (starts - starts[0])
        known = Preparation(pixels, maps, factor, decimation, left, Photometry.none(len(pixels)))
        own = motion and [
            motions.cut(each, tuple(start), pixels.shape[-len(shape) :], tuple(place))
            for each, start in zip(motion, starts.tolist(), strict=True)
        ]
        regions.append(Region(known, special, pixels, starts, own))
    # Where nothing is to be seen, nothing can be chosen.
    telling = [each for each in regions if _tells(each.frames, each.known.weights)]
    return telling or regions[:1]


def places(shape: Sequence[int]) -> list[Array]:
    """Where regions begin: in the middle, and if there is more than that, around it."""
    side = SIDE[len(shape)]
    rest = np.array([max(m - side, 0) for m in shape])
    lattice = np.array(np.meshgrid(*[[0, 1]] * len(shape), indexing="ij")).reshape(len(shape), -1)
    at = [np.full(len(shape), PLACES[0]), *np.where(lattice.T, PLACES[2], PLACES[1])]
    found = [tuple(((m * place).astype(int) - side // 2).clip(0, rest)) for place in at
             for m in [np.array(shape)]]  # fmt: skip
    return [np.array(each) for each in dict.fromkeys(found)]


def _starts(place: Array, shape: Sequence[int], shifts: Array) -> Array:
    """Where a region begins in each frame."""
    side = np.array([min(SIDE[len(shape)], m) for m in shape])
    moves = np.rint(shifts - shifts[0]).astype(int)
    return np.array((place + moves).clip(0, np.array(shape) - side))


def moved_starts(place: Array, shape: Sequence[int], motion: list[Any]) -> Array:
    """The same of frames that have moved: where they show its middle."""
    last = np.array(shape) - 1
    middle = place + (np.minimum(SIDE[len(shape)], shape) - 1) / 2
    found = []
    for each in motion:
        at = middle
        for _ in range(STEPS):
            shift = motions.displacement(each, tuple(shape), at / np.maximum(last, 1))
            at = (middle + shift).clip(0, last)
        found.append(shift)
    return _starts(place, shape, np.array(found))


def part(start: Array, shape: Sequence[int]) -> tuple[Any, ...]:
    """The index of a region that begins there."""
    side = SIDE[len(shape)]
    return (..., *(slice(s, s + min(side, m)) for s, m in zip(start.tolist(), shape, strict=True)))


def _cut(weight: Any, part: tuple[Any, ...]) -> Any:
    return weight[part] if getattr(weight, "ndim", 0) else weight


def _tells(frames: Array, weights: Sequence[Array] | None) -> bool:
    """Whether a region shows anything."""
    for i, frame in enumerate(frames):
        seen = frame if weights is None else frame[np.broadcast_to(weights[i] > 0, frame.shape)]
        if seen.size and float(seen.min()) < float(seen.max()):
            return True
    return False
