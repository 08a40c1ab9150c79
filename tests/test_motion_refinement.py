"""Steps of motions to an image that is a formula, and what halves of frames tell of each other."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop.estimation import groups
from dhop.estimation.photometry import Photometry
from dhop.reconstruction import motion_refinement, refining
from dhop.reconstruction.crop import Crop
from dhop.reconstruction.cross_validation import State, _Halves, interior_weights, validated
from dhop.reconstruction.motion_refinement import _Steps
from dhop.registration import Registration

SHAPE = (30, 38)


def light(row, column):
    """Waves of eight to sixteen pixels of a frame, brighter than zero."""
    waves = np.sin(0.7 * row + 0.2 * column) + np.cos(0.5 * column - 0.3 * row)
    return 3 + waves + np.sin(0.4 * row + 0.6 * column)


def fine(shape, factor):
    """Places of fine pixels in a frame."""
    lines = [(np.arange(n * f) + 0.5) / f - 0.5 for n, f in zip(shape, factor, strict=True)]
    return np.meshgrid(*lines, indexing="ij")


def frame(matrix, factor, gain=1.0, offset=0.0, shape=SHAPE):
    """What a moved camera sees, by block means."""
    row, column = fine(shape, factor)
    row, column, one = np.tensordot(matrix, [row, column, np.ones(row.shape)], 1)
    seen = light(row / one, column / one).reshape(shape[0], factor[0], shape[1], factor[1])
    return gain * seen.mean(axis=(1, 3)) + offset


def astray(kind, by):
    """A motion of a kind, and one that is so many units of each generator off."""
    start = groups.rotation(0.03 if kind != "shift" else 0.0, 1.0, SHAPE)
    start[:2, 2] += 0.4, -0.3
    among = groups.generators(kind, SHAPE)
    step = by * np.where(np.arange(len(among)) % 2, -1.0, 1.0)
    return start, groups.stepped(start, among, step)


def apart(one, other):
    corners = np.array([[r, c, 1.0] for r in (0, SHAPE[0] - 1) for c in (0, SHAPE[1] - 1)]).T
    places = [(each @ corners)[:2] / (each @ corners)[2] for each in (one, other)]
    return np.abs(places[0] - places[1]).max()


@pytest.mark.parametrize("kind", ["shift", "euclidean", "projective"])
@pytest.mark.parametrize(("factor", "largest"), [((2, 3), 99), ((1, 2), 24)])
def test_a_step_leads_to_the_truth(kind, factor, largest):
    """Of frames that are brighter, of which a part is looked at."""
    true, wrong = astray(kind, 0.06)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(SHAPE)
    frames = np.stack([frame(true, factor, 1.7, 0.2) + noise])
    crop = Crop.build(frames, None, [wrong], factor, "mean", largest)
    assert crop.first == tuple((n - min(n, largest)) // 2 for n in SHAPE)
    there = groups.translation(crop.first)
    rows, columns = fine(crop.size, factor)
    G = light(rows + crop.first[0], columns + crop.first[1]).ravel()
    steps = _Steps(crop, kind, SHAPE)
    moved = np.zeros((1, len(steps.among)))
    state = State(crop.motion, Photometry(np.ones(1), np.zeros(1)))
    state = steps.taken(state, moved, G)
    found = there @ state.motion[0] @ np.linalg.inv(there)
    assert apart(found, true) < min(0.012, 0.1 * apart(wrong, true))
    assert_allclose(state.photometry.gains, 1.7, rtol=0.005)
    assert_allclose(state.photometry.offsets, 0.2, atol=0.015)
    again = groups.stepped(crop.motion[0], steps.among, moved[0])
    assert_allclose(again, state.motion[0], atol=1e-3)


@pytest.mark.parametrize("kind", ["euclidean", "projective"])
def test_steps_of_a_part_are_those_of_the_whole_frame(kind):
    """One prior serves both."""
    frames = np.zeros((1, *SHAPE))
    crop = Crop.build(frames, None, [np.eye(3)], (2, 2), "mean", 20)
    there, among = groups.translation(crop.first), _Steps(crop, kind, SHAPE).among
    for unit in np.eye(len(among)):
        step = there @ groups.stepped(np.eye(3), among, unit) @ np.linalg.inv(there)
        expected = groups.stepped(np.eye(3), groups.generators(kind, SHAPE), unit)
        assert apart(step, expected) < 1e-9


def test_no_frame_goes_far(monkeypatch):
    """Where motions are far off the residual tells nothing."""
    monkeypatch.setattr(motion_refinement, "LARGEST", 0.02)
    true, wrong = astray("shift", 0.1)
    crop = Crop.build(frame(true, (2, 2))[None], None, [wrong], (2, 2), "mean")
    state = State([wrong], Photometry.none(1))
    moved = np.zeros((1, 2))
    found = _Steps(crop, "shift", SHAPE).taken(state, moved, light(*fine(SHAPE, (2, 2))).ravel())
    assert_array_equal(moved, 0)
    assert_array_equal(found.motion[0], wrong)


def test_one_step_keeps_the_mean():
    """What the gain changes the offset makes up for."""
    true, wrong = astray("euclidean", 0.15)
    frames = np.stack([frame(true, (2, 2), 1.7, 0.2)])
    crop = Crop.build(frames, None, [wrong], (2, 2), "mean")
    G = light(*fine(SHAPE, (2, 2))).ravel()
    steps = _Steps(crop, "euclidean", SHAPE)
    step, gain, offset = steps._step(0, wrong, np.zeros(3), G)
    (A,) = crop.operators([groups.stepped(wrong, steps.among, step)])
    weights = interior_weights(crop, 0, [wrong]) > 0
    left = frames[0] - gain * A.matvec(G).reshape(SHAPE) - offset
    assert abs(left[weights].mean()) < 0.01


def test_frames_that_tell_nothing_go_back_to_where_they_were_registered():
    frames = np.random.default_rng(0).random((1, *SHAPE))
    crop = Crop.build(frames, None, [np.eye(3)], (2, 2), "mean")
    steps = _Steps(crop, "euclidean", SHAPE)
    moved = np.array([0.2, -0.1, 0.05])
    step, gain, _ = steps._step(0, np.eye(3), moved, np.ones(crop.frames[0].size * 4))
    assert_allclose(step, -moved)
    assert gain == 1


def shifted(count, noise=0.0):
    rng = np.random.default_rng(1)
    motion = [groups.translation(move) for move in rng.uniform(-0.5, 0.5, (count, 2))]
    frames = np.stack([frame(each, (2, 2)) for each in motion])
    return motion, frames + noise * rng.standard_normal(frames.shape)


def test_halves_know_nothing_of_each_other():
    motion, frames = shifted(5)
    state = State(motion, Photometry.none(5))

    def images(frames):
        crop = Crop.build(frames, None, motion, (2, 2), "mean")
        halves = _Halves(crop, [interior_weights(crop, i, [m]) for i, m in enumerate(motion)], 0.01)
        return halves, halves.images(state, [None, None])

    halves, (even, odd) = images(frames)
    for start, same in (1, even), (0, odd):
        other = frames.copy()
        other[start::2] += 0.1
        found = images(other)[1]
        assert_array_equal(found[1 - start], same)
    # The image of the odd frames predicts the even ones.
    left = [np.std(each.residual) for each in halves.residuals(motion, [0 * even, odd])]
    assert max(left[0::2]) < 0.1 < min(left[1::2])


def test_no_motion_is_better_by_what_noise_brings():
    motion, frames = shifted(6, noise=0.5)
    crop = Crop.build(frames, None, motion, (2, 2), "mean")
    rng, level = np.random.default_rng(2), Photometry.none(6)
    one = State(motion, level)
    for _ in range(3):
        other = State([m @ groups.translation(rng.normal(0, 0.004, 2)) for m in motion], level)
        assert not validated(crop, one, other, 0.3, 2).any()
        assert not validated(crop, other, one, 0.3, 2).any()


def test_spikes_do_not_decide():
    motion, frames = shifted(6, noise=0.05)
    frames[np.random.default_rng(0).random(frames.shape) < 0.01] += 10
    crop = Crop.build(frames, None, motion, (2, 2), "mean")
    level, signs = Photometry.none(6), np.random.default_rng(5).choice([-0.2, 0.2], (6, 2))
    true = State(motion, level)
    false = State([m @ groups.translation(by) for m, by in zip(motion, signs, strict=True)], level)
    assert validated(crop, false, true, 0.1, 2).all()
    assert not validated(crop, true, false, 0.1, 2).any()


def test_the_mean_of_frames_of_different_brightness():
    """`centred` leaves a scene whose mean is zero."""
    motion, frames = shifted(3)
    given = Photometry(np.array([1.0, 2.0, 0.5]), np.array([0.0, -0.3, 0.4]))
    shape = (-1, 1, 1)
    bright = frames * given.gains.reshape(shape) + given.offsets.reshape(shape)
    crop = Crop.build(bright, None, motion, (2, 2), "mean")
    found = crop.corrected(crop.centred(given)).frames
    assert_allclose(found - found.mean(), frames - frames.mean(), atol=1e-12)
    assert abs(np.average(found.mean(axis=(1, 2)), weights=given.gains**2)) < 1e-12


def test_motions_of_whole_frames_from_a_part(monkeypatch):
    """Relative to the reference, whose gain is one."""
    monkeypatch.setattr(refining, "TURNED", 24)
    rng = np.random.default_rng(3)
    true = [groups.rotation(angle, 1.0, SHAPE) for angle in 0.02 * np.arange(-4, 5)]
    for matrix in true:
        matrix[:2, 2] += rng.uniform(-0.6, 0.6, 2)
    gains = 1 + 0.05 * np.arange(9)
    frames = np.stack([frame(m, (2, 2), g) for m, g in zip(true, gains, strict=True)])
    frames += 0.005 * rng.standard_normal(frames.shape)
    among = groups.generators("euclidean", SHAPE)
    start = [groups.stepped(m, among, rng.choice([-0.07, 0.07], 3)) for m in true]
    start[2] = true[2]
    ones, turn = np.ones(9), np.linalg.inv(true[2])
    given = Registration(
        np.zeros((9, 2)), gains / gains[2], 0 * ones, ones, ones > 0, 2,
        np.stack([turn @ each for each in start]), "euclidean",
    )  # fmt: skip
    moves, bright = refining.refined_motions(frames, None, (2, 2), "mean", given)
    before = max(apart(turn @ a, turn @ b) for a, b in zip(start, true, strict=True))
    after = max(apart(a, turn @ b) for a, b in zip(moves, true, strict=True))
    assert after < 0.5 * before
    assert_array_equal(moves[2], given.motions[2])
    assert_allclose(bright, gains / gains[2], rtol=0.02)
    assert bright[2] == 1
