"""Frames that turn, scale and are distorted, as operators and in `super_resolve`."""

import pickle
import warnings

import numpy as np
import oracle
import pytest
import warps
from bursts import photograph, quality
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from dhop import DHOperator, FrameStack, psf, super_resolve
from dhop.frames import motions
from dhop.operators.moved import MovedOperator

SHAPE = (60, 60)  # of the frames of a burst


def motion(degrees, shift=(0, 0), zoom=1.0, shape=SHAPE, tilt=(0, 0)):
    """About the middle of a frame; the scene appears `shift` further down and to the right."""
    matrix = warps.turned(degrees, shape, shape)
    middle = (np.array(shape) - 1) / 2
    matrix[:2, :2] *= zoom
    matrix[:2, 2] = middle - matrix[:2, :2] @ middle - shift
    matrix[2, :2] = tilt
    return matrix


def smooth_scene(dims):
    r, c = np.indices(dims)
    spots = [(0.45, 0.5, 13.0, 1.0), (0.6, 0.35, 15.0, -0.4)]
    return sum(
        a * np.exp(-((r - p * dims[0]) ** 2 + (c - q * dims[1]) ** 2) / (2 * s * s))
        for p, q, s, a in spots
    )


CASES = [
    ("mean", (2, 2), (3, 3), (1, 1), "symmetric"),
    ("sum", (3, 2), (2, 4), (0, 2), "constant"),
    ("sample", (2, 3), (3, 2), (2, 0), "wrap"),
    ("mean", (1, 1), (5, 3), (-1, 4), "edge"),
]


@pytest.mark.parametrize(("decimation", "factor", "taps", "center", "boundary"), CASES)
@pytest.mark.parametrize("kind", ["affine", "projective", "callable"])
def test_frames_against_dense_matrices(decimation, factor, taps, center, boundary, kind):
    rng = np.random.default_rng(0)
    shape, blur = (4, 5), rng.random(taps)
    dims = (factor[0] * 4, factor[1] * 5)
    matrix = motion(25.0, (0.4, -0.7), 1.1, shape, (0.02, 0) if kind == "projective" else (0, 0))

    def places(rows, columns):
        p0, p1, w = (a * rows + b * columns + t for a, b, t in matrix)
        bent = 0.2 * np.sin(columns) if kind == "callable" else 0.0
        return p0 / w + bent, p1 / w

    expected = warps.camera(dims, blur, factor, shape, places, center, decimation, boundary)
    A = MovedOperator(
        dims, blur, tuple(map(float, factor)), shape, places if kind == "callable" else matrix,
        center=center, decimation=decimation, boundary=boundary,
    )  # fmt: skip
    assert_allclose(A @ np.eye(A.shape[1]), expected, atol=1e-9 * abs(expected).max())
    assert_allclose(A.H @ np.eye(A.shape[0]), expected.T, atol=1e-9 * abs(expected).max())
    assert_allclose(A.to_sparse().toarray(), expected, atol=1e-9 * abs(expected).max())


def test_weight_density():
    """Weights are counted where they lie, and spread over nine blocks."""
    grid = motions.Grid.build((4, 3), (2.0, 2.0), (1, 1), (0, 0), "mean")
    weights = np.arange(24.0).reshape(2, 4, 3)
    shift = motions.of_shift(np.array([-1.0, 1.0]))  # the scene appears higher, and to the right
    found = grid.weight_density(shift, (2, 2), (6, 5), weights)
    placed = np.zeros((2, 8, 7))
    placed[:, 2:6, 1:3] = weights[:, :, 1:]
    expected = [ndimage.uniform_filter(each, 3, mode="constant")[1:-1, 1:-1] for each in placed]
    assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("factor", [2, (3, 2), (4, 5)])
