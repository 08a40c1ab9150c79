"""What arrays mean to `super_resolve`: frames, channels, PSFs, weights, and what is refused."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator, cautions, images, psf, super_resolve
from dhop.operators.channels import ChannelOperator
from dhop.psf.origin import displaced
from dhop.reconstruction.blurs import blurs

RNG = np.random.default_rng(0)
BLUR = psf.gaussian((3, 5), (0.8, 1.1))
OTHERS = [BLUR, psf.disk(1.5), psf.gaussian(5, 0.7)]
EXACT = {"beta": 0.1, "rtol": 1e-12, "maxiter": 5000}
IMAGE = RNG.random((1, 3, 6, 5))  # one frame of three channels, as they are in here
BURST = RNG.random((2, 3, 6, 5))


def alone(frames, channel, blur=BLUR, **options):
    return super_resolve(frames[:, channel], blur, 2, **EXACT, **options)


class TestChannelAxis:
    @pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
    def test_of_one_frame(self, axis):
        given = np.moveaxis(IMAGE[0], 0, axis)
        found = super_resolve(given, BLUR, 2, channel_axis=axis, **EXACT)
        assert found.image.shape == np.moveaxis(np.empty((3, 12, 10)), 0, axis).shape
        assert found.frames.shape == IMAGE.shape
        for channel, image in enumerate(np.moveaxis(found.image, axis, 0)):
            assert_allclose(image, alone(IMAGE, channel).image, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("axis", [-4, -3, -2, -1, 0, 1, 2, 3])
    def test_of_several(self, axis):
        given = np.moveaxis(BURST, 1, axis)
        shifts = [(0, 0), (0.5, -0.5)]
        found = super_resolve(given, BLUR, 2, channel_axis=axis, shifts=shifts, **EXACT)
        assert len(found.frames) == 2
        assert found.image.shape[max(axis % 4 - 1, 0)] == 3
        for channel, image in enumerate(np.moveaxis(found.image, found.channel_axis, 0)):
            expected = alone(BURST, channel, shifts=shifts).image
            assert_allclose(image, expected, rtol=0, atol=1e-9)

    def test_of_a_list(self):
        given = [np.moveaxis(frame, 0, -1) for frame in BURST]
        found = super_resolve(given, BLUR, 2, channel_axis=-1, beta=0.1)
        assert_array_equal(found.frames, BURST)

    def test_all_that_is_given_and_got_has_it(self):
        given = np.moveaxis(IMAGE[0], 0, -1)
        options = {"channel_axis": -1, "solver": "cg", **EXACT}
        seen = []
        found = super_resolve(given, BLUR, 2, callback=seen.append, **options)
        assert {step.image.shape for step in seen} == {(12, 10, 3)}
        assert_array_equal(seen[-1].image, found.image)
        again = super_resolve(given, BLUR, 2, x0=found.image, **options | {"rtol": 1e-6})
        assert again.iterations <= 1
        assert_allclose(np.linalg.norm(found.residuals()), found.residual_norm, rtol=1e-9)
        truth = found.image + RNG.random(found.image.shape)
        first = super_resolve(IMAGE, BLUR, 2, solver="cg", **EXACT)
        assert found.metrics(truth) == pytest.approx(first.metrics(np.moveaxis(truth, -1, 0)))
        pages = [each.plot() for each in (found, first)]
        shown = [np.asarray(page.axes[4].images[0].get_array()) for page in pages]
        assert_allclose(*shown, atol=1e-6)

    def test_weights(self):
        """A map of rows and columns, alone and in a list, and maps with channels as the user's."""
        given = np.moveaxis(IMAGE[0], 0, -1)
        plane, whole = RNG.random((6, 5)), RNG.random((6, 5, 3))
        for weights, maps in [
            (plane, [plane] * 3), ([plane], [plane] * 3), (plane.tolist(), [plane] * 3),
            (whole, np.moveaxis(whole, -1, 0)), ([whole], np.moveaxis(whole, -1, 0)),
        ]:  # fmt: skip
            found = super_resolve(given, BLUR, 2, channel_axis=-1, weights=weights, **EXACT)
            for channel in range(3):
                expected = alone(IMAGE, channel, weights=[maps[channel]]).image
                assert_allclose(found.image[..., channel], expected, rtol=0, atol=1e-8)

    def test_in_chunks(self):
        da = pytest.importorskip("dask.array")
        given = np.moveaxis(BURST, 1, -1)
        weights = [RNG.random((6, 5, 3)), 1.0]
        options = {"channel_axis": -1, "weights": weights, "regulariser": "identity", **EXACT}
        expected = super_resolve(given, BLUR, 2, solver="cg", **options)
        found = super_resolve(da.from_array(given, chunks=3), BLUR, 2, **options)
        assert found.channel_axis == 2
        assert_allclose(found.image.compute(), expected.image, rtol=0, atol=1e-8)
        assert_allclose(found.residuals().compute(), expected.residuals(), rtol=0, atol=1e-8)
        again = super_resolve(
            da.from_array(given, chunks=3), BLUR, 2, x0=found.image, **options | {"rtol": 1e-6}
        )
        assert again.iterations <= 1


