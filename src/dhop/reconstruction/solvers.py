r"""Solvers of :math:`\min_x \|B x - y\|^2 + \beta \|S x\|^2`.

`B` are the weighted frames and `y` their data. All end when the norm of the gradient, relative to
that at the zero image, is below `rtol`, and record it after each iteration. The gradient at the end
is computed anew, see `dhop.iteration.iterative_refinement`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import hypot, isfinite, sqrt
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh, lsmr, lsqr

from dhop.closed import Equations
from dhop.frames import layouts
from dhop.frames.masks import each_weight
from dhop.iteration.bidiagonalisation import Bidiagonalisation
from dhop.iteration.iterative_refinement import (
    PATIENCE,
    IterativeRefinement,
    TrueResidual,
    attainable_residual,
    by_projected_gradients,
    power_of_two,
)
from dhop.iteration.steps import RTOL, Save, norm
from dhop.operators.channels import ChannelOperator
from dhop.operators.stack import FrameStack
from dhop.reconstruction.history import Step
from dhop.reconstruction.problem import Problem
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]
Name: TypeAlias = Literal[
    "auto", "direct", "cg", "lsqr", "lsmr", "projected",
    "reweighted", "quasi-newton", "richardson-lucy",
]  # fmt: skip
Callback: TypeAlias = Callable[[Step], object]

MARGIN = 1.05  # over the estimated largest eigenvalue
LARGEST = 2.0**-20  # of the largest floating-point number: the most of a first guess
ORDINARY = 2.0**20  # eigenvalues up to this, and down to its inverse, are not scaled


class Recorder:
    """Keeps the history, and calls the callback and the progress.

    Norms of gradients are relative to `scale`; without `dims` the callback is given no images.
    """

    def __init__(
        self,
        scale: float,
        callback: Callback | None,
        advance: Callable[[int], object],
        dims: tuple[int, ...] | None = None,
    ) -> None:
        self.history: list[Step] = []
        self._scale = scale or 1.0
        self._dims = dims
        self._callback = callback
        self._advance = advance
        self._begin = time.perf_counter()

    def add(
        self,
        gradient: float,
        image: Callable[[], Array],
        loss: float | None = None,
        prior: float | None = None,
    ) -> None:
        """Note the norm of the gradient after an iteration, and the parts of what is minimised."""
        residual = gradient / self._scale
        seconds = time.perf_counter() - self._begin
        step = Step(len(self.history) + 1, residual, seconds, loss=loss, prior=prior)
        self.history.append(step)
        self._advance(1)
        if self._callback is not None:
            shown = None if self._dims is None else image().reshape(self._dims)
            self._callback(replace(step, image=shown))


class SolverResult(NamedTuple):
    """What `solve` found.

    Attributes
    ----------
    x : ndarray, shape (N,)
    converged : bool
    solver : str
        The one that was used.
    history : list of Step
    residual_norm : float
        Norm of the weighted residuals.
    operator : FrameStack, optional
        With the final weights, where the solver changes them.
    weights : list of ndarray, optional
        The final robustness weights of the pixels.
    """

    x: Array
    converged: bool
    solver: str
    history: list[Step]
    residual_norm: float
    operator: FrameStack | None = None
    weights: list[Array] | None = None

    def total_weights(self, weights: Sequence[Array] | None) -> list[Array] | None:
        """Weights of the frames times the robustness weights."""
        if self.weights is None:
            return None if weights is None else list(weights)
        given = each_weight(weights, len(self.weights))
        return [w * r for w, r in zip(given, self.weights, strict=True)]

    def scaled(self, root: float, frames: Array | None) -> "SolverResult":
        """The same for the problem before it was divided.

        `frames` are robustness weights of whole frames, None for a loss that is not robust.
        """
        assert self.operator is not None
        assert self.weights is not None
        robust = None
        if frames is not None:
            robust = [frame * pixels for frame, pixels in zip(frames, self.weights, strict=True)]
        return self._replace(
            residual_norm=root * self.residual_norm, operator=self.operator.scaled(root),
            weights=robust,
        )  # fmt: skip


def user_callback(callback: Callback | None, axis: int | None) -> Callback | None:
    """The callback, given images with their channels on the user's axis."""
    if callback is None or axis is None:
        return callback
    return lambda step: callback(
        step if step.image is None else replace(step, image=layouts.outward(step.image, axis))
    )


