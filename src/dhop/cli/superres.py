"""``dhop superres``."""

import os
from itertools import count
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer
from numpy.typing import NDArray

from dhop import images, super_resolve
from dhop.cli import deviations, summary
from dhop.cli.inputs import read_frames, read_shifts, read_truth, read_weights
from dhop.cli.motions import NAMES, read_motion
from dhop.cli.options import (
    Bits,
    Boundary,
    Center,
    ChannelAxis,
    Decimation,
    Factor,
    FramesAxis,
    Hdu,
    Json,
    Overwrite,
    Quality,
    blur_of,
    boundary_of,
    caution_unit,
    center_of,
    check_picture,
    check_target,
    each_factor,
    one_of,
)
from dhop.cli.parsing import PSFS, SYNTAX
from dhop.cli.terminal import INTERRUPTED, console, errors_in_words, extent, progress, show
from dhop.estimation.photometry import Terms
from dhop.io import SPACE, Options, Original, figures
from dhop.iteration.steps import RTOL
from dhop.psf import stencils
from dhop.reconstruction import losses, penalties, solvers
from dhop.registration import MODELS
from dhop.selection import Rule

Array = NDArray[Any]

NOT_CONVERGED = 3
REGULARISERS = *get_args(stencils.Name), *get_args(penalties.Name)


