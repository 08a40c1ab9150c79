"""Options that several commands share."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_args

import numpy as np
import typer
from numpy.typing import NDArray

from dhop import DHOperator, images
from dhop.cautions import MetadataWarning
from dhop.cli.config import ConfigCommand
from dhop.cli.parsing import PSFS, SYNTAX, parse_psf
from dhop.io import Original, file_of, format_of, unit_note
from dhop.io.photographs import JPEG, WEBP
from dhop.io.replacement import require_apart, require_replaceable
from dhop.model.boundary import BOUNDARIES
from dhop.model.decimation import Decimation as Decimations
from dhop.runtime import arguments
from dhop.runtime.extras import needed

Array = NDArray[Any]

# Panels of help texts, in all commands the same.
DATA, PSF, MOTION, NOISE = "Data", "Blur", "Motion and brightness", "Noise and loss"
PRIOR, SOLVER, OUTPUT = "Prior", "Solver", "Output"

QUALITY = 95
DTYPES = ("float32", "float64")


def one_of(names: Sequence[str]) -> Callable[[str], list[str]]:
    """Shell completion to one of `names`."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def factor_of(text: str) -> int | tuple[int, ...]:
    """One factor, or one for each axis."""
    try:
        factors = tuple(map(int, text.split(",")))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no integer, nor one for each axis as 1,2,2"
        ) from None
    return factors[0] if len(factors) == 1 else factors


def size_of(text: str) -> tuple[int, ...]:
    """The shape in the text that `Sized` makes of several words."""
    try:
        return tuple(map(int, text.replace(",", " ").split()))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not rows and columns as 800 800") from None


