"""``dhop bench``."""

from typing import Annotated

import numpy as np
import typer

from dhop.cli.options import DATA, SOLVER, Boundary, Dtype, Json, Psf, new_operator
from dhop.cli.terminal import console, extent, new_table, show


def bench(
    size: Annotated[
        int, typer.Option(help="Rows and columns of the image.", rich_help_panel=DATA)
    ] = 800,
    factor: Annotated[
        int, typer.Option(help="Decimation factor of both axes.", rich_help_panel=DATA)
    ] = 2,
    psf: Psf = "gaussian:sigma=3",
    boundary: Boundary = "constant",
    dtype: Dtype = "float32",
    adjoint: Annotated[
        bool, typer.Option("--adjoint", help="Time A.H instead of A.", rich_help_panel=SOLVER)
    ] = False,
    as_json: Json = False,
) -> None:
    """Time a product by each method, and by what else is installed, in turn.

    \b
    Examples:
      dhop bench --size 2048 --psf disk:radius=8 --boundary symmetric
      dhop bench --adjoint --json
    """
    from dhop.cli import timing  # imports scipy.signal, which completion need not wait for

    side = size // factor * factor if factor > 0 else size
    A = new_operator((side, side), psf, factor, decimation="mean", boundary=boundary, dtype=dtype)
    image = np.random.default_rng(0).random(A.dimsd if adjoint else A.dims).astype(A.dtype)
    chosen = "A.H" if adjoint else "A"
    peers = timing.agreeing(
        timing.peers(A, adjoint), A.backproject if adjoint else A.degrade, image
    )
    mine = {f"dhop {name}": each for name, each in timing.methods(A, adjoint).items()}
    times = timing.interleaved(mine | peers, image)
    fastest = min(times, key=times.__getitem__)
    facts = {
        "product": chosen,
        "dims": A.dims,
        "dimsd": A.dimsd,
        "psf": A.psf.shape,
        "dtype": A.dtype.name,
        "method": A.method,
        "seconds": times,
        "fastest": fastest,
    }
    if as_json:
        show({}, facts, as_json)
        return
    table = new_table()
    for name, seconds in sorted(times.items(), key=lambda item: item[1]):
        note = ", chosen by auto" if name == f"dhop {A.method}" else ""
        table.add_row(name, f"{seconds * 1e3:9.3f} ms", f"{seconds / times[fastest]:6.2f} x{note}")
    out = console()
    out.print(f"{chosen}: {extent(A.dims)} -> {extent(A.dimsd)}, psf {extent(A.psf.shape)}")
    out.print(table)
    out.print(f"fastest: {fastest}")
