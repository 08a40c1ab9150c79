"""Frames near the limits of floating point: all that is in their unit scales, and nothing else."""

import numpy as np
import pytest
import scipy
from numpy.testing import assert_allclose, assert_array_equal

from dhop import psf, super_resolve
from dhop.cautions import Caution
from dhop.frames.unit import exponent

RNG = np.random.default_rng(0)
BLUR = psf.gaussian(5, 1.0)
# The brightest pixel is between a half and one, so that these have the unit one.
FRAMES = scipy.ndimage.gaussian_filter(np.kron(RNG.random((2, 4, 3)), np.ones((1, 3, 4))), 0.5)
FRAMES = ((FRAMES + 0.02 * RNG.random(FRAMES.shape)) * 0.9 / FRAMES.max()).clip(0.1)
SHIFTS = [(0, 0), (0.4, -0.3)]
GUESS = np.full((24, 24), 0.5)
UNITS = {np.float64: (-1000, 1000), np.float32: (-110, 120)}


def smoothed(image, level):
    return scipy.ndimage.gaussian_filter(image, 0.4) + (0.01 * level).astype(image.dtype)


# Options, and of these the ones in the unit of the frames.
WAYS = {
    "auto": ({"beta": "auto"}, {}),
    "discrepancy": ({"beta": "discrepancy"}, {"noise": 0.01}),
    "estimated psf": ({"psf": "estimate", "beta": "auto"}, {}),
    "estimated shifts": ({"shifts": "refine"}, {}),
    "huber-tv": ({"regulariser": "huber-tv", "beta": "auto"}, {}),
    "starlet": ({"regulariser": "starlet"}, {"noise": 0.01, "beta": 0.01}),
    "tv": ({"regulariser": "tv", "loss": "huber"}, {"beta": 0.01}),
    "huber": ({"loss": "huber"}, {"threshold": 0.02}),
    "l1": ({"loss": "l1"}, {}),
    "bounds": ({"target": BLUR}, {"bounds": (0.2, 0.5)}),
    "nonnegative": ({"nonnegative": True}, {"x0": GUESS}),
    "photometry": ({"photometry": "both"}, {}),
    "denoiser": ({"denoiser": lambda x, s: smoothed(x, np.float64(s))}, {}),
}


def solve(name, power=0, dtype=np.float64, **more):
    options, in_unit = WAYS[name]
    scaled = {key: np.ldexp(value, power) for key, value in in_unit.items()}
    given = {"psf": BLUR, "shifts": SHIFTS, "beta": 0.01, "rtol": 1e-3, "maxiter": 30}
    frames = np.ldexp(FRAMES.astype(dtype), power)
    return super_resolve(frames, factor=2, **given | options | scaled | more)


@pytest.mark.filterwarnings("ignore::dhop.cautions.Caution")
@pytest.mark.parametrize("name", WAYS)
def test_all_that_is_in_their_unit_scales(name):
    for dtype, powers in UNITS.items():
        expected = solve(name, 0, dtype)
        for power in powers if dtype == np.float64 else powers[:1]:
            seen = []
            found = solve(name, power, dtype, callback=seen.append)
            assert_array_equal(found.image, np.ldexp(expected.image, power))
            own = power if name in ("huber-tv", "starlet", "tv") else 0
            assert found.beta == np.ldexp(expected.beta, own)
            assert found.residual_norm == np.ldexp(expected.residual_norm, power)
            assert_array_equal(found.shifts, expected.shifts)
            offsets = found.photometry.offsets, np.ldexp(expected.photometry.offsets, power)
            assert_array_equal(*offsets)
            assert_array_equal(found.frames, np.ldexp(FRAMES.astype(dtype), power))
            assert_array_equal(found.psf, expected.psf)
            assert name != "bounds" or found.bounds == (np.ldexp(0.2, power), np.ldexp(0.5, power))
            assert_array_equal(seen[-1].image.dtype, dtype)
            assert 0.05 < np.ldexp(seen[-1].image.astype(float), -power).max() < 2
            assert_array_equal(found.residuals(), np.ldexp(expected.residuals(), power))


