"""Spectra of windowed frames against the discrete Fourier transform, written out."""

import numpy as np
import pytest
from bursts import burst, photograph
from numpy.testing import assert_allclose, assert_array_equal

from dhop import psf
from dhop.frames.spectra import Spectra


def test_transfer_is_the_sum_over_the_psf():
    rng = np.random.default_rng(0)
    spectra = Spectra(rng.random((2, 16, 12)), (2, 3), np.zeros((2, 2)))
    blur = rng.random((4, 5))
    first, second = spectra.frequencies
    expected = sum(
        blur[i, j] * np.exp(-1j * (first * (i - 1) + second * (j - 2))) for i, j in np.ndindex(4, 5)
    )
    assert_allclose(spectra.transfer(blur), expected, atol=1e-12)


@pytest.mark.parametrize(("decimation", "total"), [("mean", 1), ("sum", 6), ("sample", 1)])
def test_pixels(decimation, total):
    spectra = Spectra(np.random.default_rng(0).random((1, 16, 12)), (2, 3), np.zeros((1, 2)))
    box = np.ones((2, 3)) / 6 * total if decimation != "sample" else np.ones((1, 1))
    assert_allclose(np.abs(spectra.pixels(decimation)), np.abs(spectra.transfer(box)), atol=1e-12)


def test_white_noise_has_its_variance_at_all_frequencies():
    rng = np.random.default_rng(0)
    shifts = rng.uniform(-2, 2, (8, 2))
    weights = np.arange(1.0, 9.0)
    frames = rng.standard_normal((8, 100, 100)) * 3 / np.sqrt(weights)[:, None, None]
    spectra = Spectra(frames, (2, 2), shifts, list(weights))
    powers = np.mean(np.abs(spectra.values) ** 2, axis=(0, 1))
    assert_allclose(powers, 9, rtol=0.1)


@pytest.mark.parametrize("shift", [(0.4, -0.3), (5.25, 2.5), (-7.0, 3.3)])
def test_shifted_frames_are_samples_of_one_image(shift):
    """More frames than aliases: the same aliases explain all, whatever the shift and the blur."""
    scene = photograph("camera", 240)
    blur = psf.gaussian(15, 1.8)
    frames, shifts = burst(scene, blur, 2, 0.0, 8, margin=32)
    moved = burst(scene, blur, 2, 0.0, 2, margin=32)[0]
    spectra = Spectra(frames, (2, 2), shifts)
    assert moved.shape[1:] == frames.shape[1:]
    for c in range(0, len(spectra.phases), 97):
        E, y = spectra.phases[c], spectra.values[0, c]
        rest = y - E @ np.linalg.lstsq(E, y)[0]
        assert np.linalg.norm(rest) < 0.02 * np.linalg.norm(y) + 1e-4


def test_frames_that_are_looked_at():
    rng = np.random.default_rng(0)
    frames = rng.random((6, 40, 40))
    frames[3] = frames[1]
    shifts = np.zeros((6, 2))
    shifts[4] = 30, 0  # shows another part
    spectra = Spectra(frames, (2, 2), shifts, [1.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    assert_array_equal(spectra.used, [0, 1, 5])
    assert_array_equal(spectra.copies, [1, 2, 1])


def test_large_frames_are_cut_into_tiles():
    frames = np.random.default_rng(0).random((1, 2, 500, 700))
    spectra = Spectra(frames, (2, 2), np.zeros((1, 2)))
    assert spectra.tile == (192, 192)
    assert len(spectra.values) == 2 * 2 * 3  # channels, tiles
    maps = np.ones((500, 700))
    maps[:, 300:] = 0
    fewer = Spectra(frames, (2, 2), np.zeros((1, 2)), [maps])
    assert len(fewer.values) == 2 * 2


def test_masked_pixels_do_not_count():
    """The weight of a frame is the mean over the pixels that have one: a mask makes it no less."""
    rng = np.random.default_rng(0)
    frames = rng.random((3, 40, 40))
    mask = rng.random((40, 40)) > 0.3
    spectra = Spectra(frames, (2, 2), np.zeros((3, 2)), [1.0, mask, 4 * mask])
    assert_array_equal(spectra.weights, [1, 1, 4])


def test_stars_are_sparse_and_photographs_are_not():
    rng = np.random.default_rng(0)
    stars = 0.01 * rng.standard_normal((1, 100, 100))
    stars[0, rng.integers(0, 100, 20), rng.integers(0, 100, 20)] += 5
    assert Spectra(stars, (2, 2), np.zeros((1, 2))).sparse
    for name in ("camera", "astronaut", "coins", "page"):
        assert not Spectra(photograph(name, 180)[None], (2, 2), np.zeros((1, 2))).sparse


@pytest.mark.parametrize("shifts", [[[0, 0], [8, 0]], [[0, 0.3], [0, 9]], [[0, 0], [-7, 7]]])
def test_frames_that_share_no_part(shifts):
    """One of them is looked at, and `beta` is chosen."""
    frames = np.random.default_rng(0).random((2, 8, 8))
    spectra = Spectra(frames, (2, 2), np.array(shifts, float))
    assert len(spectra) == 1
    assert spectra.tile == (8, 8)
