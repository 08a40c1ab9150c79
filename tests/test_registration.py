"""Known shifts found again, and what is no shift."""

import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import fourier_shift, gaussian_filter
from scipy.special import erf
from skimage import data

from dhop import DHOperator, psf
from dhop.cautions import RegistrationWarning
from dhop.model.shifting import shift
from dhop.registration import estimate_shifts, register

HALF, FULL = (0.3, -0.4), (5.2, -3.7)  # shifts


def texture(seed, sigma=1.5, size=256):
    """A periodic scene of white noise seen through a Gaussian; standard deviation 1."""
    noise = np.random.default_rng(seed).standard_normal((size, size))
    scene = gaussian_filter(noise, sigma, mode="wrap")
    return scene / scene.std()


def pair(scene, move, size=100, noise=0.01, seed=0):
    """The middle of a periodic scene, and of the same moved in the Fourier domain."""
    moved = np.fft.ifft2(fourier_shift(np.fft.fft2(scene), move)).real
    first = (len(scene) - size) // 2
    inner = (slice(first, first + size),) * 2
    frames = np.stack([scene[inner], moved[inner]])
    return frames + noise * np.random.default_rng(seed).standard_normal(frames.shape)


def stars(move, positions, sigma, size=64):
    """Gaussian stars integrated over the pixels."""
    edges = np.arange(size + 1) - 0.5

    def profile(center):
        return np.diff(erf((edges - center) / (sigma * np.sqrt(2)))) / 2

    return sum(a * np.outer(profile(y + move[0]), profile(x + move[1])) for y, x, a in positions)


def sky(seed, count, size=64):
    rng = np.random.default_rng(seed)
    y, x = rng.uniform(-20, size + 20, (2, 3 * count))
    return np.stack([y, x, 1 / rng.uniform(0.05, 1, 3 * count)], axis=1)


def hot_pixels(seed, shape, part=0.002):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < part, rng.uniform(5, 50, shape), 0)


def check(frames, move, tolerance=0.05, weights=None):
    found = register(frames, weights)
    assert found.fits.all()
    assert found.reference == 0
    assert_array_equal(found.shifts[0], 0)
    assert_allclose(found.shifts[1], move, atol=tolerance)
    assert (found.quality >= 0).all()
    assert (found.quality <= 1).all()
    return found


def alone(frames, weights=None):
    """Frame 1 does not fit frame 0."""
    found = register(frames, weights)
    assert_array_equal(found.fits, [True, False])
    assert_array_equal(found.shifts, np.zeros((2, 2)))
    assert_array_equal([found.gains, found.offsets], [[1, 1], [0, 0]])


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("name", ["camera", "coffee", "moon"])
def test_known_shifts_of_a_photograph(name, factor):
    """Frames of a larger scene, each with a brightness of its own, 1 % of noise."""
    photograph = getattr(data, name)()
    photograph = photograph[8:392, 100:484].reshape(384, 384, -1).mean(axis=2) / 255
    rng = np.random.default_rng(0)
    given = rng.uniform(-3, 3, (6, 2))
    given[0] = 0
    gains, offsets = rng.uniform(0.8, 1.2, 6), rng.uniform(-0.2, 0.2, 6)
    gains[0], offsets[0] = 1, 0
    frames = []
    for move, gain, offset in zip(given, gains, offsets, strict=True):
        moved, center = shift(psf.gaussian(9, 1.0), move * factor)
        A = DHOperator(photograph.shape, moved, factor, center=center, decimation="mean")
        frame = A.degrade(photograph)[12:-12, 12:-12]
        frames.append(gain * (frame + 0.01 * rng.standard_normal(frame.shape)) + offset)
    found = register(frames)
    errors = np.abs(found.shifts - given)
    assert errors.max() < 0.05
    assert errors[1:].mean() < 0.02
    assert found.fits.all()
    assert_allclose(found.gains, gains, rtol=0.03)
    assert_allclose(found.offsets, offsets, atol=0.02)


@pytest.mark.parametrize("sigma", [2, 4, 8, 12])
def test_one_smooth_blob(sigma):
    y, x = np.mgrid[:64, :64]
    frames = [
        np.exp(-((y - 28 - dy) ** 2 + (x - 30 - dx) ** 2) / (2 * sigma**2))
        for dy, dx in [(0, 0), (2, -3)]
    ]
    check(frames, (2, -3), 0.01)


