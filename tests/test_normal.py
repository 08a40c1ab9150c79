"""Preconditioners and proximal operators."""

import pickle

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.linalg import LinearOperator, cg

from dhop import DHOperator, FrameStack, psf
from dhop.regularisers import regulariser_operator

RNG = np.random.default_rng(0)
CASES = [
    ((12, 9), RNG.random((4, 3)), 3, {"boundary": "wrap"}),
    ((12, 8), psf.disk(1.5), 2, {"boundary": "symmetric", "decimation": "mean"}),
    ((11, 8), np.outer(RNG.random(3), RNG.random(4)), 2, {"boundary": "edge", "phase": 1}),
    ((12, 9), RNG.random((4, 3)), 3, {"boundary": "reflect"}),
    ((11, 8), RNG.random((4, 3)), 2, {"boundary": "constant"}),
    ((8, 6), RNG.random((2, 3)) + 1j * RNG.random((2, 3)), 2, {"boundary": "wrap"}),
]


@pytest.mark.parametrize(("dims", "blur", "factor", "options"), CASES)
@pytest.mark.parametrize("gamma", [0.3, 20.0])
def test_prox(dims, blur, factor, options, gamma):
    A = DHOperator(dims, blur, factor, **options)
    dense = oracle.matrix(dims, blur, factor, **options)
    z, y = RNG.standard_normal(A.dims), RNG.standard_normal(A.dimsd)
    normal = gamma * dense.conj().T @ dense + np.eye(dense.shape[1])
    expected = np.linalg.solve(normal, gamma * dense.conj().T @ y.ravel() + z.ravel())
    found = A.prox_l2(z, y, gamma, rtol=1e-13)
    assert_allclose(found, expected.reshape(dims), rtol=0, atol=1e-9 * np.abs(expected).max())


def test_prox_of_weighted_frames():
    operators = [DHOperator((8, 6), RNG.random((3, 3)), 2, boundary="wrap") for _ in range(3)]
    for weights in ([1.0, 2.0, 0.5], RNG.random((3, 12))):
        stack = FrameStack(operators, weights)
        y = stack.data(RNG.standard_normal((3, 4, 3)))
        z = RNG.standard_normal((8, 6))
        dense = stack.to_sparse().toarray()
        normal = 2 * dense.T @ dense + np.eye(48)
        expected = np.linalg.solve(normal, 2 * dense.T @ y + z.ravel()).reshape(8, 6)
        assert_allclose(stack.prox_l2(z, y, 2.0, rtol=1e-13), expected, rtol=0, atol=1e-9)


def test_prox_on_other_axes():
    blur = RNG.random((3, 3))
    A = DHOperator((6, 2, 8), blur, 2, axes=(2, 0), boundary="wrap")
    z, y = RNG.standard_normal(A.dims), RNG.standard_normal(A.dimsd)
    found = A.prox_l2(z, y, 1.5)
    for k in range(2):
        one = DHOperator((6, 8), blur.T, 2, boundary="wrap")
        expected = one.prox_l2(z[:, k], y[:, k], 1.5)
        assert_allclose(found[:, k], expected, rtol=0, atol=1e-12)


def test_prox_of_float32_is_float32():
    A = DHOperator((8, 8), np.ones((3, 3), np.float32), 2, boundary="wrap")
    z, y = np.ones((8, 8), np.float32), np.ones((4, 4), np.float32)
    assert A.prox_l2(z, y, 1.0).dtype == np.float32


@pytest.mark.parametrize("regulariser", ["identity", "laplacian", "gradient", RNG.random((2, 3))])
def test_preconditioner_is_the_inverse_where_there_is_one(regulariser):
    A = DHOperator((12, 9), RNG.random((4, 3)), 3, boundary="wrap")
    S = regulariser_operator(regulariser, A.dims, boundary="wrap")
    M = A.preconditioner(0.1, regulariser)
    matrix = (A.H @ A) + 0.1 * (S.H @ S)
    assert_allclose(M @ (matrix @ np.eye(108)), np.eye(108), rtol=0, atol=1e-9)
    assert M.H is M
    for each in (M, DHOperator((5, 6), np.ones((3, 2)), 2).preconditioner(0.1)):
        again = pickle.loads(pickle.dumps(each))
        x = RNG.standard_normal(each.shape[0])
        assert_array_equal(again @ x, each @ x)


@pytest.mark.parametrize("boundary", ["constant", "reflect", "edge"])
def test_preconditioner_saves_iterations(boundary):
    A = DHOperator((64, 64), psf.gaussian(13, 1.5), 2, boundary=boundary, decimation="mean")
    S = regulariser_operator("laplacian", A.dims, boundary=boundary)
    N, P = A.gram(), S.gram()
    matrix = LinearOperator(N.shape, matvec=lambda x: N @ x + 1e-3 * (P @ x), dtype=float)
    b = A.rmatvec(RNG.standard_normal(A.shape[0]))
    counts = []
    for M in (None, A.preconditioner(1e-3, "laplacian")):
        steps = []
        assert cg(matrix, b, rtol=1e-8, maxiter=2000, M=M, callback=steps.append)[1] == 0
        counts.append(len(steps))
    assert counts[1] < 0.7 * counts[0]


def test_senseless_arguments():
    A = DHOperator((8, 8), RNG.random((3, 3)), 2, boundary="edge")
    with pytest.raises(ValueError, match="without a preconditioner"):
        A.preconditioner(0.1)
    for beta in (0, -1, np.nan):
        with pytest.raises(ValueError, match="beta must be positive"):
            A.preconditioner(beta)
        with pytest.raises(ValueError, match="gamma must be positive"):
            A.prox_l2(np.zeros((8, 8)), np.zeros((4, 4)), beta)
    with pytest.raises(ValueError, match=r"shape \(8, 8\)"):
        A.prox_l2(np.zeros((4, 4)), np.zeros((4, 4)), 1)
    with pytest.raises(ValueError, match=r"shape \(4, 4\)"):
        A.prox_l2(np.zeros((8, 8)), np.zeros((8, 8)), 1)
