"""How chunked frames have moved: by a coarse look at all of them, then exactly by a few regions.

Frames are made coarse until memory holds them, and registered. Regions that show the same by then
are registered again, with all their pixels, and their motions refined as those of frames that
memory holds; the motion of a whole frame is the one of its kind that takes places in the regions
nearest to where they were found.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.dask import regions
from dhop.dask.operator import DaskArray, da, dask
from dhop.estimation import groups
from dhop.estimation.groups import Kind
from dhop.frames import motions
from dhop.model.decimation import Decimation
from dhop.reconstruction.refining import refined_motions
from dhop.registration import Model, Registration, register
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]

COARSE = 1024  # most pixels of a coarse frame along an axis
STEPS = 5  # of least squares, of maps that are nearly straight
GRID = 3  # places along each axis of a region that are compared


class Moved(NamedTuple):
    """What was found.

    Attributes
    ----------
    registration : Registration
        Of whole frames.
    motions : ndarray, shape (F, 3, 3)
        Those of that, refined.
    apart : float or None
        Pixels by which a region differs from the motion, at most; None if there were none.
    """

    registration: Registration
    motions: Array
    apart: float | None


def estimated(
    stack: DaskArray,
    weights: Sequence[Any],
    model: Model,
    factor: tuple[int, ...],
    decimation: Decimation,
    progress: Progress = None,
) -> Moved:
    """The motions of images.

    Parameters
    ----------
    stack : dask.array.Array, shape (F, ..., m0, m1)
    weights : sequence of (float or dask.array.Array)
        Of the pixels of each frame.
    model, factor, decimation, progress
        As for `dhop.super_resolve`.
    """
    grey, seen = _grey(stack, weights)
    shape = stack.shape[-2:]
    step = -(-max(shape) // COARSE)
    with reporting(progress, 2, "registering") as advance:
        found = register(*_coarse(grey, seen, step), model=model)
        advance(1)
        if step == 1:
            frames, maps = dask.compute(stack, weights)
            return Moved(found, _refined(frames, maps, factor, decimation, found), None)
        onto = np.diag([1 / step, 1 / step, 1])
        onto[:2, 2] = 0.5 / step - 0.5
        rough = np.linalg.inv(onto) @ found.motions @ onto
        rough /= rough[:, 2:, 2:]
        exact, apart = _exact(grey, seen, rough, found, factor, decimation)
    shifts = [motions.displacement(each, shape, (0.5, 0.5)) for each in exact]
    return Moved(replace(found, motions=exact, shifts=np.array(shifts)), exact, apart)


def _grey(stack: DaskArray, weights: Sequence[Any]) -> tuple[DaskArray, DaskArray]:
    """Means over channels, and which pixels have a weight in all of them, as zeros and ones."""
    on = [da.broadcast_to(da.asarray(w > 0), stack.shape[1:]) for w in weights]
    used = da.stack(on).rechunk(stack.chunks)
    shape = (len(stack), -1, *stack.shape[-2:])
    values = da.where(used, stack, 0).astype(np.float64).reshape(shape).mean(axis=1)
    return values, used.reshape(shape).all(axis=1).astype(np.float64)


def _coarse(grey: DaskArray, seen: DaskArray, step: int) -> tuple[Array, list[Array]]:
    """Means over blocks of what has a weight, and how much of each block has one."""
    blocks = {1: step, 2: step}
    sums, counts = dask.compute(
        *(da.coarsen(np.mean, each, blocks, trim_excess=True) for each in (grey * seen, seen))
    )
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0), list(counts)


def _refined(
    frames: Array,
    weights: Sequence[Any],
    factor: tuple[int, ...],
    decimation: Decimation,
    found: Registration,
) -> Array:
    """The motions of registered frames, of which those that do not fit take no part."""
    used = [f * np.asarray(w) for f, w in zip(found.fits, weights, strict=True)]
    return refined_motions(frames, used, factor, decimation, found)[0]


def _exact(
    grey: DaskArray,
    seen: DaskArray,
    rough: Array,
    found: Registration,
    factor: tuple[int, ...],
    decimation: Decimation,
) -> tuple[Array, float | None]:
    """Motions by regions, and how far these are from them."""
    shape, first = grey.shape[-2:], found.reference
    pairs: list[list[Array]] = [[] for _ in rough]
    for place in regions.places(shape):
        starts = regions.moved_starts(place, shape, list(rough))
        parts = [regions.part(start, shape) for start in starts]
        given = dask.compute([(grey[i][cut], seen[i][cut]) for i, cut in enumerate(parts)])[0]
        values, maps = np.stack([one for one, _ in given]), [on for _, on in given]
        own = register(values, maps, model=found.model)
        if own.reference != first:
            continue
        moves = _refined(values, maps, factor, decimation, own)
        side = np.array(values.shape[1:])
        lattice = (np.indices((GRID, GRID)).reshape(2, -1) + 1) * (side[:, None] - 1) / (GRID + 1)
        for i in np.flatnonzero(own.fits & found.fits).tolist():
            there = motions.positions(moves[i], *lattice)
            ends = lattice + starts[i][:, None], there + starts[first][:, None]
            pairs[i].append(np.stack(ends))
    exact, apart = rough.copy(), []
    for i, each in enumerate(pairs):
        if each and i != first:
            places, targets = np.concatenate(each, axis=2)
            exact[i] = _fitted(rough[i], places, targets, found.model, shape)
            left = motions.positions(exact[i], *places) - targets
            apart.append(float(np.hypot(*left).reshape(len(each), -1).mean(axis=1).max()))
    return exact, max(apart, default=None)


def _fitted(
    matrix: Array, places: Array, targets: Array, kind: Kind, shape: tuple[int, ...]
) -> Array:
    """The motion of a kind that takes places nearest to targets, by Gauss's and Newton's steps."""
    among = groups.generators(kind, shape)
    for _ in range(STEPS):
        row, column, scale = matrix @ [*places, np.ones_like(places[0])]
        there = np.stack([row, column]) / scale
        slopes = (matrix[:2, :2, None] - there[:, None] * matrix[2, :2, None]) / scale
        ways = np.einsum("ijp,jkp->ikp", slopes, np.stack(groups.velocities(among, *places)))
        ways = np.moveaxis(ways, 1, 2).reshape(-1, len(among))
        amounts = np.linalg.lstsq(ways, (targets - there).reshape(-1))[0]
        matrix = groups.stepped(matrix, among, amounts)
    return matrix
