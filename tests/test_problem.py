"""The residual of several images, against dense matrices."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose

from dhop import DHOperator, FrameStack
from dhop.psf.stencils import stencils
from dhop.reconstruction import solvers
from dhop.reconstruction.problem import Problem

DIMS = (2, 3, 6, 8)
RANDOM = np.random.default_rng(1).random((4, 4))


@pytest.mark.parametrize("name", ["identity", "gradient", np.arange(6.0).reshape(2, 3)])
@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["none", "numbers", "maps"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("in_double_precision", [False, True])
def test_residual(name, beta, kind, dtype, in_double_precision):
    """Each image has weights of its own; what has none may be anything."""
    rng = np.random.default_rng(0)
    blurs = [oracle.integers(rng, (3, 4)), oracle.integers(rng, (2, 3))]
    operators = [DHOperator(DIMS, each, 2, boundary="reflect", dtype=dtype) for each in blurs]
    frames = oracle.integers(rng, (2, 2, 3, 3, 4)).astype(dtype)
    weights = {
        "none": None,
        "numbers": [0.5, 4.0],
        "maps": [rng.integers(0, 3, (2, 3, 3, 4)).astype(float), 2.0],
    }[kind]
    known = frames.copy()
    if kind == "maps":
        weights[0][1, 2] = 0
        frames[0][weights[0] == 0] = np.nan
    problem = Problem(FrameStack(operators, weights), frames, name, beta, "symmetric")
    problem = problem.in_double_precision() if in_double_precision else problem
    one = [oracle.matrix(DIMS[2:], each, 2, boundary="reflect") for each in blurs]
    dense = [np.kron(np.eye(6), each) for each in one]
    S = [oracle.matrix(DIMS[2:], each, 1, boundary="symmetric") for each in stencils(name)]
    P = np.kron(np.eye(6), sum(each.T @ each for each in S))
    W = [np.broadcast_to(1.0 if weights is None else weights[k], (2, 3, 3, 4)).ravel()
         for k in (0, 1)]  # fmt: skip
    for x in (None, oracle.integers(rng, int(np.prod(DIMS))).astype(dtype)):
        image = np.zeros(P.shape[0]) if x is None else x.astype(float)
        misfits = [y.ravel() - B @ image for B, y in zip(dense, known, strict=True)]
        expected = sum(B.T @ (w * m) for B, w, m in zip(dense, W, misfits, strict=True))
        expected = expected - beta * (P @ image)
        size = np.sqrt(sum(m @ (w * m) for w, m in zip(W, misfits, strict=True)))
        r, found = problem.normal_residual(x)
        assert r.dtype == np.float64
        assert_allclose(r, expected, rtol=0, atol=1e-14 * abs(expected).max())
        assert_allclose(found, size, rtol=1e-14)
    assert len(problem.images) == 6


def test_what_judges_takes_the_kernels_of_the_frames():
    """Twice two kernels take four seconds to compile, and a closed form multiplies once."""
    frames = np.ones((1, 32, 32))
    for blur, method in ((np.outer([1, 2, 1.0], [1, 3, 1.0]), "separable"), (RANDOM, "direct")):
        A = DHOperator((64, 64), blur, 2, method=method)
        problem = Problem(FrameStack([A]), frames, "laplacian", 1.0, "symmetric")
        assert problem.in_double_precision().S.method == method


@pytest.mark.parametrize("seed", range(6))
def test_the_bound_of_projected_gradients(seed):
    """No less than the largest eigenvalue, which Lanczos finds from below, and hardly more."""
    rng = np.random.default_rng(seed)
    dims, blur, beta = (6, 8), rng.random((3, 4)), 10.0 ** rng.uniform(-2, 2)
    A = DHOperator(dims, blur, 2, boundary="reflect")
    problem = Problem(FrameStack([A]), rng.random((1, 3, 4)), "laplacian", beta, "symmetric")
    one = oracle.matrix(dims, blur, 2, boundary="reflect")
    (S,) = (oracle.matrix(dims, each, 1, boundary="symmetric") for each in stencils("laplacian"))
    largest = np.linalg.eigvalsh(one.T @ one + beta * S.T @ S)[-1]
    assert (
        1.01 * largest <= solvers.eigenvalue_bound(problem, sum(problem.scales())) <= 1.06 * largest
    )
