"""Faults 28 and 29: threads and processes get right results, and nobody is killed."""

import os

import pytest
from child import COMPILED, SHARED, run

LAYERS = {
    "workqueue": "numba.np.ufunc.workqueue",
    "omp": "numba.np.ufunc.omppool",
    "tbb": "numba.np.ufunc.tbbpool",
}


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


class TestFault28:
    @pytest.mark.slow
    @COMPILED
    @pytest.mark.parametrize("layer", LAYERS)
    @pytest.mark.parametrize("repeats", [3, pytest.param(100, marks=pytest.mark.fuzz)])
    def test_fault_28_eight_threads_first_call_included(self, layer, repeats):
        """While numba's own threading layer is at work in the process, as another library's."""
        pytest.importorskip(LAYERS[layer], exc_type=ImportError)
        run(
            SHARED
            + f"""
    import numba

    @numba.njit(parallel=True)
    def total(values):
        result = 0.0
        for i in numba.prange(values.size):
            result += values[i]
        return result

    assert total(x) == x.sum()
    assert numba.threading_layer() == "{layer}"
    start = threading.Barrier(8)
    def products(_):
        start.wait()
        return [(A @ x, A.H @ expected) for _ in range({repeats})]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(products, range(8)))
    adjoint = A.H @ expected
    for repeated in results:
        for forward, backward in repeated:
            assert (forward == expected).all()
            assert (backward == adjoint).all()
    assert total(x) == x.sum()
    """,
            env={"NUMBA_THREADING_LAYER": layer},
            timeout=200,
        )

    @pytest.mark.slow
    @COMPILED
    def test_fault_28_compiled_once(self):
        """Eight threads that all find nothing compiled: one of them does it."""
        run(
            SHARED
            + """
    from numba.core import event

    start = threading.Barrier(8)
    def product(_):
        start.wait()
        return A @ x
    with event.install_recorder("numba:compile") as recorder:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(product, range(8)))
    begun = [e.data for _, e in recorder.buffer if e.is_start]
    compiled = [(each["dispatcher"], each["args"]) for each in begun]
    assert compiled and len(compiled) == len(set(compiled)), compiled
    assert all((result == expected).all() for result in results)
    """,
            env={"DHOP_DISABLE_CACHE": "1", "NUMBA_OPT": "0"},
        )

    @pytest.mark.slow
    def test_fault_28_dask_and_joblib_threads(self):
        pytest.importorskip("dask")
        pytest.importorskip("joblib")
        run(
            SHARED
            + """
    import dask
    from joblib import Parallel, delayed
    tasks = [dask.delayed(A.matvec)(x) for _ in range(40)]
    for result in dask.compute(*tasks, scheduler="threads", num_workers=8):
        assert (result == expected).all()
    for result in Parallel(8, backend="threading")(delayed(A.matvec)(x) for _ in range(40)):
        assert (result == expected).all()
    """,
            warnings="ignore",  # of dask's own
        )


# While a thread of the parent goes on using the operator.
BUSY = """
    assert (A @ x == expected).all()
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            assert (A @ x == expected).all()
            time.sleep(0.002)  # about as long
    thread = threading.Thread(target=busy)
    thread.start()
"""
QUIET = """
    stop.set()
    thread.join()
    assert (A @ x == expected).all()
"""


class TestFault29:
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
    def test_fault_29_fork_and_the_childs_fork(self):
        """The pool is the parent's: the child makes its own."""
        run(
            SHARED
            + BUSY
            + """
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
    assert codes == [0, 0, 0], codes
    """
            + QUIET,
            warnings="ignore::DeprecationWarning",  # Python 3.12 warns of forks next to threads
            timeout=30,
        )

    @pytest.mark.slow
    def test_fault_29_multiprocessing(self):
        """Pickles of A, A.H, A.T and 2 * A load in the child, and multiply as here.

        In all ways to start one that the platform has.
        """
        run(
            SHARED
            + BUSY
            + """
    for method in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            for derived in (A, A.H, A.T, 2 * A):
                operand = x if derived.shape[1] == len(x) else expected
                result = pool.submit(operator.matmul, derived, operand).result(timeout=30)
                assert (result == derived @ operand).all()
    """
            + QUIET,
            warnings="ignore::DeprecationWarning",
            timeout=60,
        )

    @pytest.mark.slow
    def test_fault_29_joblib_processes(self):
        """Which say how many threads each of them may use."""
        pytest.importorskip("joblib")
        run(
            SHARED
            + BUSY
            + """
    from joblib import Parallel, delayed
    from dhop.runtime import parallel
    derived = [A, A.H, A.T, 2 * A]
    operands = [x if each.shape[1] == len(x) else expected for each in derived]
    with Parallel(2) as pool:
        tasks = (delayed(operator.matmul)(*pair) for pair in zip(derived, operands))
        for each, operand, result in zip(derived, operands, pool(tasks)):
            assert (result == each @ operand).all()
        threads = pool(delayed(parallel.threads)(1e9) for _ in range(2))
        share = max(1, parallel.available_cpus() // 2)
        assert max(threads) <= share, threads
    """
            + QUIET,
            warnings="ignore::DeprecationWarning",
            timeout=60,
        )
