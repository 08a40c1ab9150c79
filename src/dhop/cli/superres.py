"""``dhop superres``."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import typer
from numpy.typing import NDArray

from dhop import Solution, images, super_resolve
from dhop.cli import chunked, inputs, mosaics, prediction, srgb, summary, superres_options
from dhop.cli.inputs import Axes, Frames, Maps, read_shifts, require_maps
from dhop.cli.mosaics import Burst
from dhop.cli.motions import NAMES, read_motion
from dhop.cli.options import (
    QUALITY,
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
    check_quality,
    check_target,
    each_factor,
)
from dhop.cli.parsing import parse_psf
from dhop.cli.results import Output
from dhop.cli.sampling import median
from dhop.cli.terminal import INTERRUPTED, console, errors_in_words, note, progress, show
from dhop.cli.units import Unit, is_number
from dhop.io import SPACE, Options, figures
from dhop.iteration.steps import RTOL
from dhop.reconstruction import penalties

Array = NDArray[Any]

NOT_CONVERGED = 3
PENALTIES = get_args(penalties.Name)


def superres(
    frames: superres_options.Frames,
    *,
    factor: Factor,
    frames_axis: FramesAxis = None,
    channel_axis: ChannelAxis = None,
    hdu: Hdu = None,
    linear: superres_options.Linear = False,
    mask: superres_options.Mask = None,
    weights: superres_options.Weights = None,
    err: superres_options.Err = True,
    psf: superres_options.Psfs,
    center: Center = None,
    target: superres_options.Target = None,
    boundary: Boundary = "symmetric",
    decimation: Decimation = "mean",
    register: superres_options.Register = False,
    shifts: superres_options.Shifts = None,
    refine: superres_options.Refine = False,
    motion: superres_options.Motion = None,
    photometry: superres_options.Photometry = None,
    loss: superres_options.Loss = "gaussian",
    noise: superres_options.Noise = None,
    threshold: superres_options.Threshold = None,
    background: superres_options.Background = "0",
    gain: superres_options.Gain = 1.0,
    read_noise: superres_options.ReadNoise = 0.0,
    regulariser: superres_options.Regulariser = "laplacian",
    beta: superres_options.Beta = "auto",
    nonnegative: superres_options.Nonnegative = False,
    bounds: superres_options.Bounds = None,
    solver: superres_options.Solver = "auto",
    maxiter: superres_options.Maxiter = 500,
    rtol: superres_options.Rtol = RTOL,
    chunks: superres_options.Chunks = None,
    scratch: superres_options.Scratch = None,
    dry_run: superres_options.DryRun = False,
    out: superres_options.Out,
    bits: Bits = None,
    quality: Quality = QUALITY,
    errors: superres_options.Errors = None,
    report: superres_options.Report = None,
    truth: superres_options.Truth = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Super-resolve one or several frames of the same view, all colours together.

    With a psf of three axes the images are volumes, as stacks of pages are.
    Ctrl-C ends the iterations and writes the image as it is by then. The exit
    code is 3 if the image was written but is not converged.

    \b
    A photographer, with one picture or a burst from the hand:
      dhop superres photo.jpg --factor 2 --psf estimate --out big.png
      dhop superres burst/*.png --factor 2 --psf estimate --motion auto \\
        --linear --out sr.png
    \b
    An astronomer, with dithered frames, bad pixels and a star's PSF:
      dhop superres night/*.fits --factor 2 --psf psf.fits --motion wcs \\
        --mask finite --loss huber --out sr.fits --errors errors.fits
    \b
    A microscopist, with a stack of planes and photon counts:
      dhop superres stack.tif --factor 1,2,2 --psf blur.npy --loss poisson \\
        --out sr.tif
    \b
    Remote sensing, with scenes of several passes and bands:
      dhop superres burst/*.tif --factor 2 --psf gaussian:sigma=1.2 \\
        --register --photometry both --out sr.tif
    """
    with errors_in_words():
        numeric = is_number(background)
        read: list[str | Path] = [*frames, *psf, *(mask or []), *(weights or [])]
        read += [each for each in (shifts, truth, target) if each is not None]
        read += [motion] if motion is not None and motion not in NAMES else []
        read += [] if numeric else [background]
        _check_targets(out, report, errors, read, overwrite)
        images.check(out, bits)
        options = Options(quality, overwrite)
        check_quality(out, quality)
        _check_together(
            psf, center, register, shifts, refine, motion, noise=noise,
            used=errors is not None or beta == "discrepancy" or regulariser in PENALTIES,
        )  # fmt: skip
        blurs, ndim = _blurs(psf, frames[0], hdu, center_of(center))
        factors = each_factor(factor, ndim)
        if ndim != 2 and motion is not None:
            raise ValueError("--motion is that of images, not lines or volumes")
        raws = mosaics.are_raw(frames)
        if raws:
            mosaics.check({
                "--frames-axis": frames_axis, "--channel-axis": channel_axis, "--hdu": hdu,
                "--linear, for they are light": linear, "--mask": mask, "--weights": weights,
                "--decimation": None if decimation == "mean" else decimation,
                "--psf estimate": isinstance(blurs, str),
                "a psf for each band": isinstance(blurs, list),
                "psfs of lines or volumes": ndim != 2, "--refine": refine, "--motion": motion,
                "--photometry": photometry, "--errors": errors, "--report": report,
                "--truth": truth, "--chunks": chunks or None,
                "a background in a file": not numeric,
            })  # fmt: skip
        file_axes = Axes(frames_axis, channel_axis, ndim)
        with progress("opening", len(frames)) as bar:
            opened: Any = (
                Burst.opened(frames, bar) if raws else Frames.opened(frames, bar, file_axes, hdu)
            )
        original, outline = opened.originals[0], opened.outline
        if linear and original.white is None:
            raise ValueError(f"--linear is for photographs, of which {frames[0]} is none")
        unit = Unit(None if raws else original.white)
        caution_unit(original, decimation, factors)
        header = original.resized(factors, sampled=decimation == "sample")
        sizes = [size * each for size, each in zip(outline.shape[-ndim:], factors, strict=True)]
        shape = *sizes, *outline.shape[1:-ndim]
        axes = (SPACE[-ndim:] + "C")[: len(shape)]
        as_srgb = not mosaics.as_light(out, bits) if raws else linear
        output = Output(out, bits, header, options, axes, as_srgb)
        images.check(out, bits, header, shape, axes)
        if errors is not None:
            output.check_errors(errors, shape)
        arguments: dict[str, Any] = {
            "shifts": _shifts(register, shifts, refine, ndim),
            "motion": None if motion is None else read_motion(motion, opened.originals, outline),
            "regulariser": regulariser,
            "beta": float(beta) if is_number(beta) else beta,
            "noise": None if noise is None else unit.noise(noise),
            "photometry": photometry,
            "loss": loss,
            "threshold": None if threshold is None else unit.positive("threshold", threshold),
            "solver": solver,
            "background": unit.one * float(background) if numeric else outline,
            "gain": gain if loss != "poisson" else unit.positive("gain", gain),
            "read_noise": unit.positive("read-noise", read_noise, zero=True),
            "nonnegative": nonnegative,
            "bounds": None if bounds is None else unit.bounds(bounds, nonnegative),
            "boundary": boundary_of(boundary),
            "decimation": decimation,
            "maxiter": maxiter,
            "rtol": rtol,
            "target": None if target is None else parse_psf(target, ndim=ndim),
        }
        plan = prediction.Solve.of(outline, blurs, factors, arguments)
        in_chunks = not raws and chunked.needed_for(plan, chunks)
        if in_chunks:
            chunked.check(plan, chunks, [out] if errors is None else [out, errors])
        elif scratch is not None and chunks is not None:
            raise ValueError("--scratch is for chunks, and --whole works without them")
        if dry_run:
            require_maps([*(weights or []), *([] if numeric else [background])], mask or [])
            show(plan.lines(in_chunks), plan.facts(in_chunks), as_json)
            return
        if raws:
            solution = _solved(opened.solve, output, blurs, factors, **arguments)
            _show(solution, *summary.of(solution, out, {}, ndim), as_json)
            return
        array_of = inputs.in_chunks(chunked.side(factors)) if in_chunks else inputs.in_memory
        with progress("reading", len(frames)) as bar:
            stack = opened.read(array_of, bar)
        inverse_variance = opened.inverse_variance(array_of) if err and not weights else None
        if inverse_variance is not None:
            note("weights are 1/ERR² of the files, 0 where DQ says so; --no-err leaves that out")
        decoded = srgb.decode if linear else lambda image: image
        stack = decoded(stack)
        images.check_range(out, stack, bits, original)
        if bounds is not None:
            unit.caution_bounds(arguments["bounds"], stack)
        maps = Maps(stack, file_axes)
        known = None if truth is None else decoded(maps.truth(truth, factors, hdu))
        arguments["weights"] = maps.weights(weights or [], mask or [], inverse_variance)
        if not numeric:
            arguments["background"] = unit.one * maps.background(Path(background))
        sides = chunked.sizes(plan) if in_chunks else ()
        with chunked.files(plan, sides, scratch, out) if in_chunks else nullcontext() as folder:
            solve = super_resolve
            if folder is not None:
                solve = partial(chunked.solve, chunks=sides, folder=folder)
            solution = _solved(solve, output, stack, blurs, factors, **arguments)
            compared = {} if known is None else solution.metrics(known)
            lines, facts = summary.of(solution, out, compared, ndim)
            deviation = None
            if errors is not None:
                deviation = _deviation(solution, arguments["noise"], folder)
                middle = median(output.save_errors(errors, solution, deviation))
                facts |= {"errors": errors, "deviation": middle}
                lines["deviation"] = f"{middle:.3g} in the median, {errors}"
            if report is not None:
                figures.save(solution.plot(deviation), report, overwrite=overwrite)
        _show(solution, lines, facts, as_json)


