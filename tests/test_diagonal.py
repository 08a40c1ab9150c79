"""The diagonal of normal equations in bases of waves."""

import pickle

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator, FrameStack, psf
from dhop.closed import nearest_equations
from dhop.closed.bases import Cosine, Fourier
from dhop.closed.diagonal import DiagonalEquations, diagonal_equations, power

RNG = np.random.default_rng(0)
LAPLACIAN = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
DIMS = [(12, 18), (7, 5), (1, 9), (2, 2), (1, 1)]


def squares(model, shape, turn, sign=1):
    """``|T|^2`` at the frequencies ``turn k / n``, straight from the taps."""
    waves = [
        np.exp(1j * np.pi * turn / n * np.outer(np.arange(n), np.arange(taps)))
        for n, taps in zip(shape, model.weights.shape, strict=True)
    ]
    waves[1] = waves[1] if sign > 0 else waves[1].conj()
    return abs(waves[0] @ model.weights @ waves[1].T) ** 2


def frames(dims, boundary):
    """Of all sizes, larger than the image too."""
    blurs = RNG.random((3, 4)), RNG.standard_normal((1, 2)), RNG.random((9, 11)), np.ones((1, 1))
    return [
        (DHOperator(dims, blur, 1, boundary=boundary, center=number).model, 0.3 + number)
        for number, blur in enumerate(blurs)
    ]


@pytest.mark.parametrize("dims", DIMS)
def test_power_of_waves_is_that_of_the_transform_of_the_taps(dims):
    some = frames(dims, "wrap")
    expected = sum(weight * squares(model, dims, 2) for model, weight in some)
    found = power(Fourier(dims, (1, 1)), some)
    assert_allclose(found, expected, rtol=0, atol=1e-13 * expected.max())
    # By numpy, of taps that fit.
    taps = np.zeros(dims)
    model = DHOperator(dims, RNG.random((1, 1)), 1).model
    taps[:1, :1] = model.weights
    assert_allclose(power(Fourier(dims, (1, 1)), [(model, 1.0)]), abs(np.fft.fft2(taps)) ** 2)


@pytest.mark.parametrize("dims", DIMS)
def test_power_of_cosines_is_the_mean_of_both_directions(dims):
    some = frames(dims, "symmetric")
    expected = sum(
        weight * (squares(model, dims, 1) + squares(model, dims, 1, -1)) / 2
        for model, weight in some
    )
    found = power(Cosine(dims, (1, 1)), some)
    assert_allclose(found, expected, rtol=0, atol=1e-13 * expected.max())


@pytest.mark.parametrize("factor", [2, 3, (2, 3)])
def test_power_is_the_diagonal_of_the_dense_matrix(factor):
    """Of frames that wrap; a lone output counts as one of all pixels."""
    for dims, shape in (((12, 18), (3, 4)), (oracle.pair(factor), (1, 1))):
        blur = RNG.random(shape)
        dense = oracle.matrix(dims, blur, factor, boundary="wrap")
        waves = np.fft.ifft2(np.eye(dense.shape[1]).reshape(-1, *dims), norm="ortho")
        seen = waves.reshape(len(waves), -1) @ dense.T
        model = DHOperator(dims, blur, factor, boundary="wrap").model
        found = power(Fourier(dims, (1, 1)), [(model, 0.7)])
        expected = 0.7 * (abs(seen) ** 2).sum(axis=1).reshape(dims)
        assert_allclose(found, expected, rtol=0, atol=1e-12 * expected.max())


@pytest.mark.parametrize("dims", DIMS)
def test_it_is_the_inverse_of_frames_of_factor_one(dims):
    """All of them wrap: nothing is left beside the diagonal."""
    some = [(DHOperator(dims, each, 1, boundary="wrap"), 0.5) for each in RNG.random((3, 3, 4))]
    S = DHOperator(dims, LAPLACIAN, 1, boundary="wrap")
    equations = diagonal_equations([(A.model, w) for A, w in some], [S.model])
    N = sum(w * (dense.T @ dense) for dense, w in ((A.to_sparse().toarray(), w) for A, w in some))
    R = oracle.matrix(dims, LAPLACIAN, 1, boundary="wrap")
    b = RNG.standard_normal((2, *dims))
    for beta in (1e-8, 1.0, 1e3):
        x = equations.inverse(beta)(b).reshape(2, -1).T
        M = N + beta * R.T @ R
        r = np.linalg.norm(M @ x - b.reshape(2, -1).T)
        assert r <= 1e-13 * np.linalg.cond(M) * np.linalg.norm(b)


