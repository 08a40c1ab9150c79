r"""What is minimised: :math:`\sum_i \mathrm{loss}(A_i x - y_i) + \beta \|S x\|^2`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.steps import Product, inner
from dhop.operators.inverse import inverse_of
from dhop.operators.stack import FrameStack
from dhop.reconstruction.losses import Loss
from dhop.reconstruction.problem import Problem

Array = NDArray[Any]


class View(NamedTuple):
    """An objective as it is seen from an image.

    Attributes
    ----------
    residual : ndarray
        Minus half the gradient, in double precision.
    loss, prior : float
        The parts of the objective.
    square : float
        Of the norm of the residuals with the weights of the majoriser.
    weights : list of ndarray
        Of the quadratic majoriser, for each pixel of the frames, relative to those given.
    """

    residual: Array
    loss: float
    prior: float
    square: float
    weights: list[Array]


@dataclass(frozen=True, eq=False)
class Objective:
    """A loss of weighted residuals, and a quadratic penalty.

    Attributes
    ----------
    problem : Problem
        Operators, frames, weights and penalty.
    loss : Loss
    precondition : callable or None
        The product with an inverse that is near those of the majorisers.
    """

    problem: Problem
    loss: Loss
    precondition: Product | None = None

    def look(self, x: Array) -> View:
        """Value, gradient and majoriser at an image."""
        wide = x.astype(np.float64, copy=False)
        r = np.zeros(wide.shape)
        value, square, weights = 0.0, 0.0, []
        for A, misfit, root in self.problem.misfits(wide):
            value += float(self.loss.value(misfit))
            weight = self.loss.weights(misfit)
            weights.append(weight.astype(x.dtype, copy=False))
            square += float(inner(misfit, weight * misfit))
            misfit *= root * weight
            r += A.rmatvec(misfit)
        prior = 0.0
        if self.problem.beta:
            looked_at = self.problem.S.matvec(wide)
            prior = self.problem.beta * float(inner(looked_at, looked_at))
            r -= self.problem.beta * self.problem.S.rmatvec(looked_at)
        return View(r, value, prior, square, weights)

    def majoriser(self, view: View) -> Problem:
        """The least squares of the same gradient at the image of a view."""
        operator = weighted(self.problem.operator, view.weights)
        return replace(self.problem, operator=operator)

    def steepest(self) -> Problem:
        """Least squares that no majoriser is steeper than."""
        most = [np.asarray(self.loss.steepest)] * len(self.problem.operator.operators)
        return replace(self.problem, operator=weighted(self.problem.operator, most))

    def scales(self) -> list[float]:
        """About the largest eigenvalue of each term of the steepest majoriser."""
        return self.steepest().scales()

    def trust(self, x: Array) -> list[Array]:
        """How much each pixel of the frames counts."""
        shape = self.problem.frames.shape[1:]
        return [self.loss.trust(misfit).reshape(shape) for _, misfit, _ in self.problem.misfits(x)]


def inverse_near(problem: Problem) -> Product | None:
    """An inverse of equations that are near those of a problem, if there is one."""
    near = problem.equations(exact=False)
    return None if near is None else inverse_of(problem.operator, near, problem.beta).rounded


def weighted(stack: FrameStack, weights: Sequence[Array]) -> FrameStack:
    """A stack whose weights are those that it has, times others."""
    given = stack.weights or [np.ones(())] * len(stack.operators)
    return FrameStack(stack.operators, [w * v for w, v in zip(given, weights, strict=True)])
