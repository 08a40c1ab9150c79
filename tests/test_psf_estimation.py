"""The PSF from the frames."""

import numpy as np
import pytest
from bursts import burst, photograph, quality
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data
from skimage.transform import resize

from dhop import DHOperator, psf, super_resolve
from dhop.cautions import PSFWarning
from dhop.reconstruction.blurs import width
from dhop.reconstruction.preparation import Preparation


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "true"),
    [
        ("gaussian", psf.gaussian(15, 1.5)),
        ("elliptic", psf.gaussian(17, (2.0, 1.0), angle=45)),
        ("moffat", psf.moffat(31, 3.5, 3.0)),
        ("disk", psf.disk(3.5)),
        ("motion", psf.motion(8, 30)),
    ],
)
def test_families(family, true):
    size = 240 if family == "moffat" else 160  # wide wings need more to be seen
    frames, shifts = burst(photograph("astronaut", size), true, 2, 0.003, 8)
    found = psf.estimate(frames, 2, shifts=shifts, family=family)
    assert_allclose(found.sum(), 1)
    # The wings of a Moffat function, which hold most of its width, are below the noise.
    assert_allclose(width(found), width(true), rtol=0.3 if family == "moffat" else 0.15)
    half = 20
    padded = [np.pad(each, [(half - n // 2,) * 2 for n in each.shape]) for each in (found, true)]
    assert np.corrcoef(padded[0].ravel(), padded[1].ravel())[0, 1] > 0.95


@pytest.mark.slow
def test_an_angle_is_found_from_any_side():
    """Of a burst in which a search that begins along the axes or diagonals ends far from it."""
    rng, true = np.random.default_rng(1), psf.motion(5, 30)
    row, column = rng.integers(0, 200), rng.integers(0, 400)
    scene = data.coffee().mean(axis=2)[row : row + 200, column : column + 200] / 255
    shifts = rng.uniform(-0.5, 0.5, (8, 2))
    shifts[0] = 0
    frames = []
    for move in 2 * shifts:
        moved, center = psf.shift(true, move)
        A = DHOperator(scene.shape, moved, 2, center=center, decimation="mean")
        frames.append(A.degrade(scene)[10:-10, 10:-10])
    frames = np.stack(frames) + 0.01 * rng.standard_normal((8, 80, 80))
    found = psf.estimate(frames, 2, shifts=shifts, family="motion")
    assert found.shape == true.shape
    assert np.corrcoef(found.ravel(), true.ravel())[0, 1] > 0.9


def test_a_family_that_frames_do_not_tell_is_named():
    """Of a Gaussian blur a disk is as likely as a Gaussian, or less."""
    frames, shifts = burst(photograph("coffee", 120), psf.gaussian(9, 1.2), 2, 0.01, 8)
    with pytest.warns(PSFWarning, match="'disk' from a round Gaussian"):
        psf.estimate(frames, 2, shifts=shifts, family="disk")


@pytest.mark.slow
def test_nearly_as_good_as_the_known_psf():
    scene = photograph("coffee", 288)
    truth = scene[24:-24, 24:-24]
    blur = psf.gaussian(13, 1.5)
    frames, shifts = burst(scene, blur, 2, 0.01, 16, margin=24)
    known = super_resolve(frames, blur, 2, shifts=shifts, rtol=1e-4)
    found = super_resolve(frames, "estimate", 2, shifts=shifts, rtol=1e-4)
    assert quality(found.image, truth) > quality(known.image, truth) - 0.3
    assert_allclose(found.psf.sum(), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["camera", "astronaut", "coins", "brick", "grass", "page"])
def test_a_single_photograph_is_no_worse_than_bicubic(name):
    truth = photograph(name, 190)
    frame = np.rint(truth.reshape(95, 2, 95, 2).mean(axis=(1, 3)) * 255) / 255
    solution = super_resolve(frame, "estimate", 2)
    bicubic = resize(frame, truth.shape, order=3, mode="symmetric", anti_aliasing=False)
    assert_array_equal(solution.psf, [[1.0]])
    assert quality(solution.image, truth, 8) > quality(bicubic, truth, 8) - 0.05


def test_a_blurred_single_frame_becomes_sharper():
    frames, _ = burst(photograph("camera", 240), psf.gaussian(25, 3.0), 2, 0.002, 1)
    assert 1.5 < width(psf.estimate(frames, 2)) < 3.3


class TestAnImageThatRings:
    """Beyond the range of the frames on both sides, for a beta too small for an estimated PSF."""

    FRAMES = burst(photograph("camera", 96), psf.gaussian(17, 2.0), 2, 0.02, 1)[0]

    def beyond(self, image):
        """Of the range of the frames, on the side where it is less, if the other is not as far."""
        low, high = self.FRAMES.min(), self.FRAMES.max()
        below, above = max(low - image.min(), 0), max(image.max() - high, 0)
        width = high - low
        return min(below / (width + above), above / (width + below))

    def solve(self, beta, monkeypatch, blur="estimate"):
        """With a beta as if it were chosen."""
        monkeypatch.setattr(Preparation, "choose_beta", lambda *_: beta)
        return super_resolve(self.FRAMES, blur, 2)

    @pytest.mark.parametrize(("power", "doublings"), [(-10, 0), (-11, 1), (-14, 4)])
    def test_beta_is_doubled_until_it_does_not(self, power, doublings, monkeypatch):
        found = self.solve(2.0**power, monkeypatch)
        assert found.beta == 2.0 ** (power + doublings)
        assert self.beyond(found.image) <= 0.2
        for beta in (2.0**power, found.beta / 2)[: 2 * doublings]:
            smaller = super_resolve(self.FRAMES, found.psf, 2, beta=beta)
            assert self.beyond(smaller.image) > 0.2
        same = super_resolve(self.FRAMES, found.psf, 2, beta=found.beta)
        assert_allclose(found.image, same.image, rtol=0, atol=1e-6)

    @pytest.mark.filterwarnings("ignore::dhop.cautions.RangeWarning")
    def test_eight_times_at_most(self, monkeypatch):
        assert self.solve(2.0**-30, monkeypatch).beta == 2.0**-22

    @pytest.mark.filterwarnings("ignore::dhop.cautions.RangeWarning")
    def test_not_for_a_psf_that_is_known(self, monkeypatch):
        blur = psf.estimate(self.FRAMES, 2)
        assert self.solve(2.0**-14, monkeypatch, blur).beta == 2.0**-14


def test_refused():
    with pytest.raises(ValueError, match="constant"):
        psf.estimate(np.ones((16, 16)), 2)
    with pytest.raises(ValueError, match="family"):
        psf.estimate(np.eye(16), 2, family="lorentzian")
    with pytest.raises(ValueError, match="psf must be one of"):
        super_resolve(np.eye(16), "guess", 2)


def test_one_rule_for_the_sum():
    """A PSF of another sum is the same PSF, and one whose sum is nothing stays as it is."""
    frame, blur = np.random.default_rng(0).random((16, 16)), psf.gaussian(5, 1.0)
    one, other = (super_resolve(frame, k * blur, 2, beta=0.01) for k in (1, 250))
    assert_allclose(other.image, one.image, rtol=1e-9)
    assert_allclose(other.psf, blur)
    edge = np.array([[1.0, -1.0]])
    assert_array_equal(super_resolve(frame, edge, 2, beta=0.01).psf, edge)


class TestRefine:
    def test_shifted_and_weighted_frames(self):
        image = photograph("astronaut", 120)
        true = psf.gaussian(7, (1.4, 0.8), angle=30)
        frames, shifts = burst(image, true, 2, 0.0, 3)
        weights = [np.ones((60, 60)), np.ones((60, 60)), np.ones((60, 60))]
        weights[1][20:40] = 0
        frames[1][20:40] = np.nan
        found = psf.refine(
            psf.gaussian(7, 1.0), image, frames, 2, shifts=shifts, weights=weights, strength=1e-7
        )
        assert np.abs(found - true).max() < 0.02 * true.max()

    @pytest.mark.parametrize("decimation", ["mean", "sum", "sample"])
    def test_decimations(self, decimation):
        from dhop import DHOperator

        image = np.random.default_rng(0).random((48, 60))
        true = psf.gaussian((5, 7), (0.8, 1.2))
        A = DHOperator(image.shape, true, (2, 3), decimation=decimation)
        start = psf.gaussian((5, 7), 1.0)
        found = psf.refine(
            start, image, A.degrade(image), (2, 3), strength=1e-10, decimation=decimation
        )
        assert_allclose(found, true, atol=1e-4)

    def test_refused(self):
        blur = psf.gaussian(5, 1.0)
        with pytest.raises(ValueError, match="image"):
            psf.refine(blur, np.ones((9, 9)), np.ones((5, 5)), 2)
        with pytest.raises(ValueError, match="too small"):
            psf.refine(np.ones((9, 9)), np.ones((10, 10)), np.ones((5, 5)), 2)

    def test_strength_is_relative_to_the_mean_square_of_the_image(self):
        """Against the equations written out, of what sees nothing beyond the image."""
        rng = np.random.default_rng(2)
        image, start = 5 * rng.random((12, 11)), psf.gaussian(3, 0.8)
        frame = rng.random((12, 11))
        shifts = [(i, j) for i in (1, 0, -1) for j in (1, 0, -1)]
        inner = [np.roll(image, (-i, -j), (0, 1))[3:-3, 3:-3].ravel() for i, j in shifts]
        columns = np.stack(inner, axis=1)
        gram = columns.T @ columns
        level = 0.3 * np.mean(np.diag(gram))
        rhs = columns.T @ frame[3:-3, 3:-3].ravel() + level * start.ravel()
        expected = np.linalg.solve(gram + level * np.eye(9), rhs).reshape(3, 3)
        found = psf.refine(start, image, frame, 1, strength=0.3)
        assert_allclose(found, expected / expected.sum(), rtol=1e-9)
