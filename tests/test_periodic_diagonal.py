"""Deviations that repeat, against dense inverses and closed forms."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose

from dhop import psf, super_resolve
from dhop.reconstruction.posterior.covariance import Covariance
from dhop.reconstruction.posterior.periodic_diagonal import (
    NEGLIGIBLE,
    _Axis,
    _reaching,
    periodic_diagonal,
)
from dhop.reconstruction.problem import Problem

SHIFTS = np.array([[0.0], [0.3], [-0.4], [0.15], [-0.2], [0.45]])
BLUR = psf.gaussian((7,), 1.2)
SECOND = np.array([[1.0, -2.0, 1.0]])


def lines(factor, pixels=120, *, dims=None, boundary="symmetric", beta=0.01, **options):
    frames = np.random.default_rng(0).standard_normal((len(SHIFTS), pixels))
    return super_resolve(
        frames, BLUR, factor, shifts=SHIFTS, dims=dims, boundary=boundary, beta=beta, **options
    )


def dense(solution, boundary="symmetric"):
    """The inverse of the normal equations, and their part of the data."""
    (n,), factor = solution.image.shape, solution.image.size // solution.frames.shape[-1]
    data = np.zeros((n, n))
    for move in SHIFTS[:, 0] * factor:
        moved, center = psf.shift(BLUR[None], (0, move))
        A = oracle.matrix(
            (1, n), moved, (1, factor), center=center, boundary=boundary, decimation="mean"
        )
        data += A.T @ A
    S = oracle.matrix((1, n), SECOND, 1, boundary=boundary)
    return np.linalg.inv(data + solution.beta * S.T @ S), data


def of(solution, noise, probes=64):
    (one,) = solution._uncertainty.images
    return periodic_diagonal(one, noise, probes, np.random.default_rng(0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("factor", "boundary", "dims"),
    [(2, "symmetric", None), (3, "constant", None), (4, "reflect", None), (2, "edge", (241,))],
)
def test_lines(factor, boundary, dims):
    solution = lines(factor, dims=dims, boundary=boundary)
    K, N = dense(solution, boundary)
    for what, variances in ("posterior", K.diagonal()), ("noise", (K @ N @ K).diagonal()):
        assert of(solution, what == "noise") is not None
        found, error = solution.standard_deviation(0.3, what, return_error=True)
        true = np.sqrt(np.mean((found / (0.3 * np.sqrt(variances)) - 1) ** 2))
        assert true < 0.015
        assert true / 2 < error < max(2 * true, 0.01)


def test_images():
    """Against the closed form, which it does not look at."""
    frames, shifts = np.zeros((3, 90, 66)), [[0, 0], [0.3, -0.2], [-0.4, 0.1]]
    blur, weights = psf.gaussian(5, 1.0), [1.0, 2.0, 0.5]
    exact = super_resolve(frames, blur, 2, shifts=shifts, beta=0.01, boundary="wrap",
                          weights=weights)  # fmt: skip
    problem = Problem(exact.operator, frames, "laplacian", 0.01, "wrap")
    for what in "posterior", "noise":
        rng = np.random.default_rng(0)
        found = periodic_diagonal(Covariance(problem), what == "noise", 64, rng)
        ratio = np.sqrt(found.values) / exact.standard_deviation(1.0, what)
        true = np.sqrt(np.mean((ratio - 1) ** 2))
        assert true < 0.01
        assert true / 3 < found.error / 2 < max(3 * true, 0.005)


def test_a_target():
    target = psf.gaussian((9,), 1.5)
    solution = lines(2, target=target)
    assert of(solution, False) is not None
    G = oracle.matrix((1, 240), target[None], 1, boundary="symmetric")
    expected = np.sqrt((G @ dense(solution)[0] @ G.T).diagonal())
    assert_allclose(solution.standard_deviation(1.0), expected, rtol=0.05)


def test_what_does_not_repeat():
    """Holes, bounds, small images, and rows that reach from border to border."""
    mask = np.ones((len(SHIFTS), 120))
    mask[:, 40:44] = 0
    for solution in (
        lines(2, weights=list(mask)), lines(2, bounds=(-0.5, 0.5), maxiter=3), lines(2, 40),
        lines(2, beta=1e4), lines(2, regulariser="tv", maxiter=3, noise=1.0),
    ):  # fmt: skip
        assert of(solution, False) is None


def test_rows_that_reach_far():
    """A first guess of how far is too little."""
    solution = lines(2, 250, beta=10.0)
    found = of(solution, False, 100)
    expected = np.sqrt(dense(solution)[0].diagonal())
    assert_allclose(np.sqrt(found.values.ravel()), expected, rtol=0.05)


def test_how_far_rows_reach():
    """Those of the posterior, and the wider ones of what the noise makes, as dense rows do."""
    seen = set()
    for near in range(4, 32, 4):
        line = _Axis.build(10**4, 2, near)
        solution = lines(2, line.small // 2)
        (one,) = solution._uncertainty.images
        K, N = dense(solution)
        middle = line.small // 2
        beyond = abs(np.arange(line.small) - middle) >= line.border
        for noise, inverse in (False, K), (True, K @ N @ K):
            row = abs(inverse[middle])
            share = row[beyond].max() / row.max() / NEGLIGIBLE
            if 1 / 1.3 < share < 1.3:
                continue  # too near to tell
            reaching = _reaching(one, noise, [_Axis.whole(1), line])
            assert reaching == ([1] if share > 1 else [])
            seen.add((near, noise, bool(reaching)))
    assert {near for near, noise, far in seen if noise and far} > {
        near for near, noise, far in seen if not noise and far
    }
