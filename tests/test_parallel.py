"""The thread policy: every block once, and no more threads than there are processors."""

import asyncio
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from child import run

import dhop
from dhop import DHOperator
from dhop.runtime import parallel


class TestRun:
    """`parallel.run`: every block once, the first exception, nothing left running."""

    @pytest.mark.parametrize("workers", [1, 2, 3, 7, None])
    def test_every_block_once(self, workers):
        done = []
        assert (
            parallel.run(lambda i, j: done.append((i, j)), [(k, -k) for k in range(50)], workers)
            is None
        )
        assert sorted(done) == [(k, -k) for k in range(50)]

    @pytest.mark.parametrize("workers", [1, 2, None])
    def test_no_blocks(self, workers):
        parallel.run(pytest.fail, [], workers)

    @pytest.mark.parametrize("workers", [1, 2, 7])
    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
    def test_exception_reaches_the_caller(self, workers, error):
        begun, ended = [], []

        def work(block):
            begun.append(block)
            try:
                if block == 5:
                    raise error("five")
                time.sleep(0.005)
            finally:
                ended.append(block)

        with pytest.raises(error, match="five"):
            parallel.run(work, [(k,) for k in range(200)], workers)
        assert sorted(begun) == sorted(ended)  # running blocks were joined first
        assert len(begun) < 100
        count = len(begun)
        time.sleep(0.05)
        assert len(begun) == count  # and nothing begins afterwards

    def test_works_again_after_an_exception(self):
        with pytest.raises(ZeroDivisionError):
            parallel.run(lambda k: 1 / k, [(k,) for k in (2, 1, 0, 3)], 2)
        done = []
        parallel.run(done.append, [(k,) for k in range(20)], 2)
        assert sorted(done) == list(range(20))

    def test_inside_itself(self):
        """A block may run blocks: the pool is never waited on from inside itself."""
        done = []

        def outer(k):
            parallel.run(lambda j: done.append((k, j)), [(j,) for j in range(8)], 4)

        parallel.run(outer, [(k,) for k in range(8)], 4)
        assert sorted(done) == [(k, j) for k in range(8) for j in range(8)]

    def test_where_no_thread_can_be_had(self, monkeypatch):
        def none(self):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none)
            pool = parallel._Pool(3)
        monkeypatch.setattr(parallel, "_pool", lambda: pool)
        done = []
        parallel.run(done.append, [(k,) for k in range(20)], 2)
        assert done == list(range(20))

    def test_a_request_keeps_nothing_alive(self, monkeypatch):
        """Of calls that are over, while the only thread of the pool is at a longer one."""
        monkeypatch.setattr(parallel, "available_cpus", lambda: 3)
        pool = parallel._Pool(1)
        monkeypatch.setattr(parallel, "_pool", lambda: pool)
        stop, begun = threading.Event(), threading.Barrier(2)

        def long(_):
            begun.wait()
            stop.wait()

        caller = threading.Thread(target=parallel.run, args=(long, [(0,), (1,)], 2))
        caller.start()
        while not pool.status[1]:
            time.sleep(0.001)
        images = []
        for _ in range(5):
            image = np.zeros(3)
            parallel.run(lambda k, image=image: image.fill(k), [(1,), (2,)], 2)
            images.append(weakref.ref(image))
        del image
        assert [image() for image in images] == [None] * 5
        stop.set()
        caller.join(30)

    def test_from_many_threads(self):
        done = []
        callers = [
            threading.Thread(target=parallel.run, args=(done.append, [(k,) for k in range(40)], 3))
            for _ in range(8)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(30)
        assert sorted(done) == sorted(list(range(40)) * 8)


@pytest.fixture
def eight(monkeypatch):
    """As if there were eight processors, with a pool and a count of callers of our own."""
    monkeypatch.setattr(parallel, "available_cpus", lambda: 8)
    monkeypatch.setattr(parallel, "_callers", set())
    pool = parallel._Pool(7)
    monkeypatch.setattr(parallel, "_pool", lambda: pool)
    monkeypatch.setattr(parallel, "_default_threads", parallel._default_threads.__wrapped__)


def working_together(expected, look=lambda: None, workers=None):
    """The threads that work on many blocks, and what each of them sees.

    They wait until there are as many as are expected, however busy the processors are, and then a
    moment more.
    """
    seen, deadline = set(), time.monotonic() + 20

    def work(_):
        seen.add((threading.get_ident(), look()))
        while len(seen) < expected and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.004)

    parallel.run(work, [(k,) for k in range(60)], workers)
    return seen


