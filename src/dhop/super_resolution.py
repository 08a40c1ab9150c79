"""Super-resolution of one or several frames."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop import arguments, observations, problem, solvers
from dhop.boundary import Boundary
from dhop.cautions import RangeWarning
from dhop.decimation import Decimation
from dhop.iterations import RTOL
from dhop.operators.base import dense
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.stack import FrameStack
from dhop.photometry import Photometry, Terms, fitted
from dhop.preparation import Moves, Preparation, visible_range
from dhop.progress import Progress
from dhop.regularisers import Regulariser
from dhop.selection import Rule
from dhop.solution import Solution

Array = NDArray[Any]
Shifts: TypeAlias = ArrayLike | Moves | tuple[Literal["refine"], ArrayLike] | None
Weights: TypeAlias = ArrayLike | Sequence[ArrayLike] | Literal["finite"]

ROUNDS = 2  # of a solution and of the brightness of the frames
ROUGH = 1e-3  # tolerance of these solutions
PLAUSIBLE = 0.2  # of its range an image may lie beyond that of the frames, on both sides
FAR = 0.5  # the same below alone
DOUBLINGS = 8  # of a beta, for a PSF that was estimated, until the image is plausible


def super_resolve(
    frames: ArrayLike,
    psf: ArrayLike | Sequence[ArrayLike] | Literal["estimate"],
    factor: int | Sequence[int],
    *,
    shifts: Shifts = None,
    weights: Weights | None = None,
    regulariser: Regulariser = "laplacian",
    beta: float | Rule = "auto",
    noise: float | None = None,
    photometry: Terms | None = None,
    solver: solvers.Name = "auto",
    nonnegative: bool = False,
    boundary: Boundary | Sequence[Boundary] = "symmetric",
    decimation: Decimation = "mean",
    dims: Sequence[int] | None = None,
    x0: ArrayLike | None = None,
    maxiter: int = 500,
    rtol: float = RTOL,
    callback: solvers.Callback | None = None,
    progress: Progress = None,
) -> Solution:
    r"""Estimate the high-resolution image behind one or several low-resolution frames.

    Solves

    .. math:: \min_x \sum_i w_i \|A_i x - y_i\|^2 + \beta \|S x\|^2

    with :math:`A_i` the blur and decimation of `DHOperator`, shifted with the scene in frame `i`,
    and `S` the regulariser.

    Parameters
    ----------
    frames : array_like, shape (m0, m1), (F, m0, m1) or (F, C, m0, m1)
        One frame, several, or several of `C` channels each, which are solved alike. A Dask array,
        or the path of a Zarr array, is solved in chunks by `dhop.dask.super_resolve`.
    psf : array_like, two-dimensional, or sequence of F such, or "estimate"
        Point spread function in high-resolution pixels, of all frames or of each. It is divided by
        its sum, so that the image is as bright as the frames, unless the sum is next to nothing.
        ``"estimate"`` takes the round Gaussian that fits the frames, see `dhop.psf.estimate`; from
        a single frame it is cautious.
    factor : int or (int, int)
        High-resolution pixels per low-resolution pixel.
    shifts : array_like, shape (F, 2), "estimate", "refine" or ("refine", array_like), optional
        In low-resolution pixels: ``shifts[i] = (dy, dx)`` says that the scene in frame `i` appears
        `dy` rows further down and `dx` columns further right than in frame 0. ``"estimate"``
        registers the frames (see `dhop.registration.register`), leaves out those that do not fit,
        and refines; ``"refine"`` improves zeros, or the shifts that it comes with, which are right
        to about half a pixel, to those of the least residual (see `dhop.refinement`).
    weights : sequence of (float or array_like) or "finite", optional
        One for each frame: a number, or a map of its shape. A pixel of weight zero takes no part,
        and may be NaN. ``"finite"`` masks what is NaN or infinite. The best weight is one over the
        variance of the noise.
    regulariser : str, array_like or LinearOperator
        `S`: ``"identity"`` prefers small values; ``"gradient"`` small steps; ``"laplacian"``, the
        five-point stencil, small curvature; ``"laplacian-of-gaussian"`` the same but for the finest
        detail. An array is a PSF that the image is convolved with; an operator has as many columns
        as the image has pixels.
    beta : float or {"auto", "gcv", "discrepancy", "lcurve"}
        Weight of the regulariser; it does not depend on the brightness scale. ``"auto"`` expects
        the least error of the image under a model of scene, blur and noise that fits the frames;
        the others are generalised cross-validation, the noise level and the L-curve, see
        `dhop.selection.choose_beta`. A number is needed if `regulariser` is an operator.
    noise : float, optional
        Standard deviation of the noise of a pixel of weight one, for ``"discrepancy"``.
    photometry : {"offset", "gain", "both"}, optional
        What of the brightness differs from frame to frame and is to be found: frame `i` is
        ``gain[i] * A_i x + offset[i]``, relative to frame 0. By default nothing.
    solver : {"auto", "direct", "cg", "lsqr", "lsmr", "projected"}
        ``"direct"`` is a closed form, for frames that wrap, for one frame with a symmetric centred
        PSF that continues symmetrically, and for one with a separable PSF and the regulariser
        ``"identity"``, any boundary. ``"auto"`` takes it where it applies, else ``"cg"``, conjugate
        gradients with the nearest closed form as preconditioner. scipy's ``"lsqr"`` and ``"lsmr"``.
        ``"projected"`` is for images that are not negative.
    nonnegative : bool
        Whether to minimise over images without negative values only.
    boundary, decimation
        As for `DHOperator`.
    dims : (int, int), optional
        Shape of the result, by default `factor` times the shape of a frame.
    x0 : array_like, of the shape of the result, optional
        First guess, by default zeros.
    maxiter : int
        Most iterations.
    rtol : float
        When to stop: norm of the gradient relative to that at the zero image, without the parts
        that the constraint holds if there is one. LSQR and LSMR first take it for their `atol` and
        `btol`. It is not asked for beyond what rounding allows, see `Solution.converged`.
    callback : callable, optional
        Called with a `dhop.solution.Step` after each iteration.
    progress : callable or True, optional
        Called as ``progress(done, maxiter)``; True shows a bar on the terminal (needs rich).

    Returns
    -------
    Solution
        The image is float32 for float32 frames, else float64. It scales with the frames, however
        small or large these are.

    Raises
    ------
    ValueError
        If shapes do not fit, frames are not finite where they have a weight, a number is out of
        range, or the solver cannot do what is asked for.
    TypeError
        If the frames are not real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import psf, super_resolve
    >>> frame = np.outer(np.hanning(16), np.hanning(16))
    >>> solution = super_resolve(frame, psf.gaussian(5, 1.0), 2, beta=1e-4)
    >>> solution
    <Solution (32, 32) of 1 frames (16, 16), direct, 1 iterations, converged, beta 0.0001>
    """
    if isinstance(frames, str | os.PathLike) or hasattr(frames, "__dask_graph__"):
        return _chunked(
            frames, psf, factor, solver=solver, noise=noise, beta=beta, shifts=shifts,
            weights=weights, regulariser=regulariser, nonnegative=nonnegative, boundary=boundary,
            decimation=decimation, dims=dims, x0=x0, maxiter=maxiter, rtol=rtol, callback=callback,
            progress=progress, photometry=photometry,
        )  # fmt: skip
    stack = observations.stacked(dense(frames, "frames"))
    given = _weights(weights, stack)
    if not all(_finite_where_weighted(stack, given)):
        raise ValueError(
            "frames must be finite, they contain NaN or Inf; weights='finite' leaves those out"
        )
    observations.check_settings(maxiter, rtol, nonnegative, callback, progress)
    arguments.choice("solver", solver, get_args(solvers.Name))
    arguments.choice("decimation", decimation, get_args(Decimation))
    if photometry is not None:
        arguments.choice("photometry", photometry, get_args(Terms))
    problem.check(given, regulariser)
    size = observations.scene_dims(stack.shape, factor, dims)
    steps = arguments.both("factor", factor, arguments.positive, "integer")
    known = Preparation(
        stack, given, steps, decimation, np.zeros((len(stack), 2)), Photometry.none(len(stack))
    )
    known.align(shifts, photometry, progress)
    estimated = isinstance(psf, str)
    known.blur(psf, progress)

    def make(blur: Any, center: Any) -> DHOperator:
        return DHOperator(
            size, blur, factor, center=center,
            decimation=decimation, boundary=boundary, dtype=stack.dtype,
        )  # fmt: skip

    operators = observations.frame_operators(make, known.psf, known.shifts, factor, stack.shape[1:])
    A = operators[0]
    start = None if x0 is None else _start(x0, A)
    if isinstance(beta, str):
        problem.check_squares(FrameStack(operators, given), stack)
        number = known.weigh(regulariser, beta, noise, estimated, progress)
    else:
        number = arguments.real("beta", beta)
    if number < 0:
        raise ValueError(f"beta must not be negative, got {beta!r}")

    def solve(number: float, start: Array | None, rtol: float) -> tuple[FrameStack, Any]:
        operator = FrameStack(operators, known.photometry.weights(known.weights))
        corrected = known.photometry.corrected(stack)
        return operator, solvers.solve(
            problem.Problem(operator, corrected, regulariser, number, A.boundary),
            solver,
            nonnegative=nonnegative,
            x0=start,
            maxiter=maxiter,
            rtol=rtol,
            callback=callback,
            progress=progress,
        )

    for _ in range(ROUNDS if len(stack) > 1 else 0):
        if photometry is None:
            break
        operator, found = solve(number, start, max(rtol, ROUGH))
        start = found.x
        predictions = FrameStack(operators).matvec(start).reshape(stack.shape)
        known.photometry = fitted(stack, predictions, known.weights, photometry)
    operator, found = solve(number, start, rtol)
    span = visible_range(stack, known.weights)
    for _ in range(DOUBLINGS):
        rings = _beyond(found.x, span)[0] > PLAUSIBLE
        if not (estimated and isinstance(beta, str) and rings):
            break
        number *= 2
        operator, found = solve(number, found.x, rtol)
    image = found.x.reshape(A.dims)
    both, one = _beyond(image, span)
    if (estimated or isinstance(beta, str)) and (both > 1.5 * PLAUSIBLE or one > FAR):
        known.warn(
            f"the image leaves the range of the frames, {span[0]:.3g} to {span[1]:.3g}, by far: "
            f"{image.min():.3g} to {image.max():.3g}; the psf may be too wide, or beta too small",
            RangeWarning,
        )
    return Solution(
        image=image,
        converged=found.converged,
        iterations=len(found.history),
        residual_norm=found.misfit,
        solver=found.solver,
        beta=number,
        beta_curve=known.curve,
        shifts=known.shifts,
        psf=known.psf,
        photometry=known.photometry,
        registration=known.registration,
        notes=known.notes,
        history=found.history,
        operator=operator,
        frames=stack,
    )


def _beyond(image: Array, span: tuple[float, float]) -> tuple[float, float]:
    """How far an image leaves a range on both sides, and on one, relative to its own range.

    What rings does so on both sides of what it rings about; a star that has become sharp rises far
    above what the frames show of it, and leaves the ground but little.
    """
    low, high = span
    width = (high - low) or abs(high) or 1.0
    below = max((low - float(image.min())) / width, 0.0)
    above = max((float(image.max()) - high) / width, 0.0)
    sides = below / (1 + above), above / (1 + below)
    return min(sides), below / (1 + above)


def _chunked(
    frames: Any, psf: Any, factor: Any, *, solver: str, noise: Any, photometry: Any, **settings: Any
) -> Solution:
    if isinstance(psf, str) or photometry is not None:
        raise ValueError(
            "psf='estimate' and photometry work in memory only; find them from a part of the frames"
        )
    if solver not in ("auto", "projected" if settings["nonnegative"] else "cg"):
        raise ValueError(f"solver={solver!r} works in memory only; chunked frames take 'auto'")
    from dhop.dask import super_resolve

    return super_resolve(frames, psf, factor, **settings)


def _weights(weights: Weights | None, stack: Array) -> list[Array] | None:
    """A number or a map of the shape of a frame, for each."""
    if weights is None:
        return None
    if isinstance(weights, str):
        arguments.choice("weights", weights, ("finite",))
        return list(np.isfinite(stack).astype(np.float64))
    given = [
        dense(weight, "each of weights") for weight in observations.per_frame(weights, len(stack))
    ]
    try:
        return [w if w.ndim == 0 else np.broadcast_to(w, stack.shape[1:]) for w in given]
    except ValueError:
        shapes = [w.shape for w in given]
        raise ValueError(f"weights of {shapes} do not fit frames of {stack.shape[1:]}") from None


def _finite_where_weighted(stack: Array, weights: list[Array] | None) -> Iterator[np.bool_]:
    for frame, weight in zip(stack, weights or [np.ones(())] * len(stack), strict=True):
        yield (np.isfinite(frame) | (weight == 0)).all()


def _start(x0: ArrayLike, A: DHOperator) -> Array:
    image = dense(x0, "x0")
    if image.shape != A.dims or image.dtype.kind == "c" or not np.isfinite(image).all():
        raise ValueError(f"x0 must be real, finite and of shape {A.dims}")
    return image.reshape(-1)
