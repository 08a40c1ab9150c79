"""Inverses near the curvature of objectives whose weights differ from pixel to pixel."""

import numpy as np
import oracle
import pytest
from bursts import burst, photograph
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter

from dhop import DHOperator, FrameStack, psf, super_resolve
from dhop.psf.stencils import stencils
from dhop.reconstruction import preconditioning
from dhop.reconstruction.preconditioning import inverse_for_maps
from dhop.reconstruction.problem import Problem

BLUR = psf.gaussian((3, 5), (0.8, 1.1))
RNG = np.random.default_rng(0)


def problem_of(weights, dtype=np.float64, beta=0.1):
    operators = [
        DHOperator((8, 10), BLUR, 2, center=center, boundary="wrap", decimation="mean", dtype=dtype)
        for center in [(1, 2), (0, 3)]
    ]
    frames = RNG.random((2, 4, 5)).astype(dtype)
    return Problem(FrameStack(operators, weights), frames, "laplacian", beta, "wrap")


def condition(problem, M):
    """That of the preconditioned equations, in dense matrices."""
    A = np.vstack([
        np.sqrt(np.broadcast_to(w, 20))[:, None]
        * oracle.matrix((8, 10), BLUR, 2, center=c, boundary="wrap", decimation="mean")
        for w, c in zip(problem.operator.weights, [(1, 2), (0, 3)], strict=True)
    ])  # fmt: skip
    S = np.vstack([oracle.matrix((8, 10), s, 1, boundary="wrap") for s in stencils("laplacian")])
    values = np.linalg.eigvals(M @ (A.T @ A + problem.beta * S.T @ S)).real
    return values.max() / values.min()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_is_nearer_than_that_of_the_means(dtype, monkeypatch):
    """It is symmetric, positive, and better where the weights rise a hundredfold over a frame."""
    weights = [np.geomspace(1, 100, 20).reshape(4, 5)] * 2
    problem = problem_of(weights, dtype, 1e-3)
    identity = np.eye(80, dtype=dtype)
    M = np.array([inverse_for_maps(problem)(each) for each in identity])
    assert M.dtype == dtype
    assert_allclose(M, M.T, rtol=0, atol=50 * np.finfo(dtype).eps * abs(M).max())
    assert np.linalg.eigvalsh(M.astype(float)).min() > 0
    monkeypatch.setattr(preconditioning, "RATIOS", (1.0, 1.0))
    plain = np.array([inverse_for_maps(problem)(each) for each in identity])
    assert condition(problem, M) < 0.7 * condition(problem, plain)


def test_is_the_inverse_where_weights_are_the_same():
    problem = problem_of([np.full((4, 5), 3.0), 3.0])
    x = RNG.random(80)
    found = inverse_for_maps(problem)(problem.normal(x))
    mask = np.ones((4, 5))
    mask[0, 0] = 0.0
    other = inverse_for_maps(problem_of([3 * mask, 3 * mask]))(x)
    assert np.linalg.norm(found - x) < 0.3 * np.linalg.norm(x)  # of two frames it is only near
    assert np.isfinite(other).all()


@pytest.mark.parametrize("regulariser", ["laplacian", "huber-tv"])
def test_saves_iterations(regulariser, monkeypatch):
    """To the same image, of counts whose means differ; a single count decides by chance."""
    scene, blur = 1000 * photograph("camera", 64), psf.gaussian(9, 1.4)
    clean, shifts = burst(scene, blur, 2, 0.0, 2, seed=1)
    about = {
        "shifts": shifts, "loss": "poisson", "background": 5.0, "regulariser": regulariser,
        "beta": 0.003 if regulariser == "laplacian" else 0.01,
    }  # fmt: skip
    taken = np.zeros(2)
    for seed in range(3):
        counts = np.random.default_rng(seed).poisson(clean.clip(0) + 5.0).astype(float)
        found = super_resolve(counts, blur, 2, **about)
        with monkeypatch.context() as patch:
            patch.setattr(preconditioning, "RATIOS", (1.0, 1.0))
            plain = super_resolve(counts, blur, 2, **about)
        assert found.converged
        assert found.history[-1].objective <= plain.history[-1].objective * (1 + 1e-6)
        taken += found.iterations, plain.iterations
    assert taken[0] < 0.75 * taken[1]


@pytest.mark.parametrize(
    ("dims", "factor", "boundary"),
    [
        ((96, 96), 1, "symmetric"),
        ((96, 96), 2, "symmetric"),
        ((96, 96), 2, "edge"),
        ((24, 48, 48), (1, 2, 2), ("edge", "symmetric", "symmetric")),
    ],
)
def test_one_frame_of_a_skew_psf(dims, factor, boundary, monkeypatch):
    """As measured ones are, and those of microscopes along the light."""
    rng = np.random.default_rng(0)
    ramps = np.meshgrid(*[np.linspace(-0.3, 0.3, 9)] * len(dims))
    blur = psf.gaussian((9,) * len(dims), 1.4) * (1 + sum(ramps))
    A = DHOperator(dims, blur / blur.sum(), factor, boundary=boundary, decimation="mean")
    scene = gaussian_filter(rng.random(dims) ** 20, 0.7)
    frame = A.degrade(scene) + 0.01 * scene.max() * rng.standard_normal(A.dimsd)
    about = {"beta": 0.01, "boundary": boundary}
    found = super_resolve(frame, blur, factor, **about)
    monkeypatch.setattr(Problem, "equations", lambda self, exact: None)
    plain = super_resolve(frame, blur, factor, **about)
    assert_allclose(found.image, plain.image, rtol=0, atol=1e-3 * np.ptp(plain.image))
    assert found.converged
    assert found.iterations <= 0.5 * plain.iterations
