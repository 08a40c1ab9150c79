"""What is chosen from chunked frames, and losses, priors and bounds, against the same in memory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dhop
from dhop import DHOperator, FrameStack, psf
from dhop.cautions import RegistrationWarning
from dhop.frames.observations import shifted_operators

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import minimising, objective, regions, super_resolve  # noqa: E402

BLUR = psf.gaussian(5, 1.0)
SHIFTS = np.array([[0, 0], [0.4, -0.7], [-1.2, 0.3]])


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="sync"):
        yield


def burst(size, shifts=SHIFTS, noise=0.01):
    """Frames of a scene with steps and waves."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:size, :size]
    scene = 0.5 + 0.2 * np.sin(x / 5 + y / 9) * np.cos(y / 4) + 0.3 * ((x // 11 + y // 13) % 2)

    def make(blur, center):
        return DHOperator(
            scene.shape, blur, 2, center=center, decimation="mean", boundary="symmetric"
        )

    operators = shifted_operators(make, BLUR, np.array(shifts), (2, 2), (size // 2,) * 2)
    frames = FrameStack(operators).matvec(scene.ravel()).reshape(-1, size // 2, size // 2)
    return frames + noise * rng.standard_normal(frames.shape)


FRAMES = burst(40)
SPIKES = FRAMES.copy()
SPIKES[np.random.default_rng(2).random(FRAMES.shape) < 0.02] = 3
BRIGHTER = FRAMES * [[[1]], [[1.1]], [[0.9]]] + [[[0]], [[0.1]], [[-0.05]]]
SKY = np.random.default_rng(3).uniform(0, 0.1, FRAMES.shape[1:])
MAPS = [1.0, np.random.default_rng(3).uniform(0.5, 1, FRAMES.shape[1:]), 2.0]

CHOICES = {
    "beta": (FRAMES, {"weights": MAPS}),
    "gcv": (FRAMES, {"beta": "gcv", "regulariser": "gradient"}),
    "shifts": (FRAMES, {"shifts": "estimate", "nonnegative": True}),
    "refined": (FRAMES, {"shifts": ("refine", SHIFTS + 0.1)}),
    "psf": (FRAMES, {"psf": "estimate"}),
    "outliers": (SPIKES, {"loss": "huber", "weights": MAPS}),
    "edges": (FRAMES, {"regulariser": "huber-tv"}),
    "starlets": (FRAMES, {"regulariser": "starlet"}),
    "photons": (FRAMES, {"loss": "poisson", "gain": 0.01, "background": SKY, "weights": MAPS}),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dhop.cautions.Caution")
@pytest.mark.parametrize("name", CHOICES)
def test_what_is_chosen_is_what_is_in_memory(name):
    """From one region, which is all of the frames."""
    frames, changes = CHOICES[name]
    given = {"psf": BLUR, "factor": 2, "shifts": SHIFTS, "maxiter": 1} | changes
    expected = dhop.super_resolve(frames, **given)
    found = dhop.super_resolve(da.from_array(frames, chunks=(3, 10, 20)), **given)
    if name != "psf":  # which is doubled until the image of a single iteration is plausible
        assert_allclose(found.beta, expected.beta, 1e-9)
    assert_allclose(found.beta_curve.beta, expected.beta_curve.beta, 1e-9)
    assert_allclose(found.shifts, expected.shifts, rtol=0, atol=1e-12)
    assert_array_equal(found.psf, expected.psf)


IDENTITY = {"regulariser": "identity", "beta": 1.0}
SOLVED = {
    "brightness": (BRIGHTER, {"photometry": "both", "beta": 1.0}),
    "huber": (SPIKES, {"loss": "huber", "weights": MAPS} | IDENTITY),
    "variation": (FRAMES, {"regulariser": "huber-tv", "beta": 0.1, "noise": 0.05}),
    "starlets": (FRAMES, {"regulariser": "starlet", "beta": 0.02, "noise": 0.05, "rtol": 1e-6}),
    "bounds": (FRAMES, {"bounds": (0.4, 0.8)} | IDENTITY),
    "photons": (
        FRAMES,
        {
            "loss": "poisson",
            "gain": 0.1,
            "background": SKY,
            "read_noise": 0.2,
            "weights": MAPS,
            "regulariser": "identity",
            "beta": 20.0,
        },
    ),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dhop.cautions.Caution")
@pytest.mark.parametrize("name", SOLVED)
def test_the_image_is_what_is_found_in_memory(monkeypatch, name):
    monkeypatch.setattr(minimising, "TOGETHER", 30)  # of chunks of 20 and of 40 pixels
    frames, changes = SOLVED[name]
    given = {"psf": BLUR, "factor": 2, "shifts": SHIFTS, "rtol": 1e-5} | changes
    expected = dhop.super_resolve(frames, **given | {"rtol": 1e-8})
    found = dhop.super_resolve(da.from_array(frames, chunks=(3, 10, 20)), **given)
    assert found.converged
    assert expected.converged
    assert_allclose(found.image.compute(), expected.image, rtol=0, atol=1e-4)
    assert_allclose(found.residual_norm, expected.residual_norm, 1e-4)
    assert_allclose(found.history[-1].loss or 0, expected.history[-1].loss or 0, 1e-4)
    assert (found.weights is None) == (expected.weights is None)
    if found.weights is not None:
        assert_allclose(found.weights.compute(), expected.weights, rtol=0, atol=1e-3)
    assert_allclose(found.photometry.gains, expected.photometry.gains, 1e-9)


class TestSeveralTiles:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setitem(regions.SIDE, 2, 48)

    @pytest.mark.slow
    def test_they_agree(self):
        frames = burst(160)
        given = {"shifts": "estimate", "photometry": "gain", "maxiter": 1}
        found = super_resolve(da.from_array(frames, chunks=80), BLUR, 2, **given)
        alone = dhop.super_resolve(frames, BLUR, 2, shifts=SHIFTS)
        assert_allclose(found.shifts, SHIFTS, rtol=0, atol=0.03)
        assert_allclose(found.photometry.gains, 1, atol=0.01)
        assert 0.5 < found.beta / alone.beta < 2
        for what in "the shifts", "gains and offsets", "beta":
            (note,) = (note for note in found.notes if note.startswith(what))
            assert "5 regions" in note

    def test_regions_of_frames_that_turn(self):
        """Each lies where frames show the same; its motion is theirs, counted from there."""
        frames = np.random.default_rng(3).random((2, 200, 200))
        turned = np.array([[0.9, -0.2, 30.0], [0.2, 0.9, -10.0], [0, 0, 1]])
        part = da.from_array(frames, chunks=100)
        moves = [np.eye(3), turned]
        read = regions.read_regions(
            part, None, None, np.zeros((2, 2)), moves, (2, 2), "mean", request(), False
        )
        assert len(read) == 5
        for region in read:
            side = region.frames.shape[-1]
            assert_array_equal(
                region.frames[1], frames[1][tuple(slice(s, s + side) for s in region.starts[1])]
            )
            for start, own, whole in zip(region.starts, region.motion, moves, strict=True):
                at = own @ [3.0, 5.0, 1.0] + [*region.starts[0], 0]
                assert_allclose(at, whole @ [3 + start[0], 5 + start[1], 1], atol=1e-9)
            middle = (side - 1) / 2
            assert_allclose(region.motion[1] @ [middle, middle, 1], [middle, middle, 1], atol=1)

    def test_given_shifts_that_are_larger_than_regions(self):
        """Tiles lie where frames show the same."""
        far = [[0, 0], [60.5, 0.25]]
        scene = burst(400, [[0, 0]])[0]
        y, x = np.mgrid[:96, :96]
        from scipy.ndimage import map_coordinates

        frames = np.stack([map_coordinates(scene, [y + 70 - a, x + 50 - b]) for a, b in far])
        part = da.from_array(frames, chunks=96)
        read = regions.read_regions(
            part, None, None, np.array(far), None, (2, 2), "mean", request(), False
        )
        assert len(read) == 5
        middle = read[0]
        assert_array_equal(middle.moved, [[0, 0], [24, 0]])  # as far as there are pixels
        assert_allclose(middle.known.shifts, [[0, 0], [36.5, 0.25]])

    @pytest.mark.slow
    def test_frames_that_turn(self):
        """Tiles of which each sees another shift."""
        y, x = np.mgrid[:160, :160]
        turn = 0.02 * np.array([y - 80, 80 - x])
        scene = burst(400, [[0, 0]])[0][:200, :200]
        from scipy.ndimage import map_coordinates

        moved = map_coordinates(scene, [y + 20 + turn[1], x + 20 + turn[0]])
        frames = np.stack([scene[20:180, 20:180], moved])
        with pytest.warns(RegistrationWarning, match="motion="):
            super_resolve(da.from_array(frames), BLUR, 2, beta=0.1, shifts="estimate", maxiter=1)

    @pytest.mark.slow
    def test_nothing_to_see_in_some(self):
        """The corner regions have no weight, and have no say."""
        frames, on = burst(192, noise=0.02), np.zeros((96, 96))
        on[30:70, 30:70] = 1
        maps = [on] * 3
        on[:20] = on[:, :20] = 0
        found = super_resolve(
            da.from_array(frames, chunks=48), BLUR, 2, shifts=SHIFTS, weights=maps, maxiter=1
        )
        assert found.beta > 0


def request(**changes):
    from dhop.reconstruction.requests import Request

    given = {
        "loss": "gaussian", "threshold": None, "background": 0.0, "gain": 1.0, "read_noise": 0.0,
        "regulariser": "laplacian", "bounds": None, "nonnegative": False, "solver": "auto",
        "denoiser": None,
    }  # fmt: skip
    return Request(**given | changes)


@pytest.mark.slow
def test_a_frame_of_something_else_is_named():
    frames = np.concatenate([burst(40), burst(40)[:1, ::-1, ::-1]])
    given = {"loss": "huber", "beta": 1.0, "rtol": 1e-4, "shifts": [*SHIFTS, [0, 0]]}
    with pytest.warns(RegistrationWarning, match="frames 3 do not fit"):
        found = super_resolve(da.from_array(frames), BLUR, 2, **given)
    with pytest.warns(RegistrationWarning):
        expected = dhop.super_resolve(frames, BLUR, 2, **given)
    assert_allclose(found.image.compute(), expected.image, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_vectors_in_files(tmp_path, loss):
    """The same as in memory, and nothing is left of them but the image."""
    given = {"loss": loss, "maxiter": 3, "shifts": SHIFTS} | IDENTITY
    frames = da.from_array(FRAMES, chunks=(3, 20, 10))
    counts = []

    def look(step):
        counts.append(len(list((tmp_path / "a" / "vectors").iterdir())))

    found = super_resolve(frames, BLUR, 2, **given, scratch=tmp_path / "a", callback=look)
    expected = super_resolve(frames, BLUR, 2, **given)
    assert_array_equal(found.image.compute(), expected.image.compute())
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["image"]
    assert max(counts) < 30


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((3, 3, 3, 3), (6, 6)),
        ((3, 3, 3), (9,)),
        ((10, 2), (12,)),
        ((10, 4, 1, 6), (10, 5, 6)),
        ((2,), (2,)),
    ],
)
def test_small_chunks_are_gathered(sizes, expected):
    """Until none has less than five pixels."""
    assert objective.gathered(sizes, 5) == expected


def test_inner_products_of_chunks():
    """All at once, of arrays in chunks of any sizes."""
    one, other, third = np.random.default_rng(0).standard_normal((3, 2, 7, 9))
    a, c = da.from_array(one, chunks=(2, 3, 4)), da.from_array(third, chunks=(1, 7, 9))
    b = 2.0 * da.from_array(other, chunks=(2, 3, 4))
    found = objective.inner_products([(a, b), (b, b), (a, c), (c, a)])
    expected = [np.vdot(one, 2 * other), 4 * np.vdot(other, other), *[np.vdot(one, third)] * 2]
    assert_allclose(found, expected, rtol=1e-13)
    free = one > 0
    (found,) = objective.inner_products([(a, c)], da.from_array(free, chunks=(1, 2, 9)))
    assert_allclose(found, np.vdot(one[free], third[free]), rtol=1e-13)