def superres(
    frames: Annotated[list[Path], typer.Argument(help="Images of one view, all of one size.")],
    factor: Factor,
    psf: Annotated[
        list[str],
        typer.Option(
            help=f"Blur in high-resolution pixels: estimate, {SYNTAX}. Several times: one for each "
            "band.",
            autocompletion=one_of(["estimate", *(f"{name}:" for name in PSFS)]),
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Image to write: PNG, JPEG, WebP, BMP, TIFF, .npy or FITS.")
    ],
    center: Center = None,
    register: Annotated[bool, typer.Option("--register", help="Find the shifts.")] = False,
    shifts: Annotated[
        Path | None,
        typer.Option(
            help="Text or .npy, for each frame how many of its pixels the scene lies further down "
            "and further right than in the first one."
        ),
    ] = None,
    refine: Annotated[
        bool, typer.Option("--refine", help="Improve the given --shifts, or zeros.")
    ] = False,
    motion: Annotated[
        str | None,
        typer.Option(
            help=f"How frames move: {', '.join(MODELS)} find it; wcs takes the sky coordinates of "
            "FITS; or text, .json or .npy: 3 x 3 matrices, each from (row, column, 1) of a frame "
            "to the first frame.",
            autocompletion=one_of(NAMES),
        ),
    ] = None,
    photometry: Annotated[
        str | None,
        typer.Option(
            help=f"What differs from frame to frame: {', '.join(get_args(Terms))}.",
            autocompletion=one_of(get_args(Terms)),
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="A number for each frame, as 1,0.5,2, or an image of them, several times an image "
            "for each frame; best 1 over the noise squared."
        ),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out bad pixels: 'finite' those that are NaN or infinite, an image those "
            "where it is not 0. Several times: an image for each frame."
        ),
    ] = None,
    beta: Annotated[
        str, typer.Option(help=f"Weight of the regulariser, or {', '.join(get_args(Rule))}.")
    ] = "auto",
    noise: Annotated[
        float | None,
        typer.Option(
            help="Standard deviation of the noise, for --beta discrepancy and --errors; white is "
            "1, other numbers are as in the file. With weights of 1 over its square it is 1."
        ),
    ] = None,
    regulariser: Annotated[
        str,
        typer.Option(
            help=f"What is kept small: {', '.join(REGULARISERS)}; tv and huber-tv keep edges.",
            autocompletion=one_of(REGULARISERS),
        ),
    ] = "laplacian",
    loss: Annotated[
        str,
        typer.Option(
            help=f"What residuals cost: {', '.join(get_args(losses.Name))}; huber where cosmic "
            "rays, hot pixels or what moves must not show, poisson for photon counts.",
            autocompletion=one_of(get_args(losses.Name)),
        ),
    ] = "gaussian",
    threshold: Annotated[
        float | None, typer.Option(help="Of --loss huber and l1: largest residual that fits.")
    ] = None,
    background: Annotated[
        str, typer.Option(help="Of --loss poisson: a number, as files hold it, or an image.")
    ] = "0",
    gain: Annotated[
        float, typer.Option(help="Of --loss poisson: what one photon adds to a pixel's number.")
    ] = 1.0,
    read_noise: Annotated[
        float, typer.Option(help="Of --loss poisson: noise beside, in the pixels' numbers.")
    ] = 0.0,
    solver: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(get_args(solvers.Name))}.",
            autocompletion=one_of(get_args(solvers.Name)),
        ),
    ] = "auto",
    nonnegative: Annotated[bool, typer.Option("--nonnegative", help="No values below 0.")] = False,
    bounds: Annotated[
        str | None, typer.Option(help="Least and largest value of the result, as 0,1.")
    ] = None,
    boundary: Boundary = "symmetric",
    decimation: Decimation = "mean",
    maxiter: Annotated[int, typer.Option(help="Most iterations.")] = 500,
    rtol: Annotated[float, typer.Option(help="Relative tolerance.")] = RTOL,
    bits: Bits = None,
    quality: Quality = 95,
    frames_axis: FramesAxis = None,
    channel_axis: ChannelAxis = None,
    hdu: Hdu = None,
    errors: Annotated[
        Path | None,
        typer.Option(
            help="Image to write of the standard deviation of each pixel: TIFF or .npy; FITS has "
            "the image, too, and which pixels no frame saw, as SCI, ERR and DQ."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Picture to write of how it went, PNG, PDF or SVG.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Image to compare with: PSNR, SSIM, relative RMSE.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Super-resolve one or several frames of the same view, all colours together.

    With a psf of three axes the images are volumes, as stacks of pages are. Ctrl-C ends the
    iterations and writes the image as it is by then. The exit code is 3 if the image was written
    but is not converged.

    \b
    Examples:
      dhop superres photo.jpg --factor 2 --psf estimate --out big.png
      dhop superres frame.png --factor 2 --psf gaussian:sigma=1.5 --out big.png
      dhop superres burst/*.png --factor 3 --psf gaussian:sigma=1.2 --register --out sr.tif
      dhop superres night/*.fits --factor 2 --psf psf.fits --mask finite --register --out sr.fits
      dhop superres night/*.fits --factor 2 --psf psf.fits --out sr.fits --errors errors.fits
      dhop superres hand/*.jpg --factor 2 --psf gaussian:sigma=1 --motion auto --out sr.tif
      dhop superres stack.tif --factor 1,2,2 --psf blur.npy --nonnegative --out sr.tif
    """
    with errors_in_words():
        read: list[str | Path] = [*frames, *psf, *(mask or []), *(weights or [])]
        read += [each for each in (shifts, truth) if each is not None]
        read += [motion] if motion is not None and motion not in NAMES else []
        read += [] if _is_number(background) else [background]
        check_target(out, overwrite, read)
        images.check(out, bits)
        options = Options(quality, overwrite)
        if report is not None:
            check_target(report, overwrite, [*read, out])
            check_picture(report, "a report")
        if errors is not None:
            check_target(errors, overwrite, [*read, out, *([] if report is None else [report])])
        if psf == ["estimate"] and center is not None:
            raise ValueError("--center is of a psf that is given, not of an estimated one")
        if register and shifts is not None:
            raise ValueError("take either --register or --shifts, not both")
        if motion is not None and (register or refine or shifts is not None):
            raise ValueError("take --motion alone, without --register, --shifts or --refine")
        blurs, ndim = _blurs(psf, frames[0], hdu, center_of(center))
        factors = each_factor(factor, ndim)
        if ndim != 2 and (report is not None or motion is not None):
            what = "a report shows" if report is not None else "--motion is that of"
            raise ValueError(f"{what} images, not lines or volumes")
        with progress("reading", len(frames)) as bar:
            stack, originals = read_frames(frames, bar, frames_axis, channel_axis, hdu, ndim)
        original = originals[0]
        caution_unit(original, decimation)
        header = original.resized(factors, sampled=decimation == "sample")
        sizes = [size * each for size, each in zip(stack.shape[-ndim:], factors, strict=True)]
        shape = *sizes, *stack.shape[1:-ndim]
        axes = (SPACE[-ndim:] + "C")[: len(shape)]
        images.check(out, bits, header, shape, axes)
        if errors is not None:
            deviations.check(errors, header, shape, axes)
        images.check_range(out, stack, bits, original)
        wanted = None if truth is None else read_truth(truth, stack, factors, channel_axis, hdu)
        every = read_weights(weights or [], mask or [], stack, frames_axis, ndim)
        moves: Any = (
            "estimate" if register else None if shifts is None else read_shifts(shifts, ndim)
        )
        motions = None if motion is None else read_motion(motion, originals, stack)
        if refine:
            moves = moves if register else "refine" if shifts is None else ("refine", moves)
        unit = 1 / (original.white or 1) if loss == "poisson" else 1.0
        latest: list[Array] = []

        def keep(step: Any) -> None:
            if step.image is not None:
                latest[:] = [step.image]

        def save(image: Array) -> None:
            with progress("writing", 1) as bar:
                picture = np.moveaxis(image, 0, -1) if image.ndim > ndim else image
                _save(out, picture, bits, header, options, axes)
                bar(1, 1)

        try:
            with progress("super-resolving", maxiter) as bar:
                solution = super_resolve(
                    stack,
                    blurs,
                    factors,
                    shifts=moves,
                    motion=motions,
                    weights=every,
                    regulariser=regulariser,
                    beta=_beta(beta),
                    noise=noise,
                    photometry=photometry,  # type: ignore[arg-type]
                    loss=loss,  # type: ignore[arg-type]
                    threshold=threshold,
                    solver=solver,  # type: ignore[arg-type]
                    background=_background(background, stack, unit),
                    gain=gain * unit,
                    read_noise=read_noise * unit,
                    nonnegative=nonnegative,
                    bounds=None if bounds is None else _bounds(bounds),
                    boundary=boundary_of(boundary),
                    decimation=decimation,  # type: ignore[arg-type]
                    maxiter=maxiter,
                    rtol=rtol,
                    callback=keep,
                    progress=bar,
                )
        except KeyboardInterrupt:
            note = "interrupted: there is no image yet to be saved"
            if latest:
                save(latest[0])
                note = f"interrupted: {out} has the image as it was by then"
            console(stderr=True).print(note, style="yellow")
            raise typer.Exit(INTERRUPTED) from None
        save(solution.image)
        deviation = None
        if errors is not None:
            with progress("standard deviations", 1) as bar:
                deviation = solution.standard_deviation(noise, progress=bar)
            deviations.write(errors, solution, deviation, header, axes, options)
        if report is not None:
            figures.save(solution.plot(deviation), report, overwrite=overwrite)
        compared = {} if wanted is None else solution.metrics(wanted)
        facts, lines = (each(solution, out, compared) for each in (summary.facts, summary.lines))
        if deviation is not None:
            facts |= {"errors": errors, "deviation": float(np.median(deviation))}
            lines["deviation"] = f"{facts['deviation']:.3g} in the median, {errors}"
        show(lines, facts, as_json)
        if not solution.converged:
            console(stderr=True).print("not converged: allow more with --maxiter", style="yellow")
            raise typer.Exit(NOT_CONVERGED)


def _blurs(texts: list[str], path: Path, hdu: str | None, center: Any) -> tuple[Any, int]:
    """The PSF of all bands, or of each, and how many axes it has."""
    if texts == ["estimate"]:
        return "estimate", 2
    found = [blur_of(text, path, hdu, center) for text in texts]
    if len(found) == 1:
        return found[0], found[0].ndim
    if any(each.ndim != 2 for each in found):
        raise ValueError("a psf for each band is one of two axes; lines and volumes have one --psf")
    return [found], 2


def _save(
    out: Path, image: Array, bits: int | None, header: Original, options: Options, axes: str
) -> None:
    """Write the image, or where another file has taken its name meanwhile, beside that."""
    try:
        images.write(out, image, bits, header, options, axes)
    except FileExistsError as error:
        names = (out.with_name(f"{number}.{out.name}") for number in count(1))
        free = next(name for name in names if not os.path.lexists(name))
        images.write(free, image, bits, header, options, axes)
        raise FileExistsError(f"{error}; the image is in {free}") from None


def _beta(text: str) -> Any:
    return float(text) if _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _bounds(text: str) -> tuple[float, float]:
    try:
        low, high = (float(each) for each in text.split(","))
    except ValueError:
        raise ValueError(f"--bounds must be two numbers, as 0,1, got {text!r}") from None
    return low, high


def _background(text: str, stack: Array, unit: float) -> Any:
    """A number in a unit, or the image of that name, of one frame."""
    if _is_number(text):
        return float(text) * unit
    image = images.imread(Path(text))
    plane = image if image.ndim == 2 else np.moveaxis(image, -1, 0)
    if plane.shape not in (stack.shape[-2:], stack.shape[1:]):
        raise ValueError(
            f"--background {text} is {extent(image.shape)}, the frames are "
            f"{extent(stack.shape[1:])}"
        )
    return plane
