"""Reports of progress to callers and to the logger."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from dhop.runtime import notebook
from dhop.runtime.extras import needed


@runtime_checkable
class Stages(Protocol):
    """A `progress` that is also told when one of several stages begins."""

    def begin(self, what: str) -> None:
        """A stage of this name begins."""

    def __call__(self, done: int, total: int) -> object:
        """`done` of `total` is done."""


logger = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[int, int], object] | Literal[True] | None


@contextmanager
def reporting(progress: Progress, total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A function to call, from any thread, with each amount of work that has been done.

    Begin and duration are logged.

    Parameters
    ----------
    progress : callable, True or None
        Called as ``progress(done, total)``, one call at a time; True shows a bar on the terminal,
        or in a notebook.
    total : int
    what : str
        Name of the bar.

    Raises
    ------
    ImportError
        If a bar on the terminal is asked for and rich is not installed.
    """
    logger.info("%s", what)
    begin = time.perf_counter()
    if isinstance(progress, Stages):
        progress.begin(what)
        progress(0, total)
    done = 0
    lock = threading.Lock()
    bar = _bar(total, what) if progress is True else nullcontext(progress)
    with bar as show:

        def advance(amount: int) -> None:
            nonlocal done
            if show is not None:
                with lock:
                    done += amount
                    show(done, total)

        yield advance
    logger.info("%s: %.3g s", what, time.perf_counter() - begin)


@contextmanager
def _bar(total: int, what: str) -> Iterator[Callable[[int, int], object]]:
    display = notebook.shell()
    if display is not None:
        shown = notebook.Bar(display, what)
        yield shown
        shown.finish()
        return
    bar_class = needed("rich.progress", "cli", "progress=True").Progress
    with bar_class() as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, total: bar.update(task, completed=done)
        bar.update(task, total=bar.tasks[0].completed)  # iterations may converge early