class TestPaths:
    @pytest.fixture
    def paths(self, tmp_path):
        made = [tmp_path / f"{name}.png" for name in ("one", "two", "grey", "large")]
        for path, shape in zip(made, [(6, 5, 3)] * 2 + [(6, 5), (7, 5)], strict=True):
            images.write(path, RNG.random(shape), 8)
        return made

    def test_one_and_many(self, paths):
        one, two, grey, _ = paths
        pixels = [images.imread(path) for path in paths]
        for given, array, axis in [
            (one, pixels[0], -1), (str(one), pixels[0], -1), ([one], [pixels[0]], -1),
            ([one, str(two)], pixels[:2], -1), (grey, pixels[2], None),
            ((grey,), [pixels[2]], None),
        ]:  # fmt: skip
            found = super_resolve(given, BLUR, 2, beta=0.1)
            expected = super_resolve(array, BLUR, 2, beta=0.1, channel_axis=axis)
            assert_array_equal(found.image, expected.image)

    def test_an_image_in_a_fits_file(self, tmp_path, monkeypatch):
        fits = pytest.importorskip("astropy.io.fits")
        monkeypatch.chdir(tmp_path)
        units = [fits.PrimaryHDU(), *(fits.ImageHDU(RNG.random((6, 5)), name=x) for x in "AB")]
        fits.HDUList(units).writeto("visit.fits")
        found = super_resolve("visit.fits[B]", BLUR, 2, beta=0.1)
        assert_array_equal(found.image, super_resolve(units[2].data, BLUR, 2, beta=0.1).image)
        with pytest.raises(FileNotFoundError, match=r"no file 'nowhere.fits\[B\]'"):
            super_resolve("nowhere.fits[B]", BLUR, 2)

    def test_refusals(self, paths):
        one, _, grey, large = paths
        for given, options, words in [
            ([one, grey], {}, r"one shape, frame 0 has \(6, 5, 3\), frame 1 has \(6, 5\)"),
            ([grey, large], {}, "one shape"),
            (one, {"channel_axis": 0}, "colours come last"),
            (grey, {"channel_axis": -1}, "colours come last"),
        ]:
            with pytest.raises(ValueError, match=words):
                super_resolve(given, BLUR, 2, beta=0.1, **options)
        with pytest.raises(FileNotFoundError, match="frames: there is no file"):
            super_resolve([one, "nowhere.png"], BLUR, 2)
        with pytest.raises(TypeError, match="not some of both"):
            super_resolve([one, IMAGE[0]], BLUR, 2)

    def test_a_folder_is_a_zarr_array(self, tmp_path):
        da, _ = pytest.importorskip("dask.array"), pytest.importorskip("zarr")
        da.from_array(BURST[:, 0], chunks=3).to_zarr(str(tmp_path / "frames"))
        options = {"regulariser": "identity", **EXACT}
        found = super_resolve(tmp_path / "frames", BLUR, 2, **options)
        expected = super_resolve(BURST[:, 0], BLUR, 2, **options)
        assert_allclose(found.image.compute(), expected.image, rtol=0, atol=1e-8)


