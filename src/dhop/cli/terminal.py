"""What commands write to the terminal: results, progress and errors."""

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dhop.cautions import Caution

INTERRUPTED = 130  # the shell's status of a command that Ctrl-C ended
WIDE = 10_000  # columns of a pipe, where lines are not broken


def extent(shape: tuple[int, ...]) -> str:
    """`3 x 4` for (3, 4)."""
    return " x ".join(map(str, shape))


def new_table() -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    return table


def console(stderr: bool = False) -> Console:
    """A terminal's width and colours, or a pipe's; text is shown as it is."""
    found = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not found.is_terminal:
        found.width = WIDE
    return found


def show(lines: dict[str, str], facts: dict[str, Any], as_json: bool) -> None:
    """Print a table for people, or the same as JSON for scripts."""
    if as_json:
        typer.echo(json.dumps(facts, default=str, allow_nan=False))
        return
    table = new_table()
    for name, text in lines.items():
        table.add_row(name, text)
    console().print(table)


@contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal's error stream; silent elsewhere.

    It is told what is done and of how much, which may be another number than the first `total`.
    Work that ends before, as iterations do that converge, has then done all there was.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=total)
        yield lambda done, total: bar.update(task, completed=done, total=total)
        bar.update(task, total=bar.tasks[0].completed)


def _shown(message: Warning | str, *_: Any) -> None:
    console(stderr=True).print(f"warning: {message}", style="yellow")


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Say what went wrong on the error stream and leave with exit code 1."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", Caution)
            warnings.showwarning = _shown  # type: ignore[assignment]
            yield
    except BrokenPipeError:  # as in `dhop info | head`: nobody reads any more
        raise
    except (OSError, ValueError, TypeError, MemoryError, ArithmeticError, ImportError) as error:
        console(stderr=True).print(f"error: {error}", style="red")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console(stderr=True).print("interrupted", style="yellow")
        raise typer.Exit(INTERRUPTED) from None
