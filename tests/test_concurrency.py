"""Threads, processes and interrupts: right results, and nobody is killed."""

import os

import pytest
from child import run

# What every child begins with: a shared operator that has not been used yet, and its exact answer.
SHARED = """
    import concurrent.futures, multiprocessing, operator, os, signal, sys, threading, time
    import numpy as np
    import oracle
    from dhop import DHOperator

    rng = np.random.default_rng(0)
    psf = oracle.integer_psf(rng, (9, 8))
    image = oracle.integers(rng, (400, 300))
    A = DHOperator(image.shape, psf, 2, boundary="reflect", method="direct")
    expected = oracle.degrade(image, psf, 2, boundary="reflect").ravel()
    x = image.ravel()
"""


def test_works_without_threads_to_be_had():
    """After the main thread has ended, no pool takes work; the caller does it alone."""
    run(
        SHARED
        + """
    import atexit
    big = DHOperator((900, 900), np.ones((15, 15)), 1, method="direct")
    ones = np.ones(big.dims)
    first = big.degrade(ones)
    def later():
        assert (big.degrade(ones) == first).all()
        print("computed")
    atexit.register(later)
    """
    )


@pytest.mark.parametrize("layer", ["workqueue", "default"])
def test_fault_28_eight_threads_first_call_included(layer):
    run(
        SHARED
        + """
    start = threading.Barrier(8)
    def products(_):
        start.wait()
        return A @ x, A.H @ expected
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(products, range(8)))
    adjoint = A.H @ expected
    for forward, backward in results:
        assert (forward == expected).all()
        assert (backward == adjoint).all()
    """,
        env={"NUMBA_THREADING_LAYER": layer},
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_fault_29_fork_while_the_parent_computes():
    """The pool is the parent's: the child makes its own."""
    run(
        SHARED
        + """
    assert (A @ x == expected).all()
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            assert (A @ x == expected).all()
    thread = threading.Thread(target=busy)
    thread.start()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            grandchild = os.fork()
            right = (A @ x == expected).all()
            if grandchild:
                right &= os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 0
            os._exit(0 if right else 1)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    stop.set()
    thread.join()
    assert codes == [0, 0, 0], codes
    assert (A @ x == expected).all()
    """,
        warnings="ignore::DeprecationWarning",  # Python 3.12 warns of forks next to threads
        timeout=30,
    )


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_fault_29_new_processes_after_use(method):
    if os.name == "nt" and method != "spawn":
        pytest.skip("this platform only spawns")
    run(
        SHARED
        + f"""
    assert (A @ x == expected).all()
    context = multiprocessing.get_context("{method}")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        for derived in (A, A.H, A.T, 2 * A):
            operand = x if derived.shape[1] == len(x) else expected
            result = pool.submit(operator.matmul, derived, operand).result(timeout=30)
            assert (result == derived @ operand).all()
    """,
        timeout=60,
    )


@pytest.mark.skipif(os.name == "nt", reason="no POSIX signals")
@pytest.mark.parametrize("method", ["direct", "separable", "fft"])
def test_fault_30_interrupt(method):
    """Ctrl-C within 0.6 s, no thread writes on, and the next call is exact."""
    run(
        SHARED
        + f"""
    DHOperator((9, 9), np.ones((3, 3)), 1, method="{method}").degrade(np.ones((9, 9)))  # compiled
    wide = DHOperator((2400, 2400), np.ones((99, 99)), 1, method="{method}")
    big, out = np.ones(wide.dims), np.zeros(wide.dimsd)
    sent = []
    def interrupt():
        time.sleep(0.3)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    try:
        while True:
            wide.degrade(big, out=out)
    except KeyboardInterrupt:
        late = time.perf_counter() - sent[0]
    else:
        raise AssertionError("no interrupt")
    after = out.copy()
    time.sleep(0.3)
    assert (out == after).all(), "somebody still writes"
    assert late < 0.6, late
    assert (A @ x == expected).all()
    """,
        timeout=60,
    )
