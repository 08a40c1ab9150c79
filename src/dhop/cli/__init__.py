"""The command line; needs the extra ``dhop[cli]``."""

from importlib.metadata import version
from typing import Annotated

try:
    import typer

    from dhop.cli import bench, deconvolve, degrade, demo, export, info, psf, superres
    from dhop.cli.config import ConfigCommand, with_config
    from dhop.cli.options import Sized
except ModuleNotFoundError as error:
    raise SystemExit(
        f"the command line needs {(error.name or 'more').partition('.')[0]}; "
        'install it with: pip install "dhop[cli]"'
    ) from None

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done; 1 could not be done, the error stream says why; 2 not understood; "
    "3 done, but not converged.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"dhop {version('dhop')}")
        raise typer.Exit


@app.callback()
def dhop(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Sharper images, with more pixels, from one frame or many; and what a camera makes of them."""


SIZED = info.info, export.export
for command in (
    demo.demo,
    superres.superres,
    deconvolve.deconvolve,
    degrade.degrade,
    psf.psf,
    info.info,
    export.export,
    bench.bench,
):
    app.command(cls=Sized if command in SIZED else ConfigCommand)(with_config(command))


def main() -> None:
    """Run the command line."""
    app()