def test_warnings_say_in_what_unit_they_are():
    frames = np.ldexp(np.random.default_rng(0).random((2, 40, 40)), -80)  # of no one scene
    with pytest.warns(Caution) as caught:
        found = super_resolve(frames, BLUR, 2, beta=0.1)
    assert found.notes
    assert found.notes == [str(each.message) for each in caught]
    assert all(note.endswith("(frames and image divided by 2**-80)") for note in found.notes)


@pytest.mark.filterwarnings("ignore::dhop.cautions.Caution")
@pytest.mark.parametrize("name", ["auto", "huber-tv", "starlet", "bounds"])
def test_deviations_scale(name):
    expected = solve(name).standard_deviation(noise=0.01)
    for power in UNITS[np.float64]:
        found = solve(name, power).standard_deviation(noise=np.ldexp(0.01, power))
        assert_allclose(np.ldexp(found, -power), expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::dhop.cautions.Caution")
@pytest.mark.parametrize("regulariser", ["laplacian", "tv"])
def test_photons_in_any_unit(regulariser):
    def counted(power, dtype=np.float64):
        unit = {key: np.ldexp(x, power) for key, x in (("gain", 1e-3), ("read_noise", 0.01))}
        back = np.full((12, 12), np.ldexp(0.05, power))
        beta = "auto" if regulariser == "laplacian" else np.ldexp(0.3, -power)
        return super_resolve(
            np.ldexp(FRAMES.astype(dtype), power), BLUR, 2, shifts=SHIFTS, loss="poisson",
            regulariser=regulariser, background=back, beta=beta, rtol=1e-3,
            **unit,
        )  # fmt: skip

    for dtype, power in ((np.float64, 400), (np.float64, -400), (np.float32, -110)):
        expected, found = counted(0, dtype), counted(power, dtype)
        assert_array_equal(found.image, np.ldexp(expected.image, power))
        # The loss has no unit: the weight of squares is in that of one over squares.
        of_beta = -2 * power if regulariser == "laplacian" else -power
        assert_allclose(np.ldexp(found.beta, -of_beta), expected.beta, rtol=1e-12)
        assert_allclose(found.residual_norm, expected.residual_norm, rtol=1e-12)
        ones = np.ones(found.operator.shape[1])
        seen = found.operator @ np.ldexp(ones, power)
        assert_allclose(seen, expected.operator @ ones, rtol=1e-4)
        assert_allclose(found.history[-1].loss, expected.history[-1].loss, rtol=1e-12)
    with pytest.raises(ValueError, match="give them in another unit"):
        counted(900)


def test_what_has_no_weight_has_no_unit():
    frames = np.stack([FRAMES[0], FRAMES[1]])
    frames[1, 3, 4], weights = 1e300, np.ones(frames.shape)
    weights[1, 3, 4] = 0
    assert exponent(frames, list(weights)) == 0
    assert exponent(frames) == np.frexp(1e300)[1]
    assert exponent(np.zeros((1, 3, 3))) == 0


@pytest.mark.parametrize("power", [-1000, 1000])
def test_an_estimated_psf_has_no_unit(power):
    assert_array_equal(
        psf.estimate(np.ldexp(FRAMES, power), 2, shifts=SHIFTS),
        psf.estimate(FRAMES, 2, shifts=SHIFTS),
    )


def test_lines_and_channels_in_any_unit():
    line, colours = FRAMES[0, 0], np.moveaxis(np.stack([FRAMES[0]] * 3), 0, -1)
    for data, blur, axis in ((line, BLUR[2], None), (colours, BLUR, -1)):
        one, other = (
            super_resolve(np.ldexp(data, k), blur, 2, beta=0.01, channel_axis=axis).image
            for k in (0, 900)
        )
        assert_array_equal(other, np.ldexp(one, 900))
