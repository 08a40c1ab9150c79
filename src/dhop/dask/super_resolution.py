"""Super-resolution of chunked frames."""

import os
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any, Literal

from numpy.typing import ArrayLike

from dhop.cautions import PSFWarning, RangeWarning
from dhop.dask.choices import Choices
from dhop.dask.frame_operators import chunked
from dhop.dask.inputs import (
    Survey,
    background_of,
    extremes,
    first_guess,
    frame_weights,
    given_motion,
    given_shifts,
    on_scene,
    opened,
)
from dhop.dask.least_squares import least_squares
from dhop.dask.minimising import minimised
from dhop.dask.operator import DaskArray, DaskDHOperator, da
from dhop.dask.problem import Problem
from dhop.dask.regions import read_regions
from dhop.dask.scratch import vectors
from dhop.dask.solution import ChunkedSolution
from dhop.dask.tiled import TiledInverse
from dhop.estimation.photometry import Terms
from dhop.frames import layouts, observations
from dhop.frames.motions import Motion
from dhop.iteration.steps import RTOL
from dhop.model.boundary import Boundary
from dhop.model.decimation import Decimation
from dhop.reconstruction import blurs, frame_operators, losses, penalties, ranges, solvers, targets
from dhop.reconstruction.problem import real_stencils
from dhop.reconstruction.reconstruction import DOUBLINGS
from dhop.reconstruction.regularisers import Regulariser
from dhop.reconstruction.requests import Request
from dhop.reconstruction.solution import Solution
from dhop.reconstruction.solvers import SolverResult
from dhop.registration import Model
from dhop.runtime import arguments
from dhop.runtime.progress import Progress
from dhop.selection import Rule


