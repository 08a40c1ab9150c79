"""``dhop demo``."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from dhop import DHOperator, super_resolve
from dhop.cli.options import (
    NOISE,
    OUTPUT,
    PRIOR,
    PSF,
    Json,
    Overwrite,
    check_noise,
    check_picture,
    check_target,
)
from dhop.cli.parsing import parse_psf
from dhop.cli.terminal import extent, show
from dhop.metrics import compare
from dhop.runtime.extras import needed


def demo(
    out: Annotated[Path, typer.Option(help="Picture to write.", rich_help_panel=OUTPUT)] = Path(
        "dhop-demo.png"
    ),
    sigma: Annotated[
        float, typer.Option(help="Width of the Gaussian blur in pixels.", rich_help_panel=PSF)
    ] = 1.5,
    noise: Annotated[
        float, typer.Option(help="Standard deviation, full scale is 1.", rich_help_panel=NOISE)
    ] = 0.003,
    beta: Annotated[
        float, typer.Option(help="Weight of the regulariser.", rich_help_panel=PRIOR)
    ] = 0.001,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Blur, decimate and super-resolve a real photograph, and write the pictures.

    \b
    Example:
      dhop demo --out demo.png
    """
    check_target(out, overwrite)
    check_picture(out, "the picture")
    check_noise(noise)
    data, transform = (
        needed(f"skimage.{part}", "cli", "dhop demo") for part in ("data", "transform")
    )
    from dhop import plots  # imports pyplot, which completion need not wait for

    photograph = data.camera() / 255
    blur = parse_psf(f"gaussian:sigma={sigma}")
    A = DHOperator(photograph.shape, blur, 2, decimation="mean", boundary="symmetric")
    frame = A.degrade(photograph)
    frame += noise * np.random.default_rng(0).standard_normal(frame.shape)
    bicubic = transform.resize(frame, A.dims, order=3, mode="symmetric", anti_aliasing=False)
    begin = time.perf_counter()
    solution = super_resolve(frame, blur, 2, beta=beta)
    seconds = time.perf_counter() - begin

    quality = {
        name: compare(image, photograph)
        for name, image in {"bicubic": bicubic, "dhop": solution.image}.items()
    }
    plots.comparison(
        {
            f"photograph {extent(A.dims)}": photograph,
            f"blurred, decimated {extent(A.dimsd)}": frame,
            f"bicubic, {quality['bicubic']['psnr']:.2f} dB": bicubic,
            f"super-resolved, {quality['dhop']['psnr']:.2f} dB": solution.image,
        },
        (0.13, 0.38, 0.25),
        out,
        overwrite=overwrite,
    )
    gain = quality["dhop"]["psnr"] - quality["bicubic"]["psnr"]
    lines = {
        "photograph": f"{extent(A.dims)}, scikit-image's camera",
        "frame": f"{extent(A.dimsd)}, blur {extent(blur.shape)}, noise {noise:g}",
        "operator": f"{extent(A.shape)}, {A.method}, never formed",
        "explicit matrix": f"{A.nnz:,} nonzeros, {A.sparse_nbytes('csr') / 1e6:,.0f} MB as CSR",
        "solver": f"{solution.solver}, {seconds:.1f} s with compilation",
    }
    for name, each in quality.items():
        lines[name] = f"PSNR {each['psnr']:.2f} dB, SSIM {each['ssim']:.4f} to the photograph"
    lines |= {
        "gain": f"{gain:+.2f} dB over bicubic enlargement of the same frame, for this blur "
        "and noise, which were given to the solver",
        "picture": str(out),
    }
    facts = {
        "dims": A.dims,
        "dimsd": A.dimsd,
        "iterations": solution.iterations,
        "seconds": seconds,
        "quality": quality,
        "gain": gain,
        "out": out,
    }
    show(lines, facts, as_json)
