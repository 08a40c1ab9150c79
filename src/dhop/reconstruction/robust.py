"""What is an outlier: the noise of the frames as most residuals show it, and frames that are odd.

Both are estimated while the first images settle. From then on they stay, so that it is one
objective that is minimised.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.operators.stack import FrameStack
from dhop.reconstruction.data_terms import ResidualLoss
from dhop.reconstruction.losses import EFFICIENT, NORMAL, Huber
from dhop.reconstruction.minimising import improved
from dhop.reconstruction.objective import Objective, inverse_near, weighted
from dhop.reconstruction.penalties import Squares
from dhop.reconstruction.problem import Problem
from dhop.reconstruction.solvers import root_of_two

Array = NDArray[Any]

SETTLING = 6  # images at most until the noise is known
SETTLED = 0.02  # by which it changes then
EVERYONE = 1e6  # times the brightest pixel: a threshold of which nothing is an outlier
STRANGE = 2.5  # times the noise of most frames is that of one that does not fit
OUTLYING = 4.0  # standard deviations: so large noise itself is once in 16 000 pixels
FEWEST = 3  # frames, of which most can be told
NOTHING = 16  # times epsilon of the brightest pixel: what rounding alone leaves of residuals


class RobustFit(NamedTuple):
    """What most pixels agree on.

    Attributes
    ----------
    x : ndarray
        An image that is not yet the minimum.
    problem : Problem
        With the weights that the frames have by then.
    threshold : float
        Of residuals.
    frames : ndarray of float
        How much each frame counts.
    """

    x: Array
    problem: Problem
    threshold: float
    frames: Array


def robust_fit(problem: Problem, x: Array) -> RobustFit:
    """Noise and odd frames, from the residuals of images that both change.

    Parameters
    ----------
    problem : Problem
        Of ordinary strength.
    x : ndarray
        The first guess.
    """
    precondition = inverse_near(problem)
    brightest = max(
        float(abs(residual).max(initial=0)) for _, residual, _ in problem.residuals(None)
    )
    least = NOTHING * float(np.finfo(x.dtype).eps) * (brightest or 1.0)
    noise, frames = EVERYONE * (brightest or 1.0), np.ones(len(problem.operator.operators))
    penalty, seen = Squares(problem.S), problem
    for _ in range(SETTLING):
        data = ResidualLoss(seen.operator, seen.frames, Huber(EFFICIENT * noise))
        objective = Objective(seen, data, penalty, seen.beta, precondition)
        x = improved(objective, x, objective.evaluate(x))
        before = noise
        noise, frames = _noise(problem, x)
        noise = max(noise, least)
        if not (frames == 1).all():
            seen = replace(problem, operator=weighted(problem.operator, list(frames)))
        if abs(noise - before) <= SETTLED * before:
            break
    return RobustFit(x, seen, EFFICIENT * noise, frames)


def _noise(problem: Problem, x: Array) -> tuple[float, Array]:
    """Standard deviation of the noise of a pixel of weight one, and how much each frame counts."""
    sizes = [
        abs(residual)[np.broadcast_to(root > 0, residual.shape)]
        for _, residual, root in problem.residuals(x)
    ]
    each = np.array([NORMAL * np.median(size) if size.size else 0.0 for size in sizes])
    seen = np.array([size.size > 0 for size in sizes])
    usual = float(np.median(each[seen]))
    odd = (each > STRANGE * usual) & (seen.sum() >= FEWEST) & (usual > 0)
    frames = np.where(odd, np.divide(usual, each, where=odd, out=np.ones_like(each)) ** 2, 1.0)
    fit = [size for size, strange in zip(sizes, odd, strict=True) if not strange]
    return NORMAL * float(np.median(np.concatenate(fit))), frames


def robust_prediction(problem: Problem) -> Array:
    """The frames of an image that is not pulled by outliers."""
    root = root_of_two(max(problem.scales()))
    x = np.zeros(problem.operator.shape[1], problem.operator.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        x = robust_fit(problem.divided(root), x).x
    return FrameStack(problem.operator.operators).matvec(x).reshape(problem.frames.shape)


def without_outliers(problem: Problem, threshold: float | None) -> tuple[Array, Array]:
    """The frames with what fits in the place of outliers, and how much each frame counts.

    All others keep their noise, so that what is chosen from spectra can be chosen from these.
    """
    root = root_of_two(max(problem.scales()))
    x = np.zeros(problem.operator.shape[1], problem.operator.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        found = robust_fit(problem.divided(root), x)
        usual = found.threshold if threshold is None else threshold / root
        result = problem.frames.copy()
        for frame, (A, residual, _) in zip(result, found.problem.residuals(found.x), strict=True):
            outlier = (abs(residual) > OUTLYING / EFFICIENT * usual).reshape(frame.shape)
            fits = A.matvec(found.x).reshape(frame.shape)
            np.copyto(frame, fits, where=outlier, casting="same_kind")
    return result, found.frames
