"""The solver of objectives that are not quadratic: least squares, weighted anew."""

from math import isfinite, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.majorising import improvement, improvement_within, majorised
from dhop.iteration.rounds import PATIENCE, forgiven, moved, power_of_two
from dhop.iteration.steps import norm
from dhop.reconstruction.objective import Objective, View
from dhop.reconstruction.solvers import Callback, Found, Recorder, bound_of
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]
Box: TypeAlias = tuple[float, float]

EVERYTHING: Box = (-np.inf, np.inf)


class Reweighting:
    """Least squares that are weighted anew, of one objective.

    Parameters
    ----------
    objective : Objective
        Of ordinary strength.
    box : (float, float)
        Least and largest value of an image.
    """

    def __init__(self, objective: Objective, box: Box = EVERYTHING) -> None:
        self.objective = objective
        self.box = box
        self.strength = sum(objective.scales())
        self.bound = 0.0
        if box != EVERYTHING:
            self.bound = bound_of(objective.steepest(), self.strength)

    def within(self, x: Array) -> Array:
        """The nearest image that is allowed."""
        return x if self.box == EVERYTHING else x.clip(*self.box)

    def size(self, x: Array, view: View) -> float:
        """Norm of half the gradient, without the parts that the bounds hold."""
        if self.box == EVERYTHING:
            return norm(view.residual)
        low, high = (self.bound * (edge - x.astype(np.float64)) for edge in self.box)
        return norm(view.residual.clip(low, high))

    def improve(self, x: Array, view: View) -> Array:
        """An image that makes the majoriser of a view smaller."""
        majoriser = self.objective.majoriser(view)
        size = norm(view.residual)
        if not size:
            return x
        unit = power_of_two(size)
        r = (view.residual / unit).astype(x.dtype)
        if self.box == EVERYTHING:
            precondition = self.objective.precondition
            return moved(x, unit, improvement(majoriser.normal, r, precondition))
        low, high = ((edge - x) / x.dtype.type(unit) for edge in self.box)
        d = improvement_within(majoriser.normal, r, self.bound, low, high)
        return self.within(moved(x, unit, d))

    def run(
        self,
        x: Array,
        maxiter: int,
        rtol: float,
        callback: Callback | None = None,
        progress: Progress = None,
    ) -> Found:
        """Minimise from an image on. An iteration weighs once."""
        nothing = self.within(np.zeros_like(x))
        scale = self.size(nothing, self.objective.look(nothing))
        if not isfinite(scale):
            raise ValueError("frames times weights overflow; scale them down")
        iterates = majorised(self.objective.look, self.improve, self.within(x))
        since, least, converged = 0, np.inf, False
        with reporting(progress, maxiter, "reweighted") as advance:
            record = Recorder(scale, callback, advance, self.objective.problem.operator.dims)
            for number, (x, view) in enumerate(iterates):
                size = self.size(x, view)
                limit = forgiven(x.dtype, self.strength, norm(x), scale)
                if number:
                    record.add(size, lambda x=x: x, view.loss, view.prior)  # type: ignore[misc]
                converged = size <= max(rtol * scale, limit)
                since = 0 if size < least else since + 1
                least = min(size, least)
                if converged or number == maxiter or since > PATIENCE or not isfinite(size):
                    break
        return Found(
            x, converged, "reweighted", record.history, sqrt(view.square),
            self.objective.majoriser(view).operator, self.objective.trust(x),
        )  # fmt: skip