def test_a_shift_as_a_motion_is_the_shift_in_the_psf(decimation, factor):
    """On a scene and a PSF that are nearly band-limited; the pixel centres are the same."""
    dims, blur = (120, 120), psf.gaussian(33, 2.2)
    f0, f1 = np.broadcast_to(factor, 2)
    shape = (120 // int(f0), 120 // int(f1))
    scene = smooth_scene(dims)
    move = np.array([0.37, -0.81])
    moved, center = psf.shift(blur, move * [f0, f1])
    A = DHOperator(dims, moved, factor, center=center, decimation=decimation, boundary="symmetric")
    B = MovedOperator(
        dims, blur, (float(f0), float(f1)), shape, motions.of_shift(move), center=(16, 16),
        decimation=decimation, boundary="symmetric",
    )  # fmt: skip
    expected = A.degrade(scene)
    assert_allclose(B.degrade(scene), expected, atol=1e-6 * expected.max())


def test_positions_are_interpolated_between_pixels():
    """An array of smooth positions is what a callable of the same is, beyond the frame too."""
    dims, shape, blur = (80, 90), (40, 45), psf.gaussian(7, 1.2)
    scene = smooth_scene(dims)

    def bent(rows, columns):
        return (
            0.98 * rows + 0.03 * columns + 0.5 * np.sin(columns / 15),
            1.01 * columns - 0.02 * rows + 1e-3 * rows**2,
        )

    options = {"center": (3, 3), "boundary": "symmetric", "decimation": "mean"}
    by_callable = MovedOperator(dims, blur, (2.0, 2.0), shape, bent, **options)
    places = motions.centres(bent, shape)
    by_array = MovedOperator(dims, blur, (2.0, 2.0), shape, places, **options)
    found, expected = by_array.degrade(scene), by_callable.degrade(scene)
    assert_allclose(found[3:-3, 3:-3], expected[3:-3, 3:-3], atol=1e-5)
    assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("factor", [2.0, 1.4, (2.5, 5.6)])
def test_a_flat_scene_stays_flat(factor):
    ratio = np.broadcast_to(factor, 2)
    dims = tuple(int(n) for n in np.rint(ratio * 20))
    moves = [np.eye(3), motion(5.0, (0.3, 0.2), 0.9, (20, 20))]
    options = {"boundary": "symmetric", "shape": (20, 20)}
    for decimation, value in [("mean", 1.0), ("sample", 1.0), ("sum", np.prod(ratio))]:
        B = FrameStack.from_motion(
            dims, psf.gaussian(5, 1.0), factor, moves, decimation=decimation, **options
        )
        assert_allclose(B.split(B @ np.ones(B.shape[1]))[0], value, rtol=1e-12)


@pytest.mark.parametrize("factor", [2, 2.5])
def test_a_stack_of_moved_frames(factor):
    """Its parts are operators of ours: matrix, pickles, batches, workers."""
    dims, blur = (int(12 * factor), int(14 * factor)), psf.gaussian(3, 0.7)
    moves = [np.eye(3), motion(7.0, (0.4, 0.1), 1.02, (12, 14)), motions.of_shift(np.ones(2) / 3)]
    B = FrameStack.from_motion(dims, blur, factor, moves, boundary="symmetric", decimation="mean")
    x = np.random.default_rng(0).standard_normal(dims)
    S = B.to_sparse()
    assert_allclose(S @ x.ravel(), B @ x.ravel(), atol=1e-12)
    y = np.random.default_rng(1).standard_normal(B.shape[0])
    assert_allclose(S.T @ y, B.H @ y, atol=1e-12)
    other = pickle.loads(pickle.dumps(B))
    assert_array_equal(other @ x.ravel(), B @ x.ravel())
    two = FrameStack.from_motion(
        (2, *dims), blur, factor, moves, boundary="symmetric", decimation="mean", workers=1
    )
    twice = two @ np.stack([x, 2 * x]).ravel()
    frames = [each.reshape(2, -1)[0] for each in two.split(twice)]
    assert_array_equal(np.concatenate(frames), B @ x.ravel())


def test_a_shift_stays_in_the_psf():
    moves = [np.eye(3), motions.of_shift(np.array([0.5, -0.25])), 2 * np.eye(3), motion(1.0)]
    B = FrameStack.from_motion((120, 120), psf.gaussian(3, 0.7), 2, moves)
    kinds = [type(each) for each in B.operators]
    assert kinds == [DHOperator, DHOperator, DHOperator, MovedOperator]


def test_pixels_that_see_nothing_of_the_scene_have_no_weight():
    shift = motions.of_shift(np.array([3.55, -2.55]))
    B = FrameStack.from_motion((40, 60), psf.gaussian(3, 0.7), 2, [shift], weights=[4.0])
    rows = np.arange(20) - 3.55
    columns = np.arange(30) + 2.55
    seen = np.logical_and.outer(rows >= -0.5, columns <= 29.5)
    assert_array_equal(B.weights[0].reshape(20, 30), 4.0 * seen)
    away = FrameStack.from_motion(
        (40, 60), psf.gaussian(3, 0.7), 2, [motions.of_shift(np.array([0.0, 99.0]))]
    )
    assert away.nnz == 0


def burst(scene, offset, blur, factor, moves, noise, shape=SHAPE, seed=0):
    """Frames by SciPy: a spline of the fifth order of a larger scene, blurred and averaged."""
    rng = np.random.default_rng(seed)
    half, frames = blur.shape[0] // 2, []
    for matrix in moves:
        fine = np.indices([factor * m + 2 * half for m in shape]).astype(float)
        low = (fine - half - (factor - 1) / 2) / factor
        p0, p1, w = (a * low[0] + b * low[1] + t for a, b, t in matrix)
        places = np.stack([p0 / w, p1 / w]) * factor + (factor - 1) / 2 + offset
        seen = ndimage.convolve(
            ndimage.map_coordinates(scene, places, order=5, mode="mirror"), blur, mode="constant"
        )[half:-half, half:-half]
        means = seen.reshape(shape[0], factor, shape[1], factor).mean(axis=(1, 3))
        frames.append(means + noise * rng.standard_normal(shape))
    return np.stack(frames)


@pytest.fixture(scope="module")
def views():
    """A scene, its surroundings, how its frames are shifted, and what comes of the shifts alone."""
    wide, blur = photograph(size=180), psf.gaussian(7, 1.1)
    rng = np.random.default_rng(2)
    shifts = rng.uniform(-1, 1, (12, 2))
    shifts[0] = 0
    frames = burst(wide, 30, blur, 2, [motion(0, each) for each in shifts], 0.01)
    scene = wide[30:150, 30:150]
    found = super_resolve(frames, blur, 2, shifts=shifts)
    return wide, blur, shifts, scene, frames, found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("degrees", "zoom", "tilt", "lost", "gained"),
    [
        (1.5, 0, 0, 0.4, 0.9),
        (3, 0, 0, 0.4, 2.5),
        (10, 0.05, 0, 0.6, 2.5),
        (1.5, 0, 1e-4, 0.4, 1.0),
    ],
)
def test_frames_that_turn_are_worth_as_much(views, degrees, zoom, tilt, lost, gained):
    """As frames that are shifted, at most so many decibels less; and more than shifts alone."""
    wide, blur, shifts, scene, _, shifted = views
    rng = np.random.default_rng(3)
    moves = [
        motion(degrees * a, each, 1 + zoom * b, tilt=(tilt * c, -tilt * a))
        for (a, b, c), each in zip(rng.uniform(-1, 1, (12, 3)), shifts, strict=True)
    ]
    moves[0] = np.eye(3)
    frames = burst(wide, 30, blur, 2, moves, 0.01)
    solution = super_resolve(frames, blur, 2, motion=moves)
    assert solution.converged
    assert solution.iterations < 30
    assert quality(solution.image, scene) > quality(shifted.image, scene) - lost
    one = super_resolve(frames[0], blur, 2)
    assert quality(solution.image, scene) > quality(one.image, scene) + 1.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blind = super_resolve(frames, blur, 2, shifts=shifts, beta=solution.beta)
    assert quality(solution.image, scene) > quality(blind.image, scene) + gained


