"""What commands write to the terminal: tables, progress and errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def extent(shape: tuple[int, ...]) -> str:
    """`3 x 4` for (3, 4)."""
    return " x ".join(map(str, shape))


def new_table() -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    return table


@contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[float], None]]:
    """A bar on the terminal's error stream; silent elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def errors_in_words() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError, MemoryError, ArithmeticError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(1) from None
