"""Known turns, scales and tilts found again, and what is none."""

import numpy as np
import pytest
from bursts import quality
from moving import about_the_middle, apart, burst, motions, photograph
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter, rotate
from scipy.special import erf

from dhop import psf, super_resolve, workers
from dhop.cautions import RegistrationWarning
from dhop.estimation.groups import KINDS
from dhop.estimation.motion_alignment import align
from dhop.estimation.shift_alignment import pyramid
from dhop.registration import estimate_motion, register

SHAPE = 72, 80


def distances(found, given, shape=SHAPE):
    return np.array([apart(*pair, shape) for pair in zip(found.motions, given, strict=True)])


def check(frames, given, model, tolerance, weights=None):
    found = register(frames, weights, model=model)
    assert found.fits.all()
    assert found.reference == 0
    assert found.model == model
    assert_array_equal(found.motions[0], np.eye(3))
    assert distances(found, given, frames[0].shape).max() < tolerance
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["camera", "coffee"])
def test_each_kind(kind, name):
    """Frames with a brightness of their own, 1 % of noise."""
    given = motions(kind, 4, SHAPE, turn=8)
    gains, offsets = [1, 0.8, 1.3, 1.1], [0, 0.2, -0.1, 0.3]
    frames = np.multiply(burst(photograph(name), given, SHAPE).T, gains).T
    frames += np.reshape(offsets, (4, 1, 1))
    found = check(frames, given, kind, 0.04)
    assert_allclose(found.gains, gains, rtol=0.02)
    assert_allclose(found.offsets, offsets, atol=0.02)
    middle = (np.array(SHAPE) - 1) / 2
    there = found.motions @ [*middle, 1]
    assert_allclose(found.shifts, middle - there[:, :2] / there[:, 2:], atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("turn", [-20, 20])
@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
@pytest.mark.parametrize("name", ["camera", "brick", "grass"])
def test_far_turns_and_scales(turn, scale, name):
    angle = np.radians(turn)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    given = [np.eye(3), about_the_middle(linear, (3.3, -6.1), SHAPE)]
    check(burst(photograph(name), given, SHAPE), given, "similarity", 0.05)


@pytest.mark.parametrize("k", [0, 1])
def test_least_squares_from_a_pixel_away(k):
    """On copies of half the size as well, whose pixels lie between those of the frames."""
    shape, given = (120, 130), motions("affine", 2, (120, 130), turn=15, seed=3)[1]
    frames = burst(photograph(), [np.eye(3), given], shape, noise=0)
    one, other = (pyramid(frame.astype("f4"), np.ones(shape, "f4")) for frame in frames)
    start = given @ about_the_middle(np.eye(2), (0.7, -0.6), shape)
    found = align(one[k], other[k], start, "affine")
    assert apart(found.matrix, given, shape) < 0.01 * (1 + k)
    assert found.quality > 0.98


def test_small_frames():
    for size, tolerance in ((48, 0.03), (24, 0.15), (16, 0.3)):
        shape = size, size + 3
        given = motions("euclidean", 3, shape, turn=10, shift=1)
        check(burst(photograph(), given, shape), given, "euclidean", tolerance)


@pytest.mark.parametrize("noise", [0.03, 0.1])
def test_noise(noise):
    given = motions("euclidean", 3, SHAPE, turn=10)
    check(burst(photograph(), given, SHAPE, noise=noise), given, "euclidean", noise)


def test_noise_of_many_pixels():
    rng = np.random.default_rng(2)
    given = motions("euclidean", 3, SHAPE, turn=10)
    noise = gaussian_filter(rng.standard_normal((3, *SHAPE)), (0, 1.5, 1.5))
    frames = burst(photograph(), given, SHAPE, noise=0) + 0.03 * noise / noise.std()
    check(frames, given, "euclidean", 0.15)


def test_illumination_hot_pixels_and_cosmic_rays():
    rng = np.random.default_rng(3)
    given = motions("euclidean", 3, SHAPE, turn=6)
    frames = burst(photograph(), given, SHAPE)
    frames[1] *= np.linspace(0.8, 1.2, SHAPE[0])[:, None]
    hot = np.where(rng.random(SHAPE) < 0.002, 3.0, 0)
    rays = np.where(rng.random(frames.shape) < 0.005, 2.0, 0)
    check(frames + hot + rays, given, "euclidean", 0.05)


def test_masks():
    """A fifth of the pixels is missing, and a corner of all frames."""
    rng = np.random.default_rng(4)
    given = motions("euclidean", 3, SHAPE, turn=6)
    frames = burst(photograph(), given, SHAPE)
    seen = rng.random(frames.shape) > 0.2
    seen[:, :20, :30] = False
    frames[~seen] = np.nan
    check(frames, given, "euclidean", 0.05, [each * 1.0 for each in seen])


def test_stars():
    rng = np.random.default_rng(5)
    places, heights = rng.uniform(-30, 110, (90, 2)), 1 / rng.uniform(0.05, 1, 90)
    given = motions("euclidean", 3, SHAPE, turn=15)
    edges = [np.arange(n + 1) - 0.5 for n in SHAPE]

    def profile(edge, middle):
        return np.diff(erf((edge - middle) / (0.9 * np.sqrt(2)))) / 2

    frames = 0.01 * rng.standard_normal((3, *SHAPE))
    for frame, matrix in zip(frames, given, strict=True):
        for place, height in zip(places, heights, strict=True):
            y, x, _ = np.linalg.solve(matrix, [*place, 1])
            frame += height * np.outer(profile(edges[0], y), profile(edges[1], x))
    check(frames, given, "euclidean", 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.5, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_simplest_kind_that_explains_the_frames(kind, sigma):
    shape = 60, 66
    given = motions(kind, 3, shape, turn=2, scale=0.02)
    found = register(burst(photograph(), given, shape, sigma=sigma), model="auto")
    assert found.model == kind
    assert distances(found, given, shape).max() < 0.06


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moon", "grass", "brick", "coffee"])
def test_shifts_are_taken_for_nothing_else(name):
    given = motions("shift", 3, SHAPE)
    frames = burst(photograph(name), given, SHAPE, factor=4 if name == "grass" else 2, sigma=0.7)
    found, shifts = register(frames, model="auto"), register(frames)
    assert found.model == "shift"
    assert_array_equal(found.motions, shifts.motions)
    turned = register(frames, model="euclidean")
    assert_allclose(turned.shifts, shifts.shifts, atol=0.02 if name != "moon" else 0.06)
    turns = np.degrees(np.arctan2(turned.motions[:, 1, 0], turned.motions[:, 0, 0]))
    assert np.abs(turns).max() < 0.1


@pytest.mark.slow
def test_other_scenes():
    rng = np.random.default_rng(6)
    images = [photograph(name)[:60, :60] for name in ("camera", "coffee", "brick", "text")]
    images += [rng.random((60, 60)), np.ones((60, 60))]
    for one, other in zip(images, images[1:] + images[:1], strict=True):
        found = register([one, other], model="similarity")
        assert_array_equal(found.fits, [True, False])
        assert_array_equal(found.motions, [np.eye(3)] * 2)


@pytest.mark.slow
def test_strangers_are_named():
    given = motions("euclidean", 4, SHAPE, turn=6)
    frames = burst(photograph(), given, SHAPE)
    frames[2] = burst(photograph("coffee"), given[:1], SHAPE)
    with pytest.warns(RegistrationWarning, match="frames 2 do not show the scene of frame 0"):
        found = estimate_motion(frames)
    assert_array_equal(found[2], np.eye(3))
    assert max(apart(found[i], given[i], SHAPE) for i in (0, 1, 3)) < 0.02
    chosen = register(frames, model="auto")
    assert chosen.model == "euclidean"
    assert_array_equal(chosen.fits, [True, True, False, True])


@pytest.mark.slow
def test_most_frames_do_not_fit_the_first():
    given = motions("euclidean", 4, SHAPE, turn=6)
    frames = burst(photograph(), given, SHAPE)
    frames[0] = burst(photograph("coffee"), given[:1], SHAPE)
    found = register(frames, model="euclidean")
    assert found.reference == 1
    assert_array_equal(found.fits, [False, True, True, True])
    assert apart(given[1] @ found.motions[3], given[3], SHAPE) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("model", [*KINDS[1:], "auto"])
def test_nothing_to_hold_on_to(model):
    found = register(np.ones((3, 12, 12)), model=model)
    assert_array_equal(found.motions, [np.eye(3)] * 3)
    same = register(np.stack([photograph()[:40, :40]] * 3), model=model)
    assert same.fits.all()
    assert_array_equal(same.motions, [np.eye(3)] * 3)
    for shape in ((1, 1), (1, 30), (2, 2), (5, 3)):
        frames = np.random.default_rng(7).random((3, *shape))
        found = register(frames, model=model)
        assert np.isfinite(found.motions).all()
    assert not register(np.ones((2, 9, 9)), [0, 1], model=model).fits[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["euclidean", "similarity", "projective"])
def test_super_resolution_as_good_as_of_known_motions(kind):
    """Within 0.1 dB, and 2 dB better than one frame."""
    shape, scene, blur = (40, 40), photograph(), psf.gaussian(9, 1.0)
    given = motions(kind, 8, shape, turn=10 if kind == "similarity" else 1.5)
    frames = burst(scene, given, shape)
    start = [(n - 80) // 2 for n in scene.shape]
    truth = scene[start[0] : start[0] + 80, start[1] : start[1] + 80]
    one = super_resolve(frames[0], blur, 2)
    found = super_resolve(frames, blur, 2, motion=kind, beta=0.005)
    known = super_resolve(frames, blur, 2, motion=given, beta=0.005)
    assert max(apart(*pair, shape) for pair in zip(found.motion, given, strict=True)) < 0.1
    assert quality(found.image, truth) > quality(known.image, truth) - 0.1
    assert quality(found.image, truth) > quality(one.image, truth) + 2


@pytest.mark.slow
def test_super_resolution_leaves_strangers_out():
    blur, given = psf.gaussian(9, 1.0), motions("euclidean", 4, (40, 40))
    frames = burst(photograph(), given, (40, 40))
    frames[2] = burst(photograph("coffee"), given[:1], (40, 40))
    with pytest.warns(RegistrationWarning, match="frames 2 do not show the scene of frame 0"):
        found = super_resolve(frames, blur, 2, motion="euclidean", beta=0.01)
    rest = [0, 1, 3]
    alone = super_resolve(frames[rest], blur, 2, motion="euclidean", beta=0.01)
    assert_allclose(found.image, alone.image, atol=1e-4)


@pytest.mark.slow
def test_super_resolution_takes_shifts_for_shifts():
    blur, given = psf.gaussian(9, 1.0), motions("shift", 3, (40, 40), shift=0.5)
    frames = burst(photograph(), given, (40, 40))
    same = super_resolve(frames, blur, 2, shifts="estimate", beta=0.01)
    for motion in ("shift", "auto"):
        found = super_resolve(frames, blur, 2, motion=motion, beta=0.01)
        assert found.motion is None
        assert_array_equal(found.image, same.image)


def test_the_report_outlines_the_frames():
    given = motions("projective", 3, (20, 24))
    frames = burst(photograph(), given, (20, 24))
    solution = super_resolve(frames, psf.gaussian(9, 1.0), 2, motion=given, beta=0.01)
    lines = [line.get_xydata() for line in solution.plot().axes[4].lines]
    assert len(lines) == 3
    for line, matrix in zip(lines, given, strict=True):
        assert_array_equal(line[0], line[-1])
        for corner in ((0, 0), (0, 23), (19, 23), (19, 0)):
            row, column, one = matrix @ [*corner, 1]
            place = 2 * np.array((column / one, row / one)) + 0.5
            assert np.abs(line - place).max(axis=1).min() < 1e-9


def test_threads_do_not_change_the_result():
    frames = burst(photograph(), motions("affine", 5, SHAPE), SHAPE)
    found = register(frames, model="affine").motions
    with workers(1):
        assert_array_equal(register(frames, model="affine").motions, found)


def test_progress():
    for model, total in (("euclidean", 3), ("auto", 6)):
        calls = []
        frames = np.stack([photograph()[:40, :40]] * 3)
        register(frames, model=model, progress=lambda *call, calls=calls: calls.append(call))
        assert calls == [(n, total) for n in range(1, total + 1)]


def test_a_model_that_is_none():
    with pytest.raises(ValueError, match="model must be one of 'shift', 'euclidean'"):
        register(np.ones((2, 8, 8)), model="rigid")


def test_the_way_of_scipys_rotate():
    """A positive angle turns the image counterclockwise, rows pointing down."""
    scene = gaussian_filter(np.random.default_rng(8).random((110, 110)), 2)
    frames = np.stack([scene, rotate(scene, 7, reshape=False)])[:, 20:90, 20:90]
    motion = estimate_motion(frames)[1]
    assert_allclose(np.degrees(np.arctan2(motion[0, 1], motion[0, 0])), 7, atol=0.02)
