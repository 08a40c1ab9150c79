"""Two images: copies of them, and the least squares between."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import fourier_shift, gaussian_filter

from dhop.estimation.shift_alignment import align, match, pyramid


def scene(seed, sigma=2.0, size=192):
    noise = np.random.default_rng(seed).standard_normal((size, size))
    image = gaussian_filter(noise, sigma, mode="wrap")
    return image / image.std()


def levels(image, seen=None):
    seen = np.ones(image.shape) if seen is None else seen
    return pyramid((image * seen).astype("f4"), seen.astype("f4"))


def moved(image, move, inner=(slice(40, 140),) * 2):
    return np.fft.ifft2(fourier_shift(np.fft.fft2(image), move)).real[inner]


def test_copies_are_means_of_blocks():
    rng = np.random.default_rng(0)
    image, seen = rng.standard_normal((37, 64)), (rng.random((37, 64)) > 0.2) * 1.0
    found = levels(image, seen)
    assert [level.image.shape for level in found] == [(37, 64), (19, 32), (19, 16)]
    assert_array_equal([level.step for level in found], [(1, 1), (2, 2), (2, 4)])
    total, count = np.zeros((19, 32)), np.zeros((19, 32))
    for i, j in np.ndindex(37, 64):
        total[i // 2, j // 2] += image[i, j] * seen[i, j]
        count[i // 2, j // 2] += seen[i, j]
    assert_allclose(found[1].seen, count / 4)
    known = count > 0
    assert_allclose(found[1].image[known], (total / np.maximum(count, 1))[known], atol=1e-5)


def test_gaps_do_not_move_what_is_beside():
    """A ramp stays one, whatever is missing."""
    y, x = np.mgrid[:40, :40].astype(float)
    ramp = 3 * y - 2 * x
    rng = np.random.default_rng(1)
    missing = np.where(rng.random((40, 40)) > 0.8, np.nan, ramp)
    level = levels(np.nan_to_num(missing), np.isfinite(missing) * 1.0)[0]
    inner = (slice(5, -5),) * 2
    assert np.abs(level.smooth - ramp)[inner].mean() < 0.25
    assert level.weights[inner].max() <= 1


@pytest.mark.parametrize("move", [(0.3, -0.4), (-3.8, 7.3)])
@pytest.mark.parametrize("k", [0, 1])
def test_least_squares_from_a_pixel_away(move, k):
    image = scene(2)
    reference, frame = levels(moved(image, (0, 0))), levels(1.5 * moved(image, move) - 1)
    start = np.add(move, (0.6, -0.5))
    found = align(reference[k], frame[k], start)
    assert_allclose(found.shift, move, atol=0.01 * 2**k)
    assert_allclose((found.gain, found.offset), (1.5, -1), atol=0.01)
    assert found.quality > 0.99
    assert found.sharp.shape == (2, 2)


def test_the_predicted_error_follows_the_noise():
    """A variance in pixels of the image, up to a factor that levels share."""
    image, rng = scene(3), np.random.default_rng(4)
    clean = np.stack([moved(image, (0, 0)), moved(image, (1.4, 0.6))])
    errors = []
    for noise in (0.05, 0.1, 0.2):
        frames = clean + noise * rng.standard_normal(clean.shape)
        found = align(levels(frames[0])[0], levels(frames[1])[0], np.array((1.4, 0.6)))
        errors.append(found.error)
    assert_allclose(np.divide(errors[1:], errors[:-1]), 4, rtol=0.25)


def test_no_shift_along_lines():
    x = np.linspace(0, 40, 100)
    rng = np.random.default_rng(5)
    lines = [np.tile(np.sin(x - d) + np.sin(0.37 * (x - d)), (100, 1)) for d in (0, 0.5)]
    noisy = [each + 0.1 * rng.standard_normal((100, 100)) for each in lines]
    for one, other in (lines, noisy):
        found = match(levels(one), levels(other))
        assert_allclose(found.shift, (0, 0.5 / (x[1] - x[0])), atol=0.05)
        assert_allclose(found.shift[0], 0, atol=1e-3)


def test_nothing_in_common():
    image = scene(6)[:60, :60]
    left = np.zeros((60, 60))
    left[:, :15] = 1
    assert align(levels(image)[0], levels(image)[0], np.array((61.0, 0))) is None
    assert align(levels(image, left)[0], levels(image, left[:, ::-1])[0], np.zeros(2)) is None
    assert match(levels(np.zeros((20, 20))), levels(np.zeros((20, 20)))) is None


def test_what_fits():
    """Evidence, less what the choice between many shifts brings; or likeness nearby."""
    image = scene(7)
    found = match(levels(moved(image, (0, 0))), levels(moved(image, (1, 2))))
    assert found.fits((100, 100))
    assert_allclose(found.evidence - found.net_evidence, np.log(3 * 5), atol=0.01)
    assert not found._replace(evidence=11, quality=0.9).fits((100, 100))
    assert found._replace(evidence=14, quality=0.9).fits((100, 100))
    assert not found._replace(evidence=14, quality=0.9, shift=np.full(2, 40.0)).fits((100, 100))
    assert found._replace(evidence=6, quality=0.98).fits((100, 100))
    assert not found._replace(evidence=3, quality=0.98).fits((100, 100))
    assert not found._replace(evidence=11, quality=0.98, shift=np.full(2, 40.0)).fits((100, 100))