def solve(
    problem: Problem,
    solver: Name,
    *,
    nonnegative: bool = False,
    x0: Array | None = None,
    maxiter: int = 500,
    rtol: float = RTOL,
    callback: Callback | None = None,
    progress: Progress = None,
) -> SolverResult:
    """Solve by the solver of a name; ``"auto"`` is direct where that is possible, else iterates.

    Very large or small normal equations are divided by a power of two first. Channels with PSFs of
    their own are solved one by one.
    """
    if isinstance(problem.operator.operators[0], ChannelOperator):
        one = partial(
            solve, solver=solver, nonnegative=nonnegative, maxiter=maxiter, rtol=rtol,
            progress=progress,
        )  # fmt: skip
        return _by_channels(problem, x0, callback, one)
    scales = problem.scales()
    strength = sum(scales)
    root = root_of_two(max(scales))
    if root != 1:
        problem, strength = problem.divided(root), strength / root**2
    name, exact = _method(problem, solver, nonnegative)
    if exact is not None:
        problem = problem.in_double_precision()
    dims = None if name in ("lsqr", "lsmr") else problem.operator.dims
    with (
        reporting(progress, maxiter, name) as advance,
        np.errstate(over="ignore", invalid="ignore", divide="ignore"),
    ):
        rhs, residual_norm = problem.normal_residual()
        scale = norm(rhs)
        if not isfinite(scale):
            raise ValueError("frames times weights overflow; scale them down")
        bound = eigenvalue_bound(problem, strength) if name == "projected" and scale else 0.0

        def true_residual(x: Array, r: Array, residual_norm: float) -> TrueResidual:
            counts = np.minimum(-r, bound * x) if name == "projected" else r
            limit = attainable_residual(x.dtype, strength, norm(x), scale)
            return TrueResidual(r, norm(counts), limit, residual_norm)

        x = np.zeros(rhs.shape, problem.operator.dtype)
        if x0 is not None and scale:
            x = checked_start(x0, x.dtype, name == "projected")
            rhs, residual_norm = problem.normal_residual(x)
        record = Recorder(scale, callback, advance, dims)
        rounds = IterativeRefinement(
            lambda x: true_residual(x, *problem.normal_residual(x)),
            x, true_residual(x, rhs, residual_norm), rtol * scale, maxiter, record.add,
        )  # fmt: skip
        del x, rhs
        if name == "projected":
            rounds.run(by_projected_gradients(problem.normal, bound), patience=PATIENCE)
        elif name in ("lsqr", "lsmr"):
            steps = _LeastSquares(problem, name, rtol, rounds)
            rounds.run(steps, once=True)
            rounds.run(steps)
        else:
            near = exact or problem.equations(exact=False)
            inverse = None if near is None else problem.inverse(near)
            if rounds.solve(problem.normal, inverse, exact is not None, solver != "direct"):
                name = "cg"
    return SolverResult(
        rounds.x, rounds.converged, name, record.history, root * rounds.residual_norm
    )


def _by_channels(
    problem: Problem,
    x0: Array | None,
    callback: Callback | None,
    solve_one: Callable[..., SolverResult],
) -> SolverResult:
    """Solve channel by channel, with callbacks for the image of all channels."""
    if isinstance(problem.regulariser, LinearOperator):
        raise ValueError("a regulariser that is an operator takes the same psf for all channels")
    dims = problem.operator.dims
    shown = np.zeros(dims, problem.operator.dtype) if x0 is None else x0.reshape(dims).copy()
    found = []
    for number, one in enumerate(problem.images):

        def show(step: Step, number: int = number) -> None:
            if callback is not None:
                image = step.image
                if image is not None:
                    shown[number] = image
                callback(replace(step, image=None if image is None else shown))

        own = None if x0 is None else shown[number].reshape(-1)
        found.append(solve_one(one, x0=own, callback=None if callback is None else show))
        shown[number] = found[-1].x.reshape(dims[1:])
    return SolverResult(
        shown.reshape(-1),
        all(each.converged for each in found),
        "/".join(dict.fromkeys(each.solver for each in found)),
        [step for each in found for step in each.history],
        hypot(*(each.residual_norm for each in found)),
    )


