"""Bursts with outliers, against the same bursts without."""

import re
import warnings

import numpy as np
import pytest
from bursts import burst, photograph, quality
from numpy.testing import assert_array_equal

from dhop import DHOperator, psf, super_resolve
from dhop.cautions import PSFWarning, RegistrationWarning
from dhop.frames.spikes import despiked, without_bright_spikes

BLUR = psf.gaussian(9, 1.0)
MARGIN = 24
NAMES = ["camera", "astronaut", "coffee"]
HIDDEN = (3, 6, 9)


@pytest.fixture(scope="module", params=NAMES)
def made(request):
    """Twelve clean frames, their shifts, the truth, and the quality of the clean burst."""
    scene = photograph(request.param, 96 + 2 * MARGIN)
    frames, shifts = burst(scene, BLUR, 2, 0.01, 12, margin=MARGIN, seed=1, boundary="constant")
    truth = scene[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return (
        frames,
        shifts,
        truth,
        quality(super_resolve(frames, BLUR, 2, shifts=shifts).image, truth),
    )


def struck(frames, part=0.01):
    """So many of all pixels at full scale."""
    return np.where(np.random.default_rng(5).random(frames.shape) < part, 1.0, frames)


@pytest.mark.slow
def test_cosmic_rays(made):
    frames, shifts, truth, clean = made
    bad = struck(frames)
    plain = super_resolve(bad, BLUR, 2, shifts=shifts, beta=0.3)  # about what is chosen
    assert quality(plain.image, truth) < clean - 2
    solution = super_resolve(bad, BLUR, 2, shifts=shifts, loss="huber")
    assert solution.converged
    assert quality(solution.image, truth) > clean - 0.3
    assert np.median(solution.weights[bad == 1]) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("made", ["camera"], indirect=True)
def test_a_frame_that_is_clean_loses_little(made):
    frames, shifts, truth, clean = made
    solution = super_resolve(frames, BLUR, 2, shifts=shifts, loss="huber")
    assert quality(solution.image, truth) > clean - 0.15
    assert solution.weights.mean() > 0.9
    given = {"beta": solution.beta, "loss": "l1", "maxiter": 10}
    absolute = super_resolve(frames, BLUR, 2, shifts=shifts, **given)
    assert quality(absolute.image, truth) > clean - 1


@pytest.mark.slow
def test_what_moves(made):
    """A fifth of three frames is covered."""
    frames, shifts, truth, _ = made
    rng = np.random.default_rng(0)
    covered, side = frames.copy(), round(frames.shape[1] * np.sqrt(0.2))
    for i in HIDDEN:
        at = slice(5 + 2 * i, 5 + 2 * i + side)
        covered[i, at, at] = 0.8 * rng.random() + 0.1 * rng.random((side, side))
    left = [0.0 if i in HIDDEN else 1.0 for i in range(12)]
    solution = super_resolve(covered, BLUR, 2, shifts=shifts, loss="huber")
    without = super_resolve(frames, BLUR, 2, shifts=shifts, weights=left, beta=solution.beta)
    assert quality(solution.image, truth) > quality(without.image, truth) - 0.5


@pytest.mark.slow
@pytest.mark.parametrize("made", ["astronaut"], indirect=True)
def test_registration_survives(made):
    frames, _, truth, clean = made
    solution = super_resolve(struck(frames), BLUR, 2, shifts="estimate", loss="huber", rtol=1e-3)
    assert quality(solution.image, truth) > clean - 0.3


@pytest.mark.slow
@pytest.mark.parametrize("made", ["coffee"], indirect=True)
def test_a_wrong_frame_is_named(made):
    frames, shifts, truth, clean = made
    wrong = frames.copy()
    wrong[4] = frames[4][::-1]
    with pytest.warns(RegistrationWarning, match="frames 4 do not fit"):
        solution = super_resolve(wrong, BLUR, 2, shifts=shifts, loss="huber")
    assert quality(solution.image, truth) > clean - 0.5
    assert solution.weights[4].max() < 0.05
    assert "frames 4 do not fit" in solution.notes[0]


@pytest.mark.slow
def test_brightness_survives():
    scene = photograph("camera", 128)
    frames, shifts = burst(scene, BLUR, 2, 0.005, 8, seed=2)
    gains = 1 + 0.2 * np.arange(8) / 7
    bad = struck(frames * gains[:, None, None])
    solution = super_resolve(bad, BLUR, 2, shifts=shifts, loss="huber", photometry="gain")
    assert abs(solution.photometry.gains - gains).max() < 0.01


@pytest.mark.slow
def test_the_psf_survives():
    scene = photograph("camera", 192 + 2 * MARGIN)
    frames, shifts = burst(scene, BLUR, 2, 0.01, 6, margin=MARGIN, seed=1, boundary="constant")
    truth = scene[MARGIN:-MARGIN, MARGIN:-MARGIN]
    clean = super_resolve(frames, BLUR, 2, shifts=shifts, rtol=1e-3)
    about = {"shifts": shifts, "loss": "huber", "rtol": 1e-3}
    found = super_resolve(struck(frames, 0.05), "estimate", 2, **about)
    assert quality(found.image, truth) > quality(clean.image, truth) - 0.7
    assert 0.8 < found.psf.max() / BLUR.max() < 1.25


@pytest.mark.slow
@pytest.mark.parametrize(("name", "factor"), [("camera", 0.1), ("coffee", 10)])
def test_one_exposure(name, factor):
    """No other frame tells what fits; a sweep is hardly better than what is chosen."""
    scene = photograph(name, 96 + 2 * MARGIN)
    frames, _ = burst(scene, BLUR, 2, 0.01, 1, margin=MARGIN, seed=1, boundary="constant")
    truth, bad = scene[MARGIN:-MARGIN, MARGIN:-MARGIN], struck(frames)
    about = {"loss": "huber", "rtol": 1e-4}
    chosen = super_resolve(bad, BLUR, 2, **about)
    found = quality(chosen.image, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        squares = super_resolve(bad, BLUR, 2)
    assert found > quality(squares.image, truth) + 3
    clean = super_resolve(frames, BLUR, 2, rtol=1e-3)
    assert 0.5 < chosen.beta / clean.beta < 2
    other = super_resolve(bad, BLUR, 2, beta=factor * chosen.beta, **about)
    assert quality(other.image, truth) < found + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.fuzz) for n in (1, 2))])
