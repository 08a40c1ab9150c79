"""Quasi-Newton steps on small dense problems, against SciPy."""

from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import lsq_linear

from dhop.iteration.quasi_newton import MEMORY, SIZED, quasi_newton
from dhop.iteration.steps import BLOCK, inner_products

RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((60, 40)) * np.geomspace(1, 30, 40)
DATA = MATRIX @ RNG.standard_normal(40) + RNG.standard_normal(60)
HALF_CURVATURE = np.linalg.norm(MATRIX, 2) ** 2


class Squares(NamedTuple):
    value: float
    residual: np.ndarray


def squares(x):
    r = DATA - MATRIX @ x.astype(np.float64)
    return Squares(float(r @ r), MATRIX.T @ r)


def near(r):
    """The inverse of the diagonal."""
    return r / (MATRIX**2).sum(axis=0)


def solved(count, dtype=np.float64, **settings):
    start = np.full(40, 0.1, dtype)
    return list(islice(quasi_newton(squares, start, 1 / HALF_CURVATURE, **settings), count))


@pytest.mark.parametrize("precondition", [None, near])
@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0, np.inf), (-0.3, 0.4)])
def test_least_squares_within_bounds(bounds, precondition):
    low, high = bounds
    steps = solved(1000, low=low, high=high, precondition=precondition)
    expected = lsq_linear(MATRIX, DATA, bounds, tol=1e-14, max_iter=1000).x
    assert_allclose(steps[-1][0], expected, atol=1e-6)
    values = [evaluation.value for _, evaluation in steps]
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(values))


def test_single_precision():
    x = solved(400, np.float32, low=0, precondition=near)[-1][0]
    assert x.dtype == np.float32
    assert_allclose(x, lsq_linear(MATRIX, DATA, (0, np.inf), tol=1e-14).x, atol=1e-4)


def test_the_preconditioner_is_asked_about_once_an_iteration():
    asked = []

    def counted(r):
        asked.append(r)
        return near(r)

    steps = solved(31, low=0, precondition=counted)
    assert len(steps) == 31
    assert len(asked) <= 30 * (1 + 1 / SIZED) + MEMORY


def test_the_preconditioner_helps():
    def iterations(precondition):
        steps = solved(1000, precondition=precondition)
        sizes = [np.linalg.norm(evaluation.residual) for _, evaluation in steps]
        return int(np.argmax(np.array(sizes) <= 1e-6 * sizes[0]))

    assert 0 < 2 * iterations(near) < iterations(None)


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, 2 * BLOCK + 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inner_products(size, dtype):
    """Of integers, whose sums are exact in any order; an array may be on both sides."""
    a, b, c = np.random.default_rng(0).integers(-3, 4, (3, size)).astype(dtype)
    pairs = [(a, b), (b, b), (a, c), (c, a)]
    exact = [int(np.sum(one * other, dtype=np.int64)) for one, other in pairs]
    assert inner_products(pairs) == exact
    free = a > 0
    exact = [int(np.sum((one * other)[free], dtype=np.int64)) for one, other in pairs]
    assert inner_products(pairs, free) == exact
    assert inner_products([(a.reshape(1, size), b.reshape(1, size))]) == inner_products([(a, b)])
