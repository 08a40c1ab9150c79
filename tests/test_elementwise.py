"""Arithmetic block by block gives what it gives at once, bit for bit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import workers
from dhop.runtime.elementwise import BLOCK, elementwise, total

SIZES = [0, 1, 5, BLOCK - 1, BLOCK, BLOCK + 1, 40 * BLOCK + 3]  # the last on several threads


def combine(x, y, z):
    return np.maximum(x * y + z, 0.5 * x)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 3])
def test_is_the_function(size, dtype, count):
    x, y, z = np.random.default_rng(0).standard_normal((3, size)).astype(dtype)
    with workers(count):
        found = elementwise(combine, x, y, z)
    assert found.dtype == dtype
    assert_array_equal(found, combine(x, y, z))
    assert not any(np.shares_memory(found, each) for each in (x, y, z))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums(size, dtype):
    """In double precision, and the same for any number of threads."""
    x, y = np.random.default_rng(0).integers(0, 2**20, (2, size)).astype(dtype)
    whole, rounded = [], []
    for count in (1, 3, 7):
        with workers(count):
            whole.append(total(np.add, x, y))
            rounded.append(total(combine, x / 3, y, np.array(0.1)))
    assert whole == [int(x.astype(np.int64).sum() + y.astype(np.int64).sum())] * 3
    assert len(set(rounded)) == 1
    assert_allclose(rounded[0], combine(x / 3, y, np.array(0.1)).sum(dtype=float), rtol=1e-12)


def test_one_number_is_for_all_places():
    x = np.random.default_rng(0).standard_normal((3, BLOCK))
    two = np.array([2.0])
    assert_array_equal(elementwise(combine, x, two, np.array(1.0)), combine(x, 2, 1))


def test_each_block_has_the_caches_to_itself():
    sizes = []

    def look(x):
        sizes.append(x.size)
        return x

    elementwise(look, np.zeros(3 * BLOCK + 1))
    assert max(sizes) <= BLOCK
    assert sum(sizes) == 3 * BLOCK + 1


@pytest.mark.parametrize("count", [1, 3])
def test_floating_point_errors_are_treated_as_the_caller_does(count):
    huge = np.full(40 * BLOCK, 1e300)
    with workers(count):
        with np.errstate(over="ignore"):
            assert_array_equal(elementwise(np.square, huge), np.inf)
        with np.errstate(over="raise"), pytest.raises(FloatingPointError):
            elementwise(np.square, huge)


def test_a_dtype_of_its_own():
    x = np.random.default_rng(0).random(BLOCK + 1, np.float32)
    found = elementwise(lambda x: x.astype(float) / 3, x, dtype=np.float64)
    assert found.dtype == np.float64
    assert_array_equal(found, x.astype(float) / 3)


def test_lazy_arrays_stay_lazy():
    da = pytest.importorskip("dask.array")
    x = da.ones(6, chunks=3)
    found = elementwise(lambda x, y: x + y, x, 2 * x)
    assert isinstance(found, da.Array)
    assert_array_equal(found.compute(), np.full(6, 3.0))
