"""The thread policy: blocks of rows on one thread pool of the process.

Kernels release the GIL, so threads run them in parallel. The caller works too: if no thread is free
it does all blocks itself, so that a call from inside a worker cannot deadlock.

A product takes its rows in shares, inside its kernel. Between two blocks a thread returns to the
interpreter, which takes a few microseconds, and many more if another thread holds the GIL. For the
same reason threads spin for a moment before they sleep, when they wait for each other or for the
next product.

A call uses at most as many threads as the operator's ``workers`` and an enclosing `workers` block
allow, or without either ``OMP_NUM_THREADS``, and never more than the process has processors, which
calls from several threads at the same time share.
"""

import itertools
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache, lru_cache
from queue import SimpleQueue
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import AT_ONCE, BEGUN, CALL, EDGES
from dhop.runtime import arguments, system

WORTH_WAKING = 7e4  # nanoseconds of work for each thread; waking it may take half as long
SMALLEST_BLOCK = 1.2e5  # nanoseconds
SMALLEST_SHARE = 1e4  # nanoseconds
LARGEST_BLOCK = 1e7  # nanoseconds; untouched memory can make a block thirty times slower
LEAST_PAUSE, MOST_PAUSE = 5e-5, 1e-3  # seconds between checks whether threads have ended

Numbers: TypeAlias = NDArray[np.int64]
Task: TypeAlias = Callable[[int, Numbers], Any]
Shared: TypeAlias = Callable[[Numbers, int, Numbers], bool]

_NOBODY = np.zeros(0, np.int64)  # the status of no threads
_call_numbers = itertools.count(1)
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
    return max(1, math.ceil(min(system.processors(), system.processor_quota())))


@cache
def _default_threads() -> int:
    """Threads of a call without a limit.

    joblib and dask set ``OMP_NUM_THREADS`` in their worker processes, so that these together use no
    more threads than there are processors.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else available_cpus()


def _most_threads(workers: int | None) -> int:
    """Most threads of a call, of which the operator allows `workers`."""
    limits = [limit for limit in (workers, _block.get()) if limit is not None]
    return min(available_cpus(), *limits or [_default_threads()])


class _Pool:
    """A thread pool, 5 us faster than the futures of an executor.

    Attributes
    ----------
    status : ndarray of int64, shape (n + 1,)
        See `dhop.kernels.work_sharing`.
    size : int
        Number of threads.
    """

    def __init__(self, size: int) -> None:
        from dhop.kernels.work_sharing import await_helpers, await_product  # imports Numba

        self._asked: SimpleQueue[Callable[[int], None]] = SimpleQueue()
        self.status = np.zeros(size + 1, np.int64)
        self._await_product, self._await_helpers = await_product, await_helpers
        # Compiled now, since a process forked while a thread compiles can never compile again.
        await_product(self.status, size, -1)
        await_helpers(self.status, -1)
        self.size = 0
        with suppress(RuntimeError):  # no more threads, as when the interpreter shuts down
            while self.size < size:
                number = self.size + 1
                threading.Thread(
                    target=self._help, args=(number,), name="dhop", daemon=True
                ).start()
                self.size = number

    def ask(self, work: Callable[[int], None], helpers: int) -> None:
        """Call `work`, which must not raise, in up to `helpers` threads, with their numbers."""
        for _ in range(min(helpers, self.size)):
            self._asked.put(work)

    def _help(self, number: int) -> None:
        while True:
            begun = int(self.status[BEGUN])  # read before the queue is found empty
            if self._asked.empty():
                self._await_product(self.status, number, begun)
            else:
                self.status[number] = 0
            self._asked.get()(number)

    def wait(self, call: int) -> None:
        """Wait until no thread works for `call`."""
        pause = LEAST_PAUSE

        def works() -> bool:
            return call in self.status[BEGUN + 1 :].tolist()

        while works() and not self._await_helpers(self.status, call):
            time.sleep(pause)
            pause = min(2 * pause, MOST_PAUSE)


@cache
def _pool() -> _Pool:
    return _Pool(available_cpus() - 1)


_callers: set[int] = set()  # threads that are inside `_run_tasks`


def _reset() -> None:
    """Forget the threads and processors of the parent process after a fork."""
    _callers.clear()
    for cached in (_pool, available_cpus, _default_threads):
        cached.cache_clear()


system.after_fork(_reset)


def threads(work: float, workers: int | None = None) -> int:
    """Number of threads worth using for `work` nanoseconds of one thread, at most `workers`."""
    worth = int(work / WORTH_WAKING)
    return 1 if worth <= 1 else min(_most_threads(workers), worth)


def row_blocks(rows: int, work: float, workers: int | None = None) -> list[tuple[int, int]]:
    """Split `rows` rows, `work` nanoseconds in all, into ranges for threads.

    Blocks are long enough to pay for their dispatch and short enough for interrupts, and there are
    a few for every thread, so that none waits long for the last. Of little work the caller does two
    blocks while the others wake and do one.
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


