"""Super-resolution of one or several frames."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.cautions import remarked
from dhop.estimation.photometry import Photometry, Terms
from dhop.frames import layouts, observations, unit
from dhop.frames.motions import Motion
from dhop.iteration.steps import RTOL
from dhop.model.boundary import Boundary
from dhop.model.decimation import Decimation
from dhop.reconstruction import (
    blurs,
    frame_operators,
    inputs,
    lines,
    losses,
    penalties,
    problem,
    solvers,
    targets,
)  # fmt: skip
from dhop.reconstruction.inputs import Frames, Moves, Weights
from dhop.reconstruction.preparation import Preparation
from dhop.reconstruction.reconstruction import Reconstruction
from dhop.reconstruction.regularisers import Regulariser
from dhop.reconstruction.requests import Request
from dhop.reconstruction.rescaling import Rescaling
from dhop.reconstruction.solution import Solution
from dhop.registration import Model
from dhop.runtime import arguments
from dhop.runtime.progress import Progress
from dhop.selection import Rule

Array = NDArray[Any]
Shifts: TypeAlias = ArrayLike | Moves | tuple[Literal["refine"], ArrayLike] | None
Blurs: TypeAlias = ArrayLike | Sequence[ArrayLike] | Sequence[Sequence[ArrayLike]]


def super_resolve(
    frames: Frames,
    psf: Blurs | Literal["estimate"],
    factor: float | Sequence[float],
    *,
    channel_axis: int | None = None,
    center: int | Sequence[int] | None = None,
    shifts: Shifts = None,
    motion: Sequence[Motion] | Model | None = None,
    weights: Weights | None = None,
    regulariser: Regulariser | penalties.Name = "laplacian",
    beta: float | Rule = "auto",
    noise: float | None = None,
    photometry: Terms | None = None,
    loss: losses.Name = "gaussian",
    threshold: float | None = None,
    background: ArrayLike = 0.0,
    gain: float = 1.0,
    read_noise: float = 0.0,
    denoiser: Callable[[Array, float], Array] | None = None,
    target: ArrayLike | None = None,
    solver: solvers.Name = "auto",
    nonnegative: bool = False,
    bounds: tuple[float, float] | None = None,
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

    Many images explain the frames :math:`y_i`. Of these it takes a smooth one, with the least

    .. math:: \sum_i w_i \|A_i x - y_i\|^2 + \beta \|S x\|^2.

    :math:`A_i` is the blur and decimation of `DHOperator`, shifted with the scene in frame `i`, and
    `S`, the regulariser, takes of an image what should be small. Other losses, other penalties and
    `bounds` take the place of these.

    Parameters
    ----------
    frames : array_like, or path, or sequence of either
        What arrays mean:

        ============================  ==============  ===========================================
        shape                         channel_axis    meaning
        ============================  ==============  ===========================================
        (m0, m1)                      None            one frame
        (F, m0, m1)                   None            F frames of one scene
        (F, C, m0, m1)                None            F frames of C channels
        three axes                    one of them     one frame of channels
        four axes                     one of them     frames of channels; the first other axis is
                                                      the frames
        ============================  ==============  ===========================================

        An array with as many axes as the PSF is one frame. So for lines, whose PSF has one axis,
        read one axis less, and for volumes, whose PSF has three, one axis more.

        A sequence of arrays is the array with one more axis in front. Shapes in which channels look
        like rows or columns, as (m0, m1, 3) without a `channel_axis`, are refused. A path is that
        of an image, whose colours are channels, or of several images. Dask arrays, and paths of
        Zarr arrays, are solved in chunks by `dhop.dask.super_resolve`. Slices that are scenes of
        their own are channels.
    psf : array_like or `dhop.psf.Field`, or sequence of such, or "estimate"
        Point spread function of all frames, in high-resolution pixels: an array of one to three
        axes, or a field of them. The positions of a field are high-resolution pixels of the camera,
        and stay there when the scene is shifted.

        Frames of images may have a PSF each, in a sequence of F. The C channels of a single frame
        may, too, in a sequence of C; for several frames these sequences are in one of F, or of one
        for all. Channels with a PSF of their own are solved one after the other, with one `beta`,
        which is chosen for their mean.

        Each is divided by its sum, so that the image is as bright as the frames, unless the sum is
        next to nothing. ``"estimate"`` takes the round Gaussian that fits the frames, see
        `dhop.psf.estimate`. From a single frame it is cautious.
    factor : float or sequence of float
        High-resolution pixels per low-resolution pixel. If it is no whole number, the PSF is still
        in high-resolution pixels, and frames are seen through splines, as if they had moved.
    channel_axis : int, optional
        The axis of the frames, as an array, that has the channels, as in scikit-image. The image
        has them in the same place.
    center : int or sequence of int, optional
        Index of the PSF's origin, of each if there are several. By default it is ``(K - 1) // 2``,
        and a PSF draws a warning if its peak is half a pixel or more beside that, and its centroid
        leans the same way.
    shifts : array_like, shape (F, 2), "estimate", "refine" or ("refine", array_like), optional
        In low-resolution pixels: ``shifts[i] = (dy, dx)`` says that the scene in frame `i` appears
        `dy` rows further down and `dx` columns further right than in frame 0. For lines and volumes
        there is a number for each axis.

        Shifts of images can be found. ``"estimate"`` registers the frames (see
        `dhop.registration.register`), leaves out those that do not fit, and refines. ``"refine"``
        begins with zeros, or with the shifts that it comes with, which must be right to about half
        a pixel. It takes those of the least residual (see `dhop.estimation.refinement`), if halves
        of the frames predict each other better then.
    motion : sequence, or str, optional
        Instead of `shifts`, for frames that turn, scale, tilt or are distorted. For each frame it
        says where its pixels lie in frame 0, in low-resolution pixels: a 3 x 3 matrix that takes
        ``(row, column, 1)`` there, an array of positions of shape ``(2, m0, m1)``, or a callable of
        rows and columns. For volumes matrices are 4 x 4 and planes come first; for lines they are
        2 x 2 and there are columns only. The PSF turns with the frames. Pixels have no weight if
        their centres do not lie on the image, or if their positions are NaN; see
        docs/howto/motion.md. Motions that are all shifts are taken as `shifts`.

        Motions of images can be found and refined: by ``"euclidean"``, ``"similarity"``,
        ``"affine"``, ``"projective"``, or ``"auto"``, which takes the simplest that explains the
        frames, see `dhop.registration.register`. Frames that do not fit are left out. ``"shift"``
        is ``shifts="estimate"``.
    weights : sequence of (float or array_like) or "finite", optional
        One for each frame: a number, or a map of its shape, with its channels or without. The map
        of a single frame may stand for itself. A pixel of weight zero takes no part, and may be
        NaN. ``"finite"`` masks what is NaN or infinite. The best weight is one over the variance of
        the noise.
    regulariser : str, array_like or LinearOperator
        `S`: ``"identity"`` prefers small values, ``"gradient"`` small steps, ``"laplacian"``, the
        sum of second differences, small curvature; ``"laplacian-of-gaussian"`` the same but for the
        finest detail. An array is a PSF that the image is convolved with. An operator has as many
        columns as the image has pixels.

        ``"huber-tv"`` and ``"tv"`` are no squares but total variation,
        :math:`\sum \phi(\|\nabla x\|)` of all channels together, which keeps edges. With
        ``"huber-tv"`` steps of up to three standard deviations of the noise still cost squares.

        ``"starlet"`` is for skies of stars and faint extended light. It takes the sizes of the
        coefficients of an isotropic wavelet transform of up to four scales; those of up to three
        standard deviations that the noise has in a scale cost squares.
    beta : float or {"auto", "gcv", "discrepancy", "lcurve"}
        Weight of the regulariser; it does not depend on the brightness scale, but that of total
        variation and starlets is proportional to it. ``"auto"`` expects
        the least error of the image under a model of scene, blur and noise that fits the frames;
        the others are generalised cross-validation, the noise level and the L-curve, see
        `dhop.selection.choose_beta`. A number is needed if `regulariser` is an operator. Total
        variation and starlets have ``"auto"``, Stein's unbiased risk (`dhop.reconstruction.stein`).
    noise : float, optional
        Standard deviation of the noise of a pixel of weight one, for ``"discrepancy"`` and for
        total variation, starlets and a `denoiser`, which estimate it by default.
    photometry : {"offset", "gain", "both"}, optional
        What of the brightness is fitted for each frame: frame `i` is ``gain[i] * A_i x +
        offset[i]``, relative to frame 0. By default nothing.
    loss : {"gaussian", "huber", "l1", "poisson"}
        Loss of the residuals. ``"gaussian"``, their square, is best for noise that is the same
        everywhere. ``"huber"`` is robust to outliers: cosmic rays, moving objects, a frame of
        another scene. It grows linearly from `threshold` on, ``"l1"`` from the start. A warning
        names frames that do not fit. ``"poisson"`` is the likelihood of photons, whose noise grows
        with their number. Images are not negative then. See docs/howto/losses.md.
    threshold : float, optional
        Largest residual, times the root of its weight, that is no outlier. By default 1.345
        standard deviations of the noise, estimated from the median of the residuals.
    background : float or array_like
        For ``"poisson"``: background of the frames, in their unit; a number, a map, or one for each
        frame. For other losses subtract it.
    gain : float
        For ``"poisson"``: of a photon, in the unit of the frames.
    read_noise : float
        For ``"poisson"``: standard deviation of the noise that does not come from photons.
    denoiser : callable, optional
        Called with an image and the standard deviation of its noise, returns the denoised image.
        The solution is improved with it (plug and play), see docs/howto/plug_and_play.md. With
        least squares only.
    target : array_like, optional
        The PSF that the image is wanted at, in high-resolution pixels, instead of as sharp as the
        frames allow. ``image`` is then the solution convolved with it: the best estimate of the
        scene as that PSF shows it. See docs/howto/target.md.
    solver : str
        ``"auto"`` takes the first of these that applies:

        - ``"direct"``, a closed form. It is for frames that wrap; for one frame that continues
          symmetrically and has a symmetric, centred PSF; and for one with a separable PSF and the
          regulariser ``"identity"``, with any boundary;
        - ``"cg"``, conjugate gradients with the nearest closed form as preconditioner;
        - ``"projected"``, for images that are not negative;
        - ``"reweighted"``, iteratively reweighted least squares, for ``"huber"`` with a quadratic
          penalty;
        - ``"quasi-newton"``, for all else that is not quadratic or has `bounds`.

        Others are SciPy's ``"lsqr"`` and ``"lsmr"``, and ``"richardson-lucy"``, accelerated, for
        ``"poisson"`` without a prior. It ends when the residuals may be noise alone, unless `rtol`
        is zero.
    nonnegative : bool
        Whether to minimise over images without negative values only.
    bounds : (float, float), optional
        Least and largest value that the image may have, in the unit of the frames.
    boundary, decimation
        As for `DHOperator`.
    dims : sequence of int, optional
        Shape of the result, by default `factor` times the shape of a frame.
    x0 : array_like, of the shape of the result, optional
        First guess, by default zeros.
    maxiter : int
        Most iterations.
    rtol : float
        When to stop: the norm of the gradient relative to that at the zero image, without the parts
        that a constraint holds. LSQR and LSMR first take it for their `atol` and `btol`. A smaller
        norm than rounding allows is not required, see `Solution.converged`.
    callback : callable, optional
        Called with a `dhop.reconstruction.history.Step` after each iteration.
    progress : callable or True, optional
        Called as ``progress(done, maxiter)``; True shows a bar on the terminal (needs rich) or in a
        notebook.

    Returns
    -------
    Solution
        The image is float32 for float32 frames, else float64. It scales with the frames, however
        small or large these are.

    Raises
    ------
    ValueError
        If shapes do not fit, or channels seem to be taken for pixels, frames are not finite where
        they have a weight, a number is out of range, or the solver cannot do what is asked for.
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
    asked = locals()
    request = Request(
        loss, threshold, background, gain, read_noise, regulariser, bounds, nonnegative, solver,
        denoiser,
    )  # fmt: skip
    if inputs.is_chunked(frames):
        return _chunked(request, asked)
    array, channel_axis = inputs.read(frames, channel_axis)
    ndim = blurs.dimensions(psf)
    if ndim == 1:
        return _of_lines(array, channel_axis, asked)
    wanted = None if target is None else targets.checked(target, ndim)
    stack = layouts.stacked(array, channel_axis, ndim)
    axis = layouts.image_axis(channel_axis, array.ndim, ndim)
    given = inputs.weight_arrays(weights, stack, axis, ndim)
    if not all(inputs.finite_where_weighted(stack, given)):
        raise ValueError(observations.NOT_FINITE)
    observations.check_settings(maxiter, rtol, nonnegative, callback, progress)
    arguments.choice("solver", solver, get_args(solvers.Name))
    request.check()
    power = unit.exponent(stack, given)
    if power:
        rescaling = Rescaling(power, request)
        asked = rescaling.divided(asked | {"channel_axis": channel_axis}, array)
        with remarked(f" (frames and image divided by 2**{power})"):
            return rescaling.multiplied(super_resolve(**asked), stack)
    special = None
    variational = request.variational(stack, given, axis, photometry is not None)
    if variational is not None:
        special, stack, given = variational
        regulariser = special.quadratic_regulariser(regulariser)
    arguments.choice("decimation", decimation, get_args(Decimation))
    if photometry is not None:
        arguments.choice("photometry", photometry, get_args(Terms))
    problem.check(given, regulariser, ndim)
    ratio, steps = observations.checked_factor(factor, ndim)
    size = observations.scene_dims(stack.shape, ratio, dims)
    known = Preparation(
        stack, given, steps, decimation, np.zeros((len(stack), ndim)), Photometry.none(len(stack))
    )
    if special is not None:
        known.frames = special.despiked(stack)
    known.align(shifts, motion, photometry, progress)
    known.mask_outside(size[-ndim:], ratio)
    if known.motion is not None and loss == "poisson":
        raise ValueError(observations.PHOTONS_MOVED)
    estimated = isinstance(psf, str)
    known.set_psf(psf, center, ratio, progress)
    known.frames = stack

    options: Any = {"decimation": decimation, "boundary": boundary, "dtype": stack.dtype}
    operators = frame_operators.operators(size, known, ratio, options)
    start = None if x0 is None else inputs.first_guess(x0, operators[0], axis)
    work = Reconstruction(
        known, operators, special, regulariser, boundary, solver, nonnegative, axis, maxiter,
        callback, progress,
    )  # fmt: skip
    span, chosen = work.value_range(ratio), isinstance(beta, str)
    number = work.choose_beta(beta, noise, span)
    if photometry is not None and len(stack) > 1:
        start = work.fit_photometry(photometry, number, start, rtol)
    found = work.solve(number, start, rtol)
    if denoiser is not None:
        found = work.denoise(number, found, denoiser, noise)
    elif estimated and chosen:
        number, found = work.suppress_ringing(number, found, rtol, span)
    work.warn(found, estimated or chosen, span)
    image = found.x.reshape(size)
    G = targets.target_operator(wanted, size, boundary=boundary, dtype=image.dtype)
    shown = layouts.outward(image if G is None else G.degrade(image), axis)
    return Solution(
        image=shown,
        converged=found.converged,
        iterations=len(found.history),
        residual_norm=found.residual_norm,
        solver=found.solver,
        beta=number,
        beta_curve=known.curve,
        shifts=known.shifts,
        motion=known.motion,
        psf=known.psf,
        photometry=known.photometry,
        registration=known.registration,
        notes=known.notes,
        history=found.history,
        operator=work.operator(found),
        frames=stack,
        channel_axis=axis,
        regulariser=request.regulariser,
        boundary=boundary,
        nonnegative=nonnegative,
        bounds=request.limits,
        edge=None if special is None else special.edge,
        target=wanted,
        estimate=None if G is None else layouts.outward(image, axis),
        weights=None if found.weights is None else np.stack(found.weights),
    )


def _of_lines(frames: Array, channel_axis: int | None, asked: dict[str, Any]) -> Solution:
    row = super_resolve(**lines.as_images(frames, channel_axis, asked))
    axis = layouts.image_axis(channel_axis, frames.ndim, 1)
    sharp = None if row.estimate is None else lines.as_line(row.estimate, axis)
    image = lines.as_line(row.image, axis)
    return replace(row, image=image, estimate=sharp, channel_axis=axis)


def _chunked(request: Request, asked: dict[str, Any]) -> Solution:
    request.check()
    request.check_for_chunks()
    del asked["denoiser"]
    from dhop.dask import super_resolve

    return super_resolve(**asked)