@pytest.mark.parametrize("sigma", [0.51, 0.7, 1, 2.5])  # widths from 1.2 to 6 pixels
@pytest.mark.parametrize("move", [HALF, (0.1, 0.6), (6, 1.5), (-17.3, 12.6)])
def test_stars(sigma, move):
    positions = sky(1, 40)
    frames = np.stack([stars(d, positions, sigma) for d in ((0, 0), move)])
    noise = 0.01 * np.random.default_rng(2).standard_normal(frames.shape)
    check(frames, move)
    check(frames + noise, move)


def test_faint_stars_in_noise():
    positions = sky(3, 200, 128)
    frames = np.stack([stars(d, positions, 0.51, 128) for d in ((0, 0), (3.4, -2.2))])
    found = check(frames + np.random.default_rng(4).standard_normal(frames.shape), (3.4, -2.2), 0.1)
    assert found.quality[1] < 0.5
    assert_allclose(found.gains[1], 1, atol=0.1)


@pytest.mark.parametrize("sigma", [0.8, 1.5, 4])
@pytest.mark.parametrize("move", [(0, 0), HALF, FULL, (-20.5, 31.3), (50, -50), (44.5, 41.5)])
def test_shifts_up_to_half_a_frame(sigma, move):
    check(pair(texture(5, sigma), move), move, 0.02)


@pytest.mark.parametrize(("gain", "offset"), [(0.7, 0), (1.2, 0.5), (0.8, -3), (1.05, 0)])
def test_brightness(gain, offset):
    frames = pair(texture(6), HALF)
    same = register(frames)
    found = register([frames[0], gain * frames[1] + offset])
    assert_allclose(found.shifts, same.shifts, atol=1e-3)
    assert_allclose(found.gains, [1, gain], rtol=2e-3)
    assert_allclose(found.offsets, [0, offset], atol=5e-3)


def test_gain_in_noise():
    """Noise in both frames does not make the gain small."""
    found = register(pair(1.5 * texture(7), HALF, noise=1.0) * [[[1]], [[0.8]]])
    assert_allclose(found.gains[1], 0.8, atol=0.04)


@pytest.mark.parametrize("move", [HALF, FULL])
def test_laws(move):
    """Turned, mirrored, exchanged: the shift is so, too."""
    frames = pair(texture(8), move)
    dy, dx = register(frames).shifts[1]
    assert_allclose(register(frames[::-1]).shifts[1], (-dy, -dx), atol=2e-3)
    assert_allclose(register(frames.transpose(0, 2, 1)).shifts[1], (dx, dy), atol=2e-3)
    assert_allclose(register(frames[:, ::-1]).shifts[1], (-dy, dx), atol=2e-3)


@pytest.mark.parametrize("unit", [1e-300, 1e-22, 1e20, 1e300])
def test_units(unit):
    frames = pair(texture(9), HALF)
    found, same = register(unit * frames), register(frames)
    assert_allclose(found.shifts, same.shifts, atol=1e-4)
    assert_allclose(found.gains, same.gains, rtol=1e-4)
    assert_allclose(found.offsets / unit, same.offsets, atol=1e-4)
    assert_allclose(register([frames[0], unit * frames[1]]).gains[1], unit, rtol=0.01)


def test_kinds_of_numbers():
    frames = pair(texture(10), FULL)
    for each in (frames.astype("f4"), frames.astype(">f8"), (30 * frames + 128).astype(np.uint8)):
        check(each, FULL, 0.03)
    check((1000 * frames - 20_000).astype(np.int16), FULL, 0.03)


@pytest.mark.parametrize("move", [HALF, FULL])
@pytest.mark.parametrize("sigma", [1.5, 4])
def test_only_pixels_with_a_weight_in_both_frames(move, sigma):
    """Round apertures at one place, or at two; gaps all over; NaN where there is no weight."""
    frames = pair(texture(11, sigma), move)
    y, x = np.mgrid[:100, :100] - 49.5
    rng = np.random.default_rng(12)
    here, there = np.hypot(y, x) < 40, np.hypot(y - 5, x + 8) < 36
    for seen in (
        np.stack([here, here]),
        np.stack([here, there]),
        rng.random((2, 100, 100)) > 0.3,
        np.broadcast_to(rng.random((100, 100)) > 0.1, (2, 100, 100)),
    ):
        check(np.where(seen, frames, np.nan), move, 0.05, seen * 2.0)
    check(frames, move, 0.03, [1, 0.25])


