"""Rounds of iterations on dense systems whose solution is known."""

from itertools import count

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop.iteration.iterative_refinement import (
    ROUGHEST,
    IterativeRefinement,
    TrueResidual,
    add_scaled,
    attainable_residual,
    by_conjugate_gradients,
    by_inverse,
    by_projected_gradients,
    power_of_two,
)
from dhop.iteration.steps import norm

RNG = np.random.default_rng(0)
SIZE = 24


class System:
    """``N x = b`` of a condition, and what was reported on the way."""

    def __init__(self, condition=1e3, dtype=np.float64, scale=1.0, nonnegative=False):
        Q = np.linalg.qr(RNG.standard_normal((SIZE, SIZE)))[0]
        self.N = (Q * np.logspace(0, -np.log10(condition), SIZE)) @ Q.T
        self.x = RNG.standard_normal(SIZE) * scale
        self.b = self.N @ self.x
        self.dtype, self.nonnegative = np.dtype(dtype), nonnegative
        self.scale = norm(self.b)
        self.reports = []

    def normal(self, x):
        return self.N.astype(x.dtype) @ x

    def inverse(self, error=0.0):
        M = np.linalg.inv(self.N)
        M += error * RNG.standard_normal(M.shape)
        return lambda r: (M @ r).astype(r.dtype)

    def true_residual(self, x):
        r = self.b - self.N @ x.astype(float)
        counts = np.minimum(-r, x) if self.nonnegative else r
        return TrueResidual(r, norm(counts), attainable_residual(x.dtype, 1.0, norm(x), self.scale))

    def rounds(self, rtol=1e-6, maxiter=400, start=None):
        x = np.zeros(SIZE, self.dtype) if start is None else start.astype(self.dtype)

        def report(size, image):
            self.reports.append((size, image().copy()))

        return IterativeRefinement(
            self.true_residual, x, self.true_residual(x), rtol * self.scale, maxiter, report
        )


def residual(system, rounds):
    return norm(system.b - system.N @ rounds.x.astype(float)) / system.scale


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_converged_to_the_limit_of_the_dtype(dtype, scale):
    system = System(1e3, dtype, scale)
    rounds = system.rounds(rtol=0.0)
    rounds.run(by_conjugate_gradients(system.normal))
    assert rounds.converged
    assert rounds.x.dtype == dtype
    error = np.finfo(dtype).eps * 4e3
    assert_allclose(rounds.x / scale, system.x / scale, rtol=0, atol=error)
    assert rounds.norm == system.true_residual(rounds.x).norm


def test_one_round_is_enough_where_the_claim_holds():
    system = System(1e2)
    judged = []
    before = system.true_residual
    system.true_residual = lambda x: judged.append(x) or before(x)
    rounds = system.rounds()
    rounds.run(by_conjugate_gradients(system.normal))
    assert rounds.converged
    assert len(judged) == 2
    assert rounds.taken == len(system.reports) < SIZE + 5


def test_reports_are_of_the_images_that_they_give():
    system = System(1e3)
    rounds = system.rounds(rtol=1e-10, start=RNG.standard_normal(SIZE))
    rounds.run(by_conjugate_gradients(system.normal))
    for size, image in system.reports:
        assert_allclose(size, system.true_residual(image).norm, rtol=1e-3, atol=1e-15)
    assert_array_equal(system.reports[-1][1], rounds.x)


def test_what_diverges_gives_the_best():
    """Iterates that come near and then go away for ever."""
    system = System()
    errors = np.r_[np.geomspace(1e-1, 1e-4, 6), np.geomspace(1e-3, 1e20, 60)]

    def steps(r, x, unit, save):
        target, last = system.x / unit, (None, np.inf)
        for error in errors:
            d = target * (1 + error)
            claim = norm(system.b) / unit * error
            if claim > last[1]:
                save(*last)
            last = d, claim
            yield d, claim

    for maxiter, patience in ((40, np.inf), (400, 10)):
        rounds = system.rounds(rtol=1e-9, maxiter=maxiter)
        rounds.run(steps, patience=patience)
        assert not rounds.converged
        assert rounds.taken <= maxiter
        assert_allclose(rounds.norm / system.scale, 1e-4, rtol=1e-6)


