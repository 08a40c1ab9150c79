"""Standard deviations in chunks, against dense inverses.

Those of least squares do not depend on the image, of which one iteration is enough.
"""

from functools import partial

import numpy as np
import oracle
import pytest
import warps
from moving import about_the_middle
from numpy.testing import assert_allclose

import dhop
from dhop import FrameStack, psf
from dhop.frames import motions
from dhop.operators.moved import MovedOperator
from dhop.reconstruction.regularisers import regulariser_operator

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import local_problems, super_resolve  # noqa: E402

RNG = np.random.default_rng(0)
LAPLACIAN = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
BLUR = psf.gaussian(5, 1.0)
FIELD = psf.Field([[psf.gaussian(5, s)] for s in (0.7, 1.4)], ([5, 25], [10]))


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Blocks of a few pixels, in one thread."""
    monkeypatch.setattr(local_problems, "AROUND", 4)
    with dask.config.set(scheduler="sync"):
        yield


def dense(solution, weights, beta, boundary):
    """The inverse of the normal equations, and the data's part of these."""
    stack = FrameStack(solution.operator.operators, weights)
    B = stack.to_sparse().toarray()
    S = regulariser_operator("laplacian", stack.dims, boundary=boundary)
    S = S.matmat(np.eye(stack.shape[1]))
    return np.linalg.inv(B.T @ B + beta * S.T @ S), B.T @ B


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blur", "boundary", "mapped"),
    [(BLUR, "symmetric", True), (BLUR, "wrap", True),
     (FIELD, "constant", False)],
)  # fmt: skip
def test_against_the_dense_inverse(blur, boundary, mapped):
    frames = RNG.random((2, 24, 6))
    maps = [RNG.uniform(0.5, 2, frames.shape[1:]) if mapped else 1.5, 0.7]
    found = super_resolve(
        da.from_array(frames, chunks=(2, 8, 6)), blur, 2, beta=1.0, weights=maps,
        shifts=[[0, 0], [0.4, 0.5]], boundary=boundary, maxiter=1,
    )  # fmt: skip
    inverse, data = dense(found, maps, 1.0, boundary)
    shape = found.image.shape
    for what, variance in ("posterior", inverse), ("noise", inverse @ data @ inverse):
        expected = 0.3 * np.sqrt(np.diag(variance)).reshape(shape)
        result = found.standard_deviation(0.3, what, probes=100)
        assert result.chunks == found.image.chunks
        ratio = result.compute() / expected
        assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.05
    freedom = frames.size - np.trace(inverse @ data)
    sigma = found.residual_norm / np.sqrt(freedom)
    own = found.standard_deviation(probes=100).compute()
    again = found.standard_deviation(sigma, probes=100).compute()
    assert_allclose(own / again, 1, atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scratch", "options"), [(True, {}), (False, {"bounds": (0.2, 0.8), "maxiter": 3})]
)
def test_images_at_a_target(tmp_path, scratch, options):
    """As in memory; deviations are those of the image that the target shows."""
    frames, wanted = RNG.random((2, 8, 6)), psf.gaussian((5, 3), 0.8)
    given = {"beta": 1.0, "shifts": [[0, 0], [0.4, 0.5]]} | options
    found = super_resolve(
        da.from_array(frames, chunks=(2, 4, 6)), BLUR, 2, target=2 * wanted,
        scratch=tmp_path if scratch else None, **given,
    )  # fmt: skip
    G = oracle.matrix(found.image.shape, wanted, 1, boundary="symmetric")
    scene = found.scene.compute().ravel()
    assert_allclose(found.image.compute().ravel(), G @ scene, atol=1e-12)
    if not options:
        expected = dhop.super_resolve(frames, BLUR, 2, target=wanted, **given)
        assert_allclose(found.image.compute(), expected.image, atol=1e-4)
    assert_allclose(np.linalg.norm(found.residuals().compute()), found.residual_norm, rtol=1e-6)
    low, high = options.get("bounds", (-np.inf, np.inf))
    free = np.flatnonzero((scene > low) & (scene < high))
    K = np.linalg.inv(dense(found, None, 1.0, "symmetric")[0])
    held = np.zeros_like(K)
    held[np.ix_(free, free)] = np.linalg.inv(K[np.ix_(free, free)])
    ratio = found.standard_deviation(0.3, probes=100).compute().ravel()
    ratio /= 0.3 * np.sqrt((G @ held @ G.T).diagonal())
    assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.05


