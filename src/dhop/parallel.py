"""The thread policy: blocks of rows on one pool of the process.

Kernels release the GIL, so plain threads run them side by side. The caller works too: with nothing
else free it does all blocks itself, which is why a call from inside a worker cannot deadlock.

A product takes its rows in shares, inside its kernel. Between two blocks a thread returns to the
interpreter, which takes a few microseconds, and many more if another thread is just there.

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
from functools import cache, lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop import arguments
from dhop.kernels import AT_ONCE, EDGES, SPOILT, TAKEN

WORTH_WAKING = 1.1e5  # nanoseconds of work for each thread, which may take half as long to wake
SMALLEST_BLOCK = 1.2e5  # nanoseconds
Numbers: TypeAlias = NDArray[np.int64]

_NOBODY = np.zeros(0, np.int64)

SMALLEST_SHARE = 1e4  # nanoseconds
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


def share(
    function: Callable[[Numbers, Numbers], Any], rows: int, work: float, workers: int | None = None
) -> bool:
    """Have threads compute shares of `rows` rows, `work` nanoseconds in all.

    Parameters
    ----------
    function : callable
        Calls a kernel that takes some of the shares, see `dhop.kernels.shares`. A call takes less
        than about `LARGEST_BLOCK`, for the sake of interrupts.
    rows : int
    work : float
    workers : int, optional
        Most threads to use, the caller included.

    Returns
    -------
    bool
        Whether no kernel has called its results spoilt.
    """
    count = threads(work, workers)
    shares = _shares(rows, work, count).copy()
    ranges = shares.size - EDGES - 1
    if ranges == 1:
        function(shares, _NOBODY)
        return not shares[SPOILT]
    busy = np.zeros(count - 1, np.int64)
    caller = threading.get_ident()

    def call() -> None:
        if shares[TAKEN] < ranges:
            function(shares, busy if threading.get_ident() == caller else _NOBODY)

    run(call, [()] * (count if shares[AT_ONCE] == ranges else ranges), count, busy)
    return not shares[SPOILT]


@lru_cache(maxsize=256)
def _shares(rows: int, work: float, count: int) -> Numbers:
    """Shares that become smaller, so that threads end together, also if one has been woken late."""
    least, most = (max(1, int(rows * size / work)) for size in (SMALLEST_SHARE, LARGEST_BLOCK))
    edges = [0]
    while edges[-1] < rows:
        part = rows if count == 1 else (rows - edges[-1]) // (2 * count)
        edges.append(min(edges[-1] + min(max(least, part), most), rows))
    at_once = len(edges) - 1 if work < count * LARGEST_BLOCK else 1
    return np.array((0, at_once, 0, *edges))


def run(
    function: Callable[..., Any],
    blocks: Iterable[tuple[Any, ...]],
    workers: int | None = None,
    busy: Numbers | None = None,
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
    busy : ndarray of int64, optional
        As many zeros as threads help the caller at most, or more. That of a thread is one while it
        does.

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
        helpers = max(0, min(_most(workers) - 1, free, len(blocks) - 1))
        _together(function, blocks, helpers, np.zeros(helpers, np.int64) if busy is None else busy)


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


def _together(
    function: Callable[..., Any], blocks: list[tuple[Any, ...]], helpers: int, busy: Numbers
) -> None:
    """`run` for several blocks."""
    todo = deque(blocks)
    # Nothing is locked: every operation on these is atomic, and an interrupt loses none.
    numbers = list(range(helpers))
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
        number = numbers.pop()
        busy[number] = 1  # first, so that all who have a block are known when none is left
        try:
            while (block := take()) is not None:
                function(*block)
        except BaseException as error:
            fail(error)
        finally:
            busy[number] = 0
            news.put(None)

    try:
        if helpers > 0:
            with suppress(RuntimeError):  # no thread to be had, as when the interpreter shuts down
                _pool().ask(help_out, helpers)
        while (block := take()) is not None:
            function(*block)
        if 1 in busy.tolist():
            from dhop.kernels.shares import wait  # with Numba, so not before it is needed

            wait(busy)
    except BaseException as error:
        fail(error)
    while True:
        try:
            while 1 in busy.tolist():
                news.get()
            break
        except BaseException as error:  # an interrupt: let the running blocks end first
            fail(error)
    if failures:
        try:
            raise failures[0]
        finally:
            failures.clear()  # their tracebacks refer to this frame
