"""``dhop demo``."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from skimage import data, metrics, transform

from dhop import DHOperator, images, plots, psf, super_resolve
from dhop.cli.parsing import gaussian_size
from dhop.cli.terminal import errors_in_words, extent, new_table, progress


def demo(
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("dhop-demo.png"),
    sigma: Annotated[float, typer.Option(help="Width of the Gaussian blur in pixels.")] = 1.5,
    noise: Annotated[float, typer.Option(help="Standard deviation, full scale is 1.")] = 0.003,
    beta: Annotated[float, typer.Option(help="Weight of the regulariser.")] = 0.001,
) -> None:
    """Blur, decimate and super-resolve a real photograph, and write the pictures.

    \b
    Example:
      dhop demo --out demo.png
    """
    with errors_in_words():
        images.check(out, 8)
        _demo(out, sigma, noise, beta)


def _demo(out: Path, sigma: float, noise: float, beta: float) -> None:
    photograph = data.camera() / 255
    blur = psf.gaussian(gaussian_size(sigma), sigma)
    A = DHOperator(photograph.shape, blur, 2, decimation="mean", boundary="symmetric")
    frame = A.degrade(photograph)
    frame += noise * np.random.default_rng(0).standard_normal(frame.shape)
    bicubic = transform.resize(frame, A.dims, order=3, mode="symmetric", anti_aliasing=False)
    begin = time.perf_counter()
    maxiter = 200
    with progress("super-resolving", maxiter) as report:
        solution = super_resolve(
            frame, blur, 2, beta=beta, maxiter=maxiter, rtol=1e-5, progress=report
        )
    seconds = time.perf_counter() - begin

    quality = {}
    for name, image in {"bicubic": bicubic, "dhop": solution.image}.items():
        psnr = metrics.peak_signal_noise_ratio(photograph, image, data_range=1)
        ssim = metrics.structural_similarity(photograph, image, data_range=1)
        quality[name] = psnr, ssim
    plots.comparison(
        {
            f"photograph {extent(A.dims)}": photograph,
            f"blurred, decimated {extent(A.dimsd)}": frame,
            f"bicubic, {quality['bicubic'][0]:.2f} dB": bicubic,
            f"super-resolved, {quality['dhop'][0]:.2f} dB": solution.image,
        },
        (0.13, 0.38, 0.25),
        out,
    )
    table = new_table()
    table.add_row("photograph", f"{extent(A.dims)}, scikit-image's camera")
    table.add_row("frame", f"{extent(A.dimsd)}, blur {extent(blur.shape)}, noise {noise:g}")
    table.add_row("operator", f"{extent(A.shape)}, {A.method}, never formed")
    table.add_row(
        "explicit matrix", f"{A.nnz:,} nonzeros, {A.sparse_nbytes('csr') / 1e6:,.0f} MB as CSR"
    )
    table.add_row("lsqr", f"{solution.iterations} iterations, {seconds:.1f} s with compilation")
    for name, (psnr, ssim) in quality.items():
        table.add_row(name, f"PSNR {psnr:.2f} dB, SSIM {ssim:.4f}")
    gain = quality["dhop"][0] - quality["bicubic"][0]
    table.add_row("gain", f"{gain:+.2f} dB over bicubic")
    table.add_row("picture", str(out))
    Console().print(table)
