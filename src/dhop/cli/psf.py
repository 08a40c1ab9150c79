"""``dhop psf``."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from dhop import io
from dhop import psf as psfs
from dhop.cli.fields import psf_at, show_field
from dhop.cli.options import (
    OUTPUT,
    PSF,
    Hdu,
    Json,
    Overwrite,
    center_of,
    check_picture,
    check_target,
    one_of,
)
from dhop.cli.parsing import PSFS, SYNTAX, parse_psf
from dhop.cli.terminal import extent, show
from dhop.io import figures
from dhop.psf.origin import centroid

FRACTIONS = (0.5, 0.8, 0.95)  # of the encircled energy


def psf(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PSF", help=f"{SYNTAX}.", autocompletion=one_of([f"{name}:" for name in PSFS])
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write it to: .npy, .fits or .tif.", rich_help_panel=OUTPUT)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw it to: .png, .pdf, .svg.", rich_help_panel=OUTPUT)
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Draw on a logarithmic scale.", rich_help_panel=OUTPUT)
    ] = False,
    hdu: Hdu = None,
    background: Annotated[
        str,
        typer.Option(
            help="Subtract a number, or `border`, the median of the outermost pixels.",
            rich_help_panel=PSF,
        ),
    ] = "0",
    center: Annotated[
        str | None,
        typer.Option(
            help="Put into the middle: peak, centroid, or a pixel by its index, as row,column.",
            autocompletion=one_of(["peak", "centroid"]),
            rich_help_panel=PSF,
        ),
    ] = None,
    rotate: Annotated[
        float, typer.Option(help="Turn by degrees, counter-clockwise.", rich_help_panel=PSF)
    ] = 0.0,
    pixel: Annotated[
        float | None, typer.Option(help="Size of its pixels, in any unit.", rich_help_panel=PSF)
    ] = None,
    new_pixel: Annotated[
        float | None,
        typer.Option(help="Size of pixels to resample to, in the same unit.", rich_help_panel=PSF),
    ] = None,
    energy: Annotated[
        float | None,
        typer.Option(help="Crop to the window that keeps this fraction.", rich_help_panel=PSF),
    ] = None,
    field: Annotated[
        bool,
        typer.Option(
            "--field",
            help="The file holds PSFs that vary over a detector: tell of all.",
            rich_help_panel=PSF,
        ),
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(
            help="Of a field, take the PSF of this row,column of the scene.", rich_help_panel=PSF
        ),
    ] = None,
    factor: Annotated[
        int,
        typer.Option(
            help="Of a field: pixels of the scene in one of the detector.", rich_help_panel=PSF
        ),
    ] = 1,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Make a PSF or prepare one from a file; describe, draw and save it.

    In this order: background, centre, turn, resample, crop, scale to the sum one.

    \b
    Examples:
      dhop psf moffat:fwhm=3,beta=2.5 --plot moffat.png --log
      dhop psf star.fits --background border --center peak --out psf.npy
      dhop psf fine.fits --hdu 1 --pixel 0.5 --new-pixel 2 --out psf.npy
      dhop psf STDPSF_WFC3UV_F606W.fits --field --factor 2 --plot field.png
      dhop psf STDPSF_WFC3UV_F606W.fits --field --factor 2 --at 1000,3000 --out psf.npy
    """
    if out is not None:
        check_target(out, overwrite, [source])
        if "f8" not in io.format_of(out).types:
            raise ValueError(
                f"a psf is written to .npy, .fits or .tif, not {io.ending(out)!r}; "
                "--plot draws pictures of it"
            )
    if plot is not None:
        check_target(plot, overwrite, [source] if out is None else [source, out])
        check_picture(plot, "a plot")
    if log and plot is None:
        raise ValueError("--log is of --plot, and there is none")
    if (pixel is None) != (new_pixel is None):
        raise ValueError("to resample, give both --pixel and --new-pixel")
    if not field and (at is not None or factor != 1):
        raise ValueError("--at and --factor are those of a field; give --field")
    options: Any = {"background": _background(background), "center": center_of(center)}
    if field:
        known = psfs.Field.from_file(source, factor)
        if at is None:
            if out is not None:
                raise ValueError("--out writes the psf of one place; give --at row,column")
            show_field(known, source, plot, log, overwrite, as_json)
            return
        made = psfs.from_array(psf_at(known, at), **options)
    else:
        made = parse_psf(source, hdu=hdu, **options)
    if rotate:
        made = psfs.rotate(made, rotate)
    if pixel is not None and new_pixel is not None:
        made = psfs.resample(made, pixel, new_pixel)
    made = psfs.from_array(made, energy=energy)
    if plot is not None and made.ndim == 1:
        raise ValueError("a plot shows images and volumes, not a line")
    if out is not None:
        picture = io.Picture(made, io.SPACE[-made.ndim :], io.Original(made.dtype))
        io.write(out, picture, io.Options(overwrite=overwrite))
    if plot is not None:
        _draw(plot, made, log, overwrite)
    facts = _facts(made)
    axes = ", ".join(("planes", "rows", "columns")[-made.ndim :])
    lines = {
        "psf": f"{extent(made.shape)}, {source}",
        "peak": f"{facts['peak']:.6g} of the sum",
        "centroid": f"{_listed(facts['centroid'])} from the middle ({axes})",
        "width": f"{_listed(facts['sigma'])} standard deviation ({axes})",
    }
    if made.ndim == 2:
        light = _energy(made)
        radii = ", ".join(f"{k:.0%} in {v:.3g}" for k, v in light["radii"].items())
        lines["encircled energy"] = f"{radii} pixels radius"
        lines["support"] = f"{extent(light['support'])} for 99 %"
        facts["radii"] = {str(k): v for k, v in light["radii"].items()}
        facts["support"] = light["support"]
    written = [str(path) for path in (out, plot) if path is not None]
    if written:
        lines["written"] = ", ".join(written)
    show(lines, facts | {"written": written}, as_json)


