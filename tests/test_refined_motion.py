"""Motions of the least residual, on bursts that SciPy alone has made."""

from dataclasses import replace
from functools import cache

import moving
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import psf, super_resolve
from dhop.estimation import groups
from dhop.estimation.photometry import Photometry
from dhop.frames import motions
from dhop.reconstruction.crop import Crop
from dhop.reconstruction.cross_validation import State, validated
from dhop.reconstruction.refining import refined_motions, refined_shifts
from dhop.registration import register

SHAPE = (48, 48)
COUNT = 6
KINDS = ["euclidean", "similarity", "affine", "projective"]


@cache
def burst(kind, turn=1.5, seed=0):
    """The motions and the frames of a photograph, whose details are finer than pixels."""
    given = moving.motions(kind, COUNT, SHAPE, shift=1.0, turn=turn, seed=seed)
    return given, moving.burst(moving.photograph("coins"), given, SHAPE, sigma=0.5, noise=0.005)


def astray(given, kind, by=0.1):
    """Motions of the kind that take pixels elsewhere by so much, but for the first."""
    among = groups.generators(kind, SHAPE)
    rng = np.random.default_rng(5)
    found = [given[0]]
    for matrix in given[1:]:
        step = rng.choice([-1.0, 1.0], len(among))
        step *= by / moving.apart(matrix, groups.stepped(matrix, among, step / 10), SHAPE) / 10
        found.append(groups.stepped(matrix, among, step))
    return np.stack(found)


@cache
def of_shifts(count):
    """Any registration of so many frames."""
    return register(burst("euclidean")[1][:count], model="shift")


def registered(given, kind):
    """A registration that has come to some motions."""
    ones = np.ones(len(given))
    same = {"fits": ones > 0, "gains": ones, "offsets": 0 * ones}
    return replace(of_shifts(len(given)), motions=given, model=kind, **same)


def errors(found, given):
    return np.array([moving.apart(a, b, SHAPE) for a, b in zip(found, given, strict=True)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_back_to_the_truth(kind):
    given, frames = burst(kind)
    start = astray(given, kind)
    found, gains = refined_motions(frames, None, (2, 2), "mean", registered(start, kind))
    assert_allclose(errors(start, given)[1:], 0.1, rtol=0.1)
    assert errors(found, given).max() < 0.02
    assert_allclose(gains, 1, atol=0.02)
    if kind != "projective":
        assert_allclose(found[:, 2], [[0, 0, 1]] * COUNT, atol=1e-12)


@pytest.mark.slow
def test_colours_brightness_and_masks_in_single_precision():
    given, grey = burst("euclidean")
    start = astray(given, "euclidean")
    bright = 1 + 0.1 * np.arange(COUNT)
    noise = 0.005 * np.random.default_rng(0).standard_normal((COUNT, 2, *SHAPE))
    frames = bright[:, None, None, None] * np.stack([grey, 0.5 * grey], axis=1) + noise
    frames = (frames - 0.05 * bright[:, None, None, None] + 0.05).astype(np.float32)
    weights = [np.ones((2, *SHAPE)) for _ in frames]
    weights[2][:, 10:20, 25:33] = 0
    frames[2][weights[2] == 0] = np.nan
    weights[4] = np.zeros(())
    frames[4] = np.nan
    found = registered(start, "euclidean")
    moves, gains = refined_motions(frames, weights, (2, 2), "mean", found)
    used = np.arange(COUNT) != 4
    assert errors(moves, given)[used].max() < 0.02
    assert_array_equal(moves[4], start[4])
    assert_allclose(gains[used], bright[used], rtol=0.03)


@pytest.mark.slow
def test_outliers_count_little():
    given, frames = burst("euclidean")
    struck = np.random.default_rng(1).random(frames.shape) < 0.005
    start = registered(astray(given, "euclidean"), "euclidean")
    moves, _ = refined_motions(frames + struck, None, (2, 2), "mean", start)
    assert errors(moves, given).max() < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_units_and_pixels_that_are_sums(unit):
    given, frames = (each[:5] for each in burst("euclidean"))
    start = astray(given, "euclidean")
    wide = (4 * unit * frames).astype(np.float32)
    found = registered(start, "euclidean")
    moves = refined_motions(wide, None, (2, 2), "sum", found)[0]
    assert errors(moves, given).max() < 0.02


def test_halves_tell_better_from_worse():
    """All frames, none, or all but one that has been led astray."""
    given, frames = burst("affine")
    level = Photometry.none(COUNT)
    crop = Crop.build(frames, None, list(given), (2, 2), "mean")
    true, false = (State(list(each), level) for each in (given, astray(given, "affine")))
    assert validated(crop, false, true, 0.01, 6).all()
    assert not validated(crop, true, false, 0.01, 6).any()
    assert not validated(crop, true, true, 0.01, 6).any()
    mixed = State([*true.motion[:5], false.motion[5], *true.motion[6:]], level)
    one = State([*false.motion[:5], true.motion[5], *false.motion[6:]], level)
    assert_array_equal(validated(crop, one, mixed, 0.01, 6), np.arange(COUNT) != 5)


@pytest.mark.slow
def test_shifts_of_frames_that_turn_stay():
    """The residual is least where the image is worse."""
    given = moving.motions("euclidean", 12, (64, 64), turn=3.0, seed=1)
    scene = moving.photograph()[100:400, 100:400]
    frames = moving.burst(scene, given, (64, 64), sigma=0.5)
    found = register(frames)
    shifts, gains = refined_shifts(frames, None, (2, 2), "mean", found.shifts, found.gains, 0.02)
    assert_array_equal(shifts, found.shifts)
    assert_array_equal(gains, found.gains)


@pytest.mark.slow
def test_whatever_is_asked_for():
    """`super_resolve` goes on with motions that are nearer to the truth than registration's."""
    given, frames = burst("euclidean")
    for model in ("euclidean", "auto"):
        solution = super_resolve(frames, psf.gaussian(5, 0.5), 2, motion=model, beta=0.01, rtol=0.1)
        before = errors(solution.registration.motions, given)
        after = errors(solution.motion, given)
        assert np.mean(after**2) < 0.8 * np.mean(before**2)
        assert_array_equal(solution.motion[0], np.eye(3))
        middles = [motions.displacement(each, SHAPE, (0.5, 0.5)) for each in solution.motion]
        assert_allclose(solution.shifts, middles, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["constant", "two", "same", "one has weight", "few pixels", "a row", "black"]
)  # fmt: skip
def test_what_tells_nothing_stays_or_is_near(case):
    given, frames = burst("euclidean")
    weights = None
    if case == "constant":
        frames = np.full_like(frames, 0.7)
    elif case == "black":
        frames = np.zeros_like(frames)
    elif case == "two":
        given, frames = given[:2], frames[:2]
    elif case == "same":
        given, frames = np.stack([np.eye(3)] * 3), np.stack([frames[0]] * 3)
    elif case == "one has weight":
        weights = [np.zeros(())] * (COUNT - 1) + [np.ones(())]
    elif case == "few pixels":
        frames = frames[:, 20:25, 20:24]
    elif case == "a row":
        frames = frames[:, 20:21]
    found = registered(given, "euclidean")
    moves, gains = refined_motions(frames, weights, (2, 2), "mean", found)
    assert np.isfinite(gains).all()
    shape = frames.shape[1:]
    apart = [moving.apart(a, b, shape) for a, b in zip(moves, given, strict=True)]
    assert max(apart) <= (0.02 if case == "two" else 1e-9)
