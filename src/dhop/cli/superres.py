"""``dhop superres``."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from dhop import images, super_resolve
from dhop.boundary import BOUNDARIES
from dhop.cli.parsing import parse_psf
from dhop.cli.terminal import errors_in_words, extent, new_table, progress


def superres(
    frames: Annotated[list[Path], typer.Argument(help="Images of one view, all of one size.")],
    factor: Annotated[int, typer.Option(help="Enlargement.")],
    psf: Annotated[
        str,
        typer.Option(
            help="Blur in pixels of the result: gaussian:sigma=1.5[,size=13], box:size=3, "
            "disk:radius=2.5, motion:length=9[,angle=30], or an image or .npy file."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Image to write: PNG, TIFF, JPEG or .npy.")],
    beta: Annotated[float, typer.Option(help="Weight of the regulariser.")] = 0.01,
    regulariser: Annotated[str, typer.Option(help="laplacian or identity.")] = "laplacian",
    boundary: Annotated[str, typer.Option(help=f"One of {', '.join(BOUNDARIES)}.")] = "symmetric",
    decimation: Annotated[str, typer.Option(help="How pixels form: mean, sum, sample.")] = "mean",
    maxiter: Annotated[int, typer.Option(help="Most iterations.")] = 500,
    rtol: Annotated[float, typer.Option(help="Relative tolerance.")] = 1e-5,
    bits: Annotated[int, typer.Option(help="Bits of the integers in a PNG: 8 or 16.")] = 8,
) -> None:
    """Super-resolve one or several frames of the same view; colours are solved one by one.

    \b
    Examples:
      dhop superres frame.png --factor 2 --psf gaussian:sigma=1.5 --out big.png
      dhop superres a.tif b.tif --factor 3 --psf psf.npy --beta 0.003 --out big.tif
    """
    with errors_in_words():
        images.check(out, bits)
        stack = _read_frames(frames)
        blur = parse_psf(psf)
        channels = np.moveaxis(stack, -1, 0)
        solutions = []
        for k, channel in enumerate(channels):
            name = f"channel {k + 1}/{len(channels)}" if len(channels) > 1 else "solving"
            with progress(name, maxiter) as report:
                solutions.append(
                    super_resolve(
                        channel,
                        blur,
                        factor,
                        beta=beta,
                        regulariser=regulariser,  # type: ignore[arg-type]
                        boundary=boundary,  # type: ignore[arg-type]
                        decimation=decimation,  # type: ignore[arg-type]
                        maxiter=maxiter,
                        rtol=rtol,
                        progress=report,
                    )
                )
        result = np.stack([solution.image for solution in solutions], axis=-1)
        images.write(out, result[..., 0] if result.shape[-1] == 1 else result, bits)
        operator = solutions[0].operator
        table = new_table()
        table.add_row("frames", f"{len(frames)} of {extent(operator.dimsd)}")
        table.add_row("result", f"{extent(operator.dims)}, {out}")
        table.add_row("operator", f"{extent(operator.shape)}, {operator.method}")
        table.add_row("iterations", ", ".join(str(each.iterations) for each in solutions))
        Console().print(table)
        if not all(each.converged for each in solutions):
            Console(stderr=True).print("not converged: allow more with --maxiter", style="yellow")


def _read_frames(paths: list[Path]) -> NDArray[np.float64]:
    """Frames of shape (F, rows, columns, channels)."""
    frames = [images.read(path) for path in paths]
    for path, frame in zip(paths, frames, strict=True):
        if frame.shape != frames[0].shape:
            raise ValueError(f"{path} is {frame.shape}, but {paths[0]} is {frames[0].shape}")
    stack = np.stack(frames)
    return stack if stack.ndim == 4 else stack[..., None]
