"""Robust estimates of the noise, by the median of residuals, and of frames that are outliers.

Both change with the first images of the iteration. Then they are fixed, so that one objective is
minimised.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.frames.noise import NORMAL
from dhop.operators.stack import FrameStack
from dhop.reconstruction.data_terms import ResidualLoss
from dhop.reconstruction.losses import EFFICIENT, Huber
from dhop.reconstruction.minimising import improved
from dhop.reconstruction.objective import Objective, weighted
from dhop.reconstruction.penalties import Squares
from dhop.reconstruction.problem import Problem
from dhop.reconstruction.solvers import root_of_two

Array = NDArray[Any]

ROUNDS = 6  # of images and noise at most
SETTLED = 0.02  # relative change of the noise in the last round
EVERYONE = 1e6  # times the brightest pixel: a threshold without outliers
STRANGE = 2.5  # times the median noise of frames: an outlier frame has more
OUTLYING = 4.0  # standard deviations, which normal noise exceeds once in 16 000 pixels
FEWEST = 3  # frames that a median of frames needs
NOTHING = 16  # times epsilon of the brightest pixel: residuals of rounding alone


class RobustFit(NamedTuple):
    """A robust fit.

    Attributes
    ----------
    x : ndarray
        An image near the minimum.
    problem : Problem
        With the weights of the frames.
    threshold : float
        Of residuals.
    frames : ndarray of float
        The weight of each frame, one for inliers.
    """

    x: Array
    problem: Problem
    threshold: float
    frames: Array


def robust_fit(problem: Problem, x: Array) -> RobustFit:
    """Estimate noise and outlier frames from the residuals of images, and images with these.

    The problem is scaled by `root_of_two`; `x` is a first guess.
    """
    precondition = problem.nearest_inverse()
    brightest = max(
        float(abs(residual).max(initial=0)) for _, residual, _ in problem.residuals(None)
    )
    least = NOTHING * float(np.finfo(x.dtype).eps) * (brightest or 1.0)
    noise, frames = EVERYONE * (brightest or 1.0), np.ones(len(problem.operator.operators))
    penalty, seen = Squares(problem.S), problem
    for _ in range(ROUNDS):
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
    """Standard deviation of the noise of a pixel of weight one, and the weight of each frame."""
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
    """The frames as a robust fit predicts them."""
    x = _scaled_fit(problem)[0].x
    return FrameStack(problem.operator.operators).matvec(x).reshape(problem.frames.shape)


def without_outliers(problem: Problem, threshold: float | None) -> tuple[Array, Array]:
    """The frames with predictions in the place of outliers, and the weight of each frame.

    Other pixels keep their noise, as spectra need it.
    """
    found, root = _scaled_fit(problem)
    usual = found.threshold if threshold is None else threshold / root
    result = problem.frames.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        for frame, (A, residual, _) in zip(result, found.problem.residuals(found.x), strict=True):
            outlier = (abs(residual) > OUTLYING / EFFICIENT * usual).reshape(frame.shape)
            fits = A.matvec(found.x).reshape(frame.shape)
            np.copyto(frame, fits, where=outlier, casting="same_kind")
    return result, found.frames


def _scaled_fit(problem: Problem) -> tuple[RobustFit, float]:
    """The fit from the zero image, of the problem divided by the square of a number."""
    root = root_of_two(max(problem.scales()))
    x = np.zeros(problem.operator.shape[1], problem.operator.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        return robust_fit(problem.divided(root), x), root
