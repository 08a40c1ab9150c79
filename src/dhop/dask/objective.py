"""Losses, priors and bounds of chunked images, for the iterations that minimise them in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from dhop.dask.operator import Chunks, DaskArray, DaskDHOperator, da
from dhop.dask.problem import WIDE, Problem, weighted
from dhop.iteration.iterative_refinement import add_scaled, power_of_two
from dhop.iteration.majorising import improvement, majorised
from dhop.iteration.quasi_newton import quasi_newton
from dhop.iteration.richardson_lucy import inverse_sums, richardson_lucy
from dhop.iteration.steps import Keep, Product, inner, norm
from dhop.iteration.steps import inner_products as inner_products_of_arrays
from dhop.reconstruction.bounds import Box
from dhop.reconstruction.data_terms import FrameLoss, PoissonLoss, QuadraticModel
from dhop.reconstruction.losses import Loss
from dhop.reconstruction.minimising import Iterates
from dhop.reconstruction.objective import Evaluation, Majoriser
from dhop.reconstruction.penalties import huber
from dhop.reconstruction.starlets import Starlet


@dataclass(frozen=True, eq=False)
class ResidualLoss:
    """A loss of the weighted residuals of chunked frames."""

    problem: Problem
    loss: Loss

    def evaluate(self, number: int, product: DaskArray) -> FrameLoss:
        """The loss of a frame if `product` is ``A x``."""
        root, u = self._residuals(number, product)
        return FrameLoss(self.loss.value(u), root * self.loss.weights(u) * u)

    def quadratic_model(self, number: int, product: DaskArray) -> QuadraticModel:
        """The least squares near the loss of a frame there."""
        root, u = self._residuals(number, product)
        weights = self.loss.weights(u)
        square = inner(weights * u, u)
        return QuadraticModel(square, root * root * weights, self.loss.robustness(u))

    def _residuals(self, number: int, product: DaskArray) -> tuple[Any, DaskArray]:
        frame, root = self.problem.frames[number], np.sqrt(self.problem.weights[number])
        return root, weighted(frame.astype(WIDE) - product, root)


def inner_products(
    pairs: Sequence[tuple[DaskArray, DaskArray]], free: DaskArray | None = None
) -> list[float]:
    """As in `dhop.iteration.steps`, in one task for each chunk, not in several for each."""
    arrays = {id(each): each for pair in pairs for each in pair}
    number = {key: k for k, key in enumerate(arrays)}
    order = [(number[id(one)], number[id(other)]) for one, other in pairs]
    new, *axes = range(pairs[0][0].ndim + 1)
    last = [] if free is None else [free]
    given = [one for each in (*arrays.values(), *last) for one in (each, axes)]
    parts = da.blockwise(
        partial(_products_of_chunks, order, bool(last)), (new, *axes), *given,
        new_axes={new: len(order)}, adjust_chunks=dict.fromkeys(axes, 1),
        meta=np.empty((0,) * (1 + len(axes)), WIDE),
    )  # fmt: skip
    found: list[float] = parts.sum(axis=tuple(axes)).compute().tolist()
    return found


def _products_of_chunks(order: Sequence[tuple[int, int]], some: bool, *chunks: Any) -> Any:
    free = chunks[-1] if some else None
    sums = inner_products_of_arrays([(chunks[one], chunks[other]) for one, other in order], free)
    return np.reshape(sums, (-1, *[1] * chunks[0].ndim))


class Squares:
    """``||S x||^2``."""

    def __init__(self, penalties: Sequence[DaskDHOperator]) -> None:
        self._operators = penalties

    def cost(self, x: DaskArray) -> tuple[Any, DaskArray]:
        """Its value and half its gradient."""
        filtered = [S.degrade(x) for S in self._operators]
        slopes = [S.backproject(u) for S, u in zip(self._operators, filtered, strict=True)]
        return sum(inner(u, u) for u in filtered), sum(slopes)


class Variation:
    """Total variation, see `dhop.reconstruction.penalties.Variation`.

    Parameters
    ----------
    A : DaskDHOperator
        Of images of the same chunks.
    threshold : float
    """

    def __init__(self, A: DaskDHOperator, threshold: float) -> None:
        self._threshold = threshold
        ndim = len(A.image_axes)
        self._channels = tuple(k for k in range(len(A.dims)) if k not in A.image_axes)
        self._differences = []
        for axis in range(ndim):  # the next pixel less this one
            along = np.arange(ndim) == axis
            self._differences.append(
                DaskDHOperator(
                    A.dims, np.reshape([1.0, -1.0], np.where(along, 2, 1)), 1,
                    center=along.astype(int).tolist(), boundary="symmetric", chunks=A.chunks,
                    method="direct",
                )
            )  # fmt: skip

    def cost(self, x: DaskArray) -> tuple[Any, DaskArray]:
        """Its value and half its gradient."""
        steps = [D.degrade(x) for D in self._differences]
        squares: DaskArray = sum(
            np.sum(step * step, self._channels, keepdims=True) for step in steps
        )
        value, weight = huber(np.sqrt(squares), self._threshold)
        slopes = [
            D.backproject(weight * step) for D, step in zip(self._differences, steps, strict=True)
        ]
        return value, sum(slopes)


@dataclass(frozen=True, eq=False)
class Gathered:
    """A penalty that looks far, of small chunks that are put together: each costs several tasks.

    Attributes
    ----------
    penalty : Starlet
        Of images in these `chunks`.
    chunks : tuple of tuple of int
    """

    penalty: Starlet
    chunks: Chunks

    def cost(self, x: DaskArray) -> tuple[Any, DaskArray]:
        """Its value and half its gradient."""
        value, slope = self.penalty.cost(x.rechunk(self.chunks, method="tasks"))
        return value, slope.rechunk(x.chunks, method="tasks")


def gathered(sizes: Sequence[int], least: int) -> tuple[int, ...]:
    """Chunks along an axis, put together until none is shorter than `least` if they can be."""
    found: list[int] = []
    for size in sizes:
        if found and found[-1] < least:
            found[-1] += size
        else:
            found.append(size)
    if len(found) > 1 and found[-1] < least:
        found[-2:] = [found[-2] + found[-1]]
    return tuple(found)


@dataclass(frozen=True, eq=False)
class ChunkedObjective:
    """What `dhop.reconstruction.objective.Objective` is, of chunked images.

    Attributes
    ----------
    problem : Problem
        Operators and weights, and a quadratic regulariser of about the same curvature.
    data : ResidualLoss or PoissonLoss
    penalty : Squares, Variation or Gathered
    beta : float
        Its weight.
    keep : callable
        Of `dhop.iteration.steps`.
    precondition : callable or None
        As that of `Objective`.
    """

    problem: Problem
    data: ResidualLoss | PoissonLoss
    penalty: Squares | Variation | Gathered
    beta: float
    keep: Keep
    precondition: Product | None = None

    def evaluate(self, x: DaskArray) -> Evaluation:
        """Value and gradient at an image, in one pass over the chunks."""
        wide, operators = x.astype(WIDE), self.problem.operators
        products = [A.degrade(wide) for A in operators]
        seen = [self.data.evaluate(number, product) for number, product in enumerate(products)]
        r = sum(A.backproject(each.descent) for A, each in zip(operators, seen, strict=True))
        loss = sum(each.value for each in seen)
        prior: Any = da.zeros(())
        if self.beta:
            value, slope = self.penalty.cost(wide)
            prior = self.beta * value
            r = r - self.beta * slope
        r, loss, prior = self.keep(r, loss, prior)
        return Evaluation(r, float(loss), float(prior), products)

    def majoriser(self, evaluation: Evaluation) -> Majoriser:
        """The least squares with the same gradient at the image that was evaluated."""
        found = [self.data.quadratic_model(*each) for each in enumerate(evaluation.products)]
        problem: Any = replace(self.problem, weights=[each.weights for each in found])
        (square,) = self.keep(sum(each.square for each in found))
        return Majoriser(problem, float(square), [each.robustness for each in found])

    def descending(self, x: DaskArray, box: Box) -> Iterates:
        """Quasi-Newton steps, see `dhop.iteration.quasi_newton`."""
        scale = 1 / (sum(self.problem.scales()) or 1.0)
        return quasi_newton(
            self.evaluate, x, scale, *box, self.precondition, self.keep, inner_products
        )

    def multiplying(self, x: DaskArray, sensitivity: DaskArray, goal: float) -> Iterates:
        """Images of more and more likely photons, see `dhop.iteration.richardson_lucy`."""
        (scale,) = self.keep(inverse_sums(sensitivity).astype(x.dtype))
        return richardson_lucy(self.evaluate, scale, x, goal, self.keep)

    def reweighted(self, x: DaskArray) -> Iterates:
        """Iteratively reweighted least squares; an iteration reweights once."""
        return majorised(self.evaluate, self._improved, x)

    def _improved(self, x: DaskArray, evaluation: Evaluation) -> DaskArray:
        size = norm(evaluation.residual)
        if not size:
            return x
        unit = power_of_two(size)
        # Kept, since each of many products would compute them again.
        found = [self.data.quadratic_model(*each) for each in enumerate(evaluation.products)]
        r, *weights = self.keep(
            (evaluation.residual / unit).astype(x.dtype), *(each.weights for each in found)
        )
        normal = replace(self.problem, weights=weights).normal
        d = improvement(normal, r, self.precondition, self.keep)
        (new,) = self.keep(add_scaled(x, unit, d))
        return new
