r"""What is minimised: :math:`\sum_i \mathrm{loss}(A_i x - y_i) + \beta \, \mathrm{penalty}(x)`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.frames.masks import each_weight
from dhop.iteration.steps import Product
from dhop.operators.stack import FrameStack
from dhop.reconstruction.data_terms import DataTerm
from dhop.reconstruction.penalties import Penalty
from dhop.reconstruction.problem import Problem

Array = NDArray[Any]


class Evaluation(NamedTuple):
    """An objective and its gradient at an image.

    Attributes
    ----------
    residual : ndarray
        Minus half the gradient, in the precision of the image.
    loss, prior : float
        The parts of the objective.
    products : sequence of ndarray
        Of the operator of each frame with the image.
    """

    residual: Array
    loss: float
    prior: float
    products: Sequence[Array]

    @property
    def value(self) -> float:
        """The objective."""
        return self.loss + self.prior


class Majoriser(NamedTuple):
    """The least squares near an objective, with its gradient.

    `square` is the sum of the squares of its weighted residuals; for `robustness` see
    `dhop.reconstruction.data_terms.QuadraticModel`.
    """

    problem: Problem
    square: float
    robustness: list[Array]


@dataclass(frozen=True, eq=False)
class Objective:
    """The sum of data term and penalty.

    Attributes
    ----------
    problem : Problem
        Operators and weights, and a quadratic regulariser of about the same curvature.
    data : DataTerm
    penalty : Penalty
    beta : float
        Its weight.
    precondition : callable or None
        The product with an approximate inverse of half the Hessian matrix.
    """

    problem: Problem
    data: DataTerm
    penalty: Penalty
    beta: float
    precondition: Product | None = None

    def evaluate(self, x: Array) -> Evaluation:
        """Value and gradient at an image, in double precision."""
        return self.evaluate_as_it_is(x.astype(np.float64, copy=False))

    def evaluate_as_it_is(self, x: Array) -> Evaluation:
        """Value and gradient at an image, in its own precision."""
        products = [A.matvec(x) for A in self.problem.operator.operators]
        found = [self.data.evaluate(number, product) for number, product in enumerate(products)]
        descents = [each.descent.astype(x.dtype, copy=False) for each in found]
        r = self._frames.rmatvec(np.concatenate(descents) if len(descents) > 1 else descents[0])
        prior = 0.0
        if self.beta:
            cost = self.penalty.cost(x)
            prior = self.beta * cost.value
            r -= self.beta * cost.slope
        return Evaluation(r, sum(float(each.value) for each in found), prior, products)

    @cached_property
    def _frames(self) -> FrameStack:
        """The operators without weights, which the losses have."""
        return FrameStack(self.problem.operator.operators)

    def majoriser(self, evaluation: Evaluation) -> Majoriser:
        """The least squares with the same gradient at the image that was evaluated."""
        found = [self.data.quadratic_model(*each) for each in enumerate(evaluation.products)]
        operator = FrameStack(self.problem.operator.operators, [each.weights for each in found])
        return Majoriser(
            replace(self.problem, operator=operator),
            sum(float(each.square) for each in found), [each.robustness for each in found],
        )  # fmt: skip


def weighted(stack: FrameStack, weights: Sequence[Array]) -> FrameStack:
    """A stack with its weights times others."""
    given = each_weight(stack.weights, len(stack.operators))
    return FrameStack(stack.operators, [w * v for w, v in zip(given, weights, strict=True)])
