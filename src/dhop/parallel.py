"""The thread policy: blocks of rows on one pool of the process.

Kernels release the GIL, so plain threads run them side by side. The caller works too: with nothing
else free it does all blocks itself, which is why a call from inside a worker cannot deadlock.

How many threads a call uses is the least of what the operator's ``workers`` and an enclosing
`workers` block say, or without either what ``OMP_NUM_THREADS`` says; never more than the process
has processors, of which calls that run at the same time from several threads get a share each.
"""

import itertools
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from dhop import arguments

WORTH_WAKING = 1.1e5  # nanoseconds of work for each thread, which may take half as long to wake
SMALLEST_BLOCK = 1.2e5  # nanoseconds
LARGEST_BLOCK = 1e7  # so short, since memory that was never touched can be thirty times slower

_block: ContextVar[int | None] = ContextVar("dhop.workers", default=None)


@contextmanager
def workers(count: int) -> Iterator[None]:
    """Limit the threads of everything that `dhop` computes inside a ``with`` block.

    The limit holds for the thread (or the asyncio task) that entered the block, on top of the
    operators' own ``workers``: the smaller of the two counts, and an inner block replaces an outer
    one. Results do not depend on it.

    Parameters
    ----------
    count : int
        Most threads, the calling one included. More than there are processors are not used.

    Raises
    ------
    TypeError, ValueError
        If `count` is not a positive integer.

    Examples
    --------
    >>> import numpy as np
    >>> import dhop
    >>> A = dhop.DHOperator((4, 4), np.ones((3, 3)), 2)
    >>> with dhop.workers(1):
    ...     y = A @ np.ones(16)
    """
    token = _block.set(arguments.positive("count", count))
    try:
        yield
    finally:
        _block.reset(token)


@cache
def available_cpus() -> int:
    """Processors this process may use: its affinity mask, limited by the quota of its cgroup."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this platform
        cpus = os.cpu_count() or 1
    return max(1, math.ceil(min(cpus, _cgroup_quota())))


def _cgroup_quota() -> float:
    """Processors' worth of time that the cgroup (v2 or v1) grants, infinite without a limit."""
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # no cgroup v2, or its quota is "max"
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota, period = ((group / f"cpu/cpu.cfs_{x}_us").read_text() for x in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    return math.inf


@cache
def _usual() -> int:
    """Threads of a call that nobody limits.

    ``OMP_NUM_THREADS`` is what joblib and dask set in their worker processes, so that those
    together do not use more threads than there are processors.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else available_cpus()


def _most(workers: int | None) -> int:
    """Threads of a call, if an operator allows so many."""
    limits = [limit for limit in (workers, _block.get()) if limit is not None]
    return min(available_cpus(), *limits or [_usual()])


class _Pool:
    """Threads that wait for work: an executor's futures take 5 us more."""

    def __init__(self, size: int) -> None:
        self._asked: SimpleQueue[Callable[[], None]] = SimpleQueue()
        for _ in range(size):
            threading.Thread(target=self._help, name="dhop", daemon=True).start()

    def ask(self, work: Callable[[], None], helpers: int) -> None:
        """Have `helpers` threads call `work`, which raises nothing, once they are free."""
        for _ in range(helpers):
            self._asked.put(work)

    def _help(self) -> None:
        while True:
            self._asked.get()()


@cache
def _pool() -> _Pool:
    return _Pool(available_cpus() - 1)


_callers: set[int] = set()  # threads that are inside `run`


def _reset() -> None:
    """Forget the threads of the parent process, which a fork does not copy, and its processors."""
    _callers.clear()
    for cached in (_pool, available_cpus, _usual):
        cached.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


def threads(work: float, workers: int | None = None) -> int:
    """Number of threads worth using for `work` nanoseconds of one, at most `workers`."""
    worth = int(work / WORTH_WAKING)
    return 1 if worth <= 1 else min(_most(workers), worth)


def row_blocks(rows: int, work: float, workers: int | None = None) -> list[tuple[int, int]]:
    """Split `rows` rows, `work` nanoseconds in all, into ranges worth a thread's while.

    A block is long enough to pay for its dispatch, short enough that an interrupt need not wait for
    it, and there are a few for every thread so that none waits long for the last. Of little work
    the caller does two blocks while the others wake and do one: it would take long to wake itself.
    """
    if work < SMALLEST_BLOCK:
        return [(0, rows)] * (rows > 0)
    count = threads(work, workers)
    if count > 1:
        count = max(count + 1, min(4 * count, int(work / SMALLEST_BLOCK)))
    count = min(rows, max(count, math.ceil(work / LARGEST_BLOCK)))
    if count <= 1:
        return [(0, rows)] * count
    edges = [rows * k // count for k in range(count + 1)]
    return list(itertools.pairwise(edges))


def run(
    function: Callable[..., Any], blocks: Iterable[tuple[Any, ...]], workers: int | None = None
) -> None:
    """Call ``function(*block)`` for every block, over several threads.

    Parameters
    ----------
    function : callable
        Writes its results into arrays; what it returns is ignored.
    blocks : iterable of tuples
        Taken one at a time by whichever thread is free.
    workers : int, optional
        Most threads to use, the caller included.

    Raises
    ------
    BaseException
        The first exception of a block, or an interrupt of the caller. No further block is begun
        and every running block has ended before it is raised.
    """
    blocks = list(blocks)
    if len(blocks) == 1:
        function(*blocks[0])
        return
    with _calling():
        free = available_cpus() - len(_callers)
        _share(function, blocks, min(_most(workers) - 1, free, len(blocks) - 1))


@contextmanager
def _calling() -> Iterator[None]:
    """Count this thread among the callers, once however deep its calls are nested."""
    thread = threading.get_ident()
    nested = thread in _callers
    _callers.add(thread)
    try:
        yield
    finally:
        if not nested:
            _callers.discard(thread)


def _share(function: Callable[..., Any], blocks: list[tuple[Any, ...]], helpers: int) -> None:
    """`run` for several blocks."""
    todo = deque(blocks)
    # Nothing is locked: every operation on these is atomic, and an interrupt loses none.
    begun: list[None] = []
    ended: list[None] = []
    failures: list[BaseException] = []
    news: SimpleQueue[None] = SimpleQueue()

    def take() -> tuple[Any, ...] | None:
        try:
            return todo.popleft()
        except IndexError:
            return None

    def fail(error: BaseException) -> None:
        failures.append(error)
        todo.clear()

    def help_out() -> None:
        begun.append(None)  # first, so that all who have a block are known when none is left
        try:
            while (block := take()) is not None:
                function(*block)
        except BaseException as error:
            fail(error)
        finally:
            ended.append(None)
            news.put(None)

    try:
        if helpers > 0:
            with suppress(RuntimeError):  # no thread to be had, as when the interpreter shuts down
                _pool().ask(help_out, helpers)
        while (block := take()) is not None:
            function(*block)
    except BaseException as error:
        fail(error)
    while True:
        try:
            while len(ended) < len(begun):
                news.get()
            break
        except BaseException as error:  # an interrupt: let the running blocks end first
            fail(error)
    if failures:
        try:
            raise failures[0]
        finally:
            failures.clear()  # their tracebacks refer to this frame
