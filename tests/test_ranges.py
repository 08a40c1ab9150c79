"""How far images may leave the range of the frames before somebody is told."""

import numpy as np
import pytest

from dhop.reconstruction import ranges


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ((0, 255), False),
        ((-50, 310), False),  # a little beyond on both sides: a sharper edge
        ((-60, 2500), False),  # a star that has become sharp
        ((-130, 390), True),
        ((-200, 255), True),
    ],
)
def test_ringing_is_told_from_sharp_stars(image, told):
    text = ranges.caution(np.array(image, float), (0.0, 255.0))
    assert (text is not None) == told
    if told:
        assert f"{image[0]} to {image[1]}" in text


def test_a_constant_frame_has_a_range():
    assert ranges.caution(np.array([6.9, 7.1]), (7.0, 7.0)) is None
    assert ranges.caution(np.array([-70.0, 70.0]), (7.0, 7.0)) is not None
    assert ranges.caution(np.zeros(3), (0.0, 0.0)) is None


def test_pixels_without_weight_have_no_range():
    frames = np.array([[[1.0, 2.0], [3.0, 900.0]]])
    assert ranges.visible_range(frames, [np.array([[1, 1], [1, 0]])]) == (1, 3)
    assert ranges.visible_range(frames, [np.zeros((2, 2))]) == (0, 0)