def test_a_frame_says_nothing_of_what_lies_beyond_its_part():
    """The part is continued there by its boundary, not by the scene."""
    aside = np.array([[1, 0, 0], [0, 1, -2.7], [0, 0, 1]])  # columns 0, 1 and 2 lie on its left
    camera = (12, 12), BLUR, (2, 2), (6, 6), aside
    see = partial(MovedOperator, *camera, center=(2, 2))
    part = local_problems.LocalProblem([see, see], (12, 12), 2, (...,))
    weights = RNG.uniform(0.5, 2, (6, 6))
    posed = part.posed([weights, 1.5], "laplacian", 1.0, "symmetric")
    on = np.arange(6) >= 3
    for found, given in zip(posed.operator.weights, (weights, 1.5), strict=True):
        expected = given * on * np.ones((6, 1))
        assert_allclose(found.reshape(6, 6), expected, rtol=1e-15)


TURNED = about_the_middle(warps.turned(10.0, (1, 1), (1, 1))[:2, :2], (0.4, -0.7), (18, 6))


def bent(rows, columns):
    return rows + 0.2 * np.sin(columns), 1.05 * columns - 0.3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["turned", "bent", "positions", "bands", "ratio"])
def test_frames_that_moved_and_bands(kind):
    """Dense inverses of cameras whose scene SciPy's splines warp; each band has its own."""
    shape, factor = (18, 6), (1.5, 2.0) if kind == "ratio" else (2.0, 2.0)
    dims = tuple(round(m * f) for m, f in zip(shape, factor, strict=True))
    blurs = [psf.gaussian(3, 0.6), psf.gaussian(5, 1.1)][: 2 if kind == "bands" else 1]
    given = [blurs] if kind == "bands" else blurs[0]
    if kind == "ratio":  # a pixel of the scene, of which finer ones have their shares
        given, blurs = np.ones((1, 1)), [np.array([[1 / 8], [3 / 4], [1 / 8]])]
    frames = RNG.random((2, *([2] if kind == "bands" else []), *shape))
    grid = np.indices(shape, float)
    motion = {"bent": bent, "positions": np.stack(bent(*grid))}.get(kind, TURNED)
    places = [
        partial(motions.positions, each)
        for each in (np.eye(3), bent if kind == "positions" else motion)
    ]
    found = super_resolve(
        da.from_array(frames, chunks=(1, *frames.shape[1:-2], 8, 8)),
        given, factor, beta=1.0, motion=[np.eye(3), motion], maxiter=1,
    )  # fmt: skip
    result = found.standard_deviation(0.3, probes=100)
    assert result.chunks == found.image.chunks
    S = oracle.matrix(dims, LAPLACIAN, 1, boundary="symmetric")
    for blur, deviation in zip(blurs, result.compute().reshape(-1, *dims), strict=True):
        K = S.T @ S
        for own in places:
            center = tuple((k - 1) // 2 for k in blur.shape)
            A = warps.camera(dims, blur, (2, 2), shape, own, center, "mean", "symmetric", factor)
            at = [f * c + (f - 1) / 2 for f, c in zip(factor, own(*grid), strict=True)]
            on = [(c >= -0.5) & (c <= n - 0.5) for c, n in zip(at, dims, strict=True)]
            K += A.T @ (np.all(on, axis=0).reshape(-1, 1) * A)
        ratio = deviation.ravel() / (0.3 * np.sqrt(np.linalg.inv(K).diagonal()))
        assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("given", [{"nonnegative": True}, {"bounds": (-0.2, 0.3)}])
def test_channels_and_images_with_bounds(given):
    frames = RNG.standard_normal((1, 2, 12, 10))
    found = super_resolve(
        da.from_array(frames, chunks=(1, 2, 6, 10)), BLUR, 2, beta=0.5, maxiter=3, **given
    )
    image = found.image.compute().ravel()
    low, high = given.get("bounds", (0, np.inf))
    free = (image > low) & (image < high)
    assert 0 < free.sum() < free.size
    result = found.standard_deviation(1.0, probes=100).compute().ravel()
    assert (result[~free] == 0).all()
    K = np.linalg.inv(dense(found, None, 0.5, "symmetric")[0])
    expected = np.sqrt(np.diag(np.linalg.inv(K[np.ix_(free, free)])))
    ratio = result[free] / expected
    assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.05


@pytest.mark.slow
def test_fields_of_lines_and_volumes():
    one = np.array([1.0, 2.0, 1.0]) / 4
    box = np.einsum("i,j,k->ijk", one, one, one)
    line = psf.Field([one**0.5 / sum(one**0.5), one], ([1, 10],))
    volume = psf.Field(np.stack([box**0.5, box]).reshape(2, 1, 1, 3, 3, 3), ([1, 4], [0], [0]))
    for field, shape, factor, chunks in ((line, (24,), 2, 8), (volume, (6, 5, 4), (2, 1, 2), 3)):
        frame = da.from_array(RNG.random(shape), chunks=chunks)
        found = super_resolve(frame, field, factor, beta=0.1, maxiter=1)
        B = FrameStack(found.operator.operators).to_sparse().toarray()
        S = regulariser_operator("laplacian", found.operator.dims, ndim=len(shape))
        S = S.matmat(np.eye(B.shape[1]))
        expected = np.sqrt(np.linalg.inv(B.T @ B + 0.1 * S.T @ S).diagonal())
        result = found.standard_deviation(1.0, probes=100).compute()
        assert_allclose(result.ravel(), expected, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [None, (0.1, 0.9)])
def test_total_variation_against_the_squares_that_touch_it(bounds):
    """Dense: weights 1 / 2 max(s, t) of gradients, with what the covariance adds to them."""
    frame, beta, sigma = RNG.random((20, 4)), 0.05, 0.1
    frame[8:] += 2
    found = super_resolve(
        da.from_array(frame, chunks=(10, 4)), BLUR, 2, beta=beta, regulariser="tv",
        noise=sigma, bounds=bounds, maxiter=3,
    )  # fmt: skip
    image = found.image.compute()
    B = FrameStack(found.operator.operators).to_sparse().toarray()
    steps = [np.diff(np.eye(n), axis=0, append=[[0] * (n - 1) + [1]]) for n in image.shape]
    D = [np.kron(steps[0], np.eye(8)), np.kron(np.eye(40), steps[1])]
    free = np.ones(image.size, bool)
    if bounds is not None:
        free = ((image > bounds[0]) & (image < bounds[1])).ravel()
        assert 0 < free.sum() < free.size
    own = np.ix_(free, free)

    def inverse(sizes):
        W = beta / (2 * np.maximum(sizes, found.edge))
        K = B.T @ B + sum(d.T @ (W[:, None] * d) for d in D)
        held = np.zeros_like(K)
        held[own] = np.linalg.inv(K[own])
        return held

    size = np.sqrt(sum((d @ image.ravel()) ** 2 for d in D))
    K = inverse(size)
    noise = K @ B.T @ B @ K
    for _ in range(4):
        more = sigma**2 * sum(np.einsum("ij,jk,ik->i", d, K, d) for d in D)
        K = inverse(np.sqrt(size**2 + more))
    for what, variance in ("noise", noise), ("posterior", K):
        ratio = found.standard_deviation(sigma, what, probes=100).compute().ravel()[free]
        ratio /= sigma * np.sqrt(variance.diagonal()[free])
        assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.1


def test_what_is_refused():
    frame = da.from_array(RNG.random((8, 8)))
    found = super_resolve(frame, BLUR, 2, beta=0.1, maxiter=1)
    for words, given in (("negative", {"noise": -1.0}), ("what", {"what": "all"})):
        with pytest.raises(ValueError, match=words):
            found.standard_deviation(**given)
    with pytest.raises(ValueError, match="beta=0"):
        super_resolve(frame, BLUR, 2, beta=0.0, maxiter=1).standard_deviation(1.0)
    with pytest.raises(ValueError, match="target must have the 2 axes"):
        super_resolve(frame, BLUR, 2, beta=0.1, target=np.ones(3))
    with pytest.raises(TypeError, match="part in memory"):
        found.response((0, 0))
    line = super_resolve(da.ones(8), np.ones(1), 2, beta=0.1, maxiter=1)
    with pytest.raises(TypeError, match="report"):
        line.plot()
