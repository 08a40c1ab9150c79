"""The command line; needs the extra ``dhop[cli]``."""

try:
    import typer

    from dhop.cli import bench, demo, export, superres
except ModuleNotFoundError as error:
    raise SystemExit(
        f'the command line needs {error.name}; install it with: pip install "dhop[cli]"'
    ) from None

app = typer.Typer(
    help="Blur-and-decimate operators: super-resolution from the command line.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
for command in (demo.demo, superres.superres, bench.bench, export.export):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    app()
