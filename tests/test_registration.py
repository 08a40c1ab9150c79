"""Known shifts found again."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter
from skimage import data

from dhop import DHOperator, psf
from dhop.registration import estimate_shifts
from dhop.shifting import shift


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("name", ["camera", "moon"])
def test_known_shifts_of_a_photograph(name, factor):
    """Frames of a larger scene, 1 % of noise: within 0.05 pixels."""
    photograph = getattr(data, name)()[:480, :480] / 255
    rng = np.random.default_rng(0)
    given = rng.uniform(-3, 3, (6, 2))
    given[0] = 0
    frames = []
    for move in given:
        moved, center = shift(psf.gaussian(9, 1.0), move * factor)
        A = DHOperator(photograph.shape, moved, factor, center=center, decimation="mean")
        frame = A.degrade(photograph)[12:-12, 12:-12]
        frames.append(frame + 0.01 * rng.standard_normal(frame.shape))
    assert np.abs(estimate_shifts(frames) - given).max() < 0.05


def test_bad_pixels_stand_aside():
    scene = gaussian_filter(np.random.default_rng(1).random((80, 80)), 2)
    frames = np.stack([scene[10:70, 10:70], scene[8:68, 11:71]])
    weights = np.ones(frames.shape)
    weights[1, 20:23, 30:34] = 0
    spoilt = np.where(weights == 0, np.nan, frames)
    assert_allclose(estimate_shifts(spoilt, weights), [[0, 0], [2, -1]], atol=0.02)
    assert_allclose(estimate_shifts(frames, [1.0, 2.0]), [[0, 0], [2, -1]], atol=0.02)


def test_nothing_to_hold_on_to():
    assert_array_equal(estimate_shifts(np.ones((3, 8, 8))), np.zeros((3, 2)))
    assert np.isfinite(estimate_shifts(np.random.default_rng(0).random((2, 3, 4)))).all()


def test_shape():
    with pytest.raises(ValueError, match=r"\(F, m0, m1\)"):
        estimate_shifts(np.ones((4, 4)))
