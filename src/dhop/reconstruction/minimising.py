"""The solvers of objectives that are not quadratic, or whose images are bounded."""

from collections.abc import Callable, Iterator
from math import isfinite, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.iterative_refinement import PATIENCE, forgiven, moved, power_of_two
from dhop.iteration.majorising import improvement, majorised
from dhop.iteration.quasi_newton import quasi_newton
from dhop.iteration.steps import norm
from dhop.reconstruction.objective import Objective, View
from dhop.reconstruction.solvers import Callback, Found, Recorder
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]
Box: TypeAlias = tuple[float, float]
Iterates: TypeAlias = Iterator[tuple[Array, View]]

EVERYTHING: Box = (-np.inf, np.inf)


def improved(objective: Objective, x: Array, view: View) -> Array:
    """An image that makes the majoriser of a view smaller."""
    size = norm(view.residual)
    if not size:
        return x
    unit = power_of_two(size)
    r = (view.residual / unit).astype(x.dtype)
    normal = objective.majoriser(view).problem.normal
    return moved(x, unit, improvement(normal, r, objective.precondition))


def reweighted(objective: Objective, x: Array) -> Iterates:
    """Least squares that are weighted anew; an iteration weighs once."""
    return majorised(objective.look, lambda x, view: improved(objective, x, view), x)


def descending(objective: Objective, x: Array, box: Box) -> Iterates:
    """Quasi-Newton steps, see `dhop.iteration.quasi_newton`."""
    scale = 1 / (sum(objective.problem.scales()) or 1.0)
    return quasi_newton(objective.look, x, scale, *box, objective.precondition)


def minimise(
    objective: Objective,
    x: Array,
    iterates: Iterates,
    name: str,
    *,
    box: Box = EVERYTHING,
    maxiter: int,
    rtol: float,
    origin: Array,
    callback: Callback | None = None,
    progress: Progress = None,
    enough: Callable[[View], bool] = lambda view: False,
) -> Found:
    """Iterate until the gradient is small, without the parts of it that the bounds hold.

    Parameters
    ----------
    objective : Objective
    x : ndarray
        That the iterates begin with.
    iterates : iterator
        Of images and what is seen of them.
    name : str
        Of the solver.
    box : (float, float)
        Least and largest value of an image.
    maxiter, rtol, callback, progress
        As for `dhop.super_resolve`.
    origin : ndarray
        The image whose gradient others are compared with.
    enough : callable, optional
        Whether an image is good enough whatever the gradient.
    """
    strength = sum(objective.problem.scales())

    def size(x: Array, view: View) -> float:
        if box == EVERYTHING:
            return norm(view.residual)
        held = x.astype(view.residual.dtype, copy=False)
        low, high = (strength * (edge - held) if isfinite(edge) else edge for edge in box)
        return norm(view.residual.clip(low, high))

    scale = size(origin, objective.look(origin))
    if not isfinite(scale):
        raise ValueError("frames times weights overflow; scale them down")
    since, least, converged = 0, np.inf, False
    with reporting(progress, maxiter, name) as advance:
        record = Recorder(scale, callback, advance, objective.problem.operator.dims)
        for number, (x, view) in enumerate(iterates):
            now = size(x, view)
            limit = forgiven(x.dtype, strength, norm(x), scale)
            if number:
                record.add(now, lambda x=x: x, view.loss, view.prior)  # type: ignore[misc]
            converged = now <= max(rtol * scale, limit) or enough(view)
            since = 0 if now < least else since + 1
            least = min(now, least)
            if converged or number == maxiter or since > PATIENCE or not isfinite(now):
                break
    shape = objective.problem.frames.shape[1:]
    problem, square, trust = objective.majoriser(view)
    return Found(
        x, converged, name, record.history, sqrt(square), problem.operator,
        [each.reshape(shape) for each in trust],
    )  # fmt: skip