def threads_used(expected, workers=None):
    return len(working_together(expected, workers=workers))


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize("work", [0, 1e5, 2.3e5, 1e6, 1e8, 1e10])
@pytest.mark.parametrize("rows", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_blocks_of_rows(rows, work, workers):
    blocks = parallel.row_blocks(rows, work, workers)
    assert [row for block in blocks for row in range(*block)] == list(range(rows))
    assert all(start < stop for start, stop in blocks)
    count = parallel.threads(work, workers)
    if count > 1:  # the caller has two of few
        assert len(blocks) >= min(rows, count + 1)


@pytest.mark.usefixtures("eight")
class TestLimits:
    @pytest.fixture(autouse=True)
    def no_environment(self, monkeypatch):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def test_an_operators_workers(self):
        for workers, count in ((1, 1), (2, 2), (5, 5), (100, 8), (None, 8)):
            assert threads_used(count, workers) == count
        assert [parallel.threads(1e9, n) for n in (1, 5, 100, None)] == [1, 5, 8, 8]

    def test_a_block_of_code(self):
        """The smaller of the two counts; an inner block replaces an outer one."""
        with dhop.workers(3):
            for workers, count in ((None, 3), (2, 2), (5, 3)):
                assert threads_used(count, workers) == count
            with dhop.workers(5):
                assert threads_used(5) == 5
            assert threads_used(3) == 3
            with pytest.raises(ZeroDivisionError), dhop.workers(1):
                raise ZeroDivisionError
            assert threads_used(3) == 3
        assert threads_used(8) == 8

    def test_a_block_is_the_threads_own(self):
        with dhop.workers(2), ThreadPoolExecutor(1) as other:
            assert other.submit(threads_used, 8).result() == 8
            assert threads_used(2) == 2

    def test_helpers_know_it(self):
        """Of the call they are at, and no longer."""
        for count in (4, 2, 8):
            with dhop.workers(count):
                seen = working_together(count, lambda: parallel.threads(1e9))
            assert len(seen) == count
            assert {limit for _, limit in seen} == {count}

    def test_a_block_is_the_tasks_own(self):
        async def limited(count):
            with dhop.workers(count):
                await asyncio.sleep(0.01)
                return parallel.threads(1e9)

        async def all_of_them():
            return await asyncio.gather(*(limited(count) for count in (1, 2, 3)))

        assert asyncio.run(all_of_them()) == [1, 2, 3]

    @pytest.mark.parametrize("count", [0, -1, 1.5, "2", None, True])
    def test_counts_that_are_none(self, count):
        with pytest.raises((TypeError, ValueError), match="count"), dhop.workers(count):
            pytest.fail("entered")

    @pytest.mark.parametrize(
        ("value", "expected"), [("3", 3), ("4,2", 4), ("", 8), ("0", 8), ("no", 8), ("99", 8)]
    )
    def test_environment(self, monkeypatch, value, expected):
        """What joblib and dask set for their worker processes; what code says comes first."""
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert parallel.threads(1e9) == expected
        assert parallel.threads(1e9, 6) == 6
        with dhop.workers(5):
            assert parallel.threads(1e9) == 5

    def test_calls_at_the_same_time_share_the_processors(self):
        """As under dask's threads or joblib's: eight callers run alone, not with seven helpers."""
        ready, working, most, lock = threading.Barrier(8), 0, 0, threading.Lock()

        def work(_):
            nonlocal working, most
            with lock:
                working += 1
                most = max(most, working)
            time.sleep(0.002)
            with lock:
                working -= 1

        def call(_):
            parallel._callers.add(threading.get_ident())  # all eight have begun
            ready.wait()
            for _ in range(5):
                parallel.run(work, [(k,) for k in range(20)])

        with ThreadPoolExecutor(8) as callers:
            list(callers.map(call, range(8)))
        assert most == 8

    def test_a_call_alone_has_all_processors_again(self):
        with pytest.raises(ZeroDivisionError):
            parallel.run(lambda k: 1 // k, [(1,), (0,)])
        assert parallel._callers == set()
        assert threads_used(8) == 8


@pytest.mark.usefixtures("eight_processors")
def test_same_bits_in_a_block():
    A = DHOperator((603, 600), np.random.default_rng(0).standard_normal((9, 9)), 2)
    image = np.random.default_rng(1).standard_normal(A.dims)
    expected, matrix = A.degrade(image), A.to_sparse()
    for count in (1, 2, 3, 7):
        with dhop.workers(count):
            assert A.degrade(image).tobytes() == expected.tobytes()
            assert A.to_sparse().data.tobytes() == matrix.data.tobytes()


def test_a_block_holds_while_exporting(tmp_path, monkeypatch):
    """An export computes in a thread of its own."""
    seen = []
    monkeypatch.setattr(
        dhop.matrix.sparse,
        "split_rows",
        lambda rows, *_: seen.append(parallel._most_threads(None)) or [(0, rows)],
    )
    monkeypatch.setattr(parallel, "available_cpus", lambda: 8)
    with dhop.workers(3):
        DHOperator((9, 9), np.ones((3, 3)), 1).export(tmp_path / "a.npz")
    assert set(seen) == {3}


class TestProcessors:
    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
    def test_affinity(self):
        run("""
            import os
            from dhop.runtime import parallel
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            assert parallel.available_cpus() == 1
            assert parallel.threads(1e9) == parallel.threads(1e9, 5) == 1
        """)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
    def test_a_forked_child_looks_again(self):
        """It has none of the pool's threads, and may have other processors."""
        run(
            """
            import os
            from dhop.runtime import parallel
            parallel.run(lambda k: None, [(k,) for k in range(9)])
            pool = parallel._pool()
            if child := os.fork():
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
                assert parallel._pool() is pool
            else:
                done = []
                parallel.run(done.append, [(k,) for k in range(9)])
                right = parallel._pool() is not pool and sorted(done) == list(range(9))
                os._exit(0 if right else 1)
        """,
            warnings="ignore::DeprecationWarning",
        )


def test_nested_calls_count_once():
    seen = []

    def outer(_):
        parallel.run(lambda _: None, [(0,), (1,)])
        seen.append(threading.get_ident() in parallel._callers)

    parallel.run(outer, [(0,), (1,)], 1)
    assert seen == [True, True]
    assert parallel._callers == set()
