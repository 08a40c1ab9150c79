"""``dhop bench``."""

from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from dhop import DHOperator
from dhop import bench as benchmarks
from dhop.boundary import BOUNDARIES
from dhop.cli.parsing import parse_psf
from dhop.cli.terminal import errors_in_words, extent, new_table


def bench(
    size: Annotated[int, typer.Option(help="Rows and columns of the image.")] = 800,
    factor: Annotated[int, typer.Option(help="Decimation factor.")] = 2,
    psf: Annotated[str, typer.Option(help="Blur, as for superres.")] = "gaussian:sigma=3",
    boundary: Annotated[str, typer.Option(help=f"One of {', '.join(BOUNDARIES)}.")] = "constant",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    adjoint: Annotated[bool, typer.Option(help="Time A.H instead of A.")] = False,
) -> None:
    """Time a product by each method, and by what else is installed, in turn.

    \b
    Example:
      dhop bench --size 2048 --psf disk:radius=8 --boundary symmetric
    """
    with errors_in_words():
        A = DHOperator(
            (size // factor * factor,) * 2,
            parse_psf(psf),
            factor,
            decimation="mean",
            boundary=boundary,  # type: ignore[arg-type]
            dtype=dtype,
        )
        image = np.random.default_rng(0).random(A.dimsd if adjoint else A.dims).astype(A.dtype)
        chosen = "A.H" if adjoint else "A"
        peers = benchmarks.agreeing(
            benchmarks.peers(A, adjoint), A.backproject if adjoint else A.degrade, image
        )
        mine = {f"dhop {name}": each for name, each in benchmarks.methods(A, adjoint).items()}
        times = benchmarks.interleaved(mine | peers, image)
        fastest = min(times, key=times.__getitem__)
        table = new_table()
        for name, seconds in sorted(times.items(), key=lambda item: item[1]):
            note = ", chosen by auto" if name == f"dhop {A.method}" else ""
            table.add_row(
                name, f"{seconds * 1e3:9.3f} ms", f"{seconds / times[fastest]:6.2f} x{note}"
            )
        console = Console()
        console.print(f"{chosen}: {extent(A.dims)} -> {extent(A.dimsd)}, psf {extent(A.psf.shape)}")
        console.print(table)
        console.print(f"fastest: {fastest}")
