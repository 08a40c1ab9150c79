"""Options of ``dhop superres`` and ``dhop deconvolve``, by panel of the help."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_args

import typer

from dhop.cli.motions import NAMES
from dhop.cli.options import DATA, MOTION, NOISE, OUTPUT, PRIOR, PSF, SOLVER, one_of, psf_option
from dhop.estimation.photometry import Terms
from dhop.psf import stencils
from dhop.reconstruction import losses, penalties, solvers
from dhop.registration import MODELS
from dhop.selection import Rule

REGULARISERS = *get_args(stencils.Name), *get_args(penalties.Name)


def _option(panel: str, help: str, *names: str, choices: tuple[str, ...] = ()) -> Any:
    """An option in a panel of the help, whose value shells complete to one of `choices`."""
    completion = one_of(choices) if choices else None
    return typer.Option(*names, help=help, rich_help_panel=panel, autocompletion=completion)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)


Frames: TypeAlias = Annotated[
    list[Path], typer.Argument(help="Images of one view, all of one size.")
]
Linear: TypeAlias = Annotated[
    bool,
    _option(
        DATA,
        "The files are photographs in sRGB, whose numbers are not in proportion to the light: "
        "turn them into light, compute, and write sRGB again. --noise and other numbers are those "
        "of light then.",
        "--linear",
    ),
]
Mask: TypeAlias = Annotated[
    list[str] | None,
    _option(
        DATA,
        "Leave out bad pixels: 'finite' leaves out those that are NaN or infinite, an image those "
        "where it is not 0. Several times: an image for each frame.",
    ),
]
Weights: TypeAlias = Annotated[
    list[str] | None,
    _option(
        DATA,
        "How far to trust each frame: numbers, as 1,0.5,2, or an image with one for each pixel. "
        "Several times: an image for each frame. Best is 1 over the noise squared.",
    ),
]
Psfs: TypeAlias = Annotated[
    list[str],
    psf_option(
        "Blur (point spread function) in pixels of the result: estimate (a Gaussian that fits the "
        "frames)",
        "Several times: one for each band.",
        "estimate",
    ),
]
Sharpening: TypeAlias = Annotated[
    list[str],
    psf_option(
        "Blur (point spread function) in pixels: estimate (a Gaussian that fits)",
        "Several times: one for each band.",
        "estimate",
    ),
]
Target: TypeAlias = Annotated[
    str | None,
    _option(
        PSF,
        "PSF that the result shall have, in its pixels, written as that of --psf; by default the "
        "result is as sharp as the frames allow.",
    ),
]
Register: TypeAlias = Annotated[
    bool, _option(MOTION, "Find how the frames are shifted.", "--register")
]
Shifts: TypeAlias = Annotated[
    Path | None,
    _option(
        MOTION,
        "File of the shifts, text or .npy: for each frame how many of its pixels the scene lies "
        "further down and further right than in the first one.",
    ),
]
Refine: TypeAlias = Annotated[
    bool, _option(MOTION, "Improve the given --shifts, or zeros.", "--refine")
]
Motion: TypeAlias = Annotated[
    str | None,
    _option(
        MOTION,
        f"How frames move: {_listed(MODELS)} find it; wcs takes the sky coordinates of FITS; or "
        "text, .json or .npy: 3 x 3 matrices, each from (row, column, 1) of a frame to the first.",
        choices=NAMES,
    ),
]
Photometry: TypeAlias = Annotated[
    str | None,
    _option(
        MOTION,
        f"Find how brightness differs from frame to frame: by {_listed(get_args(Terms))}.",
        choices=get_args(Terms),
    ),
]
Loss: TypeAlias = Annotated[
    str,
    _option(
        NOISE,
        f"How far off pixels count: {_listed(get_args(losses.Name))}. gaussian takes squares; "
        "huber is for cosmic rays, hot pixels and what moves, poisson for photon counts.",
        choices=get_args(losses.Name),
    ),
]
Noise: TypeAlias = Annotated[
    float | None,
    _option(
        NOISE,
        "Standard deviation of the noise, in the numbers of the files; for --beta discrepancy, "
        "--errors, total variation and starlets. With weights of 1 over its square it is 1.",
    ),
]
Threshold: TypeAlias = Annotated[
    float | None,
    _option(
        NOISE, "Of --loss huber and l1: largest residual that fits, in the numbers of the files."
    ),
]
Background: TypeAlias = Annotated[
    str,
    _option(
        NOISE,
        "Of --loss poisson: what frames show beside the scene, a number of the files, an image "
        "of such, or, with --frames-axis, one for each frame.",
    ),
]
Gain: TypeAlias = Annotated[
    float,
    _option(NOISE, "Of --loss poisson: what one photon adds to a pixel, in the files' numbers."),
]
ReadNoise: TypeAlias = Annotated[
    float,
    _option(
        NOISE,
        "Of --loss poisson: noise that does not come from photons, in the numbers of the files.",
    ),
]
Regulariser: TypeAlias = Annotated[
    str,
    _option(
        PRIOR,
        f"What is kept small, so that the image is smooth: {_listed(REGULARISERS)}; tv and "
        "huber-tv keep edges, starlet stars and faint light.",
        choices=REGULARISERS,
    ),
]
Beta: TypeAlias = Annotated[
    str,
    _option(
        PRIOR,
        "Weight of the regulariser: large for a smooth image, small for a sharp and noisy one. A "
        f"number, or a rule that chooses it: {_listed(get_args(Rule))}.",
        choices=get_args(Rule),
    ),
]
Nonnegative: TypeAlias = Annotated[bool, _option(PRIOR, "No values below 0.", "--nonnegative")]
Bounds: TypeAlias = Annotated[
    str | None,
    _option(PRIOR, "Least and largest value of the result, in the numbers of the files, as 0,255."),
]
Solver: TypeAlias = Annotated[
    str,
    _option(SOLVER, f"One of {_listed(get_args(solvers.Name))}.", choices=get_args(solvers.Name)),
]
Maxiter: TypeAlias = Annotated[int, _option(SOLVER, "Most iterations.")]
Rtol: TypeAlias = Annotated[
    float, _option(SOLVER, "Relative tolerance: the smaller, the later iterations end.")
]
Out: TypeAlias = Annotated[
    Path, _option(OUTPUT, "Image to write: PNG, JPEG, WebP, BMP, TIFF, .npy, FITS or .zarr.")
]
Errors: TypeAlias = Annotated[
    Path | None,
    _option(
        OUTPUT,
        "Image to write of how far off each pixel may be (its standard deviation), in the numbers "
        "of --out: TIFF or .npy; FITS has the image, too, and which pixels no frame saw, as SCI, "
        "ERR and DQ.",
    ),
]
Report: TypeAlias = Annotated[
    Path | None, _option(OUTPUT, "Picture to write of how it went, PNG, PDF or SVG.")
]
Truth: TypeAlias = Annotated[
    Path | None,
    _option(
        OUTPUT,
        "True image, if it is known, to compare with: PSNR, SSIM, relative RMSE. Beside "
        "files of integers, one of floating point has white at 1.",
    ),
]
Chunks: TypeAlias = Annotated[
    bool | None,
    _option(
        SOLVER,
        "Solve chunk by chunk, with files on the disk, or all in memory; by default what fits.",
        "--chunks/--whole",
    ),
]
Scratch: TypeAlias = Annotated[
    Path | None,
    _option(SOLVER, "Folder of these files, by default that of --out. They are removed."),
]
Err: TypeAlias = Annotated[
    bool,
    _option(
        DATA,
        "Whether FITS files' extensions ERR give the weights, 1 over their squares, and DQ the "
        "pixels not to use.",
        "--err/--no-err",
    ),
]
DryRun: TypeAlias = Annotated[
    bool,
    _option(
        SOLVER,
        "Say sizes, method, memory and time, and that all files are there; compute and write "
        "nothing. Of .npy, TIFF, FITS and Zarr only the headers are read.",
        "--dry-run",
    ),
]
