"""A field in a camera that moves, against ``sum_k D H_k diag(w_k) W`` of dense matrices."""

import pickle

import numpy as np
import oracle
import pytest
import warps
from numpy.testing import assert_allclose, assert_array_equal

from dhop import FrameStack, psf, super_resolve

TURNED = [[0.97, -0.2, 1.0], [0.2, 0.97, -0.6], [0, 0, 1]]
TILTED = [[1.02, 0.1, 0.3], [-0.1, 1.0, 0.4], [0.01, 0, 1]]


def a_field(rng, shape=(3, 3), grid=(2, 3), size=12):
    stamps = rng.random((*grid, *shape))
    stamps /= stamps.sum(axis=(2, 3), keepdims=True)
    return psf.Field(stamps, [np.linspace(-0.7, size - 2.3, count) for count in grid])


def dense(dims, field, factor, shape, matrix, decimation, boundary):
    """The warp of `warps` onto a grid with a margin, each of its pixels with the PSF there."""
    margin = [factor[k] * (2 + field.shape[k] // factor[k]) for k in (0, 1)]
    size = [f * m + 2 * e for f, m, e in zip(factor, shape, margin, strict=True)]
    middle = [0.0 if decimation == "sample" else (f - 1) / 2 for f in factor]
    fine = np.indices(size).astype(float)
    low = [(u - e - o) / f for u, e, o, f in zip(fine, margin, middle, factor, strict=True)]
    p0, p1, w = (a * low[0] + b * low[1] + t for a, b, t in matrix)
    scene = [f * p / w + o for f, p, o in zip(factor, (p0, p1), middle, strict=True)]
    A = 0
    for g, h in np.ndindex(field.stamps.shape[:2]):
        hats = [
            np.interp(np.arange(n) - e, nodes, np.eye(nodes.size)[k])
            for n, e, nodes, k in zip(size, margin, field.positions, (g, h), strict=True)
        ]
        one = oracle.matrix(size, field.stamps[g, h], factor, decimation=decimation)
        A = A + one * np.outer(*hats).ravel()
    first = [e // f for e, f in zip(margin, factor, strict=True)]
    whole = A.reshape(size[0] // factor[0], size[1] // factor[1], -1)
    kept = whole[first[0] : first[0] + shape[0], first[1] : first[1] + shape[1]]
    W = warps.matrix(dims, np.stack(scene), 3, boundary)
    return kept.reshape(shape[0] * shape[1], -1) @ W


def dense_shifted(dims, field, shift, options):
    """Shifts of whole fine pixels, of a factor of 2: the PSFs move, and their nodes too."""
    move = [round(2 * each) for each in shift]
    center = [(K - 1) // 2 - each for K, each in zip(field.shape, move, strict=True)]
    A = 0
    for g, h in np.ndindex(field.stamps.shape[:2]):
        hats = [
            np.interp(np.arange(n) + each, nodes, np.eye(nodes.size)[k])
            for n, each, nodes, k in zip(dims, move, field.positions, (g, h), strict=True)
        ]
        one = oracle.matrix(dims, field.stamps[g, h], 2, center=center, **options)
        A = A + one * np.outer(*hats).ravel()
    return A


@pytest.mark.parametrize(
    ("decimation", "factor", "taps", "boundary"),
    [
        ("mean", (2, 2), (3, 3), "symmetric"),
        ("sum", (3, 2), (2, 4), "constant"),
        ("sample", (2, 3), (3, 2), "wrap"),
        ("mean", (1, 1), (5, 3), "edge"),
    ],
)
@pytest.mark.parametrize("matrix", [TURNED, TILTED])
def test_frames_against_dense_matrices(decimation, factor, taps, boundary, matrix):
    rng = np.random.default_rng(0)
    shape = 4, 5
    dims = 4 * factor[0], 5 * factor[1]
    field = a_field(rng, taps)
    expected = dense(dims, field, factor, shape, matrix, decimation, boundary)
    options = {"decimation": decimation, "boundary": boundary, "shape": shape}
    A = FrameStack.from_motion(dims, field, factor, [matrix], **options).operators[0]
    bound = 1e-9 * abs(expected).max()
    assert_allclose(A @ np.eye(A.shape[1]), expected, atol=bound)
    assert_allclose(A.H @ np.eye(A.shape[0]), expected.T, atol=bound)
    assert_allclose(A.to_sparse().toarray(), expected, atol=bound)
    assert_allclose(A.gram().to_sparse().toarray(), expected.T @ expected, atol=bound)
    columns, rows = A.bounds()
    assert columns >= np.linalg.norm(expected, 1)
    assert rows >= np.linalg.norm(expected, np.inf)
    assert_array_equal(pickle.loads(pickle.dumps(A)).to_sparse().toarray(), A.to_sparse().toarray())


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_least_squares_solution(each, weighted):
    """One field for all frames or one each, frames that turn, are shifted and stay."""
    rng = np.random.default_rng(1)
    shape, dims = (6, 5), (12, 10)
    shifted = np.array([[1, 0, -0.5], [0, 1, 1.0], [0, 0, 1]])
    moves = [np.eye(3), np.array(TURNED), shifted]
    fields = [a_field(rng, size=10) for _ in moves] if each else [a_field(rng, size=10)] * 3
    frames = rng.standard_normal((3, *shape))
    given = [rng.random(shape) * (rng.random(shape) < 0.8) for _ in moves] if weighted else None
    solution = super_resolve(
        frames, fields if each else fields[0], 2, motion=moves, weights=given, beta=0.3,
        regulariser="identity", rtol=1e-12,
    )  # fmt: skip
    normal, rhs = 0.3 * np.eye(120), 0
    for k, (move, field, frame) in enumerate(zip(moves, fields, frames, strict=True)):
        if k == 1:
            A = dense(dims, field, (2, 2), shape, move, "mean", "symmetric")
        else:
            options = {"decimation": "mean", "boundary": "symmetric"}
            A = dense_shifted(dims, field, (0.5, -1.0) if k == 2 else (0.0, 0.0), options)
        at = np.stack(warps.positions(move, shape))
        on = ((at >= -0.5) & (at <= np.array(shape)[:, None, None] - 0.5)).all(axis=0)
        W = (on * (given[k] if weighted else 1)).ravel()
        normal, rhs = normal + A.T @ (W[:, None] * A), rhs + A.T @ (W * frame.ravel())
    expected = np.linalg.solve(normal, rhs).reshape(dims)
    assert_allclose(solution.image, expected, atol=1e-8)


@pytest.mark.parametrize("decimation", ["mean", "sample"])
def test_the_ratio_need_not_be_whole(decimation):
    """A field of one PSF is that PSF, and nodes lie where stars of the frames do."""
    rng = np.random.default_rng(2)
    frames = rng.random((2, 10, 10))
    stamp = psf.gaussian(5, 1.0)
    options = {
        "motion": [np.eye(3), TURNED], "beta": 0.1, "rtol": 1e-11, "decimation": decimation,
    }  # fmt: skip
    plain = super_resolve(frames, stamp, 1.5, **options)
    field = super_resolve(frames, psf.Field([[stamp]], ([3], [4])), 1.5, **options)
    assert_allclose(field.image, plain.image, atol=1e-7)
    places = psf.Field([[stamp] * 2] * 2, ([0, 9], [3, 15])).resampled(
        (1.5, 1.5), (2, 2), decimated=decimation == "mean"
    )
    shift = (0.5 * 4 / 3 - 0.5) if decimation == "mean" else 0.0
    expected = [np.array(line) * 4 / 3 + shift for line in ([0, 9], [3, 15])]
    for found, nodes in zip(places.positions, expected, strict=True):
        assert_allclose(found, nodes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"loss": "huber"},
        {"loss": "poisson", "background": 0.2, "regulariser": "laplacian"},
        {"regulariser": "tv"},
        {"weights": [0.5, np.ones((8, 8))]},
        {"nonnegative": True},
        {"photometry": "gain"},
    ],
    ids=lambda given: next(iter(given)) + str(next(iter(given.values())))[:7],
)
def test_losses_masks_and_priors_take_a_field(options):
    """A field whose nodes are equal gives what that PSF gives."""
    rng = np.random.default_rng(3)
    stamp = psf.gaussian(5, 1.0)
    scene = 1 + rng.random((16, 16))
    motion = [np.eye(3), np.array([[1, 0.03, 0.1], [-0.03, 1, 0.2], [0, 0, 1]])]
    stack = FrameStack.from_motion((16, 16), stamp, 2, motion, decimation="mean",
                                   boundary="symmetric")  # fmt: skip
    frames = np.reshape(stack @ scene.ravel(), (2, 8, 8)) + 0.01 * rng.standard_normal((2, 8, 8))
    moves = {"motion": motion}
    if "background" in options:  # of photons, which take shifts alone
        moves = {"shifts": [(0, 0), (0.3, 0.4)]}
    given = {"beta": 1e-2, "rtol": 1e-9, "maxiter": 1000} | moves | options
    plain = super_resolve(frames, stamp, 2, **given)
    field = super_resolve(frames, psf.Field([[stamp] * 2] * 3, ([0, 7, 9], [2, 14])), 2, **given)
    assert plain.converged
    assert field.converged
    assert_allclose(field.image, plain.image, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["gaussian", "huber"])
def test_outliers_and_masks_are_solved_with_the_field(loss):
    """Against least squares of dense matrices, weighted anew until nothing changes."""
    rng = np.random.default_rng(4)
    field = a_field(rng, size=16)
    options = {"decimation": "mean", "boundary": "symmetric"}
    moves = [(0, 0), (0.5, -1)]
    matrix = np.concatenate([dense_shifted((12, 12), field, move, options) for move in moves])
    seen = rng.random((2, 6, 6)) < 0.9
    clean = np.reshape(matrix @ rng.random(144), (2, 6, 6))
    frames = clean + 0.01 * rng.standard_normal((2, 6, 6))
    frames[0, 2, 3] += 5
    solution = super_resolve(
        np.where(seen, frames, np.nan), field, 2, shifts=moves, weights=list(1.0 * seen),
        beta=0.05, regulariser="identity", rtol=1e-11, maxiter=1000,
        **({"loss": "huber", "threshold": 0.02} if loss == "huber" else {}), **options,
    )  # fmt: skip
    W = own = seen.ravel().astype(float)
    for _ in range(500):
        normal = matrix.T @ (own[:, None] * matrix) + 0.05 * np.eye(144)
        x = np.linalg.solve(normal, matrix.T @ (own * frames.ravel()))
        if loss == "huber":
            own = W * 0.02 / np.maximum(abs(matrix @ x - frames.ravel()), 0.02)
    assert_allclose(solution.image.ravel(), x, atol=1e-5)


def test_a_field_has_no_center_in_frames_either():
    with pytest.raises(ValueError, match="give no center"):
        FrameStack.from_motion((8, 8), a_field(np.random.default_rng(0)), 2, [TURNED], center=1)