def test_corrections_aim_lower():
    """Claims that are too small by half: the second round makes good for it."""
    system = System()
    inverse = system.inverse()

    def steps(r, x, unit, save):
        for left in 0.9 ** np.arange(1, 400):
            yield (1 - left) * inverse(r), norm(r) * left / 1.5

    rounds = system.rounds(1e-6)
    rounds.run(steps)
    assert rounds.converged


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_left(bad):
    system = System()
    rounds = system.rounds(maxiter=50)
    rounds.run(lambda r, x, unit, save: iter([(r * bad, bad)]))
    assert rounds.taken == 1
    assert not rounds.converged
    assert_array_equal(rounds.x, np.zeros(SIZE))


@pytest.mark.parametrize("maxiter", [1, 2, 7])
def test_maxiter_counts_all_rounds(maxiter):
    system = System(1e8, np.float32)
    rounds = system.rounds(0.0, maxiter)
    rounds.solve(system.normal, None, False)
    assert rounds.taken == len(system.reports) == maxiter
    assert rounds.left == 0


class TestSolve:
    def test_an_inverse_takes_one_iteration(self):
        system = System()
        rounds = system.rounds(1e-10)
        assert not rounds.solve(system.normal, system.inverse(), True)
        assert rounds.converged
        assert rounds.taken == 1

    def test_an_inverse_with_an_error_is_refined(self):
        system = System(1e3)
        rounds = system.rounds(1e-12)
        assert not rounds.solve(system.normal, system.inverse(1e-4), True)
        assert rounds.converged
        assert 1 < rounds.taken < 12

    def test_an_inverse_that_is_none_is_left(self):
        system = System(1e3)
        for value in (np.nan, 0.0):
            rounds = system.rounds(1e-8)
            assert rounds.solve(system.normal, lambda r, v=value: np.full_like(r, v), True)
            assert rounds.converged
            alone = system.rounds(1e-8)
            assert not alone.solve(system.normal, lambda r, v=value: r * v, True, False)
            assert_array_equal(alone.x, np.zeros(SIZE))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_projected(dtype):
    from scipy.optimize import nnls

    system = System(1e2, dtype, nonnegative=True)
    L = np.linalg.cholesky(system.N).T
    expected = nnls(L, np.linalg.solve(L.T, system.b))[0]
    rounds = system.rounds(1e-7, 5000, start=np.full(SIZE, 100.0))
    rounds.run(by_projected_gradients(system.normal, 1.0), patience=50)
    assert rounds.converged
    assert rounds.x.min() == 0
    assert_allclose(rounds.x, expected, rtol=0, atol=1e-4)


def test_a_result_that_the_dtype_cannot_hold():
    system = System(10, np.float32, 1e40)
    with pytest.raises(ValueError, match="too large for float32"):
        system.rounds().run(by_inverse(system.inverse()))


def test_attainable_residual():
    assert attainable_residual(np.float64, 2.0, 3.0, 1.0) == 24 * 2.0**-52
    assert attainable_residual(np.float32, 2.0, 3.0, 1.0) == 24 * 2.0**-23
    assert attainable_residual(np.float32, 1e9, 1.0, 5.0) == 5 * ROUGHEST


def test_units():
    for number in (1.0, 1.5, 1e-30, 1e300, 5e-324, 7e-320):
        power = power_of_two(number)
        assert power <= number < 2 * power
        assert np.frexp(power)[0] == 0.5
    x, d = np.float32([1, 0]), np.float32([2, 1])
    assert_array_equal(add_scaled(x, 2.0**-149, d), np.float32([1, 2.0**-149]))
    assert add_scaled(x, 2.0**-149, d.astype(float)).dtype == np.float32


def test_endless_iterates_that_stand_still():
    system = System()
    calls = count()
    rounds = system.rounds()
    rounds.run(lambda r, x, unit, save: ((r, 1.0) for _ in calls))
    assert next(calls) < 5
