"""Preconditioners and proximal operators."""

import pickle
import warnings

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.linalg import LinearOperator, cg

from dhop import DHOperator, FrameStack, cautions, psf
from dhop.reconstruction.regularisers import regulariser_operator

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


class TestProxConvergence:
    A = DHOperator((9, 8), RNG.random((4, 3)), 2, boundary="reflect")
    z, y = RNG.standard_normal((9, 8)), RNG.standard_normal((4, 4))

    def residual(self, A, x, gamma, z, y):
        """Of the normal equations, relative to that of zeros."""
        B = A.to_sparse().toarray().astype(float)
        b = B.T @ y.ravel() + z.ravel() / gamma
        r = b - B.T @ (B @ x.ravel()) - x.ravel() / gamma
        return np.linalg.norm(r) / np.linalg.norm(b)

    def test_it_says_when_it_has_not_converged(self):
        with pytest.warns(cautions.ConvergenceWarning, match="after 3 iterations") as caught:
            x = self.A.prox_l2(self.z, self.y, 50.0, maxiter=3)
        told = float(str(caught[0].message).split("residual of ")[1].split(",")[0])
        assert_allclose(told, self.residual(self.A, x, 50.0, self.z, self.y), rtol=0.06)
        assert caught[0].filename == __file__
        self.A.prox_l2(self.z, self.y, 50.0)  # without a warning

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("gamma", [1e-12, 1.0, 1e6, 1e18])
    @pytest.mark.parametrize("boundary", ["wrap", "reflect"])
    def test_what_it_says_is_true(self, boundary, gamma, dtype):
        blur = psf.gaussian(5, 1.0)
        A = DHOperator((8, 6), blur, 2, boundary=boundary, dtype=dtype)
        z, y = (RNG.standard_normal(shape).astype(dtype) for shape in (A.dims, A.dimsd))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            x = A.prox_l2(z, y, gamma)
        reached = self.residual(A, x, gamma, z, y)
        B = A.to_sparse().toarray()
        size = np.linalg.norm(B.T @ y.ravel() + z.ravel() / gamma)
        limit = np.finfo(dtype).eps * (4 + 1 / gamma) * np.linalg.norm(x) / size
        assert caught or reached <= 10 * max(1e-8, min(4 * limit, 1e-2))

    @pytest.mark.parametrize("scale", [1e-30, 1e30])
    def test_in_any_unit(self, scale):
        A = DHOperator((9, 8), psf.disk(1.5), 2, boundary="edge", dtype=np.float32)
        z, y = RNG.random(A.dims).astype(np.float32), RNG.random(A.dimsd).astype(np.float32)
        expected = A.prox_l2(z.astype(float), y.astype(float), 2.0)
        found = A.prox_l2(z * np.float32(scale), y * np.float32(scale), 2.0)
        assert found.dtype == np.float32
        assert_allclose(found / np.float64(scale), expected, rtol=0, atol=1e-6)

    def test_large_weights(self):
        A = DHOperator((9, 8), psf.disk(1.5), 2, boundary="edge", dtype=np.float32)
        stack = FrameStack([A, A], [1e34, 1e34])
        y = stack.data(np.float32(1e-15) * RNG.random((2, *A.dimsd)).astype(np.float32))
        z = np.zeros(A.dims, np.float32)
        x = stack.prox_l2(z, y, 1e-33)
        plain = FrameStack([A, A]).prox_l2(z, y * np.float32(1e-17), 10.0)
        assert_allclose(x, plain, rtol=0, atol=1e-5 * abs(plain).max())

    def test_what_is_not_finite(self):
        for z, y, gamma in (
            (self.z * np.nan, self.y, 1.0), (self.z, self.y * np.inf, 1.0),
            (self.z, self.y, 5e-324),
        ):  # fmt: skip
            with pytest.raises(ValueError, match="must be finite"):
                self.A.prox_l2(z, y, gamma)


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
    A = DHOperator((8, 8), RNG.random((3, 3)), 2, boundary="reflect")
    with pytest.raises(ValueError, match="without a preconditioner"):
        A.preconditioner(0.1)
    for beta in (0, -1, np.nan, np.inf, "a"):
        with pytest.raises(ValueError, match="beta must be positive"):
            A.preconditioner(beta)
        with pytest.raises(ValueError, match="gamma must be positive"):
            A.prox_l2(np.zeros((8, 8)), np.zeros((4, 4)), beta)
    with pytest.raises(ValueError, match=r"shape \(8, 8\)"):
        A.prox_l2(np.zeros((4, 4)), np.zeros((4, 4)), 1)
    with pytest.raises(ValueError, match=r"shape \(4, 4\)"):
        A.prox_l2(np.zeros((8, 8)), np.zeros((8, 8)), 1)
