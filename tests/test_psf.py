"""The PSF makers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from dhop import psf

EPS = np.finfo(float).eps
MADE = {
    "gaussian": psf.gaussian(7, 1.3),
    "gaussian even": psf.gaussian((4, 6), (0.5, 2)),
    "box": psf.box(3),
    "box pair": psf.box((2, 5)),
    "disk": psf.disk(2.5),
    "disk of one": psf.disk(1),
    "motion": psf.motion(7, 30),
    "motion steep": psf.motion(4.5, 120),
}


@pytest.mark.parametrize("name", MADE)
class TestEveryMaker:
    def test_is_a_blur(self, name):
        """Non-negative, two-dimensional, float64, of sum one."""
        made = MADE[name]
        assert made.ndim == 2
        assert made.dtype == np.float64
        assert (made >= 0).all()
        assert_allclose(made.sum(), 1, rtol=made.size * EPS)

    def test_has_point_symmetry(self, name):
        """No maker moves the image."""
        assert_allclose(MADE[name], MADE[name][::-1, ::-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [1, 3, 9, (3, 5), (7, 1)])
@pytest.mark.parametrize("sigma", [0.05, 1, 2.5, (1.5, 0.7)])
def test_gaussian_is_integrated_over_pixels(size, sigma):
    axes = []
    for n, s in zip(np.broadcast_to(size, 2), np.broadcast_to(sigma, 2), strict=True):
        edges = np.arange(n + 1) - n / 2
        axes.append(np.diff(norm.cdf(edges, scale=s)))
    expected = np.outer(*axes)
    # cdf differences lose digits by cancellation in the right tail: absolute, not relative
    assert_allclose(psf.gaussian(size, sigma), expected / expected.sum(), rtol=1e-13, atol=4 * EPS)


def test_gaussian_axis_order():
    """size[0] and sigma[0] belong to axis 0."""
    made = psf.gaussian((3, 9), (0.4, 2))
    assert made.shape == (3, 9)
    assert_allclose(psf.gaussian((9, 3), (2, 0.4)), made.T, rtol=1e-15)


def test_narrow_gaussian_is_a_pixel():
    expected = np.zeros((5, 5))
    expected[2, 2] = 1
    assert_allclose(psf.gaussian(5, 1e-6), expected, atol=EPS)


@pytest.mark.parametrize(("size", "shape"), [(3, (3, 3)), ((2, 5), (2, 5)), (np.int64(1), (1, 1))])
def test_box_is_flat(size, shape):
    assert_allclose(psf.box(size), np.full(shape, 1 / np.prod(shape)), rtol=EPS)


@pytest.mark.parametrize("radius", [0.5, 1, 2, 3.7, 6])
def test_disk_is_round(radius):
    disk = psf.disk(radius)
    assert disk.shape[0] == disk.shape[1]
    assert disk.shape[0] % 2 == 1
    assert_allclose(disk, disk.T, atol=EPS)
    assert_allclose(disk, disk[::-1], atol=EPS)
    middle = disk.shape[0] // 2
    assert disk[middle, middle] == disk.max()
    profile = disk[middle, middle:]
    assert (np.diff(profile) <= EPS).all()


def test_disk_has_the_area_of_a_disk():
    """The centre weighs one over the area, up to the pixels of the rim."""
    radius = 20
    disk = psf.disk(radius)
    area = 1 / disk.max()
    assert abs(area - np.pi * radius**2) < 2 * np.pi * radius


class TestMotion:
    def test_along_the_rows(self):
        """Angle 0 is a horizontal line."""
        line = psf.motion(5, 0)
        assert np.count_nonzero(line.sum(axis=1) > 1e-12) == 1
        assert np.count_nonzero(line.sum(axis=0) > 1e-12) >= 5

    def test_quarter_turn_is_the_transpose(self):
        across, along = psf.motion(5, 90), psf.motion(5, 0)
        rows = np.flatnonzero(across.sum(axis=0) > 1e-12)
        assert len(rows) == 1
        line = along[along.sum(axis=1) > 1e-12].ravel()
        turned = across[:, rows].ravel()
        assert_allclose(np.trim_zeros(turned.round(12)), np.trim_zeros(line.round(12)), atol=1e-12)

    def test_half_turn_is_the_same(self):
        assert_allclose(psf.motion(6, 200), psf.motion(6, 20), atol=1e-12)


class TestNormalise:
    def test_sum_is_one(self):
        assert_array_equal(psf.normalise([[1, 2], [3, 2]]), np.array([[1, 2], [3, 2]]) / 8)

    def test_leaves_its_argument_alone(self):
        given = np.array([[1.0, 3.0]])
        psf.normalise(given)
        assert_array_equal(given, [[1, 3]])

    @pytest.mark.parametrize("zero_sum", [np.zeros((3, 3)), [[1, -1]]])
    def test_sum_zero_is_refused(self, zero_sum):
        with pytest.raises(ValueError, match="sum"):
            psf.normalise(zero_sum)


@pytest.mark.parametrize(
    "call",
    [
        lambda: psf.gaussian(0, 1),
        lambda: psf.gaussian(-3, 1),
        lambda: psf.gaussian(5, 0),
        lambda: psf.gaussian(5, -1),
        lambda: psf.gaussian(5, np.nan),
        lambda: psf.gaussian((3, 3, 3), 1),
        lambda: psf.box(0),
        lambda: psf.box((1, 2, 3)),
        lambda: psf.disk(-1),
        lambda: psf.disk(np.nan),
        lambda: psf.motion(-1, 0),
        lambda: psf.motion(np.nan, 0),
        lambda: psf.motion(3, np.inf),
    ],
)
def test_senseless_values_are_refused(call):
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize("size", [2.5, "3", None, True])
@pytest.mark.parametrize("make", [psf.box, lambda size: psf.gaussian(size, 1)])
def test_sizes_are_integers(make, size):
    with pytest.raises((TypeError, ValueError)):
        make(size)
