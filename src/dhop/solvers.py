r"""Solvers of :math:`\min_x \|B x - y\|^2 + \beta \|S x\|^2`, one function each.

`B` are the weighted frames and `y` their data. All end when the norm of the gradient, relative to
that at the zero image, is below `rtol`, and record it after each iteration.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh, lsmr, lsqr

from dhop.closed import Equations, exact_equations, nearest_equations
from dhop.frames import FrameStack
from dhop.iterations import Bidiagonalisation, conjugate_gradients, norm, projected_gradients
from dhop.normal import InverseOperator, mean_frames, penalties, uniform
from dhop.progress import Progress, reporting
from dhop.regularisers import Regulariser, regulariser_operator
from dhop.solution import Step

Array = NDArray[Any]
Name: TypeAlias = Literal["auto", "direct", "cg", "lsqr", "lsmr", "projected"]
Callback: TypeAlias = Callable[[Step], object]

# scipy's lsqr and lsmr stop with these when the tolerance or the machine precision is reached.
CONVERGED = (0, 1, 2, 4, 5)
MARGIN = 1.05  # over the estimated largest eigenvalue


@dataclass(frozen=True, eq=False)
class Problem:
    """A regularised least-squares problem.

    Attributes
    ----------
    operator : FrameStack
    data : ndarray, shape (M,)
        Of ``operator.data``.
    regulariser : str, array_like or LinearOperator
    beta : float
    boundary : str or (str, str)
        That the regulariser continues images by.
    """

    operator: FrameStack
    data: Array
    regulariser: Regulariser
    beta: float
    boundary: Any

    @cached_property
    def S(self) -> LinearOperator:
        """The regulariser as an operator."""
        B = self.operator
        return regulariser_operator(self.regulariser, B.dims, boundary=self.boundary, dtype=B.dtype)

    @cached_property
    def rhs(self) -> Array:
        """The right-hand side of the normal equations."""
        return np.asarray(self.operator.rmatvec(self.data))

    def normal(self, x: Array) -> Array:
        """The product of the matrix of the normal equations."""
        product = self.operator.rmatvec(self.operator.matvec(x))
        if self.beta:
            product += self.beta * self.S.rmatvec(self.S.matvec(x))
        return np.asarray(product)

    def equations(self, exact: bool) -> Equations | None:
        """The closed form of the normal equations, or if not `exact` the nearest one."""
        if self.beta == 0 or isinstance(self.regulariser, LinearOperator):
            return None
        parts = self.operator._gram_parts(None)
        if exact and not uniform(parts):
            return None
        stencils = penalties(self.regulariser, parts[0][0])
        return (exact_equations if exact else nearest_equations)(mean_frames(parts), stencils)


class Recorder:
    """Keeps the history and tells others."""

    def __init__(
        self, problem: Problem, callback: Callback | None, advance: Callable[[int], object]
    ) -> None:
        self.history: list[Step] = []
        self.scale = norm(problem.rhs) or 1.0
        self._dims = problem.operator.dims
        self._callback = callback
        self._advance = advance
        self._begin = time.perf_counter()

    def add(self, gradient: float, x: Array | None = None) -> float:
        """Note the norm of the gradient after an iteration; return it relative to the scale."""
        residual = gradient / self.scale
        step = Step(len(self.history) + 1, residual, time.perf_counter() - self._begin)
        self.history.append(step)
        self._advance(1)
        if self._callback is not None:
            image = None if x is None else x.reshape(self._dims)
            self._callback(Step(step.iteration, residual, step.seconds, image))
        return residual


def solve(
    problem: Problem,
    solver: Name,
    *,
    nonnegative: bool = False,
    x0: Array | None = None,
    maxiter: int = 500,
    rtol: float = 1e-6,
    callback: Callback | None = None,
    progress: Progress = None,
) -> tuple[Array, bool, str, list[Step]]:
    """Solve by the method of a name; ``"auto"`` is direct where that is possible, else iterates.

    Returns
    -------
    x : ndarray, shape (N,)
    converged : bool
    solver : str
        The one that was used.
    history : list of Step
    """
    if nonnegative and solver not in ("auto", "projected"):
        raise ValueError(f'nonnegative=True is for the solver "projected", not for {solver!r}')
    equations = None
    if nonnegative or solver == "projected":
        solver = "projected"
    elif solver in ("auto", "direct"):
        equations = problem.equations(exact=True)
        if equations is None and solver == "direct":
            raise ValueError(
                'solver="direct" needs beta > 0, weights that are the same all over a frame, and '
                "frames that wrap, or one frame with a PSF that is symmetric and centred and the "
                'boundary "symmetric", or one with a separable PSF and the regulariser "identity"; '
                'take "cg"'
            )
        solver = "cg" if equations is None else "direct"
    start = np.zeros_like(problem.rhs) if x0 is None else x0.astype(problem.rhs.dtype)
    with reporting(progress, maxiter, solver) as advance:
        record = Recorder(problem, callback, advance)
        if equations is not None:
            x, converged = _direct(problem, equations, record), True
        elif solver in ("lsqr", "lsmr"):
            x, converged = _bidiagonal(problem, solver, start, maxiter, rtol, record)
        else:
            steps = (_projected if solver == "projected" else _cg)(problem, start)
            x, converged = _iterated(steps, maxiter, rtol, record)
    return x, converged, solver, record.history


def _direct(problem: Problem, equations: Equations, record: Recorder) -> Array:
    inverse = InverseOperator(problem.operator, equations.inverse(problem.beta))
    x = np.asarray(inverse.matvec(problem.rhs))
    record.add(norm(problem.rhs - problem.normal(x)), x)
    return x


def _cg(problem: Problem, start: Array) -> Iterator[tuple[Array, float]]:
    near = problem.equations(exact=False)
    precondition = (
        None
        if near is None
        else InverseOperator(problem.operator, near.inverse(problem.beta)).matvec
    )
    return conjugate_gradients(problem.normal, problem.rhs, start, precondition)


def _projected(problem: Problem, start: Array) -> Iterator[tuple[Array, float]]:
    size = start.size
    N = LinearOperator((size, size), matvec=problem.normal, dtype=start.dtype)
    guess = np.random.default_rng(0).standard_normal(size).astype(start.dtype)
    largest = eigsh(N, 1, v0=guess, tol=1e-2, return_eigenvectors=False)[0] if size > 2 else 0.0
    bound = MARGIN * float(largest) or float(np.linalg.norm(N.matmat(np.eye(size)), 2)) or 1.0
    return projected_gradients(problem.normal, problem.rhs, start.clip(0), bound)


def _iterated(
    steps: Iterator[tuple[Array, float]], maxiter: int, rtol: float, record: Recorder
) -> tuple[Array, bool]:
    """Take steps until the residual is small."""
    x, residual = next(steps)
    while residual > rtol * record.scale and len(record.history) < maxiter:
        x, residual = next(steps)
        record.add(residual, x)
    return x, residual <= rtol * record.scale


def _bidiagonal(
    problem: Problem, solver: Any, start: Array, maxiter: int, rtol: float, record: Recorder
) -> tuple[Array, bool]:
    stacked = FrameStack([problem.operator, np.sqrt(problem.beta) * problem.S])
    data = np.append(problem.data, np.zeros(problem.S.shape[0], problem.data.dtype))
    data -= stacked.matvec(start)
    watched = Bidiagonalisation(stacked, norm(data), solver, record.add)
    method = partial(lsqr, iter_lim=maxiter) if solver == "lsqr" else partial(lsmr, maxiter=maxiter)
    found = method(watched.operator(), data, atol=rtol, btol=rtol)
    return start + found[0], found[1] in CONVERGED