def _check_targets(
    out: Path, report: Path | None, errors: Path | None, read: list[str | Path], overwrite: bool
) -> None:
    """Refuse files to write that may not be replaced, or are read or written twice."""
    known = list(read)
    for target in (out, report, errors):
        if target is not None:
            check_target(target, overwrite, known)
            known.append(target)
    if report is not None:
        check_picture(report, "a report")


def _shifts(register: bool, path: Path | None, refine: bool, ndim: int) -> Any:
    """The argument `shifts` of `dhop.super_resolve`."""
    if register:
        return "estimate"
    given = None if path is None else read_shifts(path, ndim)
    if not refine:
        return given
    return "refine" if given is None else ("refine", given)


def _solved(
    solve: Callable[..., Solution], output: Output, *given: Any, **arguments: Any
) -> Solution:
    """Solve and write the image; after an interrupt write the latest one, if it is in memory."""
    latest: list[Array] = []

    def keep(step: Any) -> None:
        if isinstance(step.image, np.ndarray):
            latest[:] = [step.image]

    try:
        with progress("super-resolving", arguments["maxiter"]) as bar:
            solution = solve(*given, callback=keep, progress=bar, **arguments)
    except KeyboardInterrupt:
        said = "interrupted: there is no image yet to be saved"
        if latest:
            output.save(latest[0])
            said = f"interrupted: {output.path} has the image as it was by then"
        console(stderr=True).print(said, style="yellow")
        raise typer.Exit(INTERRUPTED) from None
    output.save(solution.image)
    return solution