def test_trails_of_one_exposure_of_stars(seed):
    """As if they were detail a sharp image fits all of them, brighter than any star."""
    rng = np.random.default_rng(seed)
    i, j = np.ogrid[:128, :128]
    sky = np.zeros((128, 128))
    for y, x, width, flux in rng.uniform((6, 6, 1, 0), (122, 122, 4, 4), (40, 4)):
        sky += flux * np.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * width**2))
    seeing = psf.gaussian(13, 1.8)
    A = DHOperator(sky.shape, seeing, 2, decimation="mean")
    clean = A.degrade(sky) + 0.01 * rng.standard_normal(A.dimsd)
    bad = clean.copy()
    for row, column, angle in rng.uniform((0, 0, 0), (50, 50, np.pi / 2), (6, 3)):
        along = np.arange(rng.integers(3, 14))
        rows = (row + along * np.sin(angle)).astype(int)
        columns = (column + along * np.cos(angle)).astype(int)
        bad[rows, columns] += rng.exponential(3, along.size)
    expected, found = (
        np.linalg.norm(super_resolve(frame, seeing, 2, loss=loss, rtol=1e-4).image - sky)
        for frame, loss in ((clean, "gaussian"), (bad, "huber"))
    )
    assert found < 1.4 * expected


@pytest.mark.slow
def test_one_exposure_with_a_psf_that_is_too_wide():
    """Edges that it does not explain are no spikes: the image stays as smooth as without."""
    scene = photograph("coins", 96 + 2 * MARGIN)
    frames, _ = burst(scene, np.ones((1, 1)), 2, 0.003, 1, margin=MARGIN, boundary="constant")
    wide = psf.gaussian(13, 1.7)
    with pytest.warns(PSFWarning, match="hold detail"):
        expected = super_resolve(frames, wide, 2, rtol=1e-3).beta
    with pytest.warns(PSFWarning, match="hold detail"):
        found = super_resolve(struck(frames, 0.005), wide, 2, loss="huber", maxiter=1).beta
    assert found > 0.4 * expected


