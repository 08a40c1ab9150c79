"""Frames whose brightness differs."""

import numpy as np
import pytest
from bursts import burst, photograph, quality
from numpy.testing import assert_allclose

from dhop import psf, super_resolve
from dhop.estimation.photometry import Photometry, fitted, matched

BLUR = psf.gaussian(9, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("terms", ["offset", "gain", "both"])
def test_as_good_as_frames_that_agree(terms):
    scene = photograph("camera", 240)
    frames, shifts = burst(scene, BLUR, 2, 0.01, 8)
    rng = np.random.default_rng(1)
    gains = 1 + rng.uniform(-0.1, 0.1, 8) * (terms != "offset")
    offsets = rng.uniform(-0.05, 0.05, 8) * (terms != "gain")
    gains[0], offsets[0] = 1, 0
    spoilt = gains[:, None, None] * frames + offsets[:, None, None]
    options = {"shifts": shifts, "rtol": 1e-4, "beta": 0.005}
    plain = quality(super_resolve(frames, BLUR, 2, **options).image, scene)
    found = super_resolve(spoilt, BLUR, 2, photometry=terms, **options)
    assert quality(found.image, scene) > plain - 0.2
    assert_allclose(found.photometry.gains, gains, atol=0.01)
    assert_allclose(found.photometry.offsets, offsets, atol=0.01)
    assert_allclose(np.linalg.norm(found.residuals()), found.residual_norm)


def test_fitted_is_least_squares():
    rng = np.random.default_rng(0)
    predictions = rng.random((3, 6, 5))
    weights = [np.ones((6, 5)), rng.random((6, 5)), np.asarray(2.0)]
    frames = np.array([1, 1.5, 0.8])[:, None, None] * predictions + 0.1
    frames += 0.01 * rng.standard_normal(frames.shape)
    found = fitted(frames, predictions, weights, "both")
    for i in range(3):
        root = np.sqrt(np.broadcast_to(weights[i], (6, 5))).ravel()
        columns = np.stack([predictions[i].ravel(), np.ones(30)], 1) * root[:, None]
        gain, offset = np.linalg.lstsq(columns, frames[i].ravel() * root)[0]
        if i == 0:
            first = gain, offset
        assert_allclose(found.gains[i], gain / first[0])
        assert_allclose(found.offsets[i], offset - gain / first[0] * first[1], atol=1e-12)


def test_matched_by_means():
    """Of what all frames show: 1 and 3 lie a pixel further down and right, frame 2 is dead."""
    scene = np.random.default_rng(1).random((9, 8))
    gains, offsets = np.array([2.0, 1.0, 9.0, 3.0]), np.array([0.5, -0.25, 9.0, 0.0])
    moves = np.array([(0, 0), (1, 1), (0, 0), (1, 1)])
    frames = np.stack(
        [
            g * scene[1 - dy : 9 - dy, 1 - dx : 8 - dx] + o
            for g, o, (dy, dx) in zip(gains, offsets, moves, strict=True)
        ]
    )
    frames[2] = np.nan
    mask = np.ones(frames.shape[1:])
    mask[0] = 0  # not seen by the others in any case
    weights = [np.asarray(1.0), np.asarray(1.0), np.zeros(mask.shape), mask]
    found = matched(frames, weights, moves + 0.2, gains, "both")
    relative = gains / 2
    expected = np.where(gains < 9, offsets - relative * 0.5, 0)
    assert_allclose(found.gains, [1, 0.5, 1, 1.5])
    assert_allclose(found.offsets, expected, atol=1e-12)
    assert_allclose(matched(frames, weights, moves, gains, "gain").offsets, 0)


def test_corrected_frames_and_weights():
    given = Photometry(np.array([1.0, 2.0]), np.array([0.0, 3.0]))
    assert_allclose(given.corrected(np.array([[[1.0]], [[7.0]]])), [[[1]], [[2]]])
    assert_allclose(given.weights(None), [1, 4])
    assert Photometry.none(3).trivial
    assert Photometry.none(3).weights(None) is None


def test_choice():
    with pytest.raises(ValueError, match="photometry"):
        super_resolve(np.ones((2, 8, 8)), BLUR, 2, photometry="exposure")
