"""Super-resolution of chunked frames."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from math import isfinite
from operator import add
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from dhop.cautions import PSFWarning
from dhop.dask import ome
from dhop.dask.normal import NormalMatrix
from dhop.dask.operator import DaskArray, DaskDHOperator, as_dask, da, dask
from dhop.dask.scratch import keepers
from dhop.estimation.photometry import Photometry
from dhop.frames import layouts, observations
from dhop.iteration.rounds import PATIENCE, Rounds, Verdict, by_projected_gradients, forgiven
from dhop.iteration.steps import RTOL, Keep, Leave, norm
from dhop.model.boundary import Boundary
from dhop.model.decimation import Decimation
from dhop.operators.base import dense
from dhop.operators.stack import FrameStack
from dhop.psf.stencils import Stencils
from dhop.reconstruction import blurs, solvers
from dhop.reconstruction.history import Step
from dhop.reconstruction.problem import real_stencils
from dhop.reconstruction.solution import Solution
from dhop.runtime import arguments
from dhop.runtime.progress import Progress, reporting

WIDE = np.dtype(np.float64)


class Problem:
    r"""The normal equations of :math:`\sum_i w_i \|A_i x - y_i\|^2 + \beta \|S x\|^2`.

    Parameters
    ----------
    operators, penalties : sequences of DaskDHOperator
        The frames `A_i`, and what the regulariser puts under each other.
    frames, weights : sequences of dask.array.Array
        The data and the weights of their pixels; a weight may be a number.
    largest : sequence of float
        The largest weight of each frame.
    beta : float
    """

    def __init__(
        self,
        operators: Sequence[DaskDHOperator],
        penalties: Sequence[DaskDHOperator],
        frames: Sequence[DaskArray],
        weights: Sequence[Any],
        largest: Sequence[float],
        beta: float,
    ) -> None:
        self.operators, self.penalties = operators, penalties
        self.frames, self.weights, self.largest, self.beta = frames, weights, largest, beta

    def divided(self, square: float) -> "Problem":
        """The problem of the same solution, its terms divided by a number."""
        return Problem(
            self.operators,
            self.penalties,
            self.frames,
            [weight / square for weight in self.weights],
            [weight / square for weight in self.largest],
            self.beta / square,
        )

    def normal(self, dtype: np.dtype[Any]) -> NormalMatrix:
        """The matrix, for images of a dtype."""
        weights = [w.astype(dtype) if isinstance(w, da.Array) else w for w in self.weights]
        factors = [*weights, *[self.beta] * len(self.penalties)]
        return NormalMatrix([*self.operators, *self.penalties], factors, dtype)

    def rhs(self) -> DaskArray:
        """The right-hand side, in double precision."""
        pairs = zip(self.operators, self.frames, self.weights, strict=True)
        return reduce(add, [A.backproject(weighted(y.astype(WIDE), w)) for A, y, w in pairs])

    def scales(self) -> list[float]:
        """About the largest eigenvalue of each term."""
        operators = [A.operator for A in (*self.operators, *self.penalties)]
        factors = [*self.largest, *[self.beta] * len(self.penalties)]
        return [
            factor * sum(operator.strengths())
            for factor, operator in zip(factors, operators, strict=True)
        ]

    def bound(self) -> float:
        """No less than the largest eigenvalue: from the largest sums of rows and columns."""
        return sum(
            factor * A.operator.norm(1) * A.operator.norm(np.inf)
            for A, factor in zip(
                [*self.operators, *self.penalties],
                [*self.largest, *[self.beta] * len(self.penalties)],
                strict=True,
            )
        )

    def residuals(self, x: DaskArray) -> list[DaskArray]:
        """The frames ``sqrt(w_i) (y_i - A_i x)``, in double precision."""
        return [
            weighted(y.astype(WIDE), np.sqrt(w)) - np.sqrt(w) * A.degrade(x.astype(WIDE))
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

    problem: Problem = field(kw_only=True)

    @property
    def _uncertainty(self) -> NoReturn:
        """Refused: the methods that use it work in memory."""
        raise TypeError(
            "the uncertainty of a solution in chunks is not computed; solve for a part in memory"
        )

    def residuals(self) -> DaskArray:
        """The weighted residuals ``sqrt(w_i) (y_i - A_i x)``, not yet computed."""
        image = layouts.inward(self.image, self.channel_axis)
        return da.stack(self.problem.residuals(image)).astype(self.frames.dtype)


def super_resolve(
    frames: Any,
    psf: ArrayLike,
    factor: int | Sequence[int],
    *,
    beta: float,
    channel_axis: int | None = None,
    center: int | Sequence[int] | None = None,
    shifts: ArrayLike | None = None,
    weights: Any = None,
    regulariser: Stencils = "laplacian",
    nonnegative: bool = False,
    boundary: Boundary | Sequence[Boundary] = "symmetric",
    decimation: Decimation = "mean",
    dims: Sequence[int] | None = None,
    x0: Any = None,
    maxiter: int = 500,
    rtol: float = RTOL,
    callback: solvers.Callback | None = None,
    progress: Progress = None,
    chunks: Any = None,
    scratch: str | os.PathLike[str] | None = None,
) -> Solution:
    """Estimate the high-resolution image behind frames larger than memory.

    Conjugate gradients, or accelerated projected gradients for images that are not negative. There
    is no closed form here and no preconditioner, so that more iterations are needed than by
    `dhop.super_resolve` in memory. Between iterations the vectors, four or five of the size of the
    image, stay in the memory of the workers or of this process, or in files in `scratch`. Where the
    iterations claim to have converged the frames are read once more, to judge the image itself.

    Parameters
    ----------
    frames : dask.array.Array, array_like or path
        A path is that of a Zarr array. For what the axes mean see `dhop.super_resolve`.
    psf, factor, channel_axis, center, weights, regulariser, nonnegative, boundary, decimation, \