def super_resolve(
    frames: Any,
    psf: ArrayLike | Literal["estimate"],
    factor: int | Sequence[int],
    *,
    beta: float | Rule = "auto",
    channel_axis: int | None = None,
    center: int | Sequence[int] | None = None,
    shifts: Any = None,
    motion: Sequence[Motion] | Model | None = None,
    weights: Any = None,
    regulariser: Regulariser | penalties.Name = "laplacian",
    noise: float | None = None,
    photometry: Terms | None = None,
    loss: losses.Name = "gaussian",
    threshold: float | None = None,
    background: Any = 0.0,
    gain: float = 1.0,
    read_noise: float = 0.0,
    solver: solvers.Name = "auto",
    nonnegative: bool = False,
    bounds: tuple[float, float] | None = None,
    target: ArrayLike | None = None,
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

    The iterations are those of `dhop.super_resolve`. There is no closed form of a whole image here:
    those of tiles, a chunk with what lies around it each, precondition conjugate gradients. Between
    iterations the vectors, five or six of the size of the image, with quasi-Newton steps twenty,
    stay in the memory of the workers or of this process, or in files in `scratch`. Where the
    iterations of least squares claim to have converged the frames are read once more, to judge the
    image itself.

    Parameters
    ----------
    frames : dask.array.Array, array_like or path
        A path is that of a Zarr array. For what the axes mean see `dhop.super_resolve`.
    psf, factor, channel_axis, center, shifts, motion, weights, regulariser, beta, noise, \
photometry, loss, threshold, background, gain, read_noise, nonnegative, bounds, target, boundary, \
decimation, dims, x0, maxiter, rtol, callback, progress
        As for `dhop.super_resolve`; maps of weights and of the background, and `x0`, may be Dask
        arrays, the regulariser is a name or a PSF. The image of a callback's
        step is a Dask array. What is to be found (`beta`, the PSF, shifts, brightness,
        and what is an outlier) comes from up to five regions of the frames, of 512 x 512 pixels,
        which are taken into memory; how far they agree is in the notes of the solution.
    solver : str
        ``"auto"``, ``"cg"``, ``"projected"``, ``"reweighted"``, ``"quasi-newton"`` or
        ``"richardson-lucy"``.
    chunks : int or tuple, optional
        Of the result, channels first, by default those of the frames times `factor`.
    scratch : path, optional
        Folder, on a disk that all workers reach, for the vectors. Their files are deleted when the
        iterations need them no more, those of the result stay.

    Returns
    -------
    ChunkedSolution
        Its `image` is a Dask array whose chunks are computed, or in `scratch`.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, a number is out of range, the frames are not real, or what is asked
        for works in memory only.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> from dhop import psf
    >>> from dhop.dask import super_resolve
    >>> frame = da.from_array(np.outer(np.hanning(16), np.hanning(16)), chunks=8)
    >>> super_resolve(frame, psf.gaussian(5, 1.0), 2, beta=1e-4)
    <Solution (32, 32) of 1 frames (16, 16), cg, 7 iterations, converged, beta 0.0001>
    """
    request = Request(
        loss, threshold, background, gain, read_noise, regulariser, bounds, nonnegative, solver,
        None,
    )  # fmt: skip
    request.check()
    request.check_for_chunks()
    array, ndim = opened(frames), blurs.dimensions(psf)
    stack = layouts.stacked(array, channel_axis, ndim)
    axis = layouts.image_axis(channel_axis, array.ndim, ndim)
    if not isinstance(beta, str) and arguments.real("beta", beta) < 0:
        raise ValueError(f"beta must be a finite number, not negative, got {beta!r}")
    observations.check_settings(maxiter, rtol, nonnegative, callback, progress)
    shifts, moved = given_motion(motion, shifts, len(stack), stack.shape[-ndim:])
    shifts, moves = given_shifts(shifts, len(stack), ndim)
    wanted = None if target is None else targets.checked(target, ndim)
    ratio, steps = observations.checked_factor(factor, ndim)
    size = observations.scene_dims(stack.shape, ratio, dims)
    if loss == "poisson" and (moved is not None or ratio != steps):
        raise ValueError(observations.PHOTONS_MOVED)
    squares = "gradient" if request.prior else regulariser
    stencils = real_stencils(squares, ndim) if beta else []
    channels = stack.shape[1] if stack.ndim == ndim + 2 else 0
    psfs: Any = psf
    if not isinstance(psf, str):
        psfs = blurs.resampled(
            blurs.blurs(psf, len(stack), channels, center), ratio, steps,
            decimated=decimation != "sample",
        )  # fmt: skip
    maps, largest = frame_weights(weights, stack, axis, ndim)
    dark = None if loss != "poisson" else background_of(background, stack, axis)
    options: dict[str, Any] = {"decimation": decimation, "boundary": boundary, "dtype": stack.dtype}
    given = None if isinstance(moved, str) else moved
    known = Choices.none(stack, moves, given, psfs, squares, steps, ratio, options)
    if isinstance(moved, str):
        known.register(maps, moved, progress)
    if not isinstance(psf, str) and center is None:
        oversight = blurs.off_centre(psfs)
        if oversight:
            known.warn(oversight, PSFWarning)
    chosen = isinstance(beta, str)
    asked = chosen, isinstance(shifts, str | tuple), isinstance(psf, str), photometry is not None
    survey = None
    if any(asked) or not request.plain:
        if ndim == 1:
            raise ValueError(
                "of spectra in chunks nothing is chosen: give beta and shifts as numbers and leave "
                "losses and penalties out, or take them into memory, where all of it works"
            )
        survey = Survey.of(stack, maps)
        known.look(
            read_regions(
                stack, None if weights is None else maps, dark, known.shifts, known.motion, steps,
                decimation, request, photometry is not None,
            )
        )  # fmt: skip
        known.align(shifts, photometry, progress)
        known.set_psf(psf, center, progress)
    known.take_motion()
    if known.motion is not None:
        maps = on_scene(maps, known.motion, stack, size[-ndim:], ratio, decimation)
    number = known.choose_beta(beta, noise, progress)
    if photometry is not None:
        known.brighten(photometry, number, progress)
    variational = known.variational(number, dark, progress)
    if chunks is None:
        sizes = zip(stack.chunks[-ndim:], ratio, strict=True)
        chunks = (*stack.chunks[1:-ndim], *(max(round(max(some) * f), 1) for some, f in sizes))

    operators = chunked(frame_operators.operators(size, known, ratio, options), chunks)
    A = operators[0]
    penalties = [
        DaskDHOperator(
            size, stencil, 1, boundary=boundary, dtype=stack.dtype, chunks=A.chunks
        )
        for stencil in (stencils if number else [])
    ]  # fmt: skip
    counts = [u * g**2 for u, g in zip(known.trust, known.photometry.gains, strict=True)]
    seen = [w if c == 1 else c * w for w, c in zip(maps, counts, strict=True)]
    corrected = known.corrected(stack if dark is None else (stack - dark).astype(stack.dtype))
    start = None if x0 is None else first_guess(x0, A, stack.dtype, axis)

    def near(given: Problem) -> TiledInverse | None:
        return TiledInverse.of(given, squares, boundary)

    with vectors(scratch) as kept:

        def solve(beta: float, start: DaskArray | None) -> tuple[SolverResult, Problem]:
            weigh = known.strongest(largest) if dark is not None else largest
            most = [w * c for w, c in zip(weigh, counts, strict=True)]
            given = Problem(operators, penalties, corrected, seen, most, float(beta))
            settings: Any = {
                "maxiter": maxiter, "rtol": rtol, "callback": solvers.user_callback(callback, axis),
                "progress": progress,
            }  # fmt: skip
            if variational is not None:
                return minimised(given, variational, start, seen, kept, near, **settings)
            return least_squares(given, start, nonnegative, kept, near, **settings), given

        found, solved = solve(number, start)
        if survey is not None and (chosen or isinstance(psf, str)):
            pixels = prod(ratio) if decimation == "sum" else 1.0  # of the image in one of these
            span = survey.low / pixels, survey.high / pixels
            for _ in range(DOUBLINGS if chosen and isinstance(psf, str) else 0):
                if not ranges.rings(extremes(found.x), span):
                    break
                number *= 2
                found, solved = solve(number, found.x)
            # An image that is not finished says nothing of the PSF.
            far = ranges.caution(extremes(found.x), span) if found.converged else None
            if far:
                known.warn(far, RangeWarning)
        image = shown = kept.image(found.x)
        if wanted is not None:
            rules: Any = {"boundary": boundary, "dtype": stack.dtype, "chunks": A.chunks}
            shown = kept.image(DaskDHOperator(size, wanted, 1, **rules).degrade(image))
        trusted = None
        # What losses make of residuals is of vectors that go.
        if found.weights is not None:
            pairs = zip(known.trust, found.weights, strict=True)
            trusted = kept.image(da.stack([u * w for u, w in pairs]))
        if variational is not None:
            maps = [da.broadcast_to(da.asarray(w), stack.shape[1:]) for w in solved.weights]
            solved = replace(solved, weights=list(kept.image(da.stack(maps))))
    return ChunkedSolution(
        image=layouts.outward(shown, axis),
        converged=found.converged,
        iterations=len(found.history),
        residual_norm=found.residual_norm,
        solver=found.solver,
        beta=float(number),
        beta_curve=known.curve,
        shifts=known.shifts,
        motion=known.motion,
        psf=known.psf,
        photometry=known.photometry,
        registration=known.registration,
        notes=known.notes,
        history=found.history,
        operator=solved.operator,
        frames=stack,
        channel_axis=axis,
        regulariser=regulariser,
        boundary=boundary,
        nonnegative=nonnegative,
        bounds=request.limits,
        edge=None if variational is None else variational.edge,
        target=wanted,
        estimate=None if wanted is None else layouts.outward(image, axis),
        weights=trusted,
        problem=solved,
    )