def share(function: Shared, rows: int, work: float, workers: int | None = None) -> bool:
    """Compute shares of `rows` rows, `work` nanoseconds in all, in at most so many `workers`.

    Parameters
    ----------
    function : callable
        Calls a kernel that takes some of the shares (`dhop.kernels.work_sharing`), and returns
        whether its results can be relied on. A call takes no more than about four times
        `LARGEST_BLOCK`, for the sake of interrupts.
    rows : int
    work : float
    workers : int, optional
        Most threads to use, the caller included.

    Returns
    -------
    bool
        Whether all results can be relied on.
    """
    count = threads(work, workers)
    shares = _split_shares(rows, work, count)
    if shares.size == EDGES + 2:  # a single one
        return function(shares, 0, _NOBODY)
    return _compute_shares(function, shares.copy(), count)


def _compute_shares(function: Shared, shares: Numbers, count: int) -> bool:
    """Compute several shares in up to `count` threads."""
    shares[0, CALL] = call = next(_call_numbers)
    all_at_once = shares[0, AT_ONCE] > 1
    reliable, ended = [], False

    def take_shares(number: int, status: Numbers) -> None:
        nonlocal ended
        if not ended:
            reliable.append(function(shares, number and 1 + (number - 1) % (count - 1), status))
            ended = all_at_once

    tasks = [take_shares] * (count if all_at_once else shares[:, EDGES + 1 :].size)
    _run_tasks(tasks, count, call, announce=False)
    return all(reliable)


@lru_cache(maxsize=256)
def _split_shares(rows: int, work: float, count: int) -> Numbers:
    """A part of the rows for each thread, in shrinking shares, so that threads end together.

    Parts are the same for every product: their data may still be in the processor's cache.
    """
    least, most = (max(1, int(rows * size / work)) for size in (SMALLEST_SHARE, LARGEST_BLOCK))
    parts = []
    for k in range(count):
        edges, end = [rows * k // count], rows * (k + 1) // count
        while edges[-1] < end:
            rest = end - edges[-1]
            wanted = rest if count == 1 else max(least, rest // 4)
            edges.append(edges[-1] + min(wanted, most, rest))
        parts.append(edges)
    longest = max(map(len, parts))
    shares = np.zeros((count, EDGES + longest), np.int64)
    shares[0, AT_ONCE] = count * longest if work < min(count, 4) * LARGEST_BLOCK else 1
    shares[:, EDGES:] = [edges + edges[-1:] * (longest - len(edges)) for edges in parts]
    return shares


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

    def task(block: tuple[Any, ...]) -> Task:
        return lambda number, status: function(*block)

    _run_tasks(map(task, blocks), workers, next(_call_numbers), announce=True)


@contextmanager
def _calling() -> Iterator[int]:
    """Count this thread among the callers, once for nested calls; yields their number."""
    thread = threading.get_ident()
    nested = thread in _callers
    try:
        _callers.add(thread)
        yield len(_callers)
    finally:
        if not nested:
            _callers.discard(thread)


def _run_tasks(tasks: Iterable[Task], workers: int | None, call: int, announce: bool) -> None:
    """Call every task in several threads, each with the number of its thread and the status of all.

    The caller's number is 0. `announce` counts the call as begun, for tasks that do
    not do so themselves.
    """
    todo = deque(tasks)  # the only reference: a request may stay in the pool for long
    del tasks
    failures: list[BaseException] = []
    pool, status = None, _NOBODY
    limit = _block.get()

    # There are no locks: every operation on these is atomic, also under interrupts.
    def take() -> Task | None:
        try:
            return todo.popleft()
        except IndexError:
            return None

    def fail(error: BaseException) -> None:
        failures.append(error)
        todo.clear()

    def help_out(number: int) -> None:
        status[number] = call  # first, so that all threads with a task are known when none is left
        try:
            _block.set(limit)
            while (task := take()) is not None:
                task(number, status)
        except BaseException as error:
            fail(error)

    with _calling() as callers:
        helpers = max(0, min(_most_threads(workers), available_cpus() - callers + 1, len(todo)) - 1)
        asked = False
        while True:
            try:
                try:
                    if helpers > 0 and not asked:
                        asked = True
                        pool = _pool()
                        status = pool.status
                        pool.ask(help_out, helpers)
                        if announce:
                            status[BEGUN] += 1
                    while (task := take()) is not None:
                        task(0, status)
                except BaseException as error:
                    fail(error)
                if pool:
                    pool.wait(call)
                break
            except BaseException as error:  # an interrupt: let the running blocks end first
                fail(error)
    if failures:
        try:
            raise failures[0]
        finally:
            failures.clear()  # their tracebacks refer to this frame