dims, x0, maxiter, rtol, callback, progress
        As for `dhop.super_resolve`; maps of weights and `x0` may be Dask arrays, the regulariser is
        a name or a PSF. All channels have one PSF. The image of a callback's step is a Dask array.
    beta : float
        Weight of the regulariser; take what `dhop.super_resolve` finds for a part of the frames.
    shifts : array_like, a number for each frame and axis, optional
        As for `dhop.super_resolve`; register a part of the frames to find them.
    chunks : int or tuple, optional
        Of the result, channels first, by default those of the frames times `factor`.
    scratch : path, optional
        Folder, on a disk that all workers reach, for the vectors, up to ten of the size of the
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
    array, ndim = _opened(frames), blurs.dimensions(psf)
    stack = layouts.stacked(array, channel_axis, ndim)
    axis = layouts.image_axis(channel_axis, array.ndim, ndim)
    if isinstance(beta, str):
        raise ValueError(
            f"beta must be a number, got {beta!r}; for chunked frames it is not chosen: take what "
            "dhop.super_resolve chooses for a part of them"
        )
    if arguments.real("beta", beta) < 0:
        raise ValueError(f"beta must be a finite number, not negative, got {beta!r}")
    observations.check_settings(maxiter, rtol, nonnegative, callback, progress)
    if isinstance(shifts, str):
        raise ValueError(
            f"shifts={shifts!r} works in memory only; register a part of the frames, see "
            "dhop.registration.estimate_shifts"
        )
    moves = observations.checked_shifts(shifts, len(stack), ndim)
    steps = arguments.each("factor", factor, ndim, arguments.positive, "integer")
    size = observations.scene_dims(stack.shape, steps, dims)
    if chunks is None:
        sizes = zip(stack.chunks[-ndim:], steps, strict=True)
        chunks = (*stack.chunks[1:-ndim], *(max(some) * f for some, f in sizes))
    common = {"boundary": boundary, "dtype": stack.dtype, "chunks": chunks}

    def make(blur: Any, center: Any) -> DaskDHOperator:
        return DaskDHOperator(size, blur, factor, center=center, decimation=decimation, **common)

    psfs = blurs.blurs(psf, len(stack), center=center)
    oversight = blurs.off_centre(psfs) if center is None else None
    if oversight:
        warnings.warn(oversight, PSFWarning, stacklevel=2)
    operators = observations.frame_operators(make, psfs, moves, steps, stack.shape[1:])
    A = operators[0]
    common["chunks"] = A.chunks
    stencils = real_stencils(regulariser, ndim) if beta else []
    penalties = [DaskDHOperator(size, stencil, 1, **common) for stencil in stencils]
    maps, largest = _weights(weights, stack, axis, ndim)
    given = Problem(operators, penalties, list(stack), maps, largest, float(beta))
    start = None if x0 is None else _start(x0, A, stack.dtype, axis)
    name = "projected" if nonnegative else "cg"
    with (
        reporting(progress, maxiter, name) as advance,
        keepers(scratch) as keeper,
        np.errstate(over="ignore", invalid="ignore"),
    ):
        rounds, history = _solved(
            given, start, nonnegative, maxiter, rtol,
            lambda scale: solvers.Recorder(
                scale, solvers.outward(callback, axis), advance, A.dims
            ), keeper,
        )  # fmt: skip
        (image,) = keeper("image")(rounds.x)
        misfit = norm(da.stack(given.residuals(image)))
    return ChunkedSolution(
        image=layouts.outward(image, axis),
        converged=rounds.converged,
        iterations=len(history),
        residual_norm=misfit,
        solver=name,
        beta=float(beta),
        beta_curve=None,
        shifts=moves,
        psf=psfs,
        photometry=Photometry.none(len(stack)),
        registration=None,
        notes=[oversight] if oversight else [],
        history=history,
        operator=FrameStack([A.operator for A in operators]),
        frames=stack,
        channel_axis=axis,
        regulariser=regulariser,
        boundary=boundary,
        nonnegative=nonnegative,
        problem=given,
    )