@pytest.mark.slow
def test_motions_that_are_shifts_are_shifts(views):
    _, blur, shifts, _, frames, shifted = views
    solution = super_resolve(frames, blur, 2, motion=[motions.of_shift(each) for each in shifts])
    assert_array_equal(solution.image, shifted.image)
    assert_array_equal(solution.shifts, shifts)
    assert solution.motion is None


@pytest.mark.slow
def test_what_solutions_know_of_motions(views):
    wide, blur, shifts, _, _, _ = views
    moves = [np.eye(3), motion(3.0, (0.5, -0.25)), motion(-2.0, shifts[2])]
    frames = burst(wide, 30, blur, 2, moves, 0.01)
    solution = super_resolve(frames, blur, 2, motion=moves, photometry="gain")
    assert_allclose(solution.shifts[1], [0.5, -0.25], atol=1e-12)
    assert_allclose(solution.photometry.gains, 1, atol=0.01)
    assert_array_equal(solution.motion[1], moves[1])
    assert_allclose(np.linalg.norm(solution.residuals()), solution.residual_norm)
    masks = solution.operator.weights
    assert (masks[1] == 0).any()
    assert masks[1].reshape(SHAPE)[20:40, 20:40].all()


@pytest.mark.slow
def test_an_image_that_is_larger_than_what_frames_show(views):
    """What no frame shows is continued, and does not take hundreds of iterations."""
    wide, blur, shifts, scene, _, _ = views
    moves = [motion(2.0 * k, each) for k, each in enumerate(shifts[:4])]
    frames = burst(wide, 30, blur, 2, moves, 0.01)
    solution = super_resolve(frames, blur, 2, motion=moves, dims=(132, 150))
    assert solution.converged
    assert solution.iterations < 150
    usual = super_resolve(frames, blur, 2, motion=moves, beta=solution.beta)
    assert quality(solution.image[:120, :120], scene) > quality(usual.image, scene) - 0.1


