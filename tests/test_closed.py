"""Closed forms against dense solves."""

import itertools

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator, psf
from dhop.closed import exact_equations, nearest_equations
from dhop.closed.aliased import AliasedEquations, FactorisedInverse, OneFrameInverse
from dhop.closed.bases import Cosine, Fourier
from dhop.closed.kronecker import KroneckerEquations

RNG = np.random.default_rng(0)
LAPLACIAN = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
SHAPES = [((12, 8), 2), ((12, 9), 3), ((8, 12), (4, 2)), ((6, 10), (1, 2)), ((6, 6), (6, 3))]
SHAPES += [((5, 7), 1), ((4, 2), 2), ((1, 6), (1, 2))]


def check(dims, frames, penalties, beta=0.01, kind=None, basis=None):
    """`frames` and `penalties` are (operator, its dense matrix), frames with a weight each."""
    equations = exact_equations(
        [(A.model, weight) for A, _, weight in frames], [S.model for S, _ in penalties]
    )
    assert kind is None or isinstance(equations, kind)
    assert basis is None or isinstance(equations.basis, basis)
    N = sum(weight * dense.conj().T @ dense for _, dense, weight in frames)
    P = sum(dense.conj().T @ dense for _, dense in penalties)
    b = RNG.standard_normal((2, *dims)).astype(N.dtype)
    expected = np.linalg.solve(N + beta * P, b.reshape(2, -1).T).T.reshape(b.shape)
    inverse = equations.inverse(beta)
    assert_allclose(inverse(b), expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    K = N + beta * P
    gains = [np.sqrt(weight) * np.linalg.solve(K, dense.conj().T) for _, dense, weight in frames]
    spread = sum(gain @ gain.conj().T for gain in gains)
    for matrix, noise in ((np.linalg.inv(K), False), (spread, True)):
        diagonal = matrix.diagonal().real
        found = inverse.diagonal(noise).ravel()
        assert_allclose(found, diagonal, rtol=1e-9, atol=1e-9 * diagonal.max())
    found = np.empty_like(expected)
    inverse.noise_product(b, found)
    expected = (spread @ b.reshape(2, -1).T).T.reshape(b.shape)
    assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    if isinstance(equations, AliasedEquations):
        trace = np.trace(np.linalg.solve(N + beta * P, P)).real
        assert_allclose(inverse.trace(), trace, rtol=1e-9)


def operator(dims, blur, factor, **options):
    dense = oracle.matrix(dims, blur, factor, **options)
    return DHOperator(dims, blur, factor, **options), dense


def noise(shape, dtype):
    real = RNG.standard_normal(shape)
    return real + 1j * RNG.standard_normal(shape) if dtype is complex else real


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("decimation", ["mean", "sum", "sample"])
@pytest.mark.parametrize(("dims", "factor"), SHAPES)
def test_frames_that_wrap(dims, factor, decimation, dtype):
    """Any PSFs, phases and centres, as many frames as there are, several penalties."""
    options = {"boundary": "wrap", "decimation": decimation}
    frames = []
    for number, shape in enumerate([(3, 4), (2, 2), (9, 1)]):
        phase = tuple(number % f for f in np.broadcast_to(factor, 2))
        # Samples of blocks that are cut off are fewer than the frequencies.
        phase = phase if decimation == "sample" else 0
        blur = noise(shape, dtype)
        frames.append((*operator(dims, blur, factor, center=number, phase=phase, **options), 0.7))
    penalties = [operator(dims, each, 1, boundary="wrap") for each in (LAPLACIAN, [[0.3]])]
    for count in (1, 3):
        check(dims, frames[:count], penalties, kind=AliasedEquations, basis=Fourier)
    check(dims, frames[:1], penalties[:1])


@pytest.mark.parametrize("decimation", ["mean", "sum"])
@pytest.mark.parametrize(("dims", "factor"), SHAPES)
def test_symmetric_frames(dims, factor, decimation):
    for blur in (psf.gaussian((5, 3), 1.0), psf.disk(2.2), np.ones((1, 1)), psf.gaussian(17, 3.0)):
        frame = operator(dims, blur, factor, boundary="symmetric", decimation=decimation)
        penalty = operator(dims, LAPLACIAN, 1, boundary="symmetric")
        check(dims, [(*frame, 1.3)], [penalty], kind=AliasedEquations, basis=Cosine)


@pytest.mark.parametrize("boundary", [*oracle.BOUNDARIES, ("symmetric", "wrap")])
@pytest.mark.parametrize("dtype", [float, complex])
def test_separable_frames_and_the_identity(boundary, dtype):
    for (dims, factor), decimation in itertools.product(
        [((12, 8), 2), ((13, 9), 3), ((9, 12), (4, 2)), ((5, 3), 1)], ("mean", "sum", "sample")
    ):
        blur = np.outer(noise(5, dtype), noise(4, dtype))
        options = {"boundary": boundary, "decimation": decimation, "phase": 0}
        frame = operator(dims, blur, factor, **options)
        identity = operator(dims, [[0.5]], 1)
        divides = dims == (12, 8) or factor in (1, 2)
        check(
            dims, [(*frame, 2.0)], [identity],
            kind=None if boundary == "wrap" and divides else KroneckerEquations,
        )  # fmt: skip


def test_the_model_is_left_alone():
    """Taps that meet on a pixel are added in copies."""
    A = DHOperator((9, 9), psf.gaussian(7, 1.0), 2, boundary="reflect")
    before = A.to_sparse().toarray()
    identity = DHOperator((9, 9), [[1.0]], 1)
    assert exact_equations([(A.model, 1.0)], [identity.model]) is not None
    assert (A.to_sparse().toarray() == before).all()


def test_larger_ones_agree_with_conjugate_gradients():
    from scipy.sparse.linalg import LinearOperator, cg

    for boundary, blur in [("wrap", RNG.random((9, 8))), ("symmetric", psf.gaussian(9, 1.5))]:
        A = DHOperator((96, 120), blur / blur.sum(), (2, 3), boundary=boundary)
        S = DHOperator((96, 120), LAPLACIAN, 1, boundary=boundary)
        N, P = A.gram(), S.gram()
        matrix = LinearOperator(
            N.shape, matvec=lambda x, N=N, P=P: N @ x + 0.1 * (P @ x), dtype=float
        )
        b = RNG.standard_normal(N.shape[0])
        x = exact_equations([(A.model, 1.0)], [S.model]).inverse(0.1)(b.reshape(96, 120))
        found, info = cg(matrix, b, rtol=1e-12, maxiter=5000)
        assert info == 0
        assert_allclose(x.ravel(), found, rtol=0, atol=1e-9 * np.abs(found).max())


def test_a_frequency_of_which_nothing_is_known_counts_as_zero():
    """The mean of the image is in neither term."""
    A = DHOperator((8, 8), LAPLACIAN, 2, boundary="wrap")
    S = DHOperator((8, 8), LAPLACIAN, 1, boundary="wrap")
    inverse = exact_equations([(A.model, 1.0)], [S.model]).inverse(0.1)
    assert np.isfinite(inverse(np.ones((8, 8)))).all()


@pytest.mark.parametrize(
    ("blur", "options"),
    [
        (RNG.random((3, 3)), {"boundary": "symmetric"}),
        (psf.gaussian(4, 1.0), {"boundary": "symmetric"}),
        (psf.disk(2.2), {"boundary": "constant"}),
        (psf.disk(2.2), {"boundary": "symmetric", "decimation": "sample"}),
        (psf.disk(2.2), {"boundary": ("symmetric", "wrap")}),
    ],
)
def test_elsewhere_there_is_none(blur, options):
    A = DHOperator((8, 8), blur, 2, **options)
    S = DHOperator((8, 8), LAPLACIAN, 1, boundary=A.boundary)
    assert exact_equations([(A.model, 1.0)], [S.model]) is None


def test_different_frames_of_large_factors_have_none():
    """Their systems would not fit into memory; those of equal frames are diagonals."""
    blur, other = psf.gaussian(9, 2.0), psf.gaussian(9, 2.5)
    first, second = (DHOperator((60, 60), each, 20, boundary="wrap") for each in (blur, other))
    S = DHOperator((60, 60), LAPLACIAN, 1, boundary="wrap").model
    assert exact_equations([(first.model, 1.0), (second.model, 1.0)], [S]) is None
    assert exact_equations([(first.model, 1.0), (first.model, 2.0)], [S]) is not None


@pytest.mark.parametrize("boundary", ["wrap", "symmetric", "edge"])
def test_blocks_that_are_cut_off_have_no_closed_form(boundary):
    A = DHOperator((9, 8), psf.disk(1.5), 2, boundary=boundary)
    S = DHOperator((9, 8), LAPLACIAN, 1, boundary=boundary)
    assert nearest_equations([(A.model, 1.0)], [S.model]) is None


@pytest.mark.parametrize(
    ("boundary", "blur", "basis"),
    [
        ("constant", psf.gaussian(5, 1.0), Cosine),
        ("reflect", psf.gaussian(5, 1.0), Cosine),
        ("constant", RNG.random((5, 5)), Fourier),
        ("symmetric", RNG.random((5, 5)), Cosine),
        ("edge", RNG.random((5, 5)), Cosine),
        ("reflect", RNG.random((5, 5)), None),
    ],
)
def test_nearest(boundary, blur, basis):
    A = DHOperator((16, 16), blur, 2, boundary=boundary)
    S = DHOperator((16, 16), LAPLACIAN, 1, boundary=boundary)
    equations = nearest_equations([(A.model, 1.0)], [S.model])
    assert (equations is None) if basis is None else isinstance(equations.basis, basis)


def classes(dims, factor, blur, boundary, weight=0.7, **options):
    """One frame, its dense matrix, and the equations with a penalty of two parts."""
    frame = operator(dims, blur, factor, boundary=boundary, **options)
    parts = [operator(dims, each, 1, boundary=boundary) for each in (LAPLACIAN, [[0.3]])]
    models = [S.model for S, _ in parts]
    P = sum(dense.T @ dense for _, dense in parts)
    return frame, P, exact_equations([(frame[0].model, weight)], models)


ONE = [
    (dims, factor, *each)
    for dims, factor in [
        ((12, 9), (2, 3)), ((12, 9), 3), ((7, 10), (1, 2)), ((9, 15), (3, 1)), ((5, 7), 1),
        ((1, 12), (1, 3)), ((2, 2), 2), ((1, 1), 1),
    ]
    for each in [
        ("wrap", RNG.random((4, 3))), ("wrap", noise((3, 4), complex)),
        ("symmetric", psf.gaussian(5, 1.0)),
    ]
]  # fmt: skip


@pytest.mark.parametrize(("dims", "factor", "boundary", "blur"), ONE)
def test_one_frame(dims, factor, boundary, blur):
    """It solves as backward as elimination does, of what the frame has seen too; and its trace."""
    (_, dense), P, equations = classes(dims, factor, blur, boundary)
    eps = np.finfo(np.float64).eps
    N = 0.7 * dense.conj().T @ dense
    rng = np.random.default_rng(1)
    anything = rng.standard_normal(dims).astype(N.dtype)
    seen = (dense.conj().T @ rng.standard_normal(len(dense))).reshape(dims)
    for beta in (1e-8, 1e-4, 1.0, 1e3):
        M = N + beta * P
        inverse = equations.inverse(beta)
        assert isinstance(inverse, OneFrameInverse)
        for b in (anything, seen):
            x = inverse(b).ravel()
            r = np.linalg.norm(M @ x - b.ravel())
            terms = np.linalg.norm(M, 2) * np.linalg.norm(x) + np.linalg.norm(b)
            assert r <= 30 * eps * terms
        expected = np.trace(np.linalg.solve(M, P)).real
        # Eigenvalues of P beyond those of N are divided by beta: no cancellation but numpy's.
        assert_allclose(inverse.trace(), expected, rtol=100 * eps * np.linalg.cond(M))
        once = equations.inverse(beta, once=True)
        assert_array_equal(once(seen), inverse(seen))
        assert once.trace() == inverse.trace()
        factors = FactorisedInverse(equations, beta, True)
        assert_allclose(inverse.trace(), factors.trace(), rtol=100 * eps * np.linalg.cond(M))


@pytest.mark.parametrize("boundary", ["wrap", "symmetric"])
def test_several_frames_once_and_again(boundary):
    """Equal ones are one of the sum of their weights."""
    first, second = (DHOperator((12, 8), psf.gaussian(5, s), 2, boundary=boundary).model
                     for s in (1.0, 2.0))  # fmt: skip
    S = DHOperator((12, 8), LAPLACIAN, 1, boundary=boundary).model
    b = np.random.default_rng(2).standard_normal((2, 12, 8))
    equations = exact_equations([(first, 0.5), (second, 0.3)], [S])
    kept, once = equations.inverse(0.1), equations.inverse(0.1, once=True)
    assert_array_equal(kept(b), once(b))
    assert kept.trace() == once.trace()
    merged = exact_equations([(first, 0.5), (first, 0.25)], [S])
    assert isinstance(merged.inverse(0.1), OneFrameInverse)
    assert_array_equal(
        merged.inverse(0.1)(b), exact_equations([(first, 0.75)], [S]).inverse(0.1)(b)
    )
