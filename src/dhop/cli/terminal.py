"""Output of commands to the terminal: results, progress and errors."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dhop.cautions import Caution

INTERRUPTED = 130  # the shell's status of a command that Ctrl-C ended
WIDE = 10_000  # columns of a pipe, so that lines are not broken


def extent(shape: tuple[int, ...]) -> str:
    """`3 x 4` for (3, 4)."""
    return " x ".join(map(str, shape))


def new_table() -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    return table


def console(stderr: bool = False) -> Console:
    """A console without markup, and without line breaks in a pipe."""
    found = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not found.is_terminal:
        found.width = WIDE
    return found


def show(lines: dict[str, str], facts: dict[str, Any], as_json: bool) -> None:
    """Print a table for people, or the same as JSON for scripts."""
    if as_json:
        typer.echo(json.dumps(_for_json(facts), allow_nan=False))
        return
    table = new_table()
    for name, text in lines.items():
        table.add_row(name, text)
    console().print(table)


def _for_json(fact: Any) -> Any:
    """A value that JSON can hold: null for numbers that are not finite, text for paths."""
    if isinstance(fact, dict):
        return {str(name): _for_json(each) for name, each in fact.items()}
    if isinstance(fact, list | tuple):
        return [_for_json(each) for each in fact]
    if isinstance(fact, np.ndarray | np.generic):
        return _for_json(fact.tolist())
    if isinstance(fact, float):
        return fact if isfinite(fact) else None
    return fact if fact is None or isinstance(fact, bool | int | str) else str(fact)


class Bar:
    """A progress bar, for one stage of work after another."""

    def __init__(self, bar: Progress, name: str, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task(name, total=total)

    def begin(self, what: str) -> None:
        """Begin a stage of this name."""
        self._bar.reset(self._task, description=what)

    def __call__(self, done: int, total: int) -> None:
        """Show the work done."""
        self._bar.update(self._task, completed=done, total=total)

    def end(self) -> None:
        """Show all work as done, also of iterations that converged early."""
        self._bar.update(self._task, total=self._bar.tasks[0].completed)


@contextmanager
def progress(name: str, total: int) -> Iterator[Bar]:
    """A progress bar on the error stream, if that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        named = Bar(bar, name, total)
        yield named
        named.end()


def note(text: str) -> None:
    """Print a note on the error stream."""
    console(stderr=True).print(f"note: {text}", style="dim")


def _print_warning(message: Warning | str, *_: Any) -> None:
    console(stderr=True).print(f"warning: {message}", style="yellow")


def _message(error: BaseException) -> str:
    """The message in one line; errors of the system name the file."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    return " ".join(text.split())


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Print errors and warnings on the error stream; exit with code 1 after an error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", Caution)
            warnings.showwarning = _print_warning  # type: ignore[assignment]
            yield
    except BrokenPipeError:  # as in `dhop info | head`
        raise
    except (OSError, ValueError, TypeError, MemoryError, ArithmeticError, ImportError) as error:
        console(stderr=True).print(f"error: {_message(error)}", style="red")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console(stderr=True).print("interrupted", style="yellow")
        raise typer.Exit(INTERRUPTED) from None
