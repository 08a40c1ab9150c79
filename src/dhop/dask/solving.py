"""Super-resolution of chunked frames."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import sqrt
from operator import add
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dhop import arguments, observations, solvers
from dhop.boundary import Boundary
from dhop.dask.normal import NormalMatrix
from dhop.dask.operator import DaskArray, DaskDHOperator, as_dask, da, dask
from dhop.dask.scratch import keepers
from dhop.decimation import Decimation
from dhop.frames import FrameStack
from dhop.iterations import Keep, conjugate_gradients, norm, projected_gradients
from dhop.progress import Progress, reporting
from dhop.solution import Solution
from dhop.stencils import Stencils, stencils


class Problem:
    r"""The normal equations of :math:`\sum_i w_i \|A_i x - y_i\|^2 + \beta \|S x\|^2`.

    Parameters
    ----------
    operators, penalties : sequences of DaskDHOperator
        The frames `A_i`, and what the regulariser puts under each other.
    frames, weights : sequences of dask.array.Array
        The data and the weights of their pixels; a weight may be a number.
    beta : float
    keep : callable
        See `dhop.iterations`.
    """

    def __init__(
        self,
        operators: Sequence[DaskDHOperator],
        penalties: Sequence[DaskDHOperator],
        frames: Sequence[DaskArray],
        weights: Sequence[Any],
        beta: float,
        keep: Keep = dask.persist,
    ) -> None:
        self.operator = operators[0]
        self.operators, self.penalties = operators, penalties
        self.frames, self.weights, self.beta = frames, weights, beta
        self.normal = NormalMatrix(
            [*operators, *penalties], [*weights, *[beta] * len(penalties)], frames[0].dtype
        )
        (self.rhs,) = keep(
            reduce(
                add,
                [
                    A.backproject(weighted(y, w))
                    for A, y, w in zip(operators, frames, weights, strict=True)
                ],
            )
        )

    def bound(self) -> float:
        """No less than the largest eigenvalue: from the largest sums of rows and columns."""
        largest = [float(np.max(w)) for w in self.weights]
        return sum(
            factor * A.operator.norm(1) * A.operator.norm(np.inf)
            for A, factor in zip(
                [*self.operators, *self.penalties],
                [*largest, *[self.beta] * len(self.penalties)],
                strict=True,
            )
        )

    def residuals(self, x: DaskArray) -> list[DaskArray]:
        """The frames ``sqrt(w_i) (y_i - A_i x)``."""
        return [
            weighted(y, np.sqrt(w)) - np.sqrt(w) * A.degrade(x)
            for A, y, w in zip(self.operators, self.frames, self.weights, strict=True)
        ]


def weighted(frame: DaskArray, weight: Any) -> DaskArray:
    """The product, zero where the weight is, whatever the frame holds there."""
    return weight * da.where(weight == 0, 0, frame)


@dataclass(frozen=True, eq=False, repr=False)
class ChunkedSolution(Solution):
    """A `dhop.Solution` in chunks: `image` and `frames` are Dask arrays, `operator` has no weights.

    Attributes
    ----------
    problem : Problem
    """

    problem: Problem

    def residuals(self) -> DaskArray:
        """The weighted residuals ``sqrt(w_i) (y_i - A_i x)``, not yet computed."""
        return da.stack(self.problem.residuals(self.image))


def super_resolve(
    frames: Any,
    psf: ArrayLike,
    factor: int | Sequence[int],
    *,
    beta: float,
    shifts: ArrayLike | None = None,
    weights: Any = None,
    regulariser: Stencils = "laplacian",
    nonnegative: bool = False,
    boundary: Boundary | Sequence[Boundary] = "symmetric",
    decimation: Decimation = "mean",
    dims: Sequence[int] | None = None,
    x0: Any = None,
    maxiter: int = 500,
    rtol: float = 1e-6,
    callback: solvers.Callback | None = None,
    progress: Progress = None,
    chunks: Any = None,
    scratch: str | os.PathLike[str] | None = None,
) -> Solution:
    """Estimate the high-resolution image behind frames larger than memory.

    Conjugate gradients, or accelerated projected gradients for images that are not negative. There
    is no closed form here and no preconditioner, so that more iterations are needed than by
    `dhop.super_resolve` in memory. Between iterations the vectors, four of the size of the image,
    stay in the memory of the workers or of this process, or in files in `scratch`.

    Parameters
    ----------
    frames : dask.array.Array, array_like or path, shape (m0, m1), (F, m0, m1) or (F, C, m0, m1)
        A path is that of a Zarr array.
    psf, factor, weights, regulariser, nonnegative, boundary, decimation, dims, x0, maxiter, rtol, \