def test_for_which_there_is_one():
    def found(boundary, blurs, penalty="wrap"):
        models = [(DHOperator((8, 9), each, 2, boundary=boundary).model, 1.0) for each in blurs]
        S = DHOperator((8, 9), LAPLACIAN, 1, boundary=penalty)
        return diagonal_equations(models, [S.model])

    two, one = RNG.random((2, 3, 3)), np.ones((1, 3, 3))
    assert isinstance(found("wrap", two).basis, Fourier)
    for boundary in ("symmetric", "constant"):
        assert isinstance(found(boundary, two, "symmetric").basis, Cosine)
    for boundary in ("reflect", "edge", "constant"):
        assert found(boundary, two, "wrap") is None
    assert found("wrap", one) is None
    assert found("wrap", [*one, *one]) is None  # they see the same way
    assert found("wrap", two * 1j) is None


def test_a_preconditioner_of_several_frames():
    operators = [
        DHOperator((8, 9), psf.gaussian(5, 1.0), 2, boundary="symmetric", center=(2, 2 + k))
        for k in range(2)
    ]
    S = DHOperator((8, 9), LAPLACIAN, 1, boundary="symmetric")
    equations = nearest_equations([(A.model, 0.5) for A in operators], [S.model])
    assert isinstance(equations, DiagonalEquations)
    M = FrameStack(operators, [0.5, 0.5]).preconditioner(0.1, "laplacian")
    dense = M @ np.eye(72)
    assert_allclose(dense, dense.T, rtol=0, atol=1e-12 * dense.max())
    assert np.linalg.eigvalsh(dense).min() > 0
    x = RNG.standard_normal(72)
    assert_array_equal(pickle.loads(pickle.dumps(M)) @ x, M @ x)


@pytest.mark.parametrize("boundary", ["wrap", "symmetric"])
@pytest.mark.parametrize("dims", [(6, 7), (1, 5), (3, 4, 5)])
def test_frames_as_fine_as_the_image(dims, boundary):
    """One or two without decimation have the inverse itself, and a decimated one has none."""
    blur = psf.gaussian((3,) * len(dims), 0.7)
    A = DHOperator(dims, blur, 1, boundary=boundary)
    S = DHOperator(dims, psf.gaussian((3,) * len(dims), 0.4), 1, boundary=boundary)
    dense, smooth = (oracle.matrix(dims, each.psf, 1, boundary=boundary) for each in (A, S))
    for count in (1, 2):
        equations = nearest_equations([(A.model, 0.6)] * count, [S.model])
        assert isinstance(equations, DiagonalEquations)
        x = RNG.standard_normal(dims)
        expected = np.linalg.solve(
            0.6 * count * dense.T @ dense + 0.01 * smooth.T @ smooth, x.ravel()
        )
        found = equations.inverse(0.01)(x, axes=len(dims))
        assert_allclose(found.ravel(), expected, rtol=0, atol=1e-11 * abs(expected).max())
    coarse = DHOperator((6, 8), psf.gaussian(3, 0.7), 2, boundary=boundary)
    P = DHOperator((6, 8), LAPLACIAN, 1, boundary=boundary)
    equations = nearest_equations([(coarse.model, 1.0)], [P.model])
    assert not isinstance(equations, DiagonalEquations)


def test_where_nothing_is_known_little_is_said():
    """A frequency that all are blind to is not divided by zero."""
    some = [DHOperator((8, 8), each, 1, boundary="wrap") for each in (LAPLACIAN, [[1.0, -1.0]])]
    equations = diagonal_equations([(A.model, 1.0) for A in some], [some[0].model])
    assert np.isfinite(equations.inverse(0.1)(np.ones((8, 8)))).all()
