"""The norm of a gradient where bounds let it be, against its formula in long doubles."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dhop import workers
from dhop.kernels.bounds import BLOCK
from dhop.reconstruction.bounds import EVERYTHING, free_norm

BOXES = [EVERYTHING, (0.0, np.inf), (-np.inf, 0.5), (0.2, 0.7)]


def formula(r, x, strength, box):
    r, x = r.astype(np.longdouble), x.astype(np.longdouble)
    with np.errstate(invalid="ignore"):  # no strength times an infinite way
        for limit, keep in zip(box, (np.fmax, np.fmin), strict=True):
            r = keep(r, strength * (limit - x))
    return float(np.sqrt(np.sum(r * r)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("strength", [0.0, 1e-3, 3.0])
@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, 3 * BLOCK + 7])
def test_is_the_formula(size, strength, box, dtype):
    rng = np.random.default_rng(size)
    r = rng.standard_normal(size).astype(dtype)
    x = rng.choice([0.0, 0.2, 0.7, 1.0], size) * rng.random(size)
    expected = formula(r, x.astype(dtype), strength, box)
    assert_allclose(
        free_norm(r, x, strength, box), expected, rtol=1e-4 if box == EVERYTHING else 8e-7
    )


@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1e30, 1e200])
def test_squares_out_of_range(unit):
    r, x = unit * np.array([-3.0, 4.0, -5.0]), unit * np.array([1.0, 2.0, 0.0])
    assert_allclose(free_norm(r, x, 2.0, (0.0, np.inf)), unit * np.hypot(2, 4), rtol=1e-15)


def test_nothing_is_free():
    assert free_norm(np.array([-1.0, -2.0]), np.zeros(2), 1.0, (0.0, 1.0)) == 0


@pytest.mark.parametrize("box", BOXES)
def test_no_number(box):
    r = np.array([1.0, np.nan])
    assert np.isnan(free_norm(r, np.zeros(2), 1.0, box))


def test_any_number_of_workers():
    rng = np.random.default_rng(0)
    r, x = rng.standard_normal((2, 2**22))
    found = set()
    for count in (1, 2, 3, 7):
        with workers(count):
            found.add(free_norm(r, x, 1.0, (0.0, 2.0)))
    assert len(found) == 1


def test_lazy():
    da = pytest.importorskip("dask.array")
    rng = np.random.default_rng(0)
    r, x = rng.standard_normal((2, 40))
    for box in BOXES:
        lazy = free_norm(da.from_array(r, 7), da.from_array(x, 7), 1.5, box)
        assert_allclose(lazy, free_norm(r, x, 1.5, box), rtol=1e-14)