@pytest.mark.parametrize("regulariser", ["identity", "gradient"])
def test_is_the_least_squares_solution(regulariser):
    """Of dense matrices, with weights, channels of their own blur, a callable and an array."""
    rng = np.random.default_rng(6)
    shape, dims = (6, 5), (12, 10)
    matrix = motion(6.0, (0.2, 0.1), 1.0, shape)
    moves = [np.eye(3), matrix, motions.centres(matrix, shape)]
    blurs = [rng.random((3, 3)), rng.random((1, 3))]
    for blur in blurs:
        blur[blur.shape[0] // 2, 1] += 2
    frames = rng.standard_normal((3, 2, *shape))
    weights = [rng.random(shape) for _ in moves]
    solution = super_resolve(
        frames, [blurs] * 3, 2, motion=moves, beta=0.3, regulariser=regulariser, weights=weights,
        rtol=1e-12,
    )  # fmt: skip
    stencils = {"identity": [[[1.0]]], "gradient": [[[1.0], [-1.0]], [[1.0, -1.0]]]}[regulariser]
    S = [oracle.matrix(dims, each, 1, boundary="symmetric") for each in stencils]
    grid = np.indices(shape)
    for channel, blur in enumerate(blurs):
        normal = sum(0.3 * each.T @ each for each in S)
        rhs = np.zeros(normal.shape[0])
        for move, frame, weight in zip(moves, frames[:, channel], weights, strict=True):
            used = np.eye(3) if move is moves[0] else matrix

            def places(rows, columns, used=used):
                return tuple(a * rows + b * columns + t for a, b, t in used[:2])

            A = warps.camera(
                dims, blur / blur.sum(), (2, 2), shape, places,
                [(k - 1) // 2 for k in blur.shape], "mean", "symmetric",
            )  # fmt: skip
            at = np.stack(places(*grid))
            on = ((at >= -0.5) & (at <= np.array(shape)[:, None, None] - 0.5)).all(axis=0)
            W = np.diag((weight * on).ravel())
            normal, rhs = normal + A.T @ W @ A, rhs + A.T @ W @ frame.ravel()
        expected = np.linalg.solve(normal, rhs).reshape(dims)
        assert_allclose(solution.image[channel], expected, atol=1e-8)


def boxes(size, count, factor, shift):
    """Means over pixels of any width, of a line that continues as its last pixel."""
    matrix = np.zeros((count, size))
    for j in range(count):
        begin, end = factor * (j - shift), factor * (j + 1 - shift)
        for i in range(int(np.floor(begin)), int(np.ceil(end))):
            part = (min(end, i + 1) - max(begin, i)) / factor
            matrix[j, min(max(i, 0), size - 1)] += part
    return matrix


@pytest.mark.slow
@pytest.mark.parametrize("given", ["shifts", "motion", "estimate"])
def test_a_ratio_that_is_no_whole_number(given):
    scene, blur = photograph(size=120), psf.gaussian(9, 1.3)
    rng = np.random.default_rng(1)
    shifts = rng.uniform(-1, 1, (8, 2))
    shifts[0] = 0
    seen = ndimage.convolve(scene, blur, mode="nearest")
    lines = [[boxes(120, 48, 2.5, s) for s in each] for each in shifts]
    frames = np.stack([a @ seen @ b.T for a, b in lines])
    frames += 0.005 * rng.standard_normal(frames.shape)
    known = {
        "shifts": {"shifts": shifts},
        "motion": {"motion": [motions.of_shift(each) for each in shifts]},
        "estimate": {"shifts": "estimate"},
    }[given]
    solution = super_resolve(frames, blur, 2.5, **known)
    assert solution.image.shape == (120, 120)
    assert solution.converged
    assert solution.iterations < 30
    assert_allclose(solution.shifts, shifts, atol=0.02)
    places = (np.indices((120, 120)) + 0.5) / 2.5 - 0.5
    spline = ndimage.map_coordinates(frames[0], places, order=3, mode="nearest")
    assert quality(solution.image, scene) > quality(spline, scene) + 3
    assert abs(solution.image.mean() - scene.mean()) < 1e-3


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"motion": "euclidian"}, ValueError, "did you mean 'euclidean'"),
        ({"motion": "shift", "shifts": np.zeros((2, 2))}, ValueError, "not both"),
        ({"motion": 3}, TypeError, "sequence"),
        ({"motion": [np.eye(3)]}, ValueError, "2 frames, but 1 motions"),
        ({"motion": [np.eye(3), np.eye(2)]}, ValueError, "motion of frame 1"),
        ({"motion": [np.eye(3), np.zeros((2, 5, 6))]}, ValueError, "motion of frame 1"),
        ({"motion": [np.eye(3), np.eye(3) * np.nan]}, ValueError, "frame 1 must be finite"),
        ({"motion": [np.eye(3), lambda r, c: (r * np.nan, c)]}, ValueError, "must return finite"),
        ({"motion": [np.eye(3), [[1, 0, 0], [0, 1, 0], [-0.5, 0, 1]]]}, ValueError, "horizon"),
        ({"motion": [np.eye(3)] * 2, "shifts": np.zeros((2, 2))}, ValueError, "not both"),
        ({"factor": 0.0}, ValueError, "positive"),
        ({"factor": "2"}, TypeError, "real number"),
    ],
)
def test_refusals(changed, error, match):
    given = {"frames": np.ones((2, 6, 5)), "psf": psf.gaussian(3, 0.7), "factor": 2, "beta": 0.1}
    with pytest.raises(error, match=match):
        super_resolve(**(given | changed))


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ([1.0], "2 operators, but 1 weights"),
        ([1.0, np.ones((3, 3))], "frame 1 has 16 pixels, but 9 weights"),
        ([1.0, -1.0], "not negative: frame 1"),
        (["a", "b"], "each of weights must be an array of numbers"),
    ],
)
def test_weights_that_do_not_fit_a_stack_of_moved_frames(weights, match):
    """Of frames that lie on the scene and beyond it."""
    away = [[1, 0, 0.3], [0, 1, 40], [0, 0, 1]]
    with pytest.raises((ValueError, TypeError), match=match):
        FrameStack.from_motion((8, 8), psf.gaussian(3, 0.7), 2, [np.eye(3), away], weights=weights)
