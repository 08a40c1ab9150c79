"""``dhop export``."""

from pathlib import Path
from typing import Annotated

import typer

from dhop.cli.options import (
    OUTPUT,
    Boundary,
    Decimation,
    Dtype,
    Factor,
    Json,
    Psf,
    Size,
    check_target,
    new_operator,
)
from dhop.cli.terminal import extent, progress, show


def export(
    out: Annotated[Path, typer.Argument(help=".npz, .mtx, .mtx.gz, .mat, or a folder of .npy.")],
    size: Size,
    factor: Factor,
    psf: Psf,
    boundary: Boundary = "constant",
    decimation: Decimation = "sum",
    dtype: Dtype = "float32",
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace a file, or a folder of an export.", rich_help_panel=OUTPUT
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the explicit matrix to disk, however large it is; `dhop info` tells its size before.

    \b
    Examples:
      dhop export dh.npz --size 400 400 --factor 2 --psf gaussian:sigma=3
      dhop export dh.mtx.gz --size 64 64 --factor 2 --psf psf.npy
    """
    check_target(out, overwrite, [psf], folders=True)
    A = new_operator(size, psf, factor, boundary=boundary, decimation=decimation, dtype=dtype)
    with progress("writing", A.nnz) as report:
        A.export(out, overwrite=overwrite, progress=report)
    show(
        {"matrix": f"{extent(A.shape)}, {A.nnz:,} nonzeros, {A.dtype}", "written": str(out)},
        {"shape": A.shape, "nnz": A.nnz, "dtype": A.dtype.name, "out": out},
        as_json,
    )
