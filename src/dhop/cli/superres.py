"""``dhop superres``."""

from io import StringIO
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer
from numpy.typing import NDArray

from dhop import Solution, images, io, solvers, stencils, super_resolve
from dhop.cli.options import Bits, Boundary, Decimation, Factor, Json, check_picture, one_of
from dhop.cli.parsing import PSFS, SYNTAX, parse_psf
from dhop.cli.terminal import INTERRUPTED, Bar, console, errors_in_words, extent, progress, show
from dhop.io import npy
from dhop.photometry import Terms
from dhop.preparation import width
from dhop.selection import Rule

Array = NDArray[Any]

NOT_CONVERGED = 3


def superres(
    frames: Annotated[list[Path], typer.Argument(help="Images of one view, all of one size.")],
    factor: Factor,
    psf: Annotated[
        str,
        typer.Option(
            help=f"Blur in high-resolution pixels: estimate, {SYNTAX}.",
            autocompletion=one_of(["estimate", *(f"{name}:" for name in PSFS)]),
        ),
    ],
    out: Annotated[Path, typer.Option(help="Image to write: PNG, JPEG, TIFF, .npy or FITS.")],
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
    photometry: Annotated[
        str | None,
        typer.Option(
            help=f"What differs from frame to frame: {', '.join(get_args(Terms))}.",
            autocompletion=one_of(get_args(Terms)),
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="A number for each frame, as 1,0.5,2; best 1 over the noise squared."),
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
            help="Its standard deviation, for --beta discrepancy; full scale of integers is 1."
        ),
    ] = None,
    regulariser: Annotated[
        str,
        typer.Option(
            help=f"What is kept small: {', '.join(get_args(stencils.Name))}.",
            autocompletion=one_of(get_args(stencils.Name)),
        ),
    ] = "laplacian",
    solver: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(get_args(solvers.Name))}.",
            autocompletion=one_of(get_args(solvers.Name)),
        ),
    ] = "auto",
    nonnegative: Annotated[bool, typer.Option("--nonnegative", help="No values below 0.")] = False,
    boundary: Boundary = "symmetric",
    decimation: Decimation = "mean",
    maxiter: Annotated[int, typer.Option(help="Most iterations.")] = 500,
    rtol: Annotated[float, typer.Option(help="Relative tolerance.")] = 1e-5,
    bits: Bits = None,
    report: Annotated[
        Path | None, typer.Option(help="Picture to write of how it went, PNG, PDF or SVG.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Image to compare with: PSNR, SSIM, relative RMSE.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Super-resolve one or several frames of the same view, all colours together.

    Ctrl-C ends the iterations and writes the image as it is by then. The exit code is 3 if the
    image was written but is not converged.

    \b
    Examples:
      dhop superres photo.jpg --factor 2 --psf estimate --out big.png
      dhop superres frame.png --factor 2 --psf gaussian:sigma=1.5 --out big.png
      dhop superres burst/*.png --factor 3 --psf gaussian:sigma=1.2 --register --out sr.tif
      dhop superres night/*.fits --factor 2 --psf psf.fits --mask finite --register --out sr.fits
    """
    with errors_in_words():
        images.check(out, bits)
        if report is not None:
            check_picture(report, "a report")
        if factor < 1:
            raise ValueError(f"factor must be positive, got {factor}")
        if register and shifts is not None:
            raise ValueError("take either --register or --shifts, not both")
        with progress("reading", len(frames)) as bar:
            stack, original = _read_frames(frames, bar)
        images.check_range(out, stack, bits, original)
        wanted = None if truth is None else _read_truth(truth, stack, factor)
        every = _numbers(weights, len(frames))
        maps = _maps(mask or [], stack, every)
        moves: Any = "estimate" if register else None if shifts is None else _table(shifts)
        if refine:
            moves = moves if register else "refine" if shifts is None else ("refine", moves)
        latest: list[Array] = []

        def keep(step: Any) -> None:
            if step.image is not None:
                latest[:] = [step.image]

        def save(image: Array) -> None:
            header = original.resized(factor, sampled=decimation == "sample")
            with progress("writing", 1) as bar:
                picture = np.moveaxis(image, 0, -1) if image.ndim == 3 else image
                images.write(out, picture, bits, header)
                bar(1, 1)

        try:
            with progress("super-resolving", maxiter) as bar:
                solution = super_resolve(
                    stack,
                    psf if psf == "estimate" else parse_psf(psf),
                    factor,
                    shifts=moves,
                    weights=every if maps is None else maps,
                    regulariser=regulariser,
                    beta=_beta(beta),
                    noise=noise,
                    photometry=photometry,  # type: ignore[arg-type]
                    solver=solver,  # type: ignore[arg-type]
                    nonnegative=nonnegative,
                    boundary=boundary,  # type: ignore[arg-type]
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
        if report is not None:
            solution.plot().savefig(report, dpi=100)
        quality = {} if wanted is None else solution.metrics(wanted)
        show(_lines(solution, out, quality), _facts(solution, out, quality), as_json)
        if not solution.converged:
            console(stderr=True).print("not converged: allow more with --maxiter", style="yellow")
            raise typer.Exit(NOT_CONVERGED)


def _read_frames(paths: list[Path], bar: Bar) -> tuple[Array, io.Original]:
    """Frames of shape (F, rows, columns) or (F, channels, rows, columns)."""
    found = []
    for number, path in enumerate(paths, 1):
        found.append(_read_frame(path))
        bar(number, len(paths))
    pixels, originals = zip(*found, strict=True)
    for path, frame in zip(paths, pixels, strict=True):
        if frame.shape != pixels[0].shape:
            raise ValueError(f"{path} is {frame.shape}, but {paths[0]} is {pixels[0].shape}")
    stack = np.stack(pixels)
    return np.moveaxis(stack, -1, 1) if stack.ndim == 4 else stack, originals[0]


def _read_frame(path: Path) -> tuple[Array, io.Original]:
    """What float32 holds without loss is computed with in float32, in half the memory."""
    pixels, original = images.load(path)
    exact = original.dtype.kind in "ui" and original.dtype.itemsize <= 2
    return (pixels.astype(np.float32) if exact else pixels), original


def _read_truth(path: Path, stack: Array, factor: int) -> Array:
    pixels = images.read(path)
    image = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels
    shape = *stack.shape[1:-2], *(size * factor for size in stack.shape[-2:])
    if image.shape != shape:
        raise ValueError(f"{path} is {image.shape}, but the result will be {shape}")
    return image


def _numbers(text: str | None, count: int) -> list[float] | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"cannot read the weights {text!r}; write them as 1,0.5,2") from None
    if len(numbers) != count:
        raise ValueError(f"{count} frames, but {len(numbers)} weights")
    return numbers


def _maps(masks: list[str], stack: Array, weights: list[float] | None) -> list[Array] | None:
    """Weights of all pixels: zero where a mask is set."""
    finite = np.isfinite(stack)
    paths = [Path(name) for name in masks if name != "finite"]
    good = finite if len(paths) < len(masks) else np.ones(stack.shape, bool)
    if len(paths) not in (0, 1, len(stack)):
        raise ValueError(f"{len(stack)} frames, but {len(paths)} masks; give one, or one for each")
    for number, path in enumerate(paths):
        bad = images.read(path)
        if bad.shape != stack.shape[-2:]:
            raise ValueError(f"{path} is {bad.shape}, but a frame is {stack.shape[-2:]}")
        chosen = slice(None) if len(paths) == 1 else number
        good[chosen] &= bad == 0
    if (good & ~finite).any():
        raise ValueError("frames have NaN or infinite pixels; --mask finite leaves those out")
    if not masks:
        return None
    return [
        frame * weight for frame, weight in zip(good, weights or [1.0] * len(good), strict=True)
    ]


def _table(path: Path) -> Array:
    if path.suffix.lower() == ".npy":
        return npy.load(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return np.loadtxt(StringIO(path.read_text().replace(",", " ")), ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path} must have two numbers a line: {error}") from None


def _beta(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _lines(solution: Solution, out: Path, quality: dict[str, float]) -> dict[str, str]:
    frames = solution.frames
    lines = {
        "frames": f"{len(frames)} of {extent(frames.shape[1:])}",
        "result": f"{extent(solution.image.shape)}, {out}",
        "operator": extent(solution.operator.shape),
        "beta": f"{solution.beta:.3g}",
        "solver": f"{solution.solver}, iterations: {solution.iterations}",
    }
    if not isinstance(solution.psf, list):
        lines["psf"] = f"{extent(solution.psf.shape)}, width {width(solution.psf):.2f}"
    if solution.shifts.any():
        lines["shifts"] = "  ".join(f"{dy:.2f},{dx:.2f}" for dy, dx in solution.shifts)
    if not solution.photometry.trivial:
        pairs = zip(solution.photometry.gains, solution.photometry.offsets, strict=True)
        lines["brightness"] = "  ".join(f"{gain:.3f},{offset:+.3g}" for gain, offset in pairs)
    if quality:
        lines["compared"] = (
            f"PSNR {quality['psnr']:.2f} dB, SSIM {quality['ssim']:.4f}, "
            f"relative RMSE {quality['relative_rmse']:.4f} %"
        )
    return lines


def _facts(solution: Solution, out: Path, quality: dict[str, float]) -> dict[str, Any]:
    registered = solution.registration
    return {
        "out": out,
        "frames": solution.frames.shape,
        "shape": solution.image.shape,
        "operator": solution.operator.shape,
        "solver": solution.solver,
        "iterations": solution.iterations,
        "converged": solution.converged,
        "residual_norm": solution.residual_norm,
        "beta": solution.beta,
        "shifts": solution.shifts.tolist(),
        "psf_width": None if isinstance(solution.psf, list) else width(solution.psf),
        "gains": solution.photometry.gains.tolist(),
        "offsets": solution.photometry.offsets.tolist(),
        "fits": None if registered is None else registered.fits.tolist(),
        "quality": None if registered is None else registered.quality.tolist(),
        "warnings": solution.notes,
        **quality,
    }