def test_masks_without_common_pixels():
    seen = np.zeros((2, 100, 100))
    seen[0, :20], seen[1, 80:] = 1, 1
    alone(pair(texture(13), HALF), seen)


def test_frames_without_weight():
    """They take no part and draw no warning."""
    frames = np.concatenate([pair(texture(14), FULL), np.full((1, 100, 100), np.nan)])
    assert_allclose(estimate_shifts(frames, [1, 1, 0]), [(0, 0), FULL, (0, 0)], atol=0.02)
    found = register(frames[[2, 0, 1]], [0, 1, 1])
    assert_array_equal(found.fits, [False, True, True])
    assert found.reference == 1
    assert not register(frames, [0, 0, 0]).fits.any()


def test_one_row_or_column():
    scene = texture(15)
    for axis in (1, 0):
        move = np.zeros(2)
        move[axis] = 3.4
        frames = pair(scene, move)
        lines = frames[:, 50:51] if axis == 1 else frames[:, :, 50:51]
        check(lines, move)


@pytest.mark.filterwarnings("ignore::dhop.cautions.RegistrationWarning")
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 7), (9, 2), (5, 5)])
def test_hardly_any_pixels(shape):
    frames = np.random.default_rng(16).random((3, *shape))
    assert np.isfinite(estimate_shifts(frames)).all()
    assert_array_equal(estimate_shifts(np.stack([frames[0]] * 2)), np.zeros((2, 2)))


@pytest.mark.parametrize("move", [(6, 0), HALF, (0.15, 0.2)])
def test_hot_pixels_and_dead_columns(move):
    for seed, sigma in [(17, 0.8), (18, 1.5), (19, 4)]:
        frames = pair(texture(seed, sigma), move)
        check(frames + hot_pixels(seed, (100, 100)), move)
        frames[:, :, 40], frames[:, :, 70], frames[:, 33] = -5, 8, 6
        check(frames, move)
        check(frames + hot_pixels(seed, (100, 100)), move)


@pytest.mark.parametrize("move", [(6, 0), HALF])
def test_hot_pixels_among_stars(move):
    positions = sky(20, 60)
    frames = np.stack([stars(d, positions, 0.51) for d in ((0, 0), move)])
    frames += 0.01 * np.random.default_rng(21).standard_normal(frames.shape)
    check(frames + hot_pixels(22, (64, 64)) / 10, move)


def test_cosmic_rays():
    """One per cent of the pixels of each frame, as bright as a hundred details."""
    for seed, move in [(23, HALF), (24, FULL)]:
        rays = hot_pixels(seed, (2, 100, 100), 0.01)
        check(pair(texture(seed), move) + 2 * rays, move, 0.03)


def test_a_moving_object():
    frames = pair(texture(25), FULL)
    frames[1, 20:60, 30:70] = texture(26)[:40, :40]
    check(frames, FULL, 0.03)


def test_illumination_is_no_shift():
    y, x = np.mgrid[-1:1:100j, -1:1:100j]
    glow = 10 * np.exp(-((y - 0.5) ** 2) - x**2)
    vignette = np.exp(-(x**2) - y**2)
    for seed, sigma in [(27, 1.5), (28, 4)]:
        for move in (HALF, FULL):
            frames = pair(texture(seed, sigma), move) + 4
            check(frames + glow, move)
            check(frames * vignette, move)
            check(frames * np.stack([1 + 0.3 * y, 1 - 0.3 * x]), move)
            check(frames + np.stack([3 * y, -3 * x]), move, 0.1)


