"""Frames that have moved, and channels with PSFs of their own, in chunks: dense matrices."""

import numpy as np
import oracle
import pytest
import warps
from moving import about_the_middle, burst, photograph
from moving import motions as random_motions
from numpy.testing import assert_allclose

import dhop
from dhop import psf
from dhop.frames import motions

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.cautions import RegistrationWarning  # noqa: E402
from dhop.dask import regions, registration, super_resolve  # noqa: E402
from dhop.dask.frame_operators import centres_on_scene, chunked  # noqa: E402
from dhop.operators.moved import MovedOperator  # noqa: E402

SHAPE, DIMS = (9, 11), (18, 22)
TURNED = about_the_middle(warps.turned(12.0, (1, 1), (1, 1))[:2, :2], (0.4, -0.7), SHAPE)
TILTED = TURNED + np.array([[0, 0, 0], [0, 0, 0], [0.004, 0.002, 0]])
LAPLACIAN = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]


def bent(rows, columns):
    return rows + 0.2 * np.sin(columns), 1.1 * columns - 0.8


MOTIONS = {
    "turned": TURNED,
    "tilted": TILTED,
    "bent": bent,
    "positions": np.stack(bent(*np.indices(SHAPE, float))),
}


def places_of(motion):
    """What takes rows and columns of a frame to those of frame 0."""
    if callable(motion):
        return motion
    if motion.ndim == 3:
        return lambda *_: motion
    return lambda *places: motions.positions(motion, *places)


