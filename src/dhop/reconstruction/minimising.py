"""Solvers of objectives that are not quadratic, or have bounds."""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from math import isfinite, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.iterative_refinement import (
    PATIENCE,
    add_scaled,
    attainable_residual,
    power_of_two,
)
from dhop.iteration.majorising import improvement, majorised
from dhop.iteration.quasi_newton import quasi_newton
from dhop.iteration.richardson_lucy import inverse_sums, richardson_lucy
from dhop.iteration.steps import norm
from dhop.reconstruction.bounds import EVERYTHING, Box, free_norm
from dhop.reconstruction.objective import Evaluation, Objective
from dhop.reconstruction.solvers import Callback, Recorder, SolverResult
from dhop.runtime.elementwise import elementwise
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]
Iterates: TypeAlias = Iterator[tuple[Array, Evaluation]]

NOTABLE_FALL = 1e-8  # of the objective; an iteration that decreases it by less gains nothing


def improved(objective: Objective, x: Array, evaluation: Evaluation) -> Array:
    """An image with a smaller majoriser."""
    size = norm(evaluation.residual)
    if not size:
        return x
    unit = power_of_two(size)
    r = (evaluation.residual / unit).astype(x.dtype)
    normal = objective.majoriser(evaluation).problem.normal
    return add_scaled(x, unit, improvement(normal, r, objective.precondition))


def reweighted(objective: Objective, x: Array) -> Iterates:
    """Iteratively reweighted least squares; an iteration reweights once."""
    return majorised(objective.evaluate, partial(improved, objective), x)


def descending(objective: Objective, x: Array, box: Box) -> Iterates:
    """Quasi-Newton steps, see `dhop.iteration.quasi_newton`."""
    scale = 1 / (sum(objective.problem.scales()) or 1.0)
    return quasi_newton(
        objective.evaluate, x, scale, *box, objective.precondition, apply=elementwise
    )


def multiplying(objective: Objective, x: Array, sensitivity: Array, goal: float) -> Iterates:
    """Images of more and more likely photons, see `dhop.iteration.richardson_lucy`."""
    # Imported here, since it loads Numba.
    from dhop.reconstruction.compiled_poisson import step

    scale = elementwise(inverse_sums, sensitivity)
    return richardson_lucy(objective.evaluate_as_it_is, scale, x, goal, step=step)


def minimise(
    objective: Objective,
    iterates: Iterates,
    name: str,
    *,
    box: Box = EVERYTHING,
    maxiter: int,
    rtol: float,
    origin: Array | None = None,
    callback: Callback | None = None,
    progress: Progress = None,
    goal: float = -np.inf,
) -> SolverResult:
    """Iterate until the gradient is small, without its components that bounds hold.

    Parameters
    ----------
    objective : Objective
    iterates : iterator
        Of images and their evaluations.
    name : str
        Of the solver.
    box : (float, float)
        Least and largest value of an image.
    maxiter, rtol, callback, progress
        As for `dhop.super_resolve`.
    origin : ndarray, optional
        The image whose gradient `rtol` is relative to, by default the first iterate.
    goal : float, optional
        The loss at which the iterations may end, whatever the gradient.
    """
    strength = sum(objective.problem.scales())

    def size(x: Array, evaluation: Evaluation) -> float:
        return free_norm(evaluation.residual, x, strength, box)

    first = next(iterates)
    scale = size(*first) if origin is None else size(origin, objective.evaluate(origin))
    iterates = chain(iter([first]), iterates)  # which, unlike a list, keeps nothing to the end
    del first
    if not isfinite(scale):
        raise ValueError("frames times weights overflow; scale them down")
    since, least, lowest, converged = 0, np.inf, np.inf, False
    with reporting(progress, maxiter, name) as advance:
        record = Recorder(scale, callback, advance, objective.problem.operator.dims)
        for number, (x, evaluation) in enumerate(iterates):
            now = size(x, evaluation)
            limit = attainable_residual(x.dtype, strength, norm(x), scale)
            if number:
                record.add(now, lambda x=x: x, evaluation.loss, evaluation.prior)  # type: ignore[misc]
            converged = now <= max(rtol * scale, limit) or evaluation.loss <= goal
            # Where edges are sharp the gradient may grow for long while the objective falls.
            fell = evaluation.value < lowest - NOTABLE_FALL * abs(lowest)
            since = 0 if now < least or fell else since + 1
            least, lowest = min(now, least), min(evaluation.value, lowest)
            if converged or number == maxiter or since > PATIENCE or not isfinite(now):
                break
    shape = objective.problem.frames.shape[1:]
    problem, square, robustness = objective.majoriser(evaluation)
    return SolverResult(
        x, converged, name, record.history, sqrt(square), problem.operator,
        [each.reshape(shape) for each in robustness],
    )  # fmt: skip