class TestPsfs:
    SHIFTS = ((0, 0), (0.5, -0.5))

    @pytest.mark.parametrize("solver", ["auto", "cg", "lsqr", "lsmr", "projected"])
    def test_of_each_channel(self, solver):
        seen = []
        options = {"solver": solver, "callback": seen.append, **EXACT}
        found = super_resolve(IMAGE, OTHERS, 2, **options)
        for channel, blur in enumerate(OTHERS):
            expected = alone(IMAGE, channel, blur, solver=solver)
            assert_allclose(found.image[channel], expected.image, rtol=0, atol=1e-8)
        assert found.converged
        assert_allclose(np.linalg.norm(found.residuals()), found.residual_norm, rtol=1e-9)
        if seen[-1].image is not None:
            assert_array_equal(seen[-1].image, found.image)
        again = super_resolve(IMAGE, OTHERS, 2, x0=found.image, **options | {"rtol": 1e-6})
        assert again.iterations <= 3

    def test_of_each_frame_and_channel(self):
        """Against the matrices of NumPy."""
        turned = [[each.T for each in OTHERS], OTHERS[::-1]]
        weights = RNG.random((2, 3, 6, 5))
        options = {"weights": weights, "regulariser": "identity", "boundary": "reflect"}
        found = super_resolve(BURST, turned, 2, **options, **EXACT)
        settings = {"boundary": "reflect", "decimation": "mean"}
        for c in range(3):
            root = np.sqrt(weights[:, c]).ravel()
            A = np.vstack([oracle.matrix((12, 10), turned[f][c], 2, **settings) for f in (0, 1)])
            stacked = np.vstack([root[:, None] * A, np.sqrt(0.1) * np.eye(120)])
            data = np.append(root * BURST[:, c].ravel(), np.zeros(120))
            expected = np.linalg.lstsq(stacked, data)[0].reshape(12, 10)
            assert_allclose(found.image[c], expected, rtol=0, atol=1e-9)
        assert found.psf[1][0] is not None
        assert len(found.psf) == 2

    def test_of_all_frames_with_shifts_and_channels_last(self):
        given = np.moveaxis(BURST, 1, -1)
        options = {"shifts": self.SHIFTS, "photometry": "offset"}
        for blur in (OTHERS, [OTHERS], [psf.gaussian(5, s) for s in (0.7, 1.0, 1.3)]):
            found = super_resolve(given, blur, 2, channel_axis=-1, **options, **EXACT)
            every = blur[0] if isinstance(blur, list) and isinstance(blur[0], list) else blur
            for c in range(3):
                one = super_resolve(
                    found.photometry.corrected(BURST)[:, c], every[c], 2, shifts=self.SHIFTS,
                    **EXACT,
                )  # fmt: skip
                assert_allclose(found.image[..., c], one.image, rtol=0, atol=1e-8)

    def test_beta_is_chosen(self):
        scene = RNG.random((3, 40, 40))
        made = [
            DHOperator((40, 40), blur, 2, decimation="mean", boundary="symmetric").degrade(each)
            for blur, each in zip(OTHERS, scene, strict=True)
        ]
        found = super_resolve(np.stack(made), OTHERS, 2, channel_axis=0)
        assert found.beta_curve.beta == found.beta > 0

    def test_each_of_an_array_is_its_own(self):
        """Views of an array are made anew each time, and may get the address of another."""
        many = np.stack([psf.gaussian(5, s) for s in (0.6, 0.8, 1.0, 1.2)])
        assert_array_equal(blurs(list(many), 4), many)
        assert_array_equal(blurs(list(many), 1, 4)[0], many)

    def test_as_many_frames_as_channels(self):
        frames = RNG.random((3, 3, 6, 5))
        with pytest.raises(ValueError, match=r"for channels write \[psfs\]"):
            super_resolve(frames, OTHERS, 2, beta=0.1)
        by_channel = super_resolve(frames, [OTHERS], 2, beta=0.1)
        by_frame = super_resolve(frames, [[each] * 3 for each in OTHERS], 2, beta=0.1)
        assert [each[0].shape for each in by_channel.psf] == [OTHERS[0].shape] * 3
        assert [each[0].shape for each in by_frame.psf] == [each.shape for each in OTHERS]

    def test_an_operator_as_regulariser_is_refused(self):
        S = DHOperator((3, 12, 10), [[1.0]], 1)
        with pytest.raises(ValueError, match="same psf for all channels"):
            super_resolve(IMAGE, OTHERS, 2, beta=0.1, regulariser=S)

    @pytest.mark.parametrize("dtype", ["f4", "c16"])
    def test_the_operator_of_channels(self, dtype):
        blocks = [DHOperator((4, 6), RNG.random((2, 3)).astype(dtype), 2) for _ in range(2)]
        A = ChannelOperator(blocks)
        dense = np.zeros(A.shape, dtype)
        for k, block in enumerate(blocks):
            dense[6 * k : 6 * k + 6, 24 * k : 24 * k + 24] = block.to_sparse().toarray()
        eps = 20 * np.finfo(dtype).eps
        X, Y = RNG.random((48, 3)).astype(dtype), RNG.random((12, 2)).astype(dtype)
        assert_allclose(A @ X, dense @ X, rtol=eps)
        assert_allclose(A.H @ Y, dense.conj().T @ Y, rtol=eps)


