"""Kinds of motions: what their steps are, and how far a matrix is from none."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dhop.estimation import groups
from dhop.estimation.groups import KINDS

SHAPE = 60, 81
COUNTS = dict(zip(KINDS, (2, 3, 4, 6, 8), strict=True))


def a_motion(kind, seed=0, size=2):
    steps = np.random.default_rng(seed).uniform(-size, size, COUNTS[kind])
    return groups.stepped(np.eye(3), groups.generators(kind, SHAPE), steps), steps


@pytest.mark.parametrize("kind", KINDS)
def test_steps_stay_in_the_kind(kind):
    first, second = a_motion(kind, 1)[0], a_motion(kind, 2)[0]
    for matrix in (first, first @ second / (first @ second)[2, 2]):
        linear = matrix[:2, :2]
        if kind == "shift":
            assert_allclose(linear, np.eye(2), atol=1e-14)
        if kind in ("euclidean", "similarity"):
            scale = np.linalg.det(linear)
            assert kind == "similarity" or abs(scale - 1) < 1e-12
            assert_allclose(linear @ linear.T, scale * np.eye(2), atol=1e-12)
        assert_allclose(matrix[2], (0, 0, 1), atol=1e-14 if kind != "projective" else 0.1)
        assert (np.abs(matrix[2, :2]).max() > 1e-5) == (kind == "projective")


@pytest.mark.parametrize("kind", KINDS)
def test_amounts_are_the_steps(kind):
    matrix, steps = a_motion(kind, size=1e-3)
    expected = np.pad(steps, (0, 8 - len(steps)))
    assert_allclose(groups.coordinates(3 * matrix, SHAPE), expected, atol=1e-6)


def test_a_unit_is_about_a_pixel_in_the_corners():
    rows, columns = np.array([0.0, 59, 0, 59]), np.array([0.0, 0, 80, 80])
    for each in groups.generators("projective", SHAPE):
        down, right = groups.velocities(each[None], rows, columns)
        assert_allclose(np.hypot(down, right).max(), 1, atol=0.6)


def test_velocities_are_the_slope_of_a_step():
    rows, columns = np.array([3.0, 50]), np.array([70.0, 20])
    among = groups.generators("projective", SHAPE)
    velocities = np.stack(groups.velocities(among, rows, columns))
    for k in range(8):
        ends = []
        for amount in (-1e-4, 1e-4):
            there = groups.stepped(np.eye(3), among, amount * np.eye(8)[k]) @ [
                rows, columns, [1, 1]]  # fmt: skip
            ends.append(there[:2] / there[2])
        assert_allclose((ends[1] - ends[0]) / 2e-4, velocities[:, k], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_of_a_kind(kind):
    same = a_motion(kind)[0]
    assert_allclose(groups.nearest(same, kind, SHAPE), same, atol=1e-12)
    tilted = a_motion("projective")[0]
    near = groups.nearest(tilted, kind, SHAPE)
    middle = np.array([*groups.center(SHAPE), 1])
    there = tilted @ middle
    here = near @ middle
    assert_allclose(here[:2] / here[2], there[:2] / there[2], atol=1e-12)
    step = np.array([1e-4, 0, 0])
    if kind == "affine":
        slope = [(tilted @ (middle + sign * step)) for sign in (1, -1)]
        slope = np.subtract(*[each[:2] / each[2] for each in slope]) / 2e-4
        assert_allclose(near[:2, 0], slope, atol=1e-7)


def test_turns_are_about_the_middle():
    matrix = groups.rotation(np.pi / 2, 2.0, SHAPE)
    middle = groups.center(SHAPE)
    assert_allclose(matrix @ [*middle, 1], [*middle, 1], atol=1e-12)
    below, beside = middle + np.array((1, 0)), middle + np.array((0, 2))
    assert_allclose(matrix @ [*below, 1], [*beside, 1], atol=1e-12)
