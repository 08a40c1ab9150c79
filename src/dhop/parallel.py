"""The thread policy: blocks of rows on one pool of the process.

Kernels release the GIL, so plain threads run them side by side. The caller works too: with nothing
else free it does all blocks itself, which is why a call from inside a worker cannot deadlock.
"""

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

SMALLEST_BLOCK = 1.5e5  # nanoseconds
LARGEST_BLOCK = 1e8


@cache
def available_cpus() -> int:
    """Processors this process may use: its affinity mask, limited by a cgroup (v2) quota."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this platform
        cpus = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cpus, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no cgroup v2, or its quota is "max"
        return cpus


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, available_cpus() - 1), thread_name_prefix="dhop")


if hasattr(os, "register_at_fork"):
    # A forked child has the pool object but none of its threads, and maybe other processors.
    os.register_at_fork(after_in_child=_pool.cache_clear)
    os.register_at_fork(after_in_child=available_cpus.cache_clear)


def threads(work: float, workers: int | None = None) -> int:
    """Number of threads worth using for `work` nanoseconds of one, at most `workers`."""
    most = min(workers or available_cpus(), available_cpus())
    return max(1, min(most, int(work / SMALLEST_BLOCK)))


def row_blocks(rows: int, work: float, workers: int | None = None) -> list[tuple[int, int]]:
    """Split `rows` rows, `work` nanoseconds in all, into ranges worth a thread's while.

    A block is long enough to pay for its dispatch, short enough that an interrupt need not wait for
    it, and there are a few for every thread so that none waits long for the last.
    """
    count = threads(work, workers)
    count = 1 if count == 1 else min(4 * count, int(work / SMALLEST_BLOCK))
    count = min(rows, max(count, math.ceil(work / LARGEST_BLOCK)))
    edges = [rows * k // count for k in range(count + 1)] if rows else []
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
        Most threads to use, the caller included; as many as there are processors by default and
        at the most.

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
    helpers = min(workers or available_cpus(), available_cpus(), len(blocks)) - 1
    todo = iter(blocks)
    running = 0  # blocks of helpers that have begun and not ended
    failure: BaseException | None = None
    state = threading.Condition()

    def help_out() -> None:
        nonlocal running, failure, todo
        while True:
            with state:
                block = next(todo, None)
                if block is None:
                    return
                running += 1
            try:
                function(*block)
            except BaseException as error:
                with state:
                    failure, todo = failure or error, iter(())
            finally:
                with state:
                    running -= 1
                    state.notify_all()

    def take() -> tuple[Any, ...] | None:
        with state:
            return next(todo, None)

    try:
        with suppress(RuntimeError):  # no thread to be had, as when the interpreter shuts down
            for _ in range(helpers):
                _pool().submit(help_out)
        while (block := take()) is not None:
            function(*block)
    except BaseException as error:
        failure = error
    while True:
        try:
            with state:
                if failure is not None:
                    todo = iter(())
                state.wait_for(lambda: running == 0)
            break
        except BaseException as error:  # an interrupt: let the running blocks end first
            failure = error
    if failure is not None:
        try:
            raise failure
        finally:
            failure = None  # its traceback refers to this frame
