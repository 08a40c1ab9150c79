"""Shares of rows: each is taken once, by whichever thread, and a caller leaves last."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

from dhop import parallel
from dhop.kernels import EDGES, SPOILT, TAKEN
from dhop.kernels.shares import take, wait

NOBODY = np.zeros(0, np.int64)


@numba.njit(nogil=True)
def visit(shares, busy, seen, spoilt):
    """Count the rows of all shares that are to be had."""
    count = 0
    start, stop = take(shares, busy, count)
    while start < stop:
        for row in range(start, stop):
            seen[row] += 1
            if row == spoilt:
                shares[SPOILT] = 1
        count += 1
        start, stop = take(shares, busy, count)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="additions are atomic only if compiled")
def test_each_share_once():
    """By four threads that all begin at the same time, many times over."""
    ready = threading.Barrier(4)
    shares = np.append((0, 10**6, 0), np.arange(5001))

    def work(_):
        seen = np.zeros(5000, np.int64)
        ready.wait()
        visit(shares, NOBODY, seen, -1)
        return seen

    with ThreadPoolExecutor(4) as threads:
        for _ in range(50):
            shares[TAKEN] = 0
            assert (sum(threads.map(work, range(4))) == 1).all()


def test_so_many_shares_at_once():
    shares = np.array((0, 2, 0, 0, 3, 4, 9, 10, 11))
    seen = np.zeros(11, np.int64)
    for expected in ([1] * 4 + [0] * 7, [1] * 10 + [0], [1] * 11, [1] * 11):
        visit(shares, NOBODY, seen, -1)
        assert seen.tolist() == expected
    assert shares[EDGES:].tolist() == [0, 3, 4, 9, 10, 11]


def test_waits_a_moment_for_those_that_are_busy():
    wait(np.array([0, 0]))
    begin = time.perf_counter()
    wait(np.array([0, 1]))  # for ever, if it were not for a moment
    assert time.perf_counter() - begin < 1


@pytest.fixture(scope="module")
def pool():
    return parallel._Pool(7)


@pytest.mark.parametrize("work", [1.0, 1e5, 5e5, 1e7, 3e8])
@pytest.mark.parametrize("rows", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_every_row_once(rows, work, workers, pool, monkeypatch):
    """However many processors there are; and spoilt results are told of."""
    monkeypatch.setattr(parallel, "available_cpus", lambda: 8)
    monkeypatch.setattr(parallel, "_pool", lambda: pool)
    for spoilt in (-1, rows - 1):
        total = []

        def work_on(shares, busy, spoilt=spoilt, total=total):
            seen = np.zeros(rows, np.int64)
            visit(shares, busy, seen, spoilt)
            total.append(seen)

        assert parallel.share(work_on, rows, work, workers) == (spoilt < 0)
        assert rows == 0 or (np.sum(total, axis=0) == 1).all()


@pytest.mark.parametrize("work", [1e5, 1e6, 1e7, 1e8, 1e9])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_sizes(work, count):
    """Ten milliseconds at most at once for each thread, and the last ones of several small."""
    shares = parallel._shares(100_000, work, count)
    sizes = np.diff(shares[EDGES:]) * work / 1e5
    assert sizes.max() <= parallel.LARGEST_BLOCK
    assert shares[1] == 1 or sizes.sum() <= count * parallel.LARGEST_BLOCK
    if count > 1:
        assert (np.diff(sizes) <= 1e-9 * work).all()
        assert sizes[-1] <= parallel.SMALLEST_SHARE


def test_an_exception_of_a_helper():
    """It reaches the caller, which has waited for the others."""
    caller, running = threading.get_ident(), []

    def work(shares, busy):
        running.append(1)
        try:
            if threading.get_ident() != caller:
                raise ValueError("no room")
            time.sleep(0.05)
        finally:
            running.pop()

    if parallel.available_cpus() > 1:
        with pytest.raises(ValueError, match="no room"):
            parallel.share(work, 100, 1e8)
    assert not running
