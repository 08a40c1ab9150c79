"""Least squares of chunked images, by the iterations that solve them in memory."""

from collections.abc import Callable, Iterator
from math import isfinite

import numpy as np

from dhop.dask.operator import DaskArray, da, dask
from dhop.dask.problem import WIDE, Problem
from dhop.dask.scratch import Vectors
from dhop.frames.observations import NOTHING_SEEN
from dhop.iteration.iterative_refinement import (
    PATIENCE,
    IterativeRefinement,
    TrueResidual,
    attainable_residual,
    by_projected_gradients,
)
from dhop.iteration.steps import Product, Save, norm
from dhop.reconstruction import solvers
from dhop.reconstruction.solvers import Callback, SolverResult
from dhop.runtime.progress import Progress, reporting


def least_squares(
    given: Problem,
    start: DaskArray | None,
    nonnegative: bool,
    vectors: Vectors,
    near: Callable[[Problem], Product | None],
    *,
    maxiter: int,
    rtol: float,
    callback: Callback | None,
    progress: Progress,
) -> SolverResult:
    """Conjugate gradients, or projected ones where images are not to be negative.

    Parameters
    ----------
    given : Problem
    start : dask.array.Array or None
        The first guess.
    nonnegative : bool
    vectors : Vectors
    near : callable
        Gives the preconditioner of a problem, if there is one.
    maxiter, rtol, callback, progress
        As for `dhop.super_resolve`.
    """
    A, dtype = given.operators[0], given.frames.dtype
    name = "projected" if nonnegative else "cg"
    scales = given.scales()
    square = solvers.root_of_two(max(scales)) ** 2
    problem, strength = given.divided(square), sum(scales) / square
    bound = problem.bound() if nonnegative else 0.0

    def counts(x: DaskArray | float, r: DaskArray) -> DaskArray:
        return np.minimum(-r, bound * x) if nonnegative else r

    def true_residual(x: DaskArray) -> TrueResidual:
        r = vectors.hold(problem.residual(x))
        limit = attainable_residual(dtype, strength, norm(x.astype(WIDE)), scale)
        return TrueResidual(r, norm(counts(x, r)), limit)

    def projected(
        r: DaskArray, x: DaskArray, unit: float, save: Save
    ) -> Iterator[tuple[DaskArray, float]]:
        steps = by_projected_gradients(problem.normal, bound, vectors.keep)
        return steps(vectors.hold(r), x, unit, save)

    with (
        reporting(progress, maxiter, name) as advance,
        np.errstate(over="ignore", invalid="ignore"),
    ):
        rhs = vectors.hold(problem.residual(None))
        scale = norm(rhs)
        if not isfinite(scale):
            raise ValueError(
                "frames must be finite, they contain NaN or Inf, or overflow with their weights; "
                "weights='finite' leaves those out"
            )
        if scale == 0 and not any(dask.compute(*[np.any(weight) for weight in given.weights])):
            raise ValueError(NOTHING_SEEN)
        first = TrueResidual(rhs, norm(counts(0.0, rhs)), 0.0)
        x = da.zeros(A.dims, dtype=dtype, chunks=A.chunks)
        if start is not None and scale:
            x = vectors.hold(start.clip(0) if nonnegative else start)
            first = true_residual(x)
        record = solvers.Recorder(scale, callback, advance, A.dims)
        rounds = IterativeRefinement(
            true_residual, x, first, rtol * scale, maxiter, record.add, vectors.keep, vectors.hold,
            vectors.hold,
        )  # fmt: skip
        del first, rhs
        if nonnegative:
            rounds.run(projected, patience=PATIENCE)
        else:
            rounds.solve(problem.normal, near(problem), False)
        misfit = norm(da.stack(given.residuals(rounds.x)))
    return SolverResult(rounds.x, rounds.converged, name, record.history, misfit)
