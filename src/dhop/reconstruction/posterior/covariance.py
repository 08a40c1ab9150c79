"""The posterior covariance of a problem: the inverse of its normal equations."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.cautions import ConvergenceWarning, warn
from dhop.iteration.iterative_refinement import (
    IterativeRefinement,
    TrueResidual,
    attainable_residual,
)
from dhop.iteration.steps import norm
from dhop.operators.base import ArrayOperator
from dhop.operators.inverse import InverseOperator, inverse_of
from dhop.reconstruction.problem import Problem

Array = NDArray[Any]

MOST = 1000  # iterations of a solution
NOTHING = 1e-6  # of a pixel: rounding of a target
TOGETHER = 2**24  # numbers of images and frames that are solved for together


class Covariance:
    r"""The posterior covariance for noise of variance one, :math:`K^{-1}`, :math:`K = N + \beta P`.

    Vectors are the rows of arrays: many are multiplied and solved for at once.

    Parameters
    ----------
    problem : Problem
        With a `beta` that is not zero.
    free : ndarray of bool, shape (N,), optional
        The pixels that may vary; the others keep their values. All by default.
    similar : Problem, optional
        With a closed form that is near, if the problem itself has none.
    target : ArrayOperator, optional
        `G`, if the covariance is to be that of the image at a target, :math:`G K^{-1} G^H`.
    """

    def __init__(
        self,
        problem: Problem,
        free: Array | None = None,
        similar: Problem | None = None,
        target: ArrayOperator | None = None,
    ) -> None:
        self.problem = problem
        self.similar = similar or problem
        self.target = target
        self.dims = problem.operator.dims
        self.size = problem.operator.shape[1]
        self.dtype = problem.operator.dtype
        self.free = free

    def equals(self, problem: Problem, free: Array | None) -> bool:
        """Whether this is the covariance of another problem, too."""
        mine, other = self.problem.operator, problem.operator
        return (
            self.free is None
            and free is None
            and all(a is b for a, b in zip(mine.operators, other.operators, strict=True))
            and all(
                np.array_equal(a, b)
                for a, b in zip(mine.weights or (), other.weights or (), strict=True)
            )
        )

    @cached_property
    def closed(self) -> InverseOperator | None:
        """The inverse in closed form, if there is one."""
        found = None if self.free is not None else self.problem.equations(exact=True)
        return None if found is None else self._inverse(found)

    @cached_property
    def near(self) -> InverseOperator | None:
        """The closed form or that of equations near by, if there is any."""
        if self.closed is not None:
            return self.closed
        found = self.similar.equations(exact=False)
        return None if found is None else self._inverse(found)

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """The axes of images in arrays of the shape `dims`."""
        terms = self.problem.operator.terms()
        last = range(max(len(self.dims) - self.problem.ndim, 0), len(self.dims))
        return terms[0].axes if terms else tuple(last)

    @property
    def rounding(self) -> float:
        """About what rounding changes of `K`: the norm of products' errors."""
        return float(np.finfo(self.dtype).eps) * sum(self.problem.scales())

    def control_variate(self, noise: bool) -> "ControlVariate | None":
        """The product with an inverse near by whose diagonal is known, if there is one."""
        if self.free is not None or self.target is not None:
            return None
        found = self.similar.even_equations()
        if found is None:
            return None
        inverse = self._inverse(found)
        product = inverse.noise_product if noise else inverse.rounded
        return ControlVariate(inverse.diagonal(noise).reshape(-1), product)

    def restricted(self, x: Array) -> Array:
        """Vectors with zeros at pixels that may not vary."""
        return np.asarray(x if self.free is None else x * self.free)

    def apply_target(self, x: Array) -> Array:
        """The products with `G`."""
        return x if self.target is None else self.target.matmat(x.T).T

    @cached_property
    def uncertain(self) -> NDArray[np.bool_]:
        """The pixels of the image, at the target, that may vary."""
        if self.free is None:
            return np.ones(self.size, bool)
        return np.asarray(abs(self.apply_target(self.free[None].astype(self.dtype))[0]) > NOTHING)

    def target_adjoint(self, x: Array) -> Array:
        """The products with the adjoint of `G`."""
        return x if self.target is None else self.target.rmatmat(x.T).T

    def data(self, x: Array) -> Array:
        """The products of `N` with any vectors."""
        B = self.problem.operator
        return self.restricted(B.rmatmat(B.matmat(x.T)).T)

    def penalty(self, x: Array) -> Array:
        r"""The products with :math:`\beta P`."""
        S = self.problem.S
        return self.restricted(self.problem.beta * S.rmatmat(S.matmat(self.restricted(x).T)).T)

    def normal(self, x: Array) -> Array:
        """The products with `K`."""
        return self.data(x) + self.penalty(x)

    def precondition(self, x: Array) -> Array:
        """The products with the inverse near by."""
        return x if self.near is None else self.restricted(self.near.rounded(x))

    def solve(self, b: Array, rtol: float) -> Array:
        """The products with :math:`K^{-1}`, to a tolerance relative to all of `b`, shape (k, N)."""
        b = self.restricted(b.astype(self.dtype, copy=False))
        scale = norm(b)
        strength = sum(self.problem.scales())

        def true_residual(x: Array) -> TrueResidual:
            r = b - self.normal(x.astype(np.float64, copy=False))
            return TrueResidual(r, norm(r), attainable_residual(x.dtype, strength, norm(x), scale))

        first = TrueResidual(b.copy(), scale, 0.0)
        rounds = IterativeRefinement(true_residual, np.zeros_like(b), first, rtol * scale, MOST)
        rounds.solve(
            self.normal,
            None if self.near is None else self.precondition,
            self.closed is not None,
        )
        if not rounds.converged:
            warn(
                f"{rounds.taken} iterations left a residual of {rounds.norm / scale:.1e}, relative "
                f"to the right-hand side, above {rtol:g}",
                ConvergenceWarning,
            )
        return np.asarray(rounds.x)

    def batches(self, count: int) -> Iterator[range]:
        """The numbers of vectors, in parts that are solved for together."""
        most = max(TOGETHER // sum(self.problem.operator.shape), 1)
        return (range(k, min(k + most, count)) for k in range(0, count, most))

    def units(self, pixels: ArrayLike) -> Array:
        """The unit vectors of pixels."""
        numbers = np.asarray(pixels)
        found = np.zeros((numbers.size, self.size), self.dtype)
        found[np.arange(numbers.size), numbers] = 1
        return found

    def perturbations(self, count: int, rng: np.random.Generator, noise: bool = False) -> Array:
        r"""Right-hand sides whose solutions are Gaussian with this covariance.

        :math:`B^H \xi + \sqrt{\beta} S^H \zeta` with independent normal numbers, or for `noise` the
        first term alone, whose solutions have the covariance :math:`K^{-1} N K^{-1}`.

        References
        ----------
        G. Papandreou and A. L. Yuille, "Gaussian sampling by local perturbations", Adv. Neural Inf.
        Process. Syst. 23 (2010) 1858-1866.
        """
        B, S, beta = self.problem.operator, self.problem.S, self.problem.beta
        drawn = rng.standard_normal((count, B.shape[0] + S.shape[0]), self.dtype)
        data, scene = np.split(drawn, [B.shape[0]], axis=1)
        b = B.rmatmat(data.T).T
        return self.restricted(b if noise else b + np.sqrt(beta) * S.rmatmat(scene.T).T)

    def degrees_of_freedom(self, count: int, rng: np.random.Generator, rtol: float) -> float:
        """The effective degrees of freedom of the solution, the trace of ``K^-1 N``.

        Hutchinson's estimate with `count` vectors of random signs, taken as data.
        """
        B = self.problem.operator
        signs = rng.choice([-1.0, 1.0], (count, B.shape[0])).astype(self.dtype)
        seen = self.restricted(B.rmatmat(signs.T).T)
        return float(np.vdot(seen, self.solve(seen, rtol))) / count

    def _inverse(self, equations: Any) -> InverseOperator:
        return inverse_of(self.problem.operator, equations, self.similar.beta)


class ControlVariate(NamedTuple):
    """The diagonal of a matrix near the covariance, and the product with rows of an array."""

    diagonal: Array
    product: Callable[[Array], Array]
