"""Images in chunks that are not least squares: what `Variational` does in memory."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from dhop.dask.objective import (
    ChunkedObjective,
    Gathered,
    ResidualLoss,
    Squares,
    Variation,
    gathered,
)
from dhop.dask.operator import DaskArray, DaskDHOperator, da
from dhop.dask.problem import WIDE, Problem
from dhop.dask.scratch import Vectors
from dhop.frames.masks import NEAR
from dhop.iteration.steps import Product
from dhop.reconstruction import losses, solvers
from dhop.reconstruction.data_terms import PoissonLoss
from dhop.reconstruction.minimising import minimise
from dhop.reconstruction.photon_noise import PhotonNoise, deviance, even
from dhop.reconstruction.solvers import Callback, SolverResult
from dhop.reconstruction.starlets import Starlet
from dhop.reconstruction.variational import DARK, Variational
from dhop.runtime.progress import Progress

TOGETHER = 256  # pixels along an axis of the chunks that starlets look at, at least


def minimised(
    given: Problem,
    variational: Variational,
    start: DaskArray | None,
    seen: Sequence[Any],
    vectors: Vectors,
    near: Callable[[Problem], Product | None],
    *,
    maxiter: int,
    rtol: float,
    callback: Callback | None,
    progress: Progress,
) -> tuple[SolverResult, Problem]:
    """The image of the least objective, and the least squares that it is of, too.

    Parameters
    ----------
    given : Problem
        Its weights are those of the loss, its `beta` is that of the prior.
    variational : Variational
        With the threshold of a robust loss. The background of `photon_noise` is a Dask array that
        has been subtracted from the frames.
    start : dask.array.Array or None
    seen : sequence of (float or dask.array.Array)
        The weights as the caller gave them.
    vectors : Vectors
    near : callable
        Gives the preconditioner of a problem, if there is one.
    maxiter, rtol, callback, progress
        As for `dhop.super_resolve`.
    """
    squares = replace(given, beta=variational.curvature(given.beta))
    root = solvers.root_of_two(max(squares.scales()))
    problem, A = squares.divided(root**2), given.operators[0]
    penalty = Squares(given.penalties) if variational.prior is None else _prior(variational, A)
    weights, sensitivity = [weight / root**2 for weight in seen], None
    if variational.photon_noise is not None:
        sensitivity = _sensitivity(problem, variational.photon_noise.gain, weights)
    origin = x = _origin(problem, variational, weights, sensitivity).astype(given.frames.dtype)
    if start is not None:
        x = start.clip(*variational.box)
        x = x if variational.photon_noise is None else np.maximum(x, DARK * origin)
    data = _data(problem, variational, weights, root)
    objective: Any = ChunkedObjective(problem, data, penalty, given.beta / root**2, vectors.keep)
    x, goal = vectors.hold(x), -np.inf
    if variational.solver != "richardson-lucy":
        posed = problem
        if variational.photon_noise is not None:
            posed = objective.majoriser(objective.evaluate(x)).problem
        objective = replace(objective, precondition=near(posed))
    if variational.solver == "reweighted":
        iterates = objective.reweighted(x)
    elif variational.solver == "richardson-lucy" and variational.photon_noise is not None:
        goal = _noise(given.frames, variational.photon_noise, weights) if rtol > 0 else 0.0
        iterates = objective.multiplying(x, sensitivity, goal)
    else:
        iterates = objective.descending(x, variational.box)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = minimise(
            objective, iterates, variational.solver, box=variational.box, maxiter=maxiter,
            rtol=rtol, origin=None if start is None else origin, callback=callback,
            progress=progress, goal=goal,
        )  # fmt: skip
    products = [A.degrade(found.x.astype(WIDE)) for A in given.operators]
    last = [data.quadratic_model(*each) for each in enumerate(products)]
    robustness = [each.robustness for each in last] if variational.robust else None
    ended = replace(squares, weights=[root**2 * each.weights for each in last])
    size = root * found.residual_norm
    return found._replace(residual_norm=size, operator=None, weights=robustness), ended


def _prior(variational: Variational, A: Any) -> Variation | Gathered:
    if variational.prior != "starlet":
        return Variation(A, variational.edge)
    chunks = list(A.chunks)
    for axis in A.image_axes:
        chunks[axis] = gathered(chunks[axis], TOGETHER)
    scales = Starlet.build(
        A.dims, len(A.image_axes), variational.edge, DaskDHOperator, chunks=tuple(chunks)
    )
    return Gathered(scales, tuple(chunks))


def _data(
    problem: Problem, variational: Variational, seen: Sequence[Any], root: float
) -> ResidualLoss | PoissonLoss:
    if variational.photon_noise is not None:
        return _photons(problem.frames, variational.photon_noise, seen)
    if variational.threshold is None:
        return ResidualLoss(problem, losses.Square())
    return ResidualLoss(problem, losses.robust(variational.loss, variational.threshold / root))


def _photons(frames: DaskArray, photon_noise: PhotonNoise, weights: Sequence[Any]) -> PoissonLoss:
    """See `PhotonNoise.loss`."""
    read = (photon_noise.read_noise / photon_noise.gain) ** 2
    back = [each / photon_noise.gain + read for each in photon_noise.background]
    counts = [
        (da.where(w > 0, y, 0).astype(WIDE) / photon_noise.gain + b).clip(0)
        for y, w, b in zip(frames, weights, back, strict=True)
    ]
    return PoissonLoss(counts, back, photon_noise.gain, weights)


def _noise(frames: DaskArray, photon_noise: PhotonNoise, weights: Sequence[Any]) -> float:
    """The expected loss of the true scene, see `PhotonNoise.discrepancy`."""
    total: Any = 0.0
    for frame, back, weight in zip(frames, photon_noise.background, weights, strict=True):
        on = da.broadcast_to(da.asarray(weight), frame.shape, chunks=frame.chunks)
        depth = dict.fromkeys(range(frame.ndim - 2), 0) | {
            frame.ndim - 2: NEAR,
            frame.ndim - 1: NEAR,
        }
        total += da.map_overlap(
            _expected, frame, back, on, gain=photon_noise.gain, read_noise=photon_noise.read_noise,
            depth=depth, boundary="reflect", dtype=WIDE, meta=np.empty((0,) * frame.ndim, WIDE),
        ).sum()  # fmt: skip
    return float(total)


def _expected(frame: Any, back: Any, weight: Any, gain: float, read_noise: float) -> Any:
    """The expected loss of each pixel of a block of a frame."""
    photon_noise = PhotonNoise(back[None], gain, read_noise)
    (mean,) = photon_noise.means(frame[None], [weight])
    return weight * deviance(mean + (read_noise / gain) ** 2)


def _sensitivity(given: Problem, gain: float, weights: Sequence[Any]) -> DaskArray:
    """See `PhotonNoise.sensitivity`."""
    shape = given.frames.shape[1:]
    maps = [da.broadcast_to(da.asarray(w), shape) / gain for w in weights]
    return sum(A.backproject(w) for A, w in zip(given.operators, maps, strict=True))


def _origin(
    given: Problem, variational: Variational, weights: Sequence[Any], sensitivity: DaskArray | None
) -> DaskArray:
    """The zero image, or where photons are counted, an even one; see `PhotonNoise.level`."""
    A, level = given.operators[0], 0.0
    if variational.photon_noise is not None and sensitivity is not None:
        gain, pairs = variational.photon_noise.gain, zip(given.frames, weights, strict=True)
        photons = sum((w * da.where(w > 0, y, 0).astype(WIDE)).sum() for y, w in pairs) / gain
        found = da.compute(photons, sensitivity.sum(dtype=WIDE))
        level = even(float(found[0]), float(found[1]), gain)
    low, high = variational.box
    level = min(max(level, low), high)
    assert isfinite(level)
    return da.full(A.dims, level, chunks=A.chunks, dtype=WIDE)