def _solved(
    given: Problem,
    start: DaskArray | None,
    nonnegative: bool,
    maxiter: int,
    rtol: float,
    recorder: Callable[[float], solvers.Recorder],
    keeper: Callable[[str], Keep],
) -> tuple[Rounds, list[Step]]:
    """The rounds when they are over, and their history."""
    A, dtype = given.operators[0], given.frames[0].dtype
    scales = given.scales()
    square = solvers.root_of_two(max(scales)) ** 2
    problem, strength = given.divided(square), sum(scales) / square
    bound = problem.bound() if nonnegative else 0.0
    matrices = {kind: problem.normal(kind) for kind in {dtype, WIDE}}
    vectors = keeper("vectors")

    def normal(x: DaskArray) -> DaskArray:
        return matrices[x.dtype](x)

    def counts(x: DaskArray | float, r: DaskArray) -> DaskArray:
        return np.minimum(-r, bound * x) if nonnegative else r

    def judge(x: DaskArray) -> Verdict:
        x = x.astype(WIDE)
        (r,) = vectors(problem.rhs() - normal(x))
        limit = forgiven(dtype, strength, norm(x), scale)
        return Verdict(r, norm(counts(x, r)), limit)

    def projected(
        r: DaskArray, x: DaskArray, unit: float, leave: Leave
    ) -> Iterator[tuple[DaskArray, float]]:
        (r,) = keeper("data")(r)
        return by_projected_gradients(normal, bound, vectors)(r, x, unit, leave)

    (rhs,) = vectors(problem.rhs())
    scale = norm(rhs)
    if not isfinite(scale):
        raise ValueError(
            "frames must be finite, they contain NaN or Inf, or overflow with their weights; "
            "weights='finite' leaves those out"
        )
    if scale == 0 and not any(dask.compute(*[np.any(weight) for weight in given.weights])):
        raise ValueError("weights must not all be zero: no pixel is observed")
    first = Verdict(rhs, norm(counts(0.0, rhs)), 0.0)
    x = da.zeros(A.dims, dtype=dtype, chunks=A.chunks)
    if start is not None and scale:
        (x,) = keeper("bases")(start.clip(0) if nonnegative else start)
        first = judge(x)
    record = recorder(scale)
    rounds = Rounds(
        judge, x, first, rtol * scale, maxiter, record.add, vectors,
        lambda d: keeper("left")(d)[0], lambda x: keeper("bases")(x)[0],
    )  # fmt: skip
    del first, rhs
    if nonnegative:
        rounds.run(projected, patience=PATIENCE)
    else:
        rounds.solve(normal, None, False)
    return rounds, record.history


def _start(x0: Any, A: DaskDHOperator, dtype: np.dtype[Any], axis: int | None) -> DaskArray:
    if not hasattr(x0, "shape"):
        x0 = arguments.numbers("x0", x0)
    if x0.ndim == len(A.dims):
        x0 = layouts.inward(x0, axis)
    if x0.shape != A.dims or np.dtype(x0.dtype).kind not in "biuf":
        shape = layouts.outward_shape(A.dims, axis)
        raise ValueError(f"x0 must be real, finite and of shape {shape}")
    array = as_dask(x0, A.chunks)
    if not float(abs(array).max()) <= solvers.LARGEST * float(np.finfo(dtype).max):
        raise ValueError(f"x0 must be finite, and not too large for {dtype}")
    return array.astype(dtype).rechunk(A.chunks)


def _opened(frames: Any) -> DaskArray:
    if isinstance(frames, str | os.PathLike):
        return ome.opened(os.fspath(frames))
    if isinstance(frames, da.Array):
        return frames
    return da.from_array(frames if hasattr(frames, "shape") else dense(frames, "frames"))


def _weights(
    weights: Any, stack: DaskArray, axis: int | None, ndim: int
) -> tuple[list[Any], list[float]]:
    """A number or a map for each frame, and the largest number of each."""
    if weights is None:
        return [1.0] * len(stack), [1.0] * len(stack)
    if isinstance(weights, str):
        arguments.choice("weights", weights, ("finite",))
        return list(da.isfinite(stack).astype(stack.dtype)), [1.0] * len(stack)
    maps = layouts.weight_maps(weights, stack.shape, axis, ndim)
    given = [_weight(weight, stack) for weight in maps]
    least, largest = dask.compute([w.min() for w in given], [w.max() for w in given])
    if not all(0 <= low <= high < np.inf for low, high in zip(least, largest, strict=True)):
        raise ValueError("weights must be finite and not negative")
    return [w if w.ndim else float(w) for w in given], [float(high) for high in largest]


def _weight(weight: Any, stack: DaskArray) -> Any:
    weight = weight if isinstance(weight, da.Array) else dense(weight, "each of weights")
    if weight.dtype.kind not in "biuf":
        raise TypeError(f"weights must be real numbers, got dtype {weight.dtype}")
    if weight.ndim == 0:
        return weight
    return da.broadcast_to(da.asarray(weight), stack.shape[1:])
