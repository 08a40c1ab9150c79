"""What is an outlier: the noise of the frames as most residuals show it, and frames that are odd.

Both are estimated while the first images settle. From then on they stay, so that it is one
objective that is minimised.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from dhop.frames.spikes import despiked
from dhop.iteration.steps import Product
from dhop.reconstruction.losses import EFFICIENT, NORMAL, Name, robust
from dhop.reconstruction.objective import Objective, inverse_near, weighted
from dhop.reconstruction.preparation import Preparation
from dhop.reconstruction.problem import Problem
from dhop.reconstruction.reweighting import EVERYTHING, Reweighting
from dhop.reconstruction.solvers import Callback, Found, root_of_two, start_of
from dhop.runtime.progress import Progress

Array = NDArray[Any]

SETTLING = 6  # images at most until the noise is known
SETTLED = 0.02  # by which it changes then
EVERYONE = 1e6  # standard deviations: a threshold of which nothing is an outlier, to begin with
STRANGE = 2.5  # times the noise of most frames is that of one that does not fit
OUTLYING = 4.0  # standard deviations: so large noise itself is once in 16 000 pixels
FEWEST = 3  # frames, of which most can be told
NOTHING = 16  # times epsilon of the brightest pixel: what rounding alone leaves of residuals


@dataclass(frozen=True)
class Robust:
    """How to solve with a robust loss; the parts of `dhop.super_resolve` that it changes.

    Attributes
    ----------
    loss : {"huber", "l1"}
    threshold : float or None
        Of the residual of a pixel of weight one; None for one that is estimated.
    """

    loss: Name
    threshold: float | None = None

    def seen(self, frames: Array, weights: list[Array] | None) -> Array:
        """The frames as registration and the estimation of the PSF should see them."""
        return despiked(frames, weights)

    def weigh(self, known: Preparation, problem: Problem, *settings: Any) -> float:
        """Choose `beta` from frames without outliers, see `Preparation.weigh`."""
        if not isinstance(problem.regulariser, LinearOperator):
            first = replace(known, frames=self.seen(known.frames, known.weights))
            problem = replace(problem, beta=first.moderate(problem.regulariser))
            frames, trust = without_outliers(problem, self.threshold)
            weights = [w * t for w, t in zip(known.weights or trust, trust, strict=True)]
            known = replace(known, frames=frames, weights=weights)
        return known.weigh(problem.regulariser, *settings)

    def solve(
        self,
        problem: Problem,
        solver: str,
        *,
        nonnegative: bool,
        x0: Array | None,
        maxiter: int,
        rtol: float,
        callback: Callback | None,
        progress: Progress,
    ) -> Found:
        """See `dhop.reconstruction.solvers.solve`; the weights count frames and pixels together."""
        if solver not in ("auto", "reweighted"):
            raise ValueError(f'loss={self.loss!r} is for the solver "reweighted", not {solver!r}')
        box = (0.0, np.inf) if nonnegative else EVERYTHING
        root = root_of_two(max(problem.scales()))
        problem = problem.divided(root)
        x = np.zeros(problem.operator.shape[1], problem.operator.dtype)
        if x0 is not None:
            x = start_of(x0, x.dtype, nonnegative)
        with np.errstate(over="ignore", invalid="ignore"):
            x, objective, frames = settled(problem, self, root, x)
            found = Reweighting(objective, box).run(x, maxiter, rtol, callback, progress)
        return found.scaled(root, frames)


def settled(
    problem: Problem, setting: Robust, root: float, x: Array
) -> tuple[Array, Objective, Array]:
    """An image, the objective with noise and odd frames as they are seen in it, and these frames.

    Parameters
    ----------
    problem : Problem
        Divided by `root`.
    setting : Robust
    root : float
    x : ndarray
        The first guess.
    """
    precondition = inverse_near(problem)
    count = len(problem.operator.operators)
    brightest = max(
        (float(abs(misfit).max(initial=0)) for _, misfit, _ in problem.misfits(None)), default=0.0
    )
    least = NOTHING * float(np.finfo(x.dtype).eps) * (brightest or 1.0)
    noise, frames = EVERYONE * (brightest or 1.0), np.ones(count)
    for _ in range(SETTLING):
        objective = _objective(problem, "huber", EFFICIENT * noise, frames, precondition)
        x = Reweighting(objective).improve(x, objective.look(x))
        before = noise
        noise, frames = _noise(problem, x)
        noise = max(noise, least)
        if abs(noise - before) <= SETTLED * before:
            break
    threshold = EFFICIENT * noise if setting.threshold is None else setting.threshold / root
    return x, _objective(problem, setting.loss, threshold, frames, precondition), frames


def _objective(
    problem: Problem, loss: Name, threshold: float, frames: Array, precondition: Product | None
) -> Objective:
    if not (frames == 1).all():
        problem = replace(problem, operator=weighted(problem.operator, list(frames)))
    return Objective(problem, robust(loss, threshold), precondition)


def _noise(problem: Problem, x: Array) -> tuple[float, Array]:
    """Standard deviation of the noise of a pixel of weight one, and how much each frame counts."""
    sizes = [
        abs(misfit)[np.broadcast_to(root > 0, misfit.shape)]
        for _, misfit, root in problem.misfits(x)
    ]
    each = np.array([NORMAL * np.median(size) if size.size else 0.0 for size in sizes])
    seen = np.array([size.size > 0 for size in sizes])
    usual = float(np.median(each[seen]))
    odd = (each > STRANGE * usual) & (seen.sum() >= FEWEST) & (usual > 0)
    frames = np.where(odd, np.divide(usual, each, where=odd, out=np.ones_like(each)) ** 2, 1.0)
    fit = [size for size, strange in zip(sizes, odd, strict=True) if not strange]
    return NORMAL * float(np.median(np.concatenate(fit))), frames


def without_outliers(problem: Problem, threshold: float | None) -> tuple[Array, Array]:
    """The frames with what fits in the place of outliers, and how much each frame counts.

    All others keep their noise, so that what is chosen from spectra can be chosen from these.
    """
    root = root_of_two(max(problem.scales()))
    x = np.zeros(problem.operator.shape[1], problem.operator.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        x, objective, frames = settled(problem.divided(root), Robust("huber", threshold), root, x)
        least = EFFICIENT / OUTLYING
        result = problem.frames.copy()
        for frame, (A, misfit, _) in zip(result, objective.problem.misfits(x), strict=True):
            outlier = (objective.loss.trust(misfit) < least).reshape(frame.shape)
            fits = A.matvec(x).reshape(frame.shape)
            np.copyto(frame, fits, where=outlier, casting="same_kind")
    return result, frames
