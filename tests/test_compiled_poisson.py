"""The compiled likelihood of photons, against its formula in long doubles."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import workers
from dhop.iteration.richardson_lucy import STRIDE, step
from dhop.kernels import poisson
from dhop.reconstruction import compiled_poisson
from dhop.reconstruction.compiled_poisson import CompiledPoissonLoss
from dhop.reconstruction.data_terms import PoissonLoss

GAIN = 2.5
SIZES = [1, 2, poisson.BLOCK - 1, poisson.BLOCK, poisson.BLOCK + 1, 3 * poisson.BLOCK + 7]


def frame(size, dtype, spread, seed=0):
    """Counts, backgrounds, weights, and a product with dark pixels."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(rng.choice([0.1, 4.0, 900.0], size)).astype(dtype)
    back = rng.random(size) + 0.1 if not spread else np.array([0.3])
    w = rng.choice([0.0, 1.0, 3.0], size) if not spread else np.array([2.0])
    product = (GAIN * rng.choice([-5.0, 1e-9, 3.0, 800.0], size) * rng.random(size)).astype(dtype)
    return n, back, w, product


def formula(n, back, w, product):
    """The loss and minus half its slope of each pixel."""
    n, back, w, product = (np.asarray(each, np.longdouble) for each in (n, back, w, product))
    m = np.maximum(product / GAIN + back, np.longdouble(1e-12))
    ratio = np.minimum(n / m, 1000)
    log = np.log(np.where(n > 0, ratio, 1))
    loss = 2 * w * (m - ratio * m + n * log)
    return loss, w * (ratio - 1) / GAIN


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [True, False])
def test_is_the_formula(size, dtype, spread):
    n, back, w, product = frame(size, dtype, spread)
    loss, fall = formula(n, back, w, product)
    data = CompiledPoissonLoss([n, n], [back, back], GAIN, [w, w])
    seen = data.evaluate(1, product)
    assert seen.descent.dtype == dtype
    rounding = 1e-14 * float(np.sum(w * (n + abs(product) + 1)))  # terms of a loss nearly cancel
    assert_allclose(seen.value, float(loss.sum()), rtol=1e-13, atol=rounding)
    assert (abs(seen.descent - fall) <= 4 * np.finfo(dtype).eps * (abs(fall) + 2 * w)).all()
    plain = PoissonLoss([n, n], [back, back], GAIN, [w, w]).evaluate(
        1, product
    )  # as chunks have it
    assert_allclose(plain.value, float(loss.sum()), rtol=1e-6, atol=1e9 * rounding)
    assert_allclose(plain.descent, fall.astype(float), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spread", [True, False])
def test_least_squares_near_it(size, spread):
    n, back, w, product = frame(size, np.float32, spread)
    found = CompiledPoissonLoss([n], [back], GAIN, [w]).quadratic_model(0, product)
    m = np.maximum(product.astype(np.longdouble) / GAIN + back, np.longdouble(1e-12))
    assert_allclose(found.weights, (w / (GAIN**2 * m)).astype(float), rtol=1e-6)
    assert_allclose(found.square, float((w * (n - m) ** 2 / m).sum()), rtol=1e-6)
    assert found.weights.dtype == np.float32  # as the product
    assert_array_equal(found.robustness, np.ones(size))


def test_logarithms():
    """Of ratios of all sizes: that of one expected photon, on a single pixel each."""
    ones, fall = np.ones(1), np.empty(1)
    for n in np.concatenate([np.geomspace(1e-9, 999, 150), 1 + np.geomspace(1e-6, 0.5, 50)]):
        sums = np.empty(1)
        poisson.poisson_loss(np.array([n]), np.zeros(1), ones, 1.0, ones, 0, 1, fall, sums)
        number = np.longdouble(n)
        log = (np.longdouble(sums[0]) / 2 - (1 - number)) / number
        terms = 1 + abs(1 - number) + number * abs(np.log(number))
        assert abs(log - np.log(number)) <= 4e-16 * terms / number


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_step(size, dtype):
    """Against the formula of arrays; twice as far, unless a pixel would get too dark."""
    rng = np.random.default_rng(size)
    scale, x, before = (rng.random(size).astype(dtype) for _ in range(3))
    r = (3 * rng.standard_normal(size)).astype(dtype)
    found = compiled_poisson.step(scale, r, x, before, STRIDE, 0.4)
    s, g, now, last = (each.astype(float) for each in (scale, r, x, before))
    plain = now * (1 + s * g)
    far = now + 2 * (plain - now) + 0.4 * (now - last)
    assert_allclose(
        found, np.maximum(far, 0.8 * plain.clip(0)), rtol=0, atol=8 * np.finfo(dtype).eps
    )
    assert found.dtype == dtype
    assert_allclose(step(scale, r, x, before, STRIDE, 0.4), found, atol=16 * np.finfo(dtype).eps)
    r[0] = np.nan
    assert np.isnan(compiled_poisson.step(scale, r, x, before, STRIDE, 0.4)[0])


def test_no_number_stays_none():
    n, back, w, product = frame(20, np.float64, True)
    product[7] = np.nan
    data = CompiledPoissonLoss([n], [back], GAIN, [w])
    seen = data.evaluate(0, product)
    assert np.isnan(seen.value)
    assert_array_equal(np.flatnonzero(np.isnan(seen.descent)), [7])


def test_has_the_same_bits_on_any_threads(monkeypatch):
    n, back, w, product = frame(9 * poisson.BLOCK + 5, np.float32, False)
    data = CompiledPoissonLoss([n], [back], GAIN, [w])
    expected = data.evaluate(0, product)
    for many in (1, 2, 4, 9):
        edges = [10 * k // many for k in range(many + 1)]
        monkeypatch.setattr(compiled_poisson, "row_blocks", lambda *_, e=edges: list(pairwise(e)))
        with workers(many):
            for found, before in zip(data.evaluate(0, product), expected, strict=True):
                assert_array_equal(found, before)