def dense(motion, blur, boundary="symmetric", decimation="mean"):
    center = tuple((k - 1) // 2 for k in blur.shape)
    given = (2, 2), SHAPE, places_of(motion), center, decimation, boundary
    return warps.camera(DIMS, blur, *given)


def on_scene(motion):
    centres = places_of(motion)(*np.indices(SHAPE, float))
    return np.all([(c >= -0.5) & (c <= m - 0.5) for c, m in zip(centres, SHAPE, strict=True)], 0)


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("boundary", ["symmetric", "constant", "wrap"])
@pytest.mark.parametrize("kind", ["turned", "tilted", "bent"])
def test_both_products_against_dense_matrices(rng, kind, boundary):
    """Of the scene in chunks of seven; a batch is one image after the other."""
    blur = rng.random((3, 4))
    A = MovedOperator(
        (2, *DIMS), blur, (2.0, 2.0), SHAPE, MOTIONS[kind], center=(1, 1), decimation="mean",
        boundary=boundary,
    )  # fmt: skip
    (B,) = chunked([A], (1, 7, 7))
    assert B.chunks == ((1, 1), (8, 8, 2), (8, 8, 6))
    matrix = dense(MOTIONS[kind], blur, boundary)
    x, y = rng.random(B.dims), rng.random(B.dimsd)
    expected = x.reshape(2, -1) @ matrix.T
    found = B.degrade(da.from_array(x, chunks=B.chunks))
    assert found.chunks == B.chunksd
    assert_allclose(found.compute().reshape(2, -1), expected, atol=1e-9)
    expected = y.reshape(2, -1) @ matrix
    found = B.backproject(da.from_array(y, chunks=B.chunksd)).compute()
    assert_allclose(found.reshape(2, -1), expected, atol=1e-9)


@pytest.mark.parametrize("kind", MOTIONS)
def test_which_pixels_look_at_the_scene(kind):
    """Centres within half a pixel of the outermost ones; NaN is nowhere."""
    motion = MOTIONS[kind]
    if kind == "positions":
        motion = motion.copy()
        motion[:, 3, 4] = np.nan
    grid = motions.Grid.build(SHAPE, (2, 2), (1, 1), (0, 0), "mean")
    found = centres_on_scene(motion, grid, DIMS, ((4, 4, 1), (5, 6)))
    centres = motion if kind == "positions" else places_of(motion)(*np.indices(SHAPE, float))
    expected = np.all(
        [(c >= -0.5) & (c <= m - 0.5) for c, m in zip(centres, SHAPE, strict=True)], 0
    )
    assert not expected.all()
    assert (found.compute() == expected).all()
    assert centres_on_scene(np.eye(3), grid, DIMS, (SHAPE[:1], SHAPE[1:])) is True


def test_the_solution_is_that_of_the_normal_equations(rng, tmp_path):
    """Two frames with weights, of which one has turned; what looks beyond the scene has none."""
    blur = psf.gaussian(3, 0.8)
    frames, weights = rng.random((2, *SHAPE)), rng.uniform(0.5, 2, (2, *SHAPE))
    found = super_resolve(
        da.from_array(frames, chunks=(1, 9, 6)), blur, 2, beta=0.5, weights=list(weights),
        motion=[np.eye(3), TURNED], rtol=1e-9, scratch=tmp_path / "files",
    )  # fmt: skip
    used = weights * [np.ones(SHAPE, bool), on_scene(TURNED)]
    A = [
        oracle.matrix(DIMS, blur, 2, decimation="mean", boundary="symmetric"),
        dense(TURNED, blur),
    ]
    S = oracle.matrix(DIMS, LAPLACIAN, 1, boundary="symmetric")
    N = sum(B.T @ (w.ravel()[:, None] * B) for B, w in zip(A, used, strict=True))
    right = sum(B.T @ (w * y).ravel() for B, w, y in zip(A, used, frames, strict=True))
    expected = np.linalg.solve(N + 0.5 * S.T @ S, right)
    assert found.converged
    assert_allclose(found.image.compute().ravel(), expected, rtol=0, atol=1e-7)
    assert len(found.motion) == 2
    seen = found.coverage().compute().ravel()
    assert_allclose(seen, N @ np.ones(len(N)), atol=1e-9)
    pairs = zip(A, used, frames, strict=True)
    left = [np.sqrt(w) * (y - (B @ expected).reshape(SHAPE)) for B, w, y in pairs]
    assert_allclose(found.residuals().compute(), left, rtol=0, atol=1e-6)


def test_motions_that_are_shifts_are_shifts(rng):
    frames = da.from_array(rng.random((2, *SHAPE)), chunks=(1, 9, 6))
    given = {"beta": 0.05, "rtol": 1e-5}
    shift = np.array([0.25, -0.5])
    moved = super_resolve(
        frames, psf.gaussian(3, 0.8), 2, motion=[np.eye(3), motions.of_shift(shift)], **given
    )
    shifted = super_resolve(frames, psf.gaussian(3, 0.8), 2, shifts=[[0, 0], shift], **given)
    assert moved.motion is None
    assert_allclose(moved.shifts, [[0, 0], shift])
    assert_allclose(moved.image.compute(), shifted.image.compute(), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("moved", [False, True])
def test_factors_that_are_not_whole(rng, moved):
    """The PSF is a pixel of the scene, of which finer pixels hold their shares."""
    ratio, dims = (1.5, 2.2), (14, 24)
    pixel = np.outer([1 / 8, 3 / 4, 1 / 8], [2 / 15, 11 / 15, 2 / 15])
    frames, shift = rng.random((2, *SHAPE)), np.array([0.25, -0.5])
    second = TURNED if moved else motions.of_shift(shift)
    more = {"motion": [np.eye(3), TURNED]} if moved else {"shifts": [[0, 0], shift]}
    found = super_resolve(
        da.from_array(frames, chunks=(1, 9, 6)), np.ones((1, 1)), ratio, beta=0.5, rtol=1e-6,
        **more,
    )  # fmt: skip
    assert found.image.shape == dims
    assert_allclose(found.motion[1], second)
    A, used = [], []
    for each in (np.eye(3), second):
        places = places_of(each)
        given = pixel, (2, 3), SHAPE, places, (1, 1), "mean", "symmetric"
        A.append(warps.camera(dims, *given, ratio=ratio))
        at = places(*np.indices(SHAPE, float))
        inside = [
            (f * c + (f - 1) / 2 >= -0.5) & (f * c + (f - 1) / 2 <= n - 0.5)
            for f, c, n in zip(ratio, at, dims, strict=True)
        ]
        used.append(np.all(inside, axis=0).ravel())
    S = oracle.matrix(dims, LAPLACIAN, 1, boundary="symmetric")
    N = sum(B.T @ (w[:, None] * B) for B, w in zip(A, used, strict=True))
    right = sum(B.T @ (w * y.ravel()) for B, w, y in zip(A, used, frames, strict=True))
    expected = np.linalg.solve(N + 0.5 * S.T @ S, right)
    assert found.converged
    assert_allclose(found.image.compute().ravel(), expected, rtol=0, atol=1e-5)
    if moved:
        assert_allclose(found.plot().axes[0].get_xlim(), (-0.5, SHAPE[1] - 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("moved", [False, True])
def test_a_psf_for_each_band(rng, moved):
    """Each band is the solution of its own normal equations; the others do not count."""
    blurs = [psf.gaussian(3, 0.6), psf.gaussian(5, 1.1)]
    frames = rng.random((1, 2, *SHAPE))
    motion = [TURNED] if moved else None
    found = super_resolve(
        da.from_array(frames, chunks=(1, 2, 9, 6)), [blurs], 2, beta=0.1, motion=motion, rtol=1e-6,
        regulariser="identity",
    )  # fmt: skip
    on = on_scene(TURNED) if moved else np.ones(SHAPE)
    for blur, frame, image in zip(blurs, frames[0], found.image.compute(), strict=True):
        A = (
            dense(TURNED, blur) if moved
            else oracle.matrix(DIMS, blur, 2, decimation="mean", boundary="symmetric")
        )  # fmt: skip
        right = A.T @ (on * frame).ravel()
        N = A.T @ (on.ravel()[:, None] * A) + 0.1 * np.eye(len(right))
        assert_allclose(image.ravel(), np.linalg.solve(N, right), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dhop.cautions.Caution")
@pytest.mark.parametrize("kind", ["beta", "huber", "estimate", "motion", "factor"])
def test_what_is_found_is_what_is_found_in_memory(rng, kind):
    """Where one region has all of the frames, it is the same burst."""
    shape = (20, 18) if kind == "huber" else (40, 36)
    frames = rng.random((3, *shape)).cumsum(axis=1).cumsum(axis=2) / 100
    turns = [about_the_middle(warps.turned(a, (1, 1), (1, 1))[:2, :2], (0, a / 5), shape)
             for a in (0, 1.5, -2.0)]  # fmt: skip
    frames += 0.02 * rng.standard_normal(frames.shape)
    more = {
        "beta": {},
        "huber": {"loss": "huber", "beta": 0.1, "photometry": "gain", "rtol": 1e-4},
        "estimate": {},
        "motion": {"motion": "euclidean", "beta": 0.1},
        "factor": {"motion": None, "shifts": "estimate", "beta": 0.1},
    }[kind]
    blur = "estimate" if kind == "estimate" else psf.gaussian(5, 1.0)
    given = {"motion": turns, "rtol": 1e-5} | more
    factor = 1.7 if kind == "factor" else 2
    found = super_resolve(da.from_array(frames, chunks=(1, 10, 18)), blur, factor, **given)
    expected = dhop.super_resolve(frames, blur, factor, **given)
    assert_allclose(found.beta, expected.beta, rtol=1e-6)
    assert_allclose(np.array(found.motion), expected.motion, rtol=0, atol=1e-9)
    assert_allclose(found.photometry.gains, expected.photometry.gains, rtol=1e-4)
    scale = abs(expected.image).max()
    assert_allclose(found.image.compute(), expected.image, rtol=0, atol=1e-3 * scale)


@pytest.mark.slow
def test_motions_that_are_found(monkeypatch):
    """By a coarse look, which tells their kind, and regions, to some hundredths of a pixel.

    A stranger is left out. The frames are those of SciPy's splines of a photograph.
    """
    places = regions.places
    monkeypatch.setattr(regions, "places", lambda shape: places(shape)[:2] + places(shape)[4:])
    monkeypatch.setattr(registration, "COARSE", 48)
    monkeypatch.setitem(regions.SIDE, 2, 40)
    shape = (90, 96)
    given = random_motions("projective", 3, shape, turn=3.0)
    frames = burst(photograph()[60:340, 100:392], given, shape, noise=0.005)
    other = np.random.default_rng(3).random((1, *shape))
    stack = da.from_array(np.concatenate([frames, other]), chunks=(1, 48, 48))
    with pytest.warns(RegistrationWarning, match="frames 3 do not show the scene") as said:
        found = super_resolve(
            stack, psf.gaussian(7, 1.0), 2, motion="auto", beta=1e-3, maxiter=1, rtol=0.1,
            loss="huber", threshold=0.1,
        )  # fmt: skip
    assert len(said) == 1
    assert found.registration.model == "projective"
    corners = np.array([[0, 0], [0, 95], [89, 0], [89, 95]]).T.astype(float)
    for one, known in zip(found.motion[:3], given, strict=True):
        ways = motions.positions(one, *corners) - motions.positions(known, *corners)
        assert np.hypot(*ways).max() < 0.1
    assert found.registration.fits.tolist() == [True, True, True, False]
    assert any("regions of the scene agree" in note for note in found.notes)
    assert (found.problem.weights[3].compute() == 0).all()


def test_what_is_refused():
    frames = da.ones((2, 8, 8), chunks=4)
    blur = psf.gaussian(3, 0.8)
    with pytest.raises(ValueError, match="not both"):
        super_resolve(frames, blur, 2, motion=[np.eye(3)] * 2, shifts=np.zeros((2, 2)))
    with pytest.raises(ValueError, match="motion of images can be estimated"):
        super_resolve(da.ones((2, 8)), np.ones(3), 2, motion="euclidean")
    with pytest.raises(ValueError, match="takes shifts, no motion"):
        super_resolve(frames, blur, 2, motion=[np.eye(3), TURNED], loss="poisson", beta=1.0)
    with pytest.raises(ValueError, match="2 frames, but 1 motions"):
        super_resolve(frames, blur, 2, motion=[np.eye(3)])
