"""Values for pixels without a weight."""

import numpy as np
from numpy.testing import assert_array_equal

from dhop.frames.masks import filled


def test_the_nearest_pixel_of_the_same_channel():
    frame = np.arange(24.0).reshape(2, 3, 4)
    weights = np.ones((2, 3, 4))
    weights[0, :, 1:3] = 0
    expected = frame.copy()
    expected[0, :, 1], expected[0, :, 2] = frame[0, :, 0], frame[0, :, 3]
    assert_array_equal(filled(np.where(weights == 0, np.nan, frame), weights), expected)


def test_nothing_to_fill_and_nothing_to_fill_with():
    frame = np.arange(6.0).reshape(2, 3)
    assert_array_equal(filled(frame, np.asarray(0.5)), frame)
    assert_array_equal(filled(np.full((2, 3), np.nan), np.asarray(0.0)), np.zeros((2, 3)))


def test_weights_in_any_unit_are_weights():
    frame = np.arange(6.0).reshape(2, 3)
    weights = np.array([[1e-300, 0, 1], [1e-12, 5e-324, 1e300]])
    assert_array_equal(filled(frame, weights)[weights > 0], frame[weights > 0])
    assert filled(frame, weights)[0, 1] != 1
