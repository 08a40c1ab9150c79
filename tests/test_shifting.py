"""Shifts of a PSF."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtr

from dhop import DHOperator, psf
from dhop.model.shifting import shift

SHIFTS = [(0.5, -0.5), (0.25, 1.7), (-2.4, 0), (3, -0.01)]


def at_origin(array, center, reach=30):
    """`array` on a plane whose middle is its origin."""
    plane = np.zeros((2 * reach + 1,) * 2, array.dtype)
    first = [reach - c for c in center]
    plane[tuple(slice(f, f + n) for f, n in zip(first, array.shape, strict=True))] = array
    return plane


def gaussian_at(sigma, distance, reach=30):
    """The pixel-integrated Gaussian whose middle is moved, from the formula."""
    edges = np.arange(2 * reach + 2) - reach - 0.5
    return np.outer(*(np.diff(ndtr((edges - d) / sigma)) for d in distance))


@pytest.mark.parametrize("distance", SHIFTS)
@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.5])
def test_is_the_moved_gaussian(sigma, distance):
    moved, center = shift(psf.gaussian(2 * round(6 * sigma) + 1, sigma), distance)
    assert_allclose(at_origin(moved, center), gaussian_at(sigma, distance), rtol=0, atol=1e-6)
    assert moved.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("distance", SHIFTS)
@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.5])
def test_there_and_back(sigma, distance):
    given = psf.gaussian(2 * round(6 * sigma) + 1, sigma)
    there, center = shift(given, distance)
    back, center = shift(there, [-d for d in distance], center)
    expected = at_origin(given, [(K - 1) // 2 for K in given.shape])
    assert_allclose(at_origin(back, center), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (1, 4)])
def test_whole_pixels_move_the_image_exactly(shape):
    rng = np.random.default_rng(0)
    given = oracle.integer_psf(rng, shape, 1, np.float64)
    image = oracle.integers(rng, (9, 8), np.float64)
    for distance in [(2, 0), (-1, 3)]:
        moved, center = shift(given, distance)
        assert_array_equal(moved, given)
        options = {"boundary": "wrap"}
        found = DHOperator(image.shape, moved, 1, center=center, **options).degrade(image)
        still = DHOperator(image.shape, given, 1, **options).degrade(image)
        assert_array_equal(found, np.roll(still, distance, (0, 1)))


def test_complex():
    given = psf.gaussian(25, 2.0)
    moved, _ = shift(given * 1j, (0.3, 0.2))
    assert_allclose(moved, 1j * shift(given, (0.3, 0.2))[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("distance", [(np.nan, 0), (1,), 3.0, (np.inf, 0)])
def test_out_of_range(distance):
    with pytest.raises(ValueError, match="shift"):
        shift(np.ones((3, 3)), distance)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("distance", [0.5, 0.3, -0.5])
def test_no_frequency_is_lost(size, distance):
    """Phases alone change, and the squares of a point keep their sum."""
    point = np.zeros((1, size))
    point[0, -1] = 1
    moved, _ = shift(point, (0, distance))
    assert_allclose(np.sum(moved**2), 1, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("distance", [0.5, -0.3])
def test_eight_pixels_on_either_side_hold_the_ripples(size, distance):
    """A point becomes the sinc of a period so much longer, an odd one."""
    point = np.zeros((size, 1))
    point[0] = 1
    moved, center = shift(point, (distance, 0), 0)
    period = size + 16 + (size + 1) % 2
    x = np.pi * (np.arange(len(moved)) - center[0] - distance)
    assert moved.shape == (period, 1)
    assert_allclose(moved[:, 0], np.sin(x) / (period * np.sin(x / period)), rtol=0, atol=1e-14)
