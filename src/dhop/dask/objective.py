"""Losses, priors and bounds of chunked images, for the iterations that minimise them in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dhop.dask.operator import Chunks, DaskArray, DaskDHOperator, da
from dhop.dask.problem import WIDE, Problem, weighted
from dhop.iteration.majorising import improvement, majorised
from dhop.iteration.quasi_newton import quasi_newton
from dhop.iteration.richardson_lucy import richardson_lucy
from dhop.iteration.rounds import moved, power_of_two
from dhop.iteration.steps import Keep, Product, inner, norm
from dhop.reconstruction.data_terms import Photons, Seen, Tangent
from dhop.reconstruction.losses import Loss
from dhop.reconstruction.minimising import Box, Iterates
from dhop.reconstruction.objective import Majoriser, View
from dhop.reconstruction.penalties import blunted
from dhop.reconstruction.starlets import Starlet


@dataclass(frozen=True, eq=False)
class Residuals:
    """A loss of the weighted residuals of chunked frames."""

    problem: Problem
    loss: Loss

    def see(self, number: int, product: DaskArray) -> Seen:
        """What a frame says, if `product` is ``A x``."""
        root, misfit = self._misfit(number, product)
        return Seen(self.loss.value(misfit), root * self.loss.weights(misfit) * misfit)

    def tangent(self, number: int, product: DaskArray) -> Tangent:
        """The least squares that touch the loss of a frame there."""
        root, misfit = self._misfit(number, product)
        weights = self.loss.weights(misfit)
        square = inner(weights * misfit, misfit)
        return Tangent(square, root * root * weights, self.loss.trust(misfit))

    def _misfit(self, number: int, product: DaskArray) -> tuple[Any, DaskArray]:
        frame, root = self.problem.frames[number], np.sqrt(self.problem.weights[number])
        return root, weighted(frame.astype(WIDE) - product, root)


class Squares:
    """``||S x||^2``."""

    def __init__(self, penalties: Sequence[DaskDHOperator]) -> None:
        self._operators = penalties

    def cost(self, x: DaskArray) -> tuple[Any, DaskArray]:
        """Its value and half its gradient."""
        looked_at = [S.degrade(x) for S in self._operators]
        slopes = [S.backproject(u) for S, u in zip(self._operators, looked_at, strict=True)]
        return sum(inner(u, u) for u in looked_at), sum(slopes)


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
        value, weight = blunted(np.sqrt(squares), self._threshold)
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
        Operators and weights, and least squares that are of about the same strength.
    data : Residuals or Photons
    penalty : Squares, Variation or Gathered
    beta : float
        Its weight.
    keep : callable
        Of `dhop.iteration.steps`.
    precondition : callable or None
        As that of `Objective`.
    """

    problem: Problem
    data: Residuals | Photons
    penalty: Squares | Variation | Gathered
    beta: float
    keep: Keep
    precondition: Product | None = None

    def look(self, x: DaskArray) -> View:
        """Value and gradient at an image, in one pass over the chunks."""
        return self.seen(x, [A.degrade(x.astype(WIDE)) for A in self.problem.operators])

    def predict(self, x: DaskArray) -> list[DaskArray]:
        """The product with an image, for each frame, kept."""
        return list(self.keep(*[A.degrade(x.astype(WIDE)) for A in self.problem.operators]))

    def seen(self, x: DaskArray, products: Sequence[DaskArray]) -> View:
        """Value and gradient at an image whose products are known."""
        wide, operators = x.astype(WIDE), self.problem.operators
        seen = [self.data.see(number, product) for number, product in enumerate(products)]
        r = sum(A.backproject(each.fall) for A, each in zip(operators, seen, strict=True))
        loss = sum(each.value for each in seen)
        prior: Any = da.zeros(())
        if self.beta:
            value, slope = self.penalty.cost(wide)
            prior = self.beta * value
            r = r - self.beta * slope
        r, loss, prior = self.keep(r, loss, prior)
        return View(r, float(loss), float(prior), products)

    def majoriser(self, view: View) -> Majoriser:
        """The least squares of the same gradient at the image of a view."""
        found = [self.data.tangent(*each) for each in enumerate(view.products)]
        problem: Any = replace(self.problem, weights=[each.weights for each in found])
        (square,) = self.keep(sum(each.square for each in found))
        return Majoriser(problem, float(square), [each.trust for each in found])

    def descending(self, x: DaskArray, box: Box) -> Iterates:
        """Quasi-Newton steps, see `dhop.iteration.quasi_newton`."""
        scale = 1 / (sum(self.problem.scales()) or 1.0)
        return quasi_newton(self.look, x, scale, *box, self.precondition, self.keep)

    def richardson_lucy(self, x: DaskArray, goal: float) -> Iterates:
        """Images of more and more likely photons, see `dhop.iteration.richardson_lucy`."""
        data, shape = self.data, self.problem.frames.shape[1:]
        assert isinstance(data, Photons)
        maps = [da.broadcast_to(da.asarray(w), shape) / data.gain for w in data.weights]
        pairs = zip(self.problem.operators, maps, strict=True)
        sums = sum(A.backproject(each) for A, each in pairs)
        return richardson_lucy(
            self.predict, self.seen, data.cost, data.bend, sums, x, goal, self.keep
        )

    def reweighted(self, x: DaskArray) -> Iterates:
        """Least squares that are weighted anew; an iteration weighs once."""
        return majorised(self.look, self._improved, x)

    def _improved(self, x: DaskArray, view: View) -> DaskArray:
        size = norm(view.residual)
        if not size:
            return x
        unit = power_of_two(size)
        # Kept, since each of many products would compute them again.
        found = [self.data.tangent(*each) for each in enumerate(view.products)]
        r, *weights = self.keep(
            (view.residual / unit).astype(x.dtype), *(each.weights for each in found)
        )
        normal = replace(self.problem, weights=weights).normal
        (new,) = self.keep(moved(x, unit, improvement(normal, r, self.precondition, self.keep)))
        return new
