"""The compiled likelihood of photons, against its formula in long doubles."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import workers
from dhop.kernels import poisson
from dhop.reconstruction import compiled_poisson
from dhop.reconstruction.compiled_poisson import CompiledPoissonLoss
from dhop.reconstruction.data_terms import PoissonLoss

GAIN = 2.5
SIZES = [1, 2, poisson.BLOCK - 1, poisson.BLOCK, poisson.BLOCK + 1, 3 * poisson.BLOCK + 7]


def frame(size, dtype, spread, seed=0):
    """Counts, backgrounds, weights, a product with dark pixels, and two ways that it may go."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(rng.choice([0.1, 4.0, 900.0], size)).astype(float)
    back = rng.random(size) + 0.1 if not spread else np.array([0.3])
    w = rng.choice([0.0, 1.0, 3.0], size) if not spread else np.array([2.0])
    product = (GAIN * rng.choice([-5.0, 1e-9, 3.0, 800.0], size) * rng.random(size)).astype(dtype)
    ways = [(rng.standard_normal(size) * abs(product)).astype(dtype) for _ in range(2)]
    return n, back, w, product, *ways


def formula(n, back, w, product):
    """The loss, minus half its slope and half its curvature of each pixel."""
    n, back, w, product = (np.asarray(each, np.longdouble) for each in (n, back, w, product))
    m = np.maximum(product / GAIN + back, np.longdouble(1e-12))
    ratio = np.minimum(n / m, 1000)
    log = np.log(np.where(n > 0, ratio, 1))
    loss = 2 * w * (m - ratio * m + n * log)
    return loss, w * (ratio - 1) / GAIN, w * ratio / (GAIN**2 * m)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [True, False])
def test_is_the_formula(size, dtype, spread):
    n, back, w, product, one, other = frame(size, dtype, spread)
    loss, fall, _ = formula(n, back, w, product)
    data = CompiledPoissonLoss([n, n], [back, back], GAIN, [w, w])
    seen = data.evaluate(1, product)
    assert seen.descent.dtype == dtype
    rounding = 1e-14 * float(np.sum(w * (n + abs(product) + 1)))  # terms of a loss nearly cancel
    assert_allclose(seen.value, float(loss.sum()), rtol=1e-13, atol=rounding)
    assert (abs(seen.descent - fall) <= 4 * np.finfo(dtype).eps * (abs(fall) + 2 * w)).all()
    assert_allclose(data.cost([product] * 2), 2 * float(loss.sum()), rtol=1e-13, atol=2 * rounding)
    t = np.array([0.3, -0.2])
    p, a, b = (each.astype(np.longdouble) for each in (product, one, other))
    _, fall, bent = formula(n, back, w, np.maximum(p + t[0] * a + t[1] * b, 1e-3 * p))
    terms = [fall * a, fall * b, bent * a * a, bent * a * b, bent * b * b]
    found = data.directional_derivatives([product] * 2, ([one] * 2, [other] * 2), t)
    for number, term in zip(found, terms, strict=True):
        assert_allclose(number, 2 * float(term.sum()), atol=1e-13 * float(abs(term).sum()))
    plain = PoissonLoss([n, n], [back, back], GAIN, [w, w])  # as chunks have it
    found = plain.directional_derivatives([product] * 2, ([one] * 2, [other] * 2), t)
    for number, term in zip(found, terms, strict=True):
        assert_allclose(number, 2 * float(term.sum()), atol=1e-6 * float(abs(term).sum()))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spread", [True, False])
def test_least_squares_near_it(size, spread):
    n, back, w, product, *_ = frame(size, np.float32, spread)
    found = CompiledPoissonLoss([n], [back], GAIN, [w]).quadratic_model(0, product)
    m = np.maximum(product.astype(np.longdouble) / GAIN + back, np.longdouble(1e-12))
    assert_allclose(found.weights, (w / (GAIN**2 * m)).astype(float), rtol=1e-6)
    assert_allclose(found.square, float((w * (n - m) ** 2 / m).sum()), rtol=1e-6)
    assert found.weights.dtype == np.float64
    assert_array_equal(found.robustness, np.ones(size))


def test_logarithms():
    """Of ratios of all sizes: that of one expected photon, on a single pixel each."""
    ones, fall = np.ones(1), np.zeros(0)
    for n in np.concatenate([np.geomspace(1e-9, 999, 150), 1 + np.geomspace(1e-6, 0.5, 50)]):
        sums = np.empty(1)
        poisson.poisson_loss(np.array([n]), np.zeros(1), ones, 1.0, ones, 0, 1, fall, sums)
        number = np.longdouble(n)
        log = (np.longdouble(sums[0]) / 2 - (1 - number)) / number
        terms = 1 + abs(1 - number) + number * abs(np.log(number))
        assert abs(log - np.log(number)) <= 4e-16 * terms / number


def test_no_number_stays_none():
    n, back, w, product, one, other = frame(20, np.float64, True)
    product[7] = np.nan
    data = CompiledPoissonLoss([n], [back], GAIN, [w])
    seen = data.evaluate(0, product)
    assert np.isnan(seen.value)
    assert_array_equal(np.flatnonzero(np.isnan(seen.descent)), [7])
    assert np.isnan(data.directional_derivatives([product], ([one], [other]), np.zeros(2))).all()


def test_has_the_same_bits_on_any_threads(monkeypatch):
    several = [frame(9 * poisson.BLOCK + 5, np.float32, False, seed) for seed in range(3)]
    n, back, w, product, one, other = (list(each) for each in zip(*several, strict=True))
    data = CompiledPoissonLoss(n, back, GAIN, w)

    def all_of_it():
        return [
            data.cost(product),
            data.directional_derivatives(product, (one, other), np.array([1.0, 0.5])),
            data.evaluate(2, product[2]).descent,
        ]

    expected = all_of_it()
    for many in (1, 2, 4, 9):
        edges = [10 * k // many for k in range(many + 1)]
        monkeypatch.setattr(compiled_poisson, "row_blocks", lambda *_, e=edges: list(pairwise(e)))
        with workers(many):
            for found, before in zip(all_of_it(), expected, strict=True):
                assert_array_equal(found, before)
