"""Arguments that frames in memory and in chunks share."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dhop import DHOperator, psf
from dhop.frames.layouts import stacked
from dhop.frames.observations import checked_shifts, scene_dims, shifted_operators
from dhop.reconstruction.blurs import blurs

BLUR = psf.gaussian(5, 1.0)


def make(blur, center):
    return DHOperator((8, 6), blur, 2, center=center)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [((4, 3), "f4", "f4"), ((2, 4, 3), "i2", "f8"), ((2, 3, 4, 3), "f8", "f8")],
)
def test_stacked(shape, dtype, expected):
    frames = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    found = stacked(frames)
    assert found.dtype == expected
    assert_array_equal(found, frames[None] if frames.ndim == 2 else frames)


def test_scenes_have_the_channels_of_frames():
    assert scene_dims((2, 4, 3), (2, 3), None) == (8, 9)
    assert scene_dims((2, 5, 4, 3), (2, 2), None) == (5, 8, 6)
    assert scene_dims((2, 5, 4, 3), (2, 2), [9, 7]) == (5, 9, 7)


def test_frames_that_see_alike_share_an_operator():
    shifts = checked_shifts([[0, 0], [0.5, 0], [0, 0]], 3)
    first, moved, third = shifted_operators(make, BLUR, shifts, 2, (4, 3))
    assert first is third
    assert moved is not first
    other = psf.gaussian(7, 1.0)
    _, wider = shifted_operators(make, [BLUR, other], np.zeros((2, 2)), 2, (4, 3))
    assert wider.psf.shape == (7, 7)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="gives frames of"):
        shifted_operators(make, BLUR, np.zeros((1, 2)), 2, (4, 4))
    with pytest.raises(ValueError, match="2 frames, but 1 psfs"):
        blurs([BLUR], 2)
