r"""What is minimised: :math:`\sum_i \mathrm{loss}(A_i x - y_i) + \beta \, \mathrm{penalty}(x)`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.steps import Product
from dhop.operators.inverse import inverse_of
from dhop.operators.stack import FrameStack
from dhop.reconstruction.data_terms import Data
from dhop.reconstruction.penalties import Penalty
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
    weights, trust : list of ndarray
        See `dhop.reconstruction.data_terms.Seen`, one for each frame.
    """

    residual: Array
    loss: float
    prior: float
    square: float
    weights: list[Array]
    trust: list[Array]

    @property
    def value(self) -> float:
        """The objective."""
        return self.loss + self.prior


@dataclass(frozen=True, eq=False)
class Objective:
    """What frames and penalty say of an image.

    Attributes
    ----------
    problem : Problem
        Operators and weights, and least squares that are of about the same strength.
    data : Data
    penalty : Penalty
    beta : float
        Its weight.
    precondition : callable or None
        The product with an inverse that is near that of half the Hessian matrix.
    """

    problem: Problem
    data: Data
    penalty: Penalty
    beta: float
    precondition: Product | None = None

    def look(self, x: Array) -> View:
        """Value, gradient and majoriser at an image, in double precision."""
        wide = x.astype(np.float64, copy=False)
        return self.seen(wide, self.predict(wide))

    def predict(self, x: Array) -> list[Array]:
        """The product with an image, for each frame."""
        return [A.matvec(x) for A in self.problem.operator.operators]

    def seen(self, x: Array, products: Sequence[Array]) -> View:
        """Value, gradient and majoriser at an image whose products are known."""
        r = np.zeros(x.shape)
        loss, square = 0.0, 0.0
        weights, trust = [], []
        for number, (A, product) in enumerate(
            zip(self.problem.operator.operators, products, strict=True)
        ):
            seen = self.data.see(number, product)
            loss += float(seen.value)
            square += float(seen.square)
            weights.append(seen.weights)
            trust.append(seen.trust)
            r += A.rmatvec(seen.fall.astype(x.dtype, copy=False))
        prior = 0.0
        if self.beta:
            cost = self.penalty.cost(x)
            prior = self.beta * cost.value
            r -= self.beta * cost.slope
        return View(r, loss, prior, square, weights, trust)

    def majoriser(self, view: View) -> Problem:
        """The least squares of the same gradient at the image of a view."""
        operator = FrameStack(self.problem.operator.operators, view.weights)
        return replace(self.problem, operator=operator)


def inverse_near(problem: Problem) -> Product | None:
    """An inverse of equations that are near those of a problem, if there is one."""
    near = problem.equations(exact=False)
    return None if near is None else inverse_of(problem.operator, near, problem.beta).rounded


def weighted(stack: FrameStack, weights: Sequence[Array]) -> FrameStack:
    """A stack whose weights are those that it has, times others."""
    given = stack.weights or [np.ones(())] * len(stack.operators)
    return FrameStack(stack.operators, [w * v for w, v in zip(given, weights, strict=True)])