def _deviation(solution: Solution, noise: float | None, folder: Path | None) -> Any:
    with progress("standard deviations", 1) as bar:
        if folder is None:
            return solution.standard_deviation(noise, progress=bar)
        return chunked.deviation(solution, noise, folder)


def _show(solution: Solution, lines: dict[str, str], facts: dict[str, Any], as_json: bool) -> None:
    show(lines, facts, as_json)
    if not solution.converged:
        console(stderr=True).print("not converged: allow more with --maxiter", style="yellow")
        raise typer.Exit(NOT_CONVERGED)


def _check_together(
    psf: list[str],
    center: str | None,
    register: bool,
    shifts: Path | None,
    refine: bool,
    motion: str | None,
    *,
    noise: float | None,
    used: bool,
) -> None:
    """Refuse options that contradict each other, or would do nothing."""
    if psf == ["estimate"] and center is not None:
        raise ValueError("--center is of a psf that is given, not of an estimated one")
    if register and shifts is not None:
        raise ValueError("take either --register or --shifts, not both")
    if motion is not None and (register or refine or shifts is not None):
        raise ValueError("take --motion alone, without --register, --shifts or --refine")
    if register and refine:
        raise ValueError("--register refines what it finds: take it without --refine")
    if noise is not None and not used:
        raise ValueError(
            "--noise would do nothing: it is for --beta discrepancy, --errors and "
            f"--regulariser {' or '.join(PENALTIES)}"
        )


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