def _method(problem: Problem, solver: Name, nonnegative: bool) -> tuple[Name, Equations | None]:
    """The solver to take, and its closed form."""
    if nonnegative and solver not in ("auto", "projected"):
        raise ValueError(f'nonnegative=True is for the solver "projected", not for {solver!r}')
    if nonnegative:
        return "projected", None
    if solver not in ("auto", "direct"):
        return solver, None
    exact = problem.equations(exact=True)
    if exact is None and solver == "direct":
        raise ValueError(
            'solver="direct" needs beta > 0, weights that are the same all over a frame, and '
            "frames that wrap, or one frame with a PSF that is symmetric and centred and the "
            'boundary "symmetric", or one with a separable PSF and the regulariser "identity"; '
            'take "cg"'
        )
    return "cg" if exact is None else "direct", exact


def root_of_two(strength: float) -> float:
    """The root of the power of two to divide equations of a largest eigenvalue by."""
    if not isfinite(strength):
        raise ValueError("psf, weights, regulariser or beta overflow; scale them down")
    if strength == 0 or 1 / ORDINARY <= strength <= ORDINARY:
        return 1.0
    return power_of_two(sqrt(strength))


def checked_start(x0: Array, dtype: np.dtype[Any], nonnegative: bool) -> Array:
    x = x0.astype(dtype)
    if not abs(x).max() <= LARGEST * float(np.finfo(dtype).max):
        raise ValueError(f"x0 is too large for {dtype}")
    return x.clip(0) if nonnegative else x


def eigenvalue_bound(problem: Problem, strength: float) -> float:
    """An upper bound of the largest eigenvalue of the normal equations."""
    size, dtype = problem.operator.shape[1], problem.operator.dtype
    N = LinearOperator((size, size), matvec=problem.normal, dtype=dtype)
    if size <= 2:
        return float(np.linalg.norm(N.matmat(np.eye(size)), 2))
    guess = np.random.default_rng(0).standard_normal(size).astype(dtype)
    try:
        return MARGIN * float(eigsh(N, 1, v0=guess, tol=1e-2, return_eigenvectors=False)[0])
    except ArpackError:
        return 4 * strength


class _LeastSquares:
    """Rounds of scipy's `lsqr` or `lsmr`.

    Their tolerances are relative to the norms of the operator and of the residual. So the first
    round has `rtol`, and the next, for which these norms are known, what the refinement needs.
    """

    def __init__(
        self, problem: Problem, solver: Any, rtol: float, rounds: IterativeRefinement
    ) -> None:
        self._problem, self._solver, self._rounds = problem, solver, rounds
        self._operator = problem.operator
        if problem.beta:
            self._operator = FrameStack([problem.operator, np.sqrt(problem.beta) * problem.S])
        self._rtol = rtol
        self._norm: float | None = None  # of the operator, as scipy estimates it

    def __call__(
        self, r: Array, x: Array, unit: float, save: Save
    ) -> Iterator[tuple[Array, float]]:
        rounds, problem = self._rounds, self._problem
        x = x.astype(np.float64, copy=False)
        parts = [residual for _, residual, _ in problem.residuals(x)]
        if problem.beta:
            parts.append(-np.sqrt(problem.beta) * problem.S.matvec(x))
        data = np.concatenate(parts) / unit
        size = norm(data)
        tolerance = self._rtol
        if self._norm:
            tolerance = 0.5 * rounds.aim / unit / self._norm / size
        waiting: list[float] = []  # the last iteration is reported with its true residual

        def report(gradient: float) -> None:
            if waiting:
                rounds.step(unit * waiting.pop(), lambda: x)
            waiting.append(gradient)

        reporting_operator = Bidiagonalisation(self._operator, size, self._solver, report)
        limit = "iter_lim" if self._solver == "lsqr" else "maxiter"
        found = {"lsqr": lsqr, "lsmr": lsmr}[self._solver](
            reporting_operator.operator(), data, atol=tolerance, btol=tolerance, conlim=0,
            **{limit: rounds.left},
        )  # fmt: skip
        self._norm = float(found[5])
        yield found[0], 0.0
