"""Iterations against dense solves."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import nnls
from scipy.sparse.linalg import aslinearoperator, lsmr, lsqr

from dhop.iteration.bidiagonalisation import Bidiagonalisation
from dhop.iteration.steps import conjugate_gradients, norm, projected_gradients

RNG = np.random.default_rng(0)


def system(dtype=float, size=25):
    B = RNG.standard_normal((40, size)) * np.logspace(0, -2, size)
    if dtype is complex:
        B = B + 1j * RNG.standard_normal((40, size)) * np.logspace(0, -2, size)
    b = B.conj().T @ RNG.standard_normal(40)
    return B.conj().T @ B + 0.01 * np.eye(size), b


def after(steps, count):
    """Iterate and residual after so many steps."""
    for _ in range(count):
        next(steps)
    return next(steps)


@pytest.mark.parametrize("dtype", [float, complex])
def test_conjugate_gradients(dtype):
    N, b = system(dtype)
    given = b.copy()
    for start in (np.zeros_like(b), RNG.standard_normal(25).astype(b.dtype)):
        first, residual = next(conjugate_gradients(lambda v: N @ v, b, start.copy()))
        assert_array_equal(first, start)
        assert_allclose(residual, np.linalg.norm(b - N @ start))
        x, residual = after(conjugate_gradients(lambda v: N @ v, b, start.copy()), 80)
        assert_allclose(x, np.linalg.solve(N, b), rtol=0, atol=1e-10)
        assert residual < 1e-10
    assert_array_equal(b, given)


def test_residuals_are_those_of_the_iterates():
    N, b = system()
    for count in (1, 3, 7):
        x, residual = after(conjugate_gradients(lambda v: N @ v, b, np.zeros(25)), count)
        assert_allclose(residual, np.linalg.norm(b - N @ x), rtol=1e-8)


def test_a_preconditioner_that_is_the_inverse_needs_one_step():
    N, b = system()
    inverse = np.linalg.inv(N)
    x, residual = after(
        conjugate_gradients(lambda v: N @ v, b, np.zeros(25), lambda r: inverse @ r), 1
    )
    assert residual < 1e-10
    assert_allclose(x, inverse @ b, rtol=0, atol=1e-9)


def test_conjugate_gradients_of_nothing():
    """Once there is no residual the iterate stays."""
    N, b = system()
    solution = np.linalg.solve(N, b)
    for rhs, start in ((0 * b, 0 * b), (N @ solution, solution.copy())):
        x, residual = after(conjugate_gradients(lambda v: N @ v, rhs, start.copy()), 5)
        assert_allclose(x, start, rtol=0, atol=1e-10)
        assert residual < 1e-10
    x, _ = after(conjugate_gradients(lambda v: 0 * v, 0 * b, 0 * b), 3)
    assert_array_equal(x, 0 * b)


def test_projected_gradients():
    N, b = system()
    L = np.linalg.cholesky(N).T
    expected = nnls(L, np.linalg.solve(L.T, b))[0]
    assert (expected == 0).any()
    steps = projected_gradients(lambda v: N @ v, b, np.zeros(25), np.linalg.norm(N, 2))
    x, residual = after(steps, 3000)
    assert_allclose(x, expected, rtol=0, atol=1e-10)
    assert residual < 1e-10


def test_zeros_are_the_first_guess():
    N, b = system()
    makers = (
        lambda b, x: conjugate_gradients(lambda v: N @ v, b, x),
        lambda b, x: projected_gradients(lambda v: N @ v, b, x, np.linalg.norm(N, 2)),
    )
    for make in makers:
        found, expected = make(b.copy(), None), make(b, np.zeros(25))
        for _ in range(5):
            (x, residual), (y, other) = next(found), next(expected)
            assert_array_equal(x, y)
            assert residual == other


def test_bounds_from_below():
    N, b = system()
    low = RNG.standard_normal(25)
    L = np.linalg.cholesky(N).T
    expected = low + nnls(L, np.linalg.solve(L.T, b - N @ low))[0]
    assert (expected == low).any()
    steps = projected_gradients(lambda v: N @ v, b, low, np.linalg.norm(N, 2), low=low)
    x, residual = after(steps, 5000)
    assert (x >= low).all()
    assert_allclose(x, expected, rtol=0, atol=1e-9)
    assert residual < 1e-10


@pytest.mark.parametrize("method", ["conjugate", "projected"])
def test_iterates_are_told_before_worse_ones(method):
    """Those after which the norm grows, as they were."""
    N = np.diag(np.logspace(0, -6, 25))
    b = N @ RNG.standard_normal(25) + 1e-3
    told, seen = [], []

    def save(x, residual):
        told.append((x.copy(), residual))

    steps = (
        conjugate_gradients(lambda v: N @ v, b, save=save)
        if method == "conjugate"
        else projected_gradients(lambda v: N @ v, b, None, 1.0, save=save)
    )
    for _ in range(120):
        x, residual = next(steps)
        seen.append((x.copy(), residual))
    expected = [one for one, other in pairwise(seen) if other[1] > one[1]]
    assert expected
    assert len(told) == len(expected)
    for one, other in zip(told, expected, strict=True):
        assert_array_equal(one[0], other[0])
        assert one[1] == other[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, complex])
def test_norm(dtype):
    x = RNG.standard_normal(1000).astype(dtype)
    tiny, large = {np.float32: (-140, 125), np.float64: (-1060, 1020)}.get(dtype, (-1000, 1000))
    for power in (0, tiny, -60, 60, large):
        scaled = (x * 2.0**power).astype(dtype)
        wide = np.abs(scaled.astype(np.clongdouble))
        assert_allclose(norm(scaled), float(np.sqrt((wide**2).sum())), rtol=1e-5)
    assert norm(0 * x) == 0
    assert np.isnan(norm(np.nan * x))
    assert norm(np.where(x == x[0], np.inf, x)) == np.inf


@pytest.mark.parametrize("solver", [lsqr, lsmr])
@pytest.mark.parametrize("dtype", [float, complex])
def test_bidiagonalisation_knows_the_gradients(solver, dtype):
    if solver is lsqr and dtype is complex:
        pytest.skip("scipy's lsqr is for real numbers")
    B = (
        RNG.standard_normal((40, 25))
        * np.logspace(0, -2, 25)
        * (1 + 0.5j if dtype is complex else 1)
    )
    y = RNG.standard_normal(40).astype(dtype)
    limit = "iter_lim" if solver is lsqr else "maxiter"
    options = {"atol": 0, "btol": 0, "conlim": 0}
    norms = []
    watched = Bidiagonalisation(
        aslinearoperator(B), np.linalg.norm(y), solver.__name__, norms.append
    )
    solver(watched.operator(), y, **options, **{limit: 12})
    for count, found in enumerate(norms, 1):
        x = solver(B, y, **options, **{limit: count})[0]
        assert_allclose(found, np.linalg.norm(B.conj().T @ (y - B @ x)), rtol=1e-8)
    assert len(norms) == 12