def test_very_different_noise():
    frames = pair(texture(29), FULL, noise=0)
    noise = np.random.default_rng(30).standard_normal((100, 100))
    check([frames[0] + noise, frames[1]], FULL, 0.1)
    check([frames[0], frames[1] + noise], FULL, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("period", [5.3, 8, 17])
def test_of_a_pattern_the_smallest_shift(period):
    x = np.arange(128.0)

    def grating(move):
        phase = 2 * np.pi * (x - move) / period
        return np.sin(phase) + 0.4 * np.sin(2 * phase)

    noise = 0.01 * np.random.default_rng(31).standard_normal((2, 128, 128))
    for dx in (1.2, -2.1):
        lines = np.stack([np.tile(grating(d), (128, 1)) for d in (0, dx)])
        check(lines, (0, dx))
        check(lines + noise, (0, dx))
        grid = np.stack([np.outer(grating(0), grating(0)), np.outer(grating(-0.7), grating(dx))])
        check(grid + noise, (-0.7, dx))


@pytest.mark.slow
def test_something_else():
    """Neither other textures, nor other stars, nor photographs, nor noise."""
    rng = np.random.default_rng(32)
    for seed in range(5):
        for sigma in (0.8, 1.5, 4, 8):
            alone([texture(seed, sigma)[:80, :80], texture(seed + 50, sigma)[:80, :80]])
        alone([stars((0, 0), sky(s, 40), 0.7) for s in (seed, seed + 50)])
        alone(rng.standard_normal((2, 60, 60)))
    images = [getattr(data, name)() for name in ("camera", "coffee", "moon", "brick", "text")]
    images = [image[:160, :160].reshape(80, 2, 80, 2, -1).mean(axis=(1, 3, 4)) for image in images]
    for one, other in zip(images, images[1:] + images[:1], strict=True):
        alone([one, other])
    alone([images[0], rng.random((80, 80))])
    alone([images[0], np.ones((80, 80))])


def test_strangers_are_named():
    frames = np.concatenate([pair(texture(33), HALF), pair(texture(34), FULL)])[[0, 2, 1, 1]]
    with pytest.warns(RegistrationWarning, match="frames 1 do not show the scene of frame 0"):
        shifts = estimate_shifts(frames)
    assert_allclose(shifts, [(0, 0), (0, 0), HALF, HALF], atol=0.02)
    frames[3] = 0
    with pytest.warns(RegistrationWarning, match="frames 1, 3 do not"):
        estimate_shifts(frames)


def test_most_frames_do_not_fit_the_first():
    frames = np.concatenate([pair(texture(35), HALF)[:1], pair(texture(36), FULL)])[[0, 1, 2, 1]]
    found = register(frames)
    assert found.reference == 1
    assert_array_equal(found.fits, [False, True, True, True])
    assert_allclose(found.shifts, [(0, 0), (0, 0), FULL, (0, 0)], atol=0.02)
    half = register(frames[[0, 1]])
    assert half.reference == 0


def test_nothing_to_hold_on_to():
    assert_array_equal(estimate_shifts(np.ones((3, 8, 8))), np.zeros((3, 2)))
    found = register([np.full((8, 8), level) for level in (2.0, 3.0, -1.0)])
    assert found.fits.all()
    assert_allclose(found.gains * 2 + found.offsets, [2, 3, -1])


def test_identical_frames():
    found = register(np.stack([texture(37)] * 3))
    assert_array_equal(found.shifts, np.zeros((3, 2)))
    assert_array_equal(found.quality, 1)
    assert_array_equal([found.gains, found.offsets], [[1] * 3, [0] * 3])


def test_large_frames_by_way_of_small_copies():
    move = (100.3, -201.6)
    frames = pair(texture(38, size=1024), move, 800, noise=0.1)
    start = time.process_time()
    check(frames, move, 0.01)
    assert time.process_time() - start < 10


def test_without_scikit_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.registration", None)
    check(pair(texture(39), FULL), FULL)


def test_progress():
    calls = []
    register(np.stack([texture(40)[:40, :40]] * 3), progress=lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_refusals():
    frames = np.ones((2, 4, 4))
    for wrong in (np.ones((4, 4)), np.ones((0, 4, 4)), frames * 1j):
        with pytest.raises(ValueError, match=r"frames must be real, of shape \(F, m0, m1\)"):
            register(wrong)
    with pytest.raises(ValueError, match="weights of shapes"):
        register(frames, [1])
    with pytest.raises(ValueError, match="weights of shapes"):
        register(frames, [1, np.ones((3, 3))])
    with pytest.raises(ValueError, match="frames must be finite where they have a weight"):
        register(frames * np.nan, [0, 1])