class TestCenter:
    @pytest.mark.parametrize("center", [(0, 0), (0, 2), (2, 4), (1, 3), 1])
    def test_is_that_of_the_operator(self, center):
        found = super_resolve(BURST[:, 0], BLUR, 2, center=center, beta=0.1)
        one = found.operator.operators[0].to_sparse().toarray()
        options = {"boundary": "symmetric", "decimation": "mean"}
        origin = (1, 1) if center == 1 else center
        expected = oracle.matrix((12, 10), BLUR / BLUR.sum(), 2, center=origin, **options)
        assert_allclose(one, expected, rtol=0, atol=1e-15)

    def test_of_several_and_in_chunks(self):
        da = pytest.importorskip("dask.array")
        options = {"center": (0, 1), "regulariser": "identity", **EXACT}
        whole = super_resolve(BURST[:, 0], OTHERS[:2], 2, **options)
        found = super_resolve(da.from_array(BURST[:, 0], chunks=3), OTHERS[:2], 2, **options)
        assert_allclose(found.image.compute(), whole.image, rtol=0, atol=1e-8)

    @pytest.mark.parametrize("center", [(3, 0), (0, 5), (-1, 0), (0, 0, 0), 1.5])
    def test_that_is_none(self, center):
        with pytest.raises((ValueError, TypeError), match="center"):
            super_resolve(BURST[:, 0], BLUR, 2, center=center)

    def test_of_an_estimate(self):
        with pytest.raises(ValueError, match="center is"):
            super_resolve(RNG.random((20, 20)), "estimate", 2, center=1)

    @pytest.mark.parametrize(
        ("off", "blur"),
        [
            ((0.5, 0.5), psf.gaussian(4, 1.0)),
            ((0, 0.5), psf.gaussian((5, 4), 1.0)),
            ((1, 0), np.pad(psf.gaussian(5, 1.0), ((2, 0), (0, 0)))),
            ((-1, 0), np.pad(psf.gaussian(5, 1.0), ((0, 2), (0, 0)))),
            ((0, 2), np.pad(psf.gaussian(5, 1.0), ((0, 0), (4, 0)))),
        ],
    )
    def test_a_psf_beside_it_warns(self, off, blur):
        assert displaced(blur) == off
        with pytest.warns(cautions.PSFWarning, match=f"is {off[0]:g}, {off[1]:g} pixels"):
            found = super_resolve(IMAGE[0, 0], blur, 2, beta=0.1)
        assert len(found.notes) == 1
        middle = tuple((K - 1) // 2 for K in blur.shape)
        meant = super_resolve(IMAGE[0, 0], blur, 2, beta=0.1, center=middle)
        assert meant.notes == []
        assert_array_equal(meant.image, found.image)
        da = pytest.importorskip("dask.array")
        with pytest.warns(cautions.PSFWarning, match="center="):
            super_resolve(da.from_array(IMAGE[0, 0]), blur, 2, beta=0.1, maxiter=1)

    @pytest.mark.parametrize(
        "blur",
        [
            psf.gaussian(5, 1.0), psf.disk(2.5), psf.motion(7, 30), psf.box(3), [[1.0]],
            np.zeros((2, 2)), [[1.0, -1.0]], np.eye(5), [[0.0, 3, 4, 5, 0]],
        ],
    )  # fmt: skip
    def test_others_do_not(self, blur):
        assert displaced(np.asarray(blur, float)) is None

    @pytest.mark.parametrize("tail", [(1.0, 1.0, 0.9), (2.0, 1.0, 1.2)])
    def test_a_coma_does_not(self, tail):
        """Its peak is off the middle, where its centroid is."""
        assert displaced(np.array([[0.0, 3.0, *tail]])) is None


def random(*shape):
    return np.random.default_rng(1).random(shape)


ONE, MANY = random(20, 17), random(3, 20, 17)
# What is given, and what the refusal says was expected or is to be done.
TRAPS = {
    "rgb": ({"frames": random(220, 34, 3)}, "channel_axis=-1"),
    "rgba": ({"frames": random(64, 64, 4)}, "channel_axis=-1"),
    "grey with an axis": ({"frames": random(64, 64, 1)}, "channel_axis=-1"),
    "two channels": ({"frames": random(64, 34, 2)}, "channel_axis=-1"),
    "rgb frames": ({"frames": random(5, 64, 34, 3)}, "channel_axis=-1"),
    "rgb list": ({"frames": [random(64, 34, 3)] * 2}, "channel_axis=-1"),
    "rgb by lines": ({"frames": random(64, 3, 34)}, "channel_axis=-2"),
    "rows as channels": ({"frames": random(2, 64, 34, 3), "channel_axis": 1}, "channel_axis=-1"),
    "columns as channels": ({"frames": random(64, 34, 3), "channel_axis": 1}, "channel_axis=-1"),
    "volumes of channels": ({"frames": random(2, 3, 8, 8, 3)}, "channel_axis"),
    "a video of volumes": ({"frames": random(2, 2, 3, 8, 8)}, "shape (m0, m1), (F, m0, m1)"),
    "a line": ({"frames": random(20)}, "shape (m0, m1), (F, m0, m1)"),
    "a number": ({"frames": 3.0}, "shape (m0, m1), (F, m0, m1)"),
    "no frames": ({"frames": random(0, 20, 17)}, "shape (m0, m1)"),
    "no pixels": ({"frames": random(3, 0, 17)}, "shape (m0, m1)"),
    "no channels": ({"frames": random(20, 17, 0), "channel_axis": -1}, "channel_axis"),
    "one image with channel_axis": ({"channel_axis": 0}, "channel_axis=0"),
    "no such axis": ({"frames": MANY, "channel_axis": 3}, "channel_axis 3 is no axis"),
    "half an axis": ({"frames": MANY, "channel_axis": 0.5}, "channel_axis must be"),
    "sizes that differ": ({"frames": [ONE, ONE[1:]]}, "one shape, frame 0 has (20, 17)"),
    "sizes that differ much": ({"frames": [ONE, MANY]}, "frame 1 has (3, 20, 17)"),
    "ragged rows": ({"frames": [[1.0, 2.0], [3.0]]}, "unequal lengths"),
    "a psf of a line": ({"psf": BLUR[0], "frames": MANY[None]}, "of the psf's axes, with one"),
    "a psf of a volume": ({"psf": np.stack([BLUR] * 3)}, "of the psf's axes, with one"),
    "a psf of four axes": ({"psf": np.stack([[BLUR] * 3] * 2)}, "1 frame, but psfs of 2 frames"),
    "a psf of a number": ({"psf": 1.0}, "1, 2 or 3 dimensions, got 0"),
    "no psf": ({"psf": np.ones((0, 3))}, "psf must not be empty"),
    "psfs of other frames": ({"frames": MANY, "psf": [BLUR] * 2}, "3 frames, but 2 psfs"),
    "psfs of frames for one": ({"psf": [BLUR] * 3}, "1 frame, but 3 psfs"),
    "psfs, channels last": (
        {"frames": random(20, 17, 3), "channel_axis": -1, "psf": random(9, 9, 3)},
        "of the psf's axes, with one",
    ),
    "psfs of two channels": (
        {"frames": random(3, 20, 17), "channel_axis": 0, "psf": [BLUR] * 2},
        "1 frame of 3 channels, but 2 psfs",
    ),
    "psfs of too many frames and channels": (
        {"frames": random(2, 3, 20, 17), "psf": [[BLUR] * 3] * 3},
        "2 frames of 3 channels, but psfs of 3 frames and 3 channels",
    ),
    "psfs of frames and channels of frames alone": (
        {"frames": MANY, "psf": [[BLUR] * 2] * 3}, "3 frames, but psfs of 3 frames and 2 channels"
    ),
    "psfs too deep": ({"psf": np.ones((1, 1, 1, 3, 3))}, "2 dimensions"),
    "a map for three": ({"frames": MANY, "weights": np.ones((20, 17))}, "[map] * 3"),
    "rows for maps": ({"frames": MANY, "weights": np.ones((3, 17))}, "map of (20, 17)"),
    "a map turned": ({"weights": np.ones((17, 20))}, "map of (20, 17)"),
    "a map too small": ({"weights": [np.ones((10, 8))]}, "frames of (20, 17)"),
    "columns for a map": ({"weights": [np.ones((20, 1))]}, "frames of (20, 17)"),
    "a map of channels": ({"weights": np.ones((3, 20, 17))}, "1 frames, but 3 weights"),
    "channels first": (
        {"frames": random(20, 17, 3), "channel_axis": -1, "weights": [np.ones((3, 20, 17))]},
        "map of (20, 17) or (20, 17, 3)",
    ),
    "a number for one": ({"weights": 2.0}, "weights must be a sequence"),
    "too few weights": ({"frames": MANY, "weights": [1, 2]}, "3 frames, but 2 weights"),
    "shifts of a pair": ({"frames": MANY, "shifts": (1, 2)}, "3 pairs"),
    "shifts by column": ({"frames": MANY, "shifts": np.zeros((2, 3))}, "3 pairs"),
    "shifts in space": ({"frames": MANY, "shifts": np.zeros((3, 3))}, "3 pairs"),
    "shifts of too few": ({"frames": MANY, "shifts": np.zeros((2, 2))}, "3 pairs"),
    "complex shifts": ({"frames": MANY, "shifts": np.zeros((3, 2), complex)}, "3 pairs"),
    "dims of three": ({"dims": (1, 40, 34)}, "rows and columns of the result"),
    "dims of another image": ({"dims": (41, 41)}, "gives frames of (20, 20), not (20, 17)"),
    "a turned guess": ({"x0": np.ones((34, 40))}, "of shape (40, 34)"),
    "a guess, channels first": (
        {"frames": random(20, 17, 3), "channel_axis": -1, "x0": np.ones((3, 40, 34))},
        "of shape (40, 34, 3)",
    ),
    "a factor for each of three axes": ({"factor": (2, 2, 2)}, "factor must be"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_shapes_that_mean_something_else(name):
    changes, words = TRAPS[name]
    given = {"frames": ONE, "psf": BLUR, "factor": 2, "beta": 0.1} | changes
    with pytest.raises((ValueError, TypeError)) as refusal:
        super_resolve(**given)
    assert words in str(refusal.value)


CHUNKED = [
    "rgb", "rgb frames", "rows as channels", "a line", "no pixels", "no such axis",
    "psfs of other frames", "a map for three", "rows for maps", "channels first",
    "shifts by column", "a guess, channels first", "dims of three",
]  # fmt: skip


@pytest.mark.parametrize("name", CHUNKED)
def test_the_same_in_chunks(name):
    da = pytest.importorskip("dask.array")
    changes, words = TRAPS[name]
    given = {"frames": ONE, "psf": BLUR, "factor": 2, "beta": 0.1} | changes
    given["frames"] = da.from_array(np.asarray(given["frames"]))
    with pytest.raises((ValueError, TypeError)) as refusal:
        super_resolve(**given)
    assert words in str(refusal.value)


def test_strips_that_are_meant():
    """A single image may be a strip, and lines and strips are frames if their channel is said."""
    assert super_resolve(random(40, 3), BLUR, 2, beta=0.1).image.shape == (80, 6)
    strips = random(5, 40, 3)
    found = super_resolve(strips[:, None], BLUR, 2, beta=0.1, channel_axis=1)
    assert found.image.shape == (1, 80, 6)
    assert super_resolve(random(3, 40, 1), BLUR, (2, 1), beta=0.1).image.shape == (80, 1)
    assert super_resolve(random(3, 1, 40), BLUR, (1, 2), beta=0.1).image.shape == (1, 80)


def test_slices_are_no_frames():
    """Images of different scenes as frames of one: a warning says what they may be."""
    slices = random(4, 48, 48)
    with pytest.warns(cautions.RegistrationWarning, match="channel_axis=0"):
        super_resolve(slices, BLUR, 2, beta=0.1)
    assert super_resolve(slices, BLUR, 2, beta=0.1, channel_axis=0).notes == []
