"""``dhop degrade``."""

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from dhop import DHOperator, images, io
from dhop.cautions import RangeWarning
from dhop.cli.options import (
    NOISE,
    OUTPUT,
    QUALITY,
    Bits,
    Boundary,
    ChannelAxis,
    Decimation,
    Factor,
    Hdu,
    Json,
    Overwrite,
    Psf,
    Quality,
    blur_of,
    boundary_of,
    caution_unit,
    check_noise,
    check_quality,
    check_target,
)
from dhop.cli.terminal import extent, show
from dhop.cli.units import Unit


def degrade(
    image: Annotated[
        Path,
        typer.Argument(help="High-resolution image: PNG, JPEG, WebP, BMP, TIFF, .npy or FITS."),
    ],
    factor: Factor,
    psf: Psf,
    out: Annotated[
        Path,
        typer.Option(
            rich_help_panel=OUTPUT, help="Image to write: PNG, JPEG, WebP, BMP, TIFF, .npy or FITS."
        ),
    ],
    boundary: Boundary = "symmetric",
    decimation: Decimation = "mean",
    noise: Annotated[
        float,
        typer.Option(
            help="Standard deviation of noise to add, in the numbers of the file.",
            rich_help_panel=NOISE,
        ),
    ] = 0.0,
    seed: Annotated[
        int,
        typer.Option(help="Of the noise: the same seed, the same noise.", rich_help_panel=NOISE),
    ] = 0,
    bits: Bits = None,
    quality: Quality = QUALITY,
    channel_axis: ChannelAxis = None,
    hdu: Hdu = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Apply the model to an image: blur, decimate, add noise. All colours alike.

    With a psf of three axes the image is a volume.

    \b
    Examples:
      dhop degrade scene.png --factor 2 --psf disk:radius=2.5 --out frame.png
      dhop degrade scene.png --factor 3 --psf psf.fits --noise 5 --out small.tif
      dhop degrade stack.tif --factor 1,2,2 --psf gaussian:sigma=4x1.5x1.5 \\
        --out blurred.tif
    """
    check_target(out, overwrite, [image, psf])
    images.check(out, bits)
    options = io.Options(quality, overwrite)
    check_quality(out, quality)
    check_noise(noise)
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if seed and not noise:
        raise ValueError("--seed is of --noise, and there is none")
    blur = blur_of(psf, image, hdu)
    ndim = blur.ndim
    scene, original = images.load(image, hdu, channel_axis=channel_axis, ndim=ndim)
    axes = (io.SPACE[-ndim:] + "C")[: scene.ndim]
    A = DHOperator(
        scene.shape, blur, factor, boundary=boundary_of(boundary),
        decimation=decimation, axes=range(ndim),  # type: ignore[arg-type]
    )  # fmt: skip
    caution_unit(original, decimation, A.factor)
    shrunk = [Fraction(1, each) for each in A.factor]
    header = original.resized(shrunk, sampled=decimation == "sample")
    images.check(out, bits, header, A.dimsd, axes)
    images.check_finite(out, scene, bits, original)
    images.check_range(out, scene, bits, original)
    frame = A.degrade(scene)
    frame += Unit(original.white).noise(noise) * np.random.default_rng(seed).standard_normal(
        frame.shape
    )
    clipped = images.write(out, frame, bits, header, options, axes)
    if clipped:
        advice = "; --decimation mean keeps the brightness" if decimation == "sum" else ""
        warnings.warn(
            f"{clipped:,} of {frame.size:,} values do not fit the integers of {out} and were "
            f"clipped; --bits 32 in a .tif keeps them{advice}",
            RangeWarning,
            stacklevel=1,
        )
    show(
        {
            "scene": f"{extent(A.dims)}, {image}",
            "blur": f"{extent(A.psf.shape)}, {'/'.join(dict.fromkeys(A.boundary))}",
            "noise": f"{noise:g}, seed {seed}" if noise else "none",
            "frame": f"{extent(A.dimsd)}, {out}",
        },
        {
            "scene": A.dims,
            "frame": A.dimsd,
            "psf": A.psf.shape,
            "noise": noise,
            "seed": seed,
            "clipped": clipped,
            "out": out,
        },
        as_json,
    )