callback, progress
        As for `dhop.super_resolve`; maps of weights and `x0` may be Dask arrays, the regulariser is
        a name or a PSF. The image of a callback's step is a Dask array.
    beta : float
        Weight of the regulariser; take what `dhop.super_resolve` finds for a part of the frames.
    shifts : array_like, shape (F, 2), optional
        As for `dhop.super_resolve`; register a part of the frames to find them.
    chunks : int or tuple, optional
        Of the result, by default those of the frames times `factor`.
    scratch : path, optional
        Folder, on a disk that all workers reach, for the vectors, up to eight of the size of the
        image. The files of the result stay there, all others are deleted in the end; the image of
        a callback's step is there until the callback returns.

    Returns
    -------
    ChunkedSolution
        Its `image` is a Dask array whose chunks are computed, or in `scratch`.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, a number is out of range or the frames are not real.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> from dhop import psf
    >>> from dhop.dask import super_resolve
    >>> frame = da.from_array(np.outer(np.hanning(16), np.hanning(16)), chunks=8)
    >>> super_resolve(frame, psf.gaussian(5, 1.0), 2, beta=1e-4)
    <Solution (32, 32) of 1 frames (16, 16), cg, 25 iterations, converged, beta 0.0001>
    """
    stack = observations.stacked(_opened(frames))
    if isinstance(beta, str) or not (beta >= 0 and np.isfinite(beta)):
        raise ValueError(
            f"beta must be a finite number, not negative, got {beta!r}; for chunked frames it is "
            "not chosen: take what dhop.super_resolve chooses for a part of them"
        )
    observations.check_settings(maxiter, rtol, nonnegative, callback, progress)
    if isinstance(shifts, str):
        raise ValueError(
            f"shifts={shifts!r} works in memory only; register a part of the frames, see "
            "dhop.registration.estimate_shifts"
        )
    moves = observations.checked_shifts(shifts, len(stack))
    size = observations.scene_dims(stack.shape, factor, dims)
    if chunks is None:
        sizes = zip(stack.chunks[-2:], arguments.pair("factor", factor), strict=True)
        chunks = (*stack.chunks[1:-2], *(max(some) * f for some, f in sizes))
    common = {"boundary": boundary, "dtype": stack.dtype, "chunks": chunks}

    def make(blur: Any, center: Any) -> DaskDHOperator:
        return DaskDHOperator(size, blur, factor, center=center, decimation=decimation, **common)

    operators = observations.frame_operators(make, psf, moves, factor, stack.shape[1:])
    A = operators[0]
    common["chunks"] = A.chunks
    penalties = [
        DaskDHOperator(size, stencil, 1, **common)
        for stencil in (stencils(regulariser) if beta else ())
    ]
    start = da.zeros(A.dims, stack.dtype, chunks=A.chunks) if x0 is None else as_dask(x0, A.chunks)
    start = start.astype(stack.dtype).rechunk(A.chunks)
    name = "projected" if nonnegative else "cg"
    with reporting(progress, maxiter, name) as advance, keepers(scratch) as (data, vectors, image):
        problem: Any = Problem(
            operators, penalties, list(stack), _weights(weights, stack), float(beta), data
        )
        equations = problem.normal, problem.rhs
        steps_taken = (
            projected_gradients(*equations, start.clip(0), problem.bound(), vectors)
            if nonnegative
            else conjugate_gradients(*equations, start, keep=vectors)
        )
        record = solvers.Recorder(problem, callback, advance)
        if not np.isfinite(record.scale):
            raise ValueError(
                "frames must be finite, they contain NaN or Inf; weights='finite' leaves those out"
            )
        x, residual = next(steps_taken)
        while residual > rtol * record.scale and len(record.history) < maxiter:
            x, residual = next(steps_taken)
            record.add(residual, x)
        (x,) = image(x)
    return ChunkedSolution(
        image=x,
        converged=residual <= rtol * record.scale,
        iterations=len(record.history),
        residual_norm=sqrt(sum(norm(r) ** 2 for r in problem.residuals(x))),
        solver=name,
        beta=float(beta),
        beta_curve=None,
        shifts=moves,
        history=record.history,
        operator=FrameStack([A.operator for A in operators]),
        frames=stack,
        problem=problem,
    )


def _opened(frames: Any) -> DaskArray:
    if isinstance(frames, str | os.PathLike):
        return da.from_zarr(os.fspath(frames))
    return frames if isinstance(frames, da.Array) else da.from_array(frames)


def _weights(weights: Any, stack: DaskArray) -> list[Any]:
    """A number or a map, for each frame."""
    if weights is None:
        return [1.0] * len(stack)
    if isinstance(weights, str):
        arguments.choice("weights", weights, ("finite",))
        return list(da.isfinite(stack).astype(stack.dtype))
    found: list[Any] = []
    for weight in observations.per_frame(weights, len(stack)):
        if not isinstance(weight, da.Array):
            weight = np.asarray(weight)
        if float(weight.min()) < 0 or not np.isfinite(float(weight.sum())):
            raise ValueError("weights must be finite and not negative")
        if weight.ndim:
            weight = da.broadcast_to(da.asarray(weight), stack.shape[1:]).astype(stack.dtype)
        found.append(weight if weight.ndim else float(weight))
    return found