class Sized(ConfigCommand):
    """A command whose ``--size`` takes as many integers as follow it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--size" in args:
            start = args.index("--size") + 1
            numbers = list(takewhile(str.isdecimal, args[start:]))
            args = [
                *args[:start],
                *([" ".join(numbers)] if numbers else []),
                *args[start + len(numbers) :],
            ]
        return super().parse_args(ctx, args)


Factor: TypeAlias = Annotated[
    Any,
    typer.Option(
        parser=factor_of,
        metavar="INTEGERS",
        help="How many high-resolution pixels a low-resolution pixel has along an axis; one for "
        "all axes or, as in 1,2,2, one for each.",
        rich_help_panel=DATA,
    ),
]


def psf_option(begin: str, end: str = "", *more: str) -> Any:
    """The option `--psf`, with the syntax of PSFs in its help."""
    return typer.Option(
        help=f"{begin}, {SYNTAX}. {end}".strip(),
        autocompletion=one_of([*more, *(f"{name}:" for name in PSFS)]),
        rich_help_panel=PSF,
    )


Psf: TypeAlias = Annotated[
    str, psf_option("Blur (point spread function) in high-resolution pixels")
]
Center: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Where in the file of --psf the point is: peak, centroid or a pixel, as row,column.",
        autocompletion=one_of(["peak", "centroid"]),
        rich_help_panel=PSF,
    ),
]
Size: TypeAlias = Annotated[
    Any,
    typer.Option(
        parser=size_of,
        metavar="INTEGERS",
        help="Rows and columns of the high-resolution image; three sizes of a volume, one of a "
        "line.",
        rich_help_panel=DATA,
    ),
]
Boundary: TypeAlias = Annotated[
    str,
    typer.Option(
        help=f"What lies outside the image: {', '.join(BOUNDARIES)}; one or, as in edge,wrap, one "
        "for each axis.",
        autocompletion=one_of(BOUNDARIES),
        rich_help_panel=PSF,
    ),
]
Decimation: TypeAlias = Annotated[
    str,
    typer.Option(
        help="What high-resolution pixels become: their mean or sum, or one of them, a sample.",
        autocompletion=one_of(get_args(Decimations)),
        rich_help_panel=PSF,
    ),
]
Dtype: TypeAlias = Annotated[
    str,
    typer.Option(help="float32 or float64.", autocompletion=one_of(DTYPES), rich_help_panel=SOLVER),
]
Bits: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="8 or 16 for integers, 32 for floating point; by default as was read.",
        rich_help_panel=OUTPUT,
    ),
]
Quality: TypeAlias = Annotated[
    int, typer.Option(help="Of JPEG and WebP, 1 to 100.", rich_help_panel=OUTPUT)
]
FramesAxis: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Axis that counts frames in a file of several: 0 for pages of a TIFF or planes of a "
        "FITS cube. It holds for masks and weights too. Planes of a volume are no frames: a psf "
        "of three axes says that they are that.",
        rich_help_panel=DATA,
    ),
]
ChannelAxis: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Axis that counts channels, where a file does not say so.", rich_help_panel=DATA
    ),
]
Hdu: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Image in a FITS file: its number, name, or name and version as in SCI,2. Any file "
        "may name its own: night.fits[SCI,2].",
        rich_help_panel=DATA,
    ),
]
Overwrite: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace files that are there, but none that is read.",
        rich_help_panel=OUTPUT,
    ),
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print JSON, for scripts; null for numbers that are not finite.",
        rich_help_panel=OUTPUT,
    ),
]


def new_operator(
    dims: Sequence[int], psf: str, factor: Any, boundary: str, **options: Any
) -> DHOperator:
    """The operator of options, which it checks."""
    blur = parse_psf(psf, ndim=len(dims))
    return DHOperator(dims, blur, factor, boundary=boundary_of(boundary), **options)


def blur_of(text: str, path: Path, hdu: str | None, center: Any = None) -> Array:
    """The PSF for an image; formulas make a line if its file has a single axis."""
    return parse_psf(text, center=center, ndim=1 if images.is_line(path, hdu) else 2)


def boundary_of(text: str) -> Any:
    """One boundary, or one for each axis."""
    return text.split(",") if "," in text else text


def each_factor(factor: Any, ndim: int) -> tuple[int, ...]:
    """A positive integer for each axis of the PSF."""
    return arguments.each("factor", factor, ndim, arguments.positive, "integer")


def center_of(text: str | None) -> Any:
    """The argument `center` of `dhop.psf.from_array`."""
    if text is None or text in ("peak", "centroid"):
        return text
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise ValueError(f"center must be peak, centroid or row,column, got {text!r}") from None


def caution_unit(original: Original, decimation: str, factor: Sequence[int]) -> None:
    """Warn if decimated values are not in the unit of the file."""
    if max(factor) == 1:
        return
    if note := unit_note(original, decimation):
        warnings.warn(note, MetadataWarning, stacklevel=2)


def check_quality(out: Path, quality: int) -> None:
    """Refuse a quality for formats without one."""
    if quality != QUALITY and format_of(out) not in (JPEG, WEBP):
        raise ValueError(f"--quality is of JPEG and WebP, and {out.name} is neither")


def check_noise(noise: float) -> None:
    if not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise must not be negative, and be finite, got {noise}")


def check_target(
    path: Path, overwrite: bool, others: Iterable[str | Path] = (), *, folders: bool = False
) -> None:
    """Refuse a file that may not be written, before the work.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Whether a file may be replaced.
    others : iterable of str or Path
        Other files that are read or written; text that names no file is ignored.
    folders : bool
        Whether the folder of an export may be replaced too.
    """
    images.check_folder(path)
    require_apart(path, (file_of(Path(other)) for other in others))
    require_replaceable(path, overwrite, folders=folders, option="--overwrite")


def check_picture(path: Path, what: str) -> None:
    """Refuse a picture that matplotlib cannot write, before the work."""
    backend = needed("matplotlib.backend_bases", "plot", f"drawing {path.name}")
    kinds = backend.FigureCanvasBase.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in kinds:
        raise ValueError(f"{what} is one of {', '.join(kinds)}, not {path.name}")
