"""Fault 30: an interrupt reaches the caller soon, and leaves nothing behind."""

import os
import time
from textwrap import dedent

import pytest
from child import COMPILED, SHARED, environment, run

pytestmark = [pytest.mark.skipif(os.name == "nt", reason="no POSIX signals"), COMPILED]


def at_length(value):
    """A parameter of the long runs only."""
    return pytest.param(value, marks=pytest.mark.fuzz)


TIMES = [3, at_length(30)]

# Interrupts itself at random moments of `work()`; `check()` follows each of them.
INTERRUPT = """
    import random

    def interrupt(delay, sent):
        time.sleep(delay)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    def interrupted(work, check, times, seconds):
        '''The longest time between an interrupt and its arrival here.'''
        moments, late = random.Random(0), []
        for _ in range(times):
            sent = []
            killer = threading.Thread(target=interrupt, args=(seconds * moments.random(), sent))
            killer.start()
            try:
                while True:
                    work()
            except KeyboardInterrupt:
                late.append(time.perf_counter() - sent[0])
            killer.join()
            check()
        return max(late)

    def exact():
        assert (A @ x == expected).all()
"""


@pytest.mark.slow
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("method", ["direct", at_length("separable"), at_length("fft")])
def test_fault_30_product(method, times):
    """Nobody writes on, and the next call is exact."""
    run(
        SHARED
        + INTERRUPT
        + f"""
    DHOperator((9, 9), np.ones((3, 3)), 1, method="{method}").warmup()
    A.warmup()
    wide = DHOperator((2400, 2400), np.ones((99, 99)), 1, method="{method}")
    big, out = np.ones(wide.dims), np.zeros(wide.dimsd)
    def check():
        after = out.copy()
        time.sleep(0.1)
        assert (out == after).all(), "somebody still writes"
        out[:] = 0
        exact()
    late = interrupted(lambda: wide.degrade(big, out=out), check, {times}, 0.5)
    assert late < 0.6, late
    """,
        timeout=250,
    )


@pytest.mark.slow
@pytest.mark.parametrize("times", TIMES)
def test_fault_30_to_sparse(times):
    run(
        SHARED
        + INTERRUPT
        + f"""
    A.warmup()
    rows = A.to_sparse(rows=slice(3))
    wide = DHOperator((300, 300), np.ones((41, 41)), 1, dtype="f4")
    def check():
        exact()
        assert (A.to_sparse(rows=slice(3)) != rows).nnz == 0
    late = interrupted(wide.to_sparse, check, {times}, 0.5)
    assert late < 0.6, late
    """,
        timeout=250,
    )


@pytest.mark.slow
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("name", ["matrix", at_length("matrix.npz"), at_length("matrix.mtx")])
def test_fault_30_export(tmp_path, name, times):
    """The target is whole, old or new, and there is nothing else."""
    run(
        SHARED
        + INTERRUPT
        + f"""
    from pathlib import Path
    from dhop import load_matrix

    A.warmup()
    folder = Path({str(tmp_path)!r})
    target = folder / {name!r}
    small = DHOperator((40, 40), np.ones((9, 9)), 1, dtype="f4")
    wide = DHOperator((200, 200), np.ones((21, 21)), 1, dtype="f4")
    old = small.export(target) and load_matrix(target, mmap=False)
    def check():
        exact()
        assert os.listdir(folder) == [{name!r}], os.listdir(folder)
        found = load_matrix(target, mmap=False)
        assert found.nnz in (small.nnz, wide.nnz)
        small.export(target, overwrite=True)
        assert (load_matrix(target, mmap=False) != old).nnz == 0
    late = interrupted(lambda: wide.export(target, overwrite=True), check, {times}, 0.5)
    assert late < 0.6, late
    """,
        timeout=280,
    )


ENDLESS = """
    try:
        while True:
            wide.degrade(big, out=out)
    except KeyboardInterrupt:
        arrived = time.time()
"""


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore")  # of the libraries that talk to the kernel
def test_fault_30_interrupt_of_a_notebook():
    """The button of Jupyter, ten times in one kernel."""
    pytest.importorskip("ipykernel")
    manager, client = pytest.importorskip("jupyter_client.manager").start_new_kernel(
        env=environment()
    )

    def execute(code):
        return client.execute_interactive(dedent(code), timeout=100)["content"]

    try:
        begun = execute(
            SHARED
            + """
    A.warmup()
    wide = DHOperator((2400, 2400), np.ones((99, 99)), 1, method="direct")
    big, out = np.ones(wide.dims), np.zeros(wide.dimsd)
    """
        )
        assert begun["status"] == "ok", begun
        for k in range(10):
            client.execute(dedent(ENDLESS))
            time.sleep(0.5 + 0.05 * k)
            sent = time.time()
            manager.interrupt_kernel()
            assert client.get_shell_msg(timeout=60)["content"]["status"] == "ok"
            check = f"assert arrived - {sent} < 0.6; assert (A @ x == expected).all()"
            assert execute(check)["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
def test_fault_30_exception_in_a_block():
    """Whatever a block raises reaches the caller, once the other blocks have ended."""
    run(
        SHARED
        + """
    from dhop.methods import products

    big = DHOperator((1200, 1200), np.ones((41, 41)), 1, method="direct")
    ones, out = np.ones(big.dims), np.zeros(big.dimsd)
    right = big.degrade(ones)
    share = products.share

    def check(error):
        calls, running = [], []
        def failing(part, *how):
            def fail(*args):
                running.append(1)
                calls.append(1)
                try:
                    if len(calls) == 3:
                        raise error("the third")
                    return part(*args)
                finally:
                    running.pop()
            return share(fail, *how)
        products.share = failing
        try:
            big.degrade(ones, out=out)
        except error as caught:
            assert str(caught) == "the third"
            assert not running
        else:
            raise AssertionError("no exception")
        after = out.copy()
        time.sleep(0.2)
        assert (out == after).all(), "somebody still writes"
        products.share = share
        assert (big.degrade(ones) == right).all()

    check(ValueError)
    check(KeyboardInterrupt)
    """
    )
