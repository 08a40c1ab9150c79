"""``dhop export``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dhop import DHOperator
from dhop.boundary import BOUNDARIES
from dhop.cli.parsing import parse_psf
from dhop.cli.terminal import errors_in_words, extent, new_table, progress


def export(
    out: Annotated[Path, typer.Argument(help=".npz, .mtx, .mtx.gz, .mat, or a folder of .npy.")],
    size: Annotated[tuple[int, int], typer.Option(help="Rows and columns of the image.")],
    factor: Annotated[int, typer.Option(help="Decimation factor.")],
    psf: Annotated[str, typer.Option(help="Blur, as for superres.")],
    boundary: Annotated[str, typer.Option(help=f"One of {', '.join(BOUNDARIES)}.")] = "constant",
    decimation: Annotated[str, typer.Option(help="How pixels form: mean, sum, sample.")] = "sum",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    overwrite: Annotated[bool, typer.Option(help="Replace what is there.")] = False,
) -> None:
    """Write the explicit matrix to disk, however large it is.

    \b
    Example:
      dhop export dh.npz --size 400 400 --factor 2 --psf gaussian:sigma=3
    """
    with errors_in_words():
        A = DHOperator(
            size,
            parse_psf(psf),
            factor,
            boundary=boundary,  # type: ignore[arg-type]
            decimation=decimation,  # type: ignore[arg-type]
            dtype=dtype,
        )
        with progress("writing", 1) as report:

            def share(done: int, total: int) -> None:
                report(done / max(total, 1))  # a matrix may have no entries

            A.export(out, overwrite=overwrite, progress=share)
        table = new_table()
        table.add_row("matrix", f"{extent(A.shape)}, {A.nnz:,} nonzeros, {A.dtype}")
        table.add_row("written", str(out))
        Console().print(table)
