"""Lines and volumes that have moved in ways that are known."""

import pickle

import numpy as np
import oracle
import pytest
import warps
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator, FrameStack, psf, super_resolve
from dhop.frames import motions
from dhop.motion import positions
from dhop.operators.moved import MovedOperator


def turned(degrees, shape, shift=0.0):
    """About the middle of volumes, in the plane of planes and rows, and a little in the others."""
    linear = np.eye(3)
    for (a, b), share in (((0, 1), 1.0), ((1, 2), -0.5), ((0, 2), 0.3)):
        angle, one = np.deg2rad(share * degrees), np.eye(3)
        one[a, a], one[a, b] = np.cos(angle), -np.sin(angle)
        one[b, a], one[b, b] = np.sin(angle), np.cos(angle)
        linear = linear @ one
    matrix = warps.about_centres(linear, shape, shape)
    matrix[:3, 3] -= shift
    return matrix


def positions_of(matrix, at):
    """Where a matrix takes places, an array for each axis."""
    found = np.tensordot(matrix[:, :-1], np.stack(at), 1)
    found += matrix[:, -1].reshape(-1, *(1,) * len(at))
    return found[:-1] / found[-1]


def dense(dims, blur, factor, shape, places, center, decimation, boundary, weight=None):
    """``D H diag(weight) W`` from `warps` and `oracle`, on a fine grid with a wide margin.

    `places` takes places in a frame, an array for each axis, to those in frame 0, and `weight` fine
    pixels along the first axis of the camera to numbers.
    """
    margin = [f * (1 + k // f) for f, k in zip(factor, blur.shape, strict=True)]
    size = [f * m + 2 * e for f, m, e in zip(factor, shape, margin, strict=True)]
    middle = [0.0 if decimation == "sample" else (f - 1) / 2 for f in factor]
    fine = np.indices(size).astype(float)
    low = [(u - e - o) / f for u, e, o, f in zip(fine, margin, middle, factor, strict=True)]
    scene = [f * p + o for f, p, o in zip(factor, places(*low), middle, strict=True)]
    if len(dims) == 1:
        W = warps.lines(dims[0], scene[0], 3, boundary)
    else:
        W = warps.volume_matrix(dims, np.stack(scene), 3, (boundary,) * 3)
    A = oracle.matrix(tuple(size), blur, tuple(factor), center=center, decimation=decimation)
    whole = A.reshape(*(n // f for n, f in zip(size, factor, strict=True)), -1)
    if weight is not None:
        W = weight(fine[0] - margin[0]).reshape(-1, 1) * W
    kept = tuple(slice(e // f, e // f + m) for e, f, m in zip(margin, factor, shape, strict=True))
    return whole[kept].reshape(np.prod(shape), -1) @ W


CASES = [  # decimation, factor, taps, center and boundary
    ("mean", (2,), (3,), (1,), "symmetric", (9,)),
    ("sum", (3,), (4,), (2,), "constant", (6,)),
    ("sample", (2,), (3,), (0,), "wrap", (7,)),
    ("mean", (1, 2, 2), (2, 3, 3), (0, 1, 1), "symmetric", (3, 2, 3)),
    ("sum", (2, 1, 2), (1, 2, 3), (0, 2, 0), "wrap", (2, 3, 2)),
    ("sample", (2, 2, 1), (3, 2, 1), (2, 0, 0), "edge", (2, 2, 4)),
]


@pytest.mark.parametrize(("decimation", "factor", "taps", "center", "boundary", "shape"), CASES)
@pytest.mark.parametrize("kind", ["affine", "projective", "callable"])
def test_frames_against_dense_matrices(decimation, factor, taps, center, boundary, shape, kind):
    rng = np.random.default_rng(0)
    blur, ndim = rng.random(taps), len(shape)
    dims = tuple(f * m for f, m in zip(factor, shape, strict=True))
    matrix = turned(20.0, shape, 0.3) if ndim == 3 else np.array([[0.9, -0.4], [0.0, 1.0]])
    if kind == "projective":
        matrix[-1, :-1] = 0.02

    def places(*at):
        bent = 0.2 * np.sin(at[-1]) if kind == "callable" else 0.0
        return positions_of(matrix, at) + bent

    def given(*at):
        return places(*at) if ndim > 1 else places(*at)[0]

    expected = dense(dims, blur, factor, shape, places, center, decimation, boundary)
    A = MovedOperator(
        dims, blur, tuple(map(float, factor)), shape, given if kind == "callable" else matrix,
        center=center, decimation=decimation, boundary=boundary,
    )  # fmt: skip
    scale = abs(expected).max()
    assert_allclose(A @ np.eye(A.shape[1]), expected, atol=1e-9 * scale)
    assert_allclose(A.H @ np.eye(A.shape[0]), expected.T, atol=1e-9 * scale)
    assert_allclose(A.to_sparse().toarray(), expected, atol=1e-9 * scale)
    if kind != "callable":
        at = positions(matrix, shape)
        assert_allclose(at, places(*np.indices(shape, float)), atol=1e-12)
        # Positions that are an affine map of the pixels are that between these, too.
        if kind == "affine":
            by_array = MovedOperator(
                dims, blur, tuple(map(float, factor)), shape, at, center=center,
                decimation=decimation, boundary=boundary,
            )  # fmt: skip
            assert_allclose(by_array @ np.eye(A.shape[1]), expected, atol=1e-8 * scale)


@pytest.mark.parametrize("shape", [(12,), (4, 5, 6)])
def test_frames_that_only_moved_have_the_shift_in_their_psf(shape):
    ndim = len(shape)
    dims, blur = tuple(2 * m for m in shape), psf.gaussian((5,) * ndim, 1.0)
    move = np.array([0.3, -0.6, 0.2][-ndim:])
    B = FrameStack.from_motion(dims, blur, 2, [motions.of_shift(move)], weights=[4.0])
    moved, center = psf.shift(blur, 2 * move)
    A = DHOperator(dims, moved, 2, center=center)
    assert isinstance(B.operators[0], DHOperator)
    x = np.random.default_rng(0).random(A.shape[1])
    assert_array_equal(B.operators[0] @ x, A @ x)


def test_a_batch_its_pickle_and_what_lies_beside_the_scene():
    dims, shape = (3, 8, 10, 12), (4, 5, 6)
    B = FrameStack.from_motion(
        dims, psf.gaussian((3, 3, 3), 0.7), 2, [turned(20.0, shape, 0.4)], order=1
    )
    places = positions(turned(20.0, shape, 0.4), shape)
    at = 2 * places + 0.5
    size = np.reshape(dims[1:], (3, 1, 1, 1))
    on = ((at >= -0.5) & (at <= size - 0.5)).all(axis=0)
    assert 0 < on.sum() < on.size
    assert_array_equal(B.weights[0].reshape(3, *shape), np.broadcast_to(on, (3, *shape)))
    other = pickle.loads(pickle.dumps(B))
    x = np.random.default_rng(0).random(dims)
    assert_array_equal(other @ x.ravel(), B @ x.ravel())
    one = B.operators[0].of_one_image()
    assert_array_equal(B.operators[0].degrade(x), [one.degrade(volume) for volume in x])


@pytest.mark.parametrize(("shape", "nodes"), [((9,), [[0, 13]]), ((2, 3, 3), [[0.5, 3], [2], [1]])])
def test_a_field_of_psfs_moves_with_the_camera(shape, nodes):
    """Two PSFs, between which light is shared by where it is in the camera."""
    ndim, rng = len(shape), np.random.default_rng(2)
    dims, factor = tuple(2 * m for m in shape), (2,) * ndim
    stamps = rng.random((2, *(3,) * ndim))
    field = psf.Field(stamps.reshape(*(len(each) for each in nodes), *(3,) * ndim), nodes)
    matrix = turned(20.0, shape, 0.3) if ndim == 3 else np.array([[0.9, 0.4], [0.0, 1.0]])

    def share(k):
        low, high = nodes[0]
        return lambda at: abs(1 - k - ((at - low) / (high - low)).clip(0, 1))

    def places(*at):
        return positions_of(matrix, at)

    expected = sum(
        dense(dims, stamp, factor, shape, places, (1,) * ndim, "sum", "wrap", share(k))
        for k, stamp in enumerate(stamps)
    )
    B = FrameStack.from_motion(dims, field, 2, [matrix], boundary="wrap")
    assert_allclose(B.operators[0] @ np.eye(B.shape[1]), expected, atol=1e-9 * expected.max())
    assert_allclose(B.operators[0].H @ np.eye(B.shape[0]), expected.T, atol=1e-9 * expected.max())


def test_super_resolution_of_lines_is_the_dense_solution():
    """Of spectra of which one is stretched."""
    rng = np.random.default_rng(1)
    blur, shape, beta = psf.gaussian((5,), 1.0), 20, 1e-2
    motion = [np.array([[1.02, 0.3], [0.0, 1.0]]), np.array([[0.99, -0.4], [0.0, 1.0]])]
    frames = rng.random((2, shape))
    solution = super_resolve(
        frames, blur, 2, motion=motion, beta=beta, regulariser="identity", rtol=1e-10
    )
    assert solution.converged
    total, right = beta * np.eye(2 * shape), 0
    for matrix, frame in zip(motion, frames, strict=True):
        at = matrix[0, 0] * np.arange(shape) + matrix[0, 1]
        seen = (2 * at + 0.5 >= -0.5) & (2 * at + 0.5 <= 2 * shape - 0.5)
        A = dense(
            (2 * shape,), blur / blur.sum(), (2,), (shape,),
            lambda c, m=matrix: [m[0, 0] * c + m[0, 1]], (2,), "mean", "symmetric",
        )  # fmt: skip
        total, right = total + A[seen].T @ A[seen], right + A[seen].T @ frame[seen]
    assert_allclose(solution.image, np.linalg.solve(total, right), atol=1e-5)
    # A function of columns and positions say the same.
    for other in (
        [lambda c, m=m: m[0, 0] * c + m[0, 1] for m in motion],
        [positions(m, (shape,)) for m in motion],
    ):
        again = super_resolve(
            frames, blur, 2, motion=other, beta=beta, regulariser="identity", rtol=1e-10
        )
        assert_allclose(again.image, solution.image, atol=1e-5)


def volumes(count=4, turn=6.0):
    """A scene, and frames of it that have turned."""
    rng = np.random.default_rng(3)
    dims, shape, blur = (20, 32, 32), (10, 16, 16), psf.gaussian((7, 7, 7), 1.0)
    z, r, c = np.indices(dims)
    scene = np.zeros(dims)
    for _ in range(60):
        at, width = rng.uniform(0.1, 0.9, 3) * dims, rng.uniform(1.0, 2.5)
        away = (z - at[0]) ** 2 + (r - at[1]) ** 2 + (c - at[2]) ** 2
        scene += rng.uniform(0.3, 1.0) * np.exp(-away / (2 * width**2))
    motion = [np.eye(4)]
    motion += [
        turned(t, shape, rng.uniform(-0.6, 0.6, 3)) for t in rng.uniform(-turn, turn, count - 1)
    ]
    B = FrameStack.from_motion(dims, blur, 2, motion, decimation="mean", boundary="symmetric")
    ideal = np.stack([(A @ scene.ravel()).reshape(shape) for A in B.operators])
    return scene, ideal + 0.01 * rng.standard_normal(ideal.shape), motion, blur


@pytest.mark.slow
def test_super_resolution_of_volumes_that_turned():
    """Known motion makes of several volumes more than one has; unknown it makes less."""
    scene, frames, motion, blur = volumes()

    def error(solution):
        inside = (slice(3, -3),) * 3
        return np.sqrt(np.mean((solution.image - scene)[inside] ** 2))

    one = super_resolve(frames[0], blur, 2, beta=1e-3)
    known = super_resolve(frames, blur, 2, motion=motion, beta=1e-3)
    unknown = super_resolve(frames, blur, 2, beta=1e-3)
    assert known.converged
    assert known.shifts.shape == (4, 3)
    assert error(known) < 0.8 * error(one)
    assert error(known) < 0.3 * error(unknown)
    # The volume that has turned least chooses a beta as it would alone.
    chosen = super_resolve(frames, blur, 2, motion=motion)
    assert error(chosen) < 1.7 * error(known)
    assert_allclose(chosen.beta, super_resolve(frames[0], blur, 2).beta)


@pytest.mark.slow
@pytest.mark.parametrize("options", [
    {"regulariser": "huber-tv"},
    {"loss": "huber"},
    {"photometry": "gain"},
    {"nonnegative": True, "beta": 1e-3},
    {"weights": [1.0, 0.0]},
])  # fmt: skip
def test_other_ways_to_solve_volumes_that_turned(options):
    scene, frames, motion, blur = volumes(2)
    found = super_resolve(frames, blur, 2, motion=motion, rtol=1e-3, **options)
    inside = (slice(3, -3),) * 3
    assert np.corrcoef(found.image[inside].ravel(), scene[inside].ravel())[0, 1] > 0.97


def test_thin_volumes_that_turned_choose_beta_by_planes():
    _, frames, motion, blur = volumes(2, 0.0)
    motion[1][0, 3] = 0
    motion[1][1:3, 1:3] = [[0.998, -0.06], [0.06, 0.998]]
    found = super_resolve(frames[:, 4:6], blur, (1, 2, 2), motion=motion)
    alone = super_resolve(frames[0, 4:6], blur, (1, 2, 2))
    assert_allclose(found.beta, alone.beta)


@pytest.mark.parametrize(
    ("frames", "blur", "motion", "match"),
    [
        ((2, 8), 5, "euclidean", "motion of lines cannot be estimated"),
        ((2, 8), 5, [np.eye(3)] * 2, "2 x 2 matrix"),
        ((2, 8), 5, [np.eye(2)], "2 frames, but 1 motions"),
        ((2, 6, 6, 6), (3, 3, 3), "euclidean", "motion of volumes cannot be estimated"),
        ((2, 6, 6, 6), (3, 3, 3), "auto", "motion of volumes cannot be estimated"),
        ((2, 6, 6, 6), (3, 3, 3), [np.eye(3)] * 2, "4 x 4 matrix"),
        ((2, 6, 6, 6), (3, 3, 3), [np.diag([1.0, 1, 1, 0])] * 2, "horizon"),
        ((2, 6, 6, 6), (3, 3, 3), [np.full((4, 4), np.nan)] * 2, "finite"),
    ],
)
def test_refusals(frames, blur, motion, match):
    with pytest.raises(ValueError, match=match):
        super_resolve(np.ones(frames), np.ones(blur), 2, motion=motion)


def test_dims_and_shape_fit_the_psf():
    for dims, shape in ((8, 8), None), ((8, 8, 8), (4, 4)):
        with pytest.raises(ValueError, match="the psf has 3 axes"):
            FrameStack.from_motion(dims, np.ones((1, 1, 1)), 2, [np.eye(4)], shape=shape)
    with pytest.raises(ValueError, match="must return finite positions"):
        FrameStack.from_motion((8,), [1.0], 2, [lambda columns: columns[:2]])
