"""Memory that is borrowed or lent is nobody else's, begins on cache lines, and is used again."""

import gc
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from child import run

from dhop import DHOperator
from dhop.runtime import workspace
from dhop.runtime.workspace import Borrowed


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    monkeypatch.setattr(workspace, "_waiting", {})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes(dtype):
    with Borrowed(np.dtype(dtype), (3, 5), (0, 4), (7,), ()) as arrays:
        assert [each.shape for each in arrays] == [(3, 5), (0, 4), (7,), ()]
        for k, each in enumerate(arrays):
            assert each.dtype == dtype
            assert each.ctypes.data % workspace.LINE == 0
            each[...] = k
        for k, each in enumerate(arrays):
            assert np.all(each == k)


def test_used_again():
    with Borrowed(np.dtype(float), (1000,)) as (first,), Borrowed(np.dtype(float), (1000,)) as rest:
        assert not np.shares_memory(first, rest[0])
        places = {first.ctypes.data, rest[0].ctypes.data}
    with Borrowed(np.dtype(float), (990,)) as (again,):
        assert again.ctypes.data in places
    with Borrowed(np.dtype(float), (9000,)) as (other,):
        assert other.ctypes.data not in places


def test_given_back_after_an_error():
    with pytest.raises(KeyError), Borrowed(np.dtype(float), (10,)):
        raise KeyError
    assert sum(map(len, workspace._waiting.values())) == 1


def test_what_waits_is_bounded(monkeypatch):
    """The newest is kept, unless it alone is too large; no more than needed goes for it."""
    monkeypatch.setattr(workspace, "KEPT", 20_000)
    for numbers, sizes in (
        (1000, [8192]), (600, [5120, 8192]), (2000, [16384]), (3000, [16384]), (500, [4096]),
        (1700, [4096, 14336]), (600, [5120, 14336]),
    ):  # fmt: skip
        with Borrowed(np.dtype(float), (numbers,)):
            pass
        assert sorted(size for size, waiting in workspace._waiting.items() if waiting) == sizes
        assert all(len(waiting) <= 1 for waiting in workspace._waiting.values())


def test_less_waits_where_memory_is_short(monkeypatch):
    monkeypatch.setattr(workspace, "_free_at_first", lambda: 16 * 10_000)
    for numbers, sizes in ((1000, [8192]), (600, [5120]), (2000, [5120])):
        with Borrowed(np.dtype(float), (numbers,)):
            pass
        assert sorted(size for size, waiting in workspace._waiting.items() if waiting) == sizes


def test_one_too_many_loses_one(monkeypatch):
    """As many of one size as there is room for wait; nobody has one that another one has."""
    monkeypatch.setattr(workspace, "KEPT", 20_000)
    for _ in range(2):
        lent = [workspace._take(4096) for _ in range(6)]
        assert len({each.ctypes.data for each in lent}) == 6
        for each in lent:
            workspace._give(each)
        assert len(workspace._waiting[4096]) == 4


@pytest.mark.parametrize("size", [0, 1, 64, 1000, 1024, 1025, 10**6, 2**30 + 1])
def test_little_is_wasted(size):
    rounded = workspace._rounded(size)
    assert rounded % workspace.LINE == 0
    assert size <= rounded < size * 1.125 + workspace.LINE


def test_threads_do_not_share():
    def work(k):
        with Borrowed(np.dtype(float), (500,)) as (array,):
            array[:] = k
            return all(np.all(array == k) for _ in range(50))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))


class TestEmpty:
    """Large results; what is large is brought down to a few numbers here."""

    @pytest.fixture(autouse=True)
    def large(self, monkeypatch):
        monkeypatch.setattr(workspace, "LARGE", 1000)

    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
    @pytest.mark.parametrize("shape", [(), (0, 3), (5, 4), (1000,), (3, 50, 40)])
    def test_array(self, shape, dtype):
        array = workspace.empty(shape, np.dtype(dtype))
        assert (array.shape, array.dtype, type(array)) == (shape, dtype, np.ndarray)
        assert array.flags.c_contiguous
        assert array.flags.aligned
        assert array.flags.writeable
        array[...] = 1
        assert np.array_equal(pickle.loads(pickle.dumps(array)), np.ones(shape))

    def test_little_is_left_to_the_library(self):
        assert workspace.empty((100,), np.dtype(float)).flags.owndata
        assert workspace.empty((workspace.KEPT + 1,), np.dtype(np.uint8)).flags.owndata

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "view", [np.ravel, np.transpose, lambda a: a[3:, ::-1], lambda a: a.view(np.uint8)]
    )
    def test_views_keep_it(self, view):
        array = workspace.empty((20, 30), np.dtype(float))
        array[:] = np.arange(600.0).reshape(20, 30)
        place, kept = array.ctypes.data, view(array)
        expected = kept.copy()
        del array
        gc.collect()
        other = workspace.empty((20, 30), np.dtype(float))
        other[:] = -1
        assert other.ctypes.data != place
        assert np.array_equal(kept, expected)
        del kept
        gc.collect()
        assert workspace.empty((20, 30), np.dtype(float)).ctypes.data == place

    @pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
    def test_no_room(self, monkeypatch):
        """A plain MemoryError, and nothing is given back that was never there."""

        def full(size):
            raise MemoryError

        monkeypatch.setattr(workspace, "_aligned", full)
        with pytest.raises(MemoryError):
            workspace.empty((1000,), np.dtype(float))
        gc.collect()
        assert not any(workspace._waiting.values())

    @pytest.mark.parametrize("method", ["direct", "separable", "fft"])
    def test_products_that_are_kept(self, method):
        """None is overwritten by a later one, and what is let go of is used again."""
        A = DHOperator((24, 26), np.ones((5, 3)), 2, method=method)
        images = np.random.default_rng(0).random((6, *A.dims))
        expected = [A.degrade(each).copy() for each in images]
        results = [A.degrade(each) for each in images]
        back = [A.H @ A.matvec(each.ravel()) for each in images]
        for result, each, other in zip(results, expected, back, strict=True):
            assert np.array_equal(result, each)
            assert np.array_equal(other, A.H @ each.ravel())

    def test_at_exit(self):
        """An array that outlives its module is no cause for a message."""
        run("""
    import os, sys
    import numpy as np
    from dhop.runtime import workspace
    sys.unraisablehook = lambda error: os._exit(1)
    sys.kept = workspace.empty((2**22,), np.dtype(float))
    assert not sys.kept.flags.owndata
    """)
