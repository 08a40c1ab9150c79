"""Fisher's scoring, on Poisson regression, against a general minimiser of SciPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from dhop.iteration.scoring import scoring

rng = np.random.default_rng(0)
TERMS = np.stack([np.ones(80), *rng.uniform(-1, 1, (2, 80))], axis=1)
COUNTS = rng.poisson(np.exp(TERMS @ [1.0, 0.7, -0.4]))


def likelihood(x):
    """The negative logarithm, its gradient, and its second derivatives."""
    expected = np.exp(TERMS @ x)
    gradient = TERMS.T @ (expected - COUNTS)
    value = float(np.sum(expected - COUNTS * (TERMS @ x)))
    return value, gradient, TERMS.T @ (expected[:, None] * TERMS)


@pytest.mark.parametrize("start", [[0, 0, 0], [6, -3, 3], [-9, 0, 9]])
@pytest.mark.parametrize(
    "bounds",
    [
        [(-9, 9)] * 3,
        [(-9, 9), (-9, 0.5), (-9, 9)],
        [(-9, 9), (2, 2), (-9, 9)],
        [(-9, -3), (-9, 9), (0, 9)],
        [(1, 1), (0, 0), (0.5, 0.5)],
    ],
)
def test_minimum_between_bounds(start, bounds):
    found, value = scoring(likelihood, start, bounds)
    low, high = np.transpose(bounds)
    assert np.all((low <= found) & (found <= high))
    known = minimize(
        lambda x: likelihood(x)[:2], np.clip(start, low, high), jac=True, bounds=bounds,
        method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000},
    )  # fmt: skip
    assert_allclose(found, known.x, atol=1e-3)
    assert value == likelihood(found)[0] <= known.fun + 1e-6 * abs(known.fun)


def test_few_evaluations():
    """A search without second derivatives takes some thirty."""
    calls = []
    scoring(lambda x: calls.append(x) or likelihood(x), [0, 0, 0], [(-9, 9)] * 3)
    assert len(calls) <= 10


def test_a_parameter_without_any_effect_holds_no_other():
    """Its step would be endless, that of others must not become short beside it."""

    def more(x):
        value, gradient, second = likelihood(x[:3])
        whole = np.zeros((4, 4))
        whole[:3, :3] = second
        whole[3, 3] = 1e-12
        return value + 1e-7 * x[3], np.append(gradient, 1e-7), whole

    found, _ = scoring(more, [0, 0, 0, 0], [(-9, 9)] * 3 + [(-99, 99)])
    assert_allclose(found[:3], scoring(likelihood, [0, 0, 0], [(-9, 9)] * 3)[0], atol=1e-4)


def test_values_that_are_not_finite_are_no_gain():
    def walled(x):
        value, gradient, second = likelihood(x)
        return (np.nan if x[0] > 1.5 else value), gradient, second

    found, value = scoring(walled, [-3, 0, 0], [(-9, 9)] * 3)
    assert np.isfinite(value)
    assert found[0] <= 1.5
