"""Memory that is borrowed is nobody else's, begins on cache lines, and is used again."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dhop.methods import workspace
from dhop.methods.workspace import borrowed


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    monkeypatch.setattr(workspace, "_waiting", {})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes(dtype):
    with borrowed(np.dtype(dtype), (3, 5), (0, 4), (7,), ()) as arrays:
        assert [each.shape for each in arrays] == [(3, 5), (0, 4), (7,), ()]
        for k, each in enumerate(arrays):
            assert each.dtype == dtype
            assert each.ctypes.data % workspace.LINE == 0
            each[...] = k
        for k, each in enumerate(arrays):
            assert np.all(each == k)


def test_used_again():
    with borrowed(np.dtype(float), (1000,)) as (first,), borrowed(np.dtype(float), (1000,)) as rest:
        assert not np.shares_memory(first, rest[0])
        places = {first.ctypes.data, rest[0].ctypes.data}
    with borrowed(np.dtype(float), (990,)) as (again,):
        assert again.ctypes.data in places
    with borrowed(np.dtype(float), (9000,)) as (other,):
        assert other.ctypes.data not in places


def test_given_back_after_an_error():
    with pytest.raises(KeyError), borrowed(np.dtype(float), (10,)):
        raise KeyError
    assert sum(map(len, workspace._waiting.values())) == 1


def test_what_waits_is_bounded(monkeypatch):
    """The newest is kept, unless it alone is too large."""
    monkeypatch.setattr(workspace, "KEPT", 20_000)
    for numbers, sizes in ((1000, [8192]), (600, [5120, 8192]), (2000, [16384]), (3000, [])):
        with borrowed(np.dtype(float), (numbers,)):
            pass
        assert sorted(size for size, waiting in workspace._waiting.items() if waiting) == sizes
        assert all(len(waiting) <= 1 for waiting in workspace._waiting.values())


@pytest.mark.parametrize("size", [0, 1, 64, 1000, 1024, 1025, 10**6, 2**30 + 1])
def test_little_is_wasted(size):
    rounded = workspace._rounded(size)
    assert rounded % workspace.LINE == 0
    assert size <= rounded < size * 1.125 + workspace.LINE


def test_threads_do_not_share():
    def work(k):
        with borrowed(np.dtype(float), (500,)) as (array,):
            array[:] = k
            return all(np.all(array == k) for _ in range(50))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))