@pytest.mark.slow
def test_channels_and_masks():
    """Outliers of one channel; what has no weight is no outlier."""
    scene = photograph("camera", 96)
    frames, shifts = burst(scene, BLUR, 2, 0.01, 6, seed=2)
    channels = np.stack([frames, frames[:, ::-1]], axis=1)
    channels[2, 0, 10, 10] = 1.0
    weights = np.ones(channels.shape)
    weights[3, 1, 5, 5] = 0
    channels[3, 1, 5, 5] = np.nan
    solution = super_resolve(channels, BLUR, 2, shifts=shifts, weights=weights, loss="huber")
    assert solution.weights.shape == channels.shape
    assert solution.weights[2, 0, 10, 10] < 0.1
    assert solution.weights[2, 1, 10, 10] > 0.3
    assert np.isfinite(solution.image).all()
    own = super_resolve(channels, [[BLUR, BLUR]] * 6, 2, shifts=shifts, weights=weights,
                        loss="huber", beta=solution.beta)  # fmt: skip
    assert abs(own.image - solution.image).max() < 1e-3


def test_noise_free_frames():
    scene = photograph("camera", 64)
    frames, shifts = burst(scene, BLUR, 2, 0.0, 5, seed=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = super_resolve(frames, BLUR, 2, shifts=shifts, loss="huber", beta=1e-6, maxiter=5)
    assert quality(solution.image, scene) > 28
    constant = super_resolve(np.full((3, 8, 8), 2.0), BLUR, 2, beta=0.1, loss="huber")
    assert abs(constant.image - 2).max() < 1e-5


def test_despiking_leaves_stars():
    star = np.zeros((1, 15, 15))
    star[0, 4:11, 4:11] = 100 * psf.gaussian(7, 0.7)
    assert np.array_equal(despiked(star), star)
    struck = star.copy()
    struck[0, 2, 12] = 50
    masked = struck.copy()
    masked[0, 0, 0] = np.nan
    weights = np.isfinite(masked).astype(float)
    assert despiked(struck)[0, 2, 12] == 0
    assert despiked(masked, list(weights))[0, 2, 12] == 0


@pytest.mark.slow
def test_spikes_that_outshine_the_scene_do_not_move_it():
    """Least squares refined shifts to what the spikes said, without a word."""
    frames, shifts = burst(photograph("camera", 128), psf.gaussian(9, 1.0), 2, 0.01, 6)
    rng = np.random.default_rng(1)
    rough = ("refine", shifts + 0.1 * rng.standard_normal(shifts.shape))
    hit = np.where(rng.random(frames.shape) < 0.003, 50 * rng.random(frames.shape), frames)
    for given, message in (frames, None), (hit, "outshine .* loss='huber'"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            solution = super_resolve(
                given, psf.gaussian(9, 1.0), 2, shifts=rough, beta=1e-3, maxiter=1
            )
        found = solution.shifts - solution.shifts[0]
        assert abs(found - shifts).max() < 0.05
        assert [bool(re.search(message, str(one.message))) for one in caught] == (
            [True] if message else []
        )
        assert_array_equal(solution.frames, given)


@pytest.mark.parametrize("sigma", [0.4, 0.7])
def test_sharp_stars_that_all_frames_show_are_no_spikes(sigma):
    """The optics blur them less than a pixel; what one frame alone shows is a spike."""
    rng = np.random.default_rng(0)
    scene = np.zeros((96, 96))
    scene[tuple(rng.integers(12, 84, (2, 12)))] = 100 * rng.random(12)
    frames, shifts = burst(scene, psf.gaussian(9, sigma), 2, 0.05, 5)
    assert without_bright_spikes(frames, shifts)[1] == 0
    frames[3, 20, 30] = 5e3
    clean, count = without_bright_spikes(frames, shifts)
    assert count == 1
    assert clean[3, 20, 30] < 100
    weights = [np.ones((48, 48)) for _ in frames]
    weights[3][20, 30] = 0
    assert without_bright_spikes(frames, shifts, weights)[1] == 0
