"""Shifts of the least residual of the super-resolution."""

import numpy as np
import pytest
from bursts import burst, photograph
from numpy.testing import assert_allclose, assert_array_equal

from dhop import cautions, psf, super_resolve
from dhop.estimation.refinement import refine


@pytest.mark.slow
@pytest.mark.parametrize(("name", "factor", "sigma"), [("camera", 2, 1.0), ("coffee", 3, 1.5)])
def test_shifts_and_gains(name, factor, sigma):
    blur = psf.gaussian(2 * round(4 * sigma) + 1, sigma)
    frames, truth = burst(photograph(name, 288), blur, factor, 0.01, 12, margin=24)
    rng = np.random.default_rng(3)
    gains = rng.uniform(0.8, 1.2, 12)
    gains[0] = 1
    start = truth + rng.uniform(-0.15, 0.15, truth.shape)
    start[0] = 0
    bright = gains[:, None, None] * frames + rng.uniform(-0.05, 0.05, (12, 1, 1))
    shifts, found = refine(bright, (factor, factor), start, None, "mean", np.ones(12), 0.5)
    assert np.abs(shifts - truth).max() < 0.03
    assert np.abs(shifts - truth).mean() < 0.01
    assert_allclose(found, gains, atol=0.03)


@pytest.mark.slow
def test_the_first_frame_that_is_used_stays():
    frames, truth = burst(photograph("camera", 160), psf.gaussian(9, 1.0), 2, 0.01, 6)
    weights = [0.0, *[1.0] * 5]
    shifts, gains = refine(frames, (2, 2), truth, weights, "mean", np.ones(6), 0.5)
    assert_array_equal(shifts[:2], truth[:2])
    assert_array_equal(gains[:2], 1)


@pytest.mark.slow
def test_ways_to_ask_for_it():
    frames, truth = burst(photograph("camera", 160), psf.gaussian(9, 1.0), 2, 0.01, 8, spread=0.3)
    options = {"beta": 0.01, "rtol": 1e-3}
    blur = psf.gaussian(9, 1.0)
    for shifts in ("refine", ("refine", truth + np.array([0.05, -0.05])), "estimate"):
        found = super_resolve(frames, blur, 2, shifts=shifts, **options).shifts
        offset = found[0] - truth[0]
        assert np.abs(found - truth - offset).max() < 0.03
    with pytest.raises(ValueError, match=r"shifts\[0\]"):
        super_resolve(frames, blur, 2, shifts=("improve", truth), **options)
    with pytest.raises(ValueError, match="shifts"):
        super_resolve(frames, blur, 2, shifts="guess", **options)


@pytest.mark.slow
def test_a_stranger_is_left_out():
    frames, truth = burst(photograph("camera", 208), psf.gaussian(9, 1.0), 2, 0.01, 8, margin=24)
    frames[6] = photograph("coins", 80)
    blur = psf.gaussian(9, 1.0)
    with pytest.warns(cautions.RegistrationWarning, match="frames 6 "):
        eight = super_resolve(frames, blur, 2, shifts="estimate", rtol=1e-4)
    seven = super_resolve(
        np.delete(frames, 6, 0), blur, 2, shifts="estimate", rtol=1e-4, beta=eight.beta
    )
    assert_array_equal(eight.registration.fits, np.arange(8) != 6)
    assert_allclose(eight.image, seven.image, atol=0.02)
    assert np.abs(np.delete(eight.shifts - truth, 6, 0)).max() < 0.03


def test_shifts_that_nobody_spoke_of():
    frames, _ = burst(photograph("camera", 160), psf.gaussian(9, 1.0), 2, 0.01, 4)
    with pytest.warns(cautions.RegistrationWarning, match="no shifts were given"):
        super_resolve(frames, psf.gaussian(9, 1.0), 2, beta=0.01, rtol=1e-3)