def _facts(made: NDArray[Any]) -> dict[str, Any]:
    """Peak, centroid and widths of a PSF, in pixels."""
    size = psfs.normalise(np.abs(made))
    places = [np.arange(n) - (n - 1) / 2 for n in size.shape]
    lines = [
        size.sum(axis=tuple(k for k in range(size.ndim) if k != axis)) for axis in range(size.ndim)
    ]
    sigma = [
        float(np.sqrt(line @ (place - line @ place) ** 2))
        for line, place in zip(lines, places, strict=True)
    ]
    return {
        "shape": made.shape,
        "peak": float(size.max()),
        "centroid": [k - (n - 1) / 2 for k, n in zip(centroid(made), made.shape, strict=True)],
        "sigma": sigma,
    }


def _energy(made: NDArray[Any]) -> dict[str, Any]:
    """Radii of encircled energy and the support of an image, in pixels."""
    size = psfs.normalise(np.abs(made))
    grid = np.linspace(0, np.hypot(*size.shape) / 2, 500)
    energy = psfs.encircled_energy(size, grid)
    return {
        "radii": {each: float(np.interp(each, energy, grid)) for each in FRACTIONS},
        "support": psfs.estimate_support(made, 0.99),
    }


def _background(text: str) -> Any:
    if text == "border":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"background must be a number or border, got {text!r}") from None


def _draw(path: Path, made: NDArray[Any], log: bool, overwrite: bool) -> None:
    from dhop import plots  # imports pyplot, which completion need not wait for

    figure = figures.new(path, (15, 4.2))
    plots.psf(made, log=log, ax=list(figure.subplots(1, 3)))
    figures.save(figure, path, overwrite=overwrite)


def _listed(values: list[float]) -> str:
    return ", ".join(f"{round(value, 6) + 0.0:.4g}" for value in values)
