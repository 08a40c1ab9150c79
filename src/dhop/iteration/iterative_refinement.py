r"""Iterative refinement: rounds of iterations that end with the true residual.

The residual that an iteration carries along may become small although the true one is not. So where
it is small a round ends, the true residual is computed in double precision, and if that is too
large the next round solves for a correction of the image. Every round works in units of its
residual, which keeps squares from underflow and overflow, however small or large the data are.

No residual is required below about :math:`\epsilon \|N\| \|x\|`, which the rounding of the image
alone may leave.

References
----------
N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., SIAM 2002, chapter 12,
https://doi.org/10.1137/1.9780898718027.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from math import frexp, inf, isfinite, isinf, ldexp, nan
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from dhop.iteration.steps import (
    Keep,
    Product,
    Save,
    as_they_are,
    conjugate_gradients,
    projected_gradients,
)

Array: TypeAlias = Any
Steps = Callable[[Array, Array, float, Save], Iterator[tuple[Array, float]]]

ROUNDING = 4  # times epsilon ||N|| ||x||: the attainable residual
ROUGHEST = 1e-2  # of the right-hand side: the largest residual that counts as attained
HELPS = 0.5  # part of the residual: the last round is one that leaves more
LATER = 0.5  # of the goal is the goal of corrections
FAR = 10  # times the attainable residual: above, rounding of the image is not what is in the way
PATIENCE = 50  # iterations without a smaller norm, where there is another method to try


class TrueResidual(NamedTuple):
    """The residual of an image, computed anew.

    Attributes
    ----------
    residual : array
        ``b - N x``, in double precision.
    norm : float
        Of the residual, without the parts that a constraint holds.
    limit : float
        The attainable norm.
    residual_norm : float
        Norm of the weighted residuals of the data.
    """

    residual: Array
    norm: float
    limit: float
    residual_norm: float = nan


class IterativeRefinement:
    """The best image so far, to be improved by rounds of iterations.

    Parameters
    ----------
    true_residual : callable
        Gives the `TrueResidual` of an image.
    x : array
        The first guess; its dtype is that of the solution.
    first : TrueResidual
        That of `x`.
    goal : float
        The norm at which the iterations have converged.
    maxiter : int
        Most iterations, of all rounds together.
    report : callable, optional
        Called with the norm after each iteration and a function that gives the image.
    keep : callable, optional
        Of `dhop.iteration.steps`.
    copy : callable, optional
        Copies an iterate before it is overwritten.
    hold : callable, optional
        Computes the image of a round, where arrays are lazy.

    Attributes
    ----------
    x : array
        The image of the least norm so far.
    norm, limit, residual_norm : float
        See `TrueResidual`.
    taken : int
        Number of iterations.
    """

    def __init__(
        self,
        true_residual: Callable[[Array], TrueResidual],
        x: Array,
        first: TrueResidual,
        goal: float,
        maxiter: int,
        report: Callable[[float, Callable[[], Array]], object] = lambda norm, image: None,
        keep: Keep = as_they_are,
        copy: Callable[[Array], Array] = np.copy,
        hold: Callable[[Array], Array] = lambda x: x,
    ) -> None:
        self._true_residual = true_residual
        self._goal = goal
        self._maxiter = maxiter
        self._report = report
        self._keep, self._copy, self._hold = keep, copy, hold
        self.x = x
        self._residual, self.norm, self.limit, self.residual_norm = first
        self.taken = 0

    @property
    def converged(self) -> bool:
        """Whether the residual is as small as the goal, or as rounding allows."""
        return self.norm <= self.aim

    @property
    def aim(self) -> float:
        """The norm at which a round may end."""
        return max(self._goal, self.limit)

    @property
    def left(self) -> int:
        """Number of iterations that may still be made."""
        return self._maxiter - self.taken

    def solve(
        self, normal: Product, inverse: Product | None, exact: bool, plain: bool = True
    ) -> bool:
        """Apply the inverse; then precondition conjugate gradients with it; then do without.

        Parameters
        ----------
        normal : callable
            The product with `N`.
        inverse : callable or None
            The product with its inverse, `exact` but for rounding, or with that of equations near
            by. An exact one is given residuals in double precision: rounding errors are not in the
            range of the operator, and a small `beta` would amplify them.
        exact : bool
        plain : bool
            Whether conjugate gradients without the inverse are allowed.

        Returns
        -------
        bool
            Whether the last were needed.
        """
        if inverse is not None:
            if exact:
                self.run(by_inverse(inverse), wide=True)
            self.run(by_conjugate_gradients(normal, inverse, self._keep), patience=PATIENCE)
            if not plain or self.norm <= max(self._goal, FAR * self.limit):
                return False
        self.run(by_conjugate_gradients(normal, None, self._keep))
        return True

    def run(
        self, steps: Steps, *, patience: float = inf, once: bool = False, wide: bool = False
    ) -> None:
        """Make rounds as long as each halves the residual.

        Parameters
        ----------
        steps : callable
            Called with a residual `r`, the image `x`, the `unit` of `r`, and the `save` of
            `dhop.iteration.steps`. Gives iterates `d` of the correction ``unit * d``, and norms of
            their residuals in that unit; zero ends the round. `r` may be overwritten.
        patience : float
            A round ends after so many iterations without a smaller norm.
        once : bool
            Make one round only.
        wide : bool
            Whether `r` stays in double precision instead of that of `x`.
        """
        helps = True
        while helps and not self.converged and self.left > 0:
            before = self.norm
            with np.errstate(over="ignore", invalid="ignore"):  # the true residual shows it
                self._round(steps, patience, wide)
            helps = self.norm <= HELPS * before and not once

    def step(self, size: float, image: Callable[[], Array]) -> None:
        """Note an iteration."""
        self.taken += 1
        self._report(size, image)

    def _round(self, steps: Steps, patience: float, wide: bool) -> None:
        x, start = self.x, self.norm
        aim = max(self.aim * (LATER if self.taken else 1), np.finfo(x.dtype).eps * start)
        unit, r = self._in_units(wide)
        saved = _BestSaved(self._copy)
        iterates = steps(r, x, unit, saved)
        del r
        d: Array = None
        size = last = lowest = inf
        since = 0
        for d, size in iterates:
            since = 0 if size < lowest else since + 1
            stalled = size == last or since > patience
            if unit * size <= aim or stalled or self.left == 1 or not isfinite(size):
                break
            self.step(unit * size, lambda d=d: add_scaled(x, unit, d))  # type: ignore[misc]
            last, lowest = size, min(size, lowest)
        del iterates  # and its vectors
        if saved.d is not None and not size <= saved.size:
            d = saved.d
        image = self._hold(add_scaled(x, unit, d))
        del d, saved
        found = self._true_residual(image)
        self.step(found.norm, lambda: image)
        if found.norm < start:
            self.x = image
            self._residual, self.norm, self.limit, self.residual_norm = found
        elif unit * size <= start and isinf(float(abs(image).max())):
            raise ValueError(
                f"the result is too large for {x.dtype}; scale the data down or take float64"
            )

    def _in_units(self, wide: bool) -> tuple[float, Array]:
        """A power of two as unit, and the residual in it."""
        r, self._residual = self._residual, None
        if r is None:
            r = self._true_residual(self.x).residual
        unit = power_of_two(self.norm)
        r = r / np.float64(unit) if unit != 1 else r
        return unit, r if wide else r.astype(self.x.dtype, copy=False)


class _BestSaved:
    """The iterate of the least norm among those that a worse one overwrote."""

    def __init__(self, copy: Callable[[Array], Array]) -> None:
        self.size = inf
        self.d: Array = None
        self._copy = copy

    def __call__(self, d: Array, size: float) -> None:
        if size < self.size:
            self.d, self.size = self._copy(d), size


def by_inverse(inverse: Product) -> Steps:
    """The product with an inverse, as one iteration."""

    def steps(r: Array, x: Array, unit: float, save: Save) -> Iterator[tuple[Array, float]]:
        d = inverse(r)
        yield d, 0.0 if isfinite(float(abs(d).max())) else nan

    return steps


def by_conjugate_gradients(
    normal: Product, precondition: Product | None = None, keep: Keep = as_they_are
) -> Steps:
    """See `dhop.iteration.steps.conjugate_gradients`."""

    def steps(r: Array, x: Array, unit: float, save: Save) -> Iterator[tuple[Array, float]]:
        iterates = conjugate_gradients(normal, r, None, precondition, keep, save)
        return islice(iterates, 1, None)

    return steps


def by_projected_gradients(normal: Product, lipschitz: float, keep: Keep = as_they_are) -> Steps:
    """See `dhop.iteration.steps.projected_gradients`, for images without negative values."""

    def steps(r: Array, x: Array, unit: float, save: Save) -> Iterator[tuple[Array, float]]:
        low = (x / np.float64(-unit)).astype(r.dtype, copy=False)
        return projected_gradients(normal, r, None, lipschitz, keep, save, low)

    return steps


def power_of_two(number: float) -> float:
    """The largest power of two that is not above a positive number."""
    return ldexp(1.0, frexp(number)[1] - 1)


def attainable_residual(dtype: DTypeLike, strength: float, size: float, scale: float) -> float:
    """The norm of the residual that rounding an image of norm `size` to a dtype may leave.

    The norm of `N` is `strength`, and that of `b` is `scale`.
    """
    return min(ROUNDING * float(np.finfo(dtype).eps) * strength * size, ROUGHEST * scale)


def add_scaled(x: Array, unit: float, d: Array) -> Array:
    """``x + unit * d`` in the precision of `x`, `unit` being any power of two."""
    return x + (d * np.float64(unit)).astype(x.dtype, copy=False)
