"""The PSF makers, against integrals and optics computed in other ways."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import dblquad, quad
from scipy.special import j0, j1
from scipy.stats import multivariate_normal, norm

from dhop import psf
from dhop.psf import pixels

EPS = np.finfo(float).eps
MADE = {
    "gaussian": psf.gaussian(7, 1.3),
    "gaussian even": psf.gaussian((4, 6), (0.5, 2)),
    "gaussian turned": psf.gaussian((8, 9), (0.5, 2), angle=25),
    "box": psf.box(3),
    "box pair": psf.box((2, 5)),
    "disk": psf.disk(2.5),
    "disk of one": psf.disk(1),
    "motion": psf.motion(7, 30),
    "motion steep": psf.motion(4.5, 120),
    "airy": psf.airy(9, 2.2),
    "airy obstructed": psf.airy((6, 9), 1.5, obstruction=0.33),
    "moffat": psf.moffat((9, 4), 2.0, 2.5),
}


def integrals(density, shape):
    """Integral of ``density(y, x)`` over each pixel by adaptive quadrature."""
    middle = [(n - 1) / 2 for n in shape]
    result = np.empty(shape)
    for i, j in np.ndindex(shape):
        y, x = i - middle[0], j - middle[1]
        result[i, j] = dblquad(
            lambda b, a: density(a, b), y - 0.5, y + 0.5, x - 0.5, x + 0.5, epsabs=1e-13
        )[0]
    return result


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
        assert_allclose(MADE[name], MADE[name][::-1, ::-1], rtol=0, atol=1e-15)


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
    assert_allclose(psf.gaussian(5, (1e-6, 2e-6), angle=30), expected, atol=EPS)


class TestTurnedGaussian:
    @pytest.mark.parametrize(
        ("shape", "sigma", "angle"),
        [((3, 4), (1.1, 0.6), 30), ((4, 3), (0.5, 2.0), -70), ((3, 3), (0.7, 0.4), 160)],
    )
    def test_is_the_integral_of_the_density(self, shape, sigma, angle):
        turn = np.deg2rad(angle)
        # Steps along the rows' and the columns' axis, turned counter-clockwise as displayed.
        down = np.array([np.cos(turn), np.sin(turn)])
        along = np.array([-np.sin(turn), np.cos(turn)])
        covariance = sigma[0] ** 2 * np.outer(down, down) + sigma[1] ** 2 * np.outer(along, along)
        inverse = np.linalg.inv(covariance)

        def density(y, x):
            return np.exp(
                -(inverse[0, 0] * y * y + 2 * inverse[0, 1] * y * x + inverse[1, 1] * x * x) / 2
            )

        expected = integrals(density, shape)
        made = psf.gaussian(shape, sigma, angle=angle)
        assert_allclose(made, expected / expected.sum(), rtol=1e-11, atol=1e-14)

    def test_has_its_covariance(self):
        """The pixels add 1/12 to either variance."""
        made = psf.gaussian(61, (2.0, 4.0), angle=30)
        y, x = np.indices(made.shape) - 30
        moments = [(made * y * y).sum(), (made * x * x).sum(), (made * y * x).sum()]
        c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
        expected = [4 * c**2 + 16 * s**2 + 1 / 12, 4 * s**2 + 16 * c**2 + 1 / 12, (4 - 16) * s * c]
        assert_allclose(moments, expected, rtol=1e-10)

    def test_probability_of_a_quadrant(self):
        """Owen's T against scipy's own integration, on the axes, at the mean and elsewhere."""
        from dhop.psf.shapes import _bivariate_normal

        points = np.array([-2.0, -0.3, 0.0, 0.4, 1.7])
        for correlation in (-0.9, 0.3):
            joint = multivariate_normal(np.zeros(2), [[1, correlation], [correlation, 1]])
            expected = [[joint.cdf([h, k]) for k in points] for h in points]
            found = _bivariate_normal(points[:, None], points, correlation)
            assert_allclose(found, expected, atol=1e-7)  # cdf is a quasi-random integration

    def test_direction(self):
        """Long along the columns, turned by 45 degrees: it rises to the right."""
        made = psf.gaussian(9, (0.5, 3.0), angle=45)
        assert made[0, 8] == made[8, 0] > 100 * made[0, 0]

    @pytest.mark.parametrize("quarters", [-1, 1, 2, 3, 5])
    def test_quarter_turns_are_exact(self, quarters):
        upright = psf.gaussian(9, (0.5, 3.0))
        turned = psf.gaussian(9, (0.5, 3.0), angle=90 * quarters)
        assert_array_equal(turned, np.rot90(upright, quarters))

    def test_a_circle_does_not_turn(self):
        assert_array_equal(psf.gaussian(7, 1.5, angle=33), psf.gaussian(7, 1.5))


@pytest.mark.parametrize(("size", "shape"), [(3, (3, 3)), ((2, 5), (2, 5)), (np.int64(1), (1, 1))])
def test_box_is_flat(size, shape):
    assert_allclose(psf.box(size), np.full(shape, 1 / np.prod(shape)), rtol=EPS)


class TestDisk:
    @pytest.mark.parametrize("radius", [0.5, 1, 2, 3.7, 6])
    def test_is_round(self, radius):
        disk = psf.disk(radius)
        assert disk.shape[0] == disk.shape[1]
        assert disk.shape[0] % 2 == 1
        assert_allclose(disk, disk.T, atol=EPS)
        assert_allclose(disk, disk[::-1], atol=EPS)
        middle = disk.shape[0] // 2
        assert disk[middle, middle] == disk.max()
        profile = disk[middle, middle:]
        assert (np.diff(profile) <= EPS).all()

    @pytest.mark.parametrize("radius", [0.3, 0.5, 0.6, 1, 1.5, np.sqrt(2), 3.2, 20.0])
    def test_holds_the_covered_area(self, radius):
        disk = psf.disk(radius)
        middle = disk.shape[0] // 2
        row = middle - int(0.7 * radius)
        for column in range(middle, disk.shape[1]):
            y = abs(row - middle)

            def inside(x, y=y):
                top = np.sqrt(max(radius**2 - x * x, 0))
                return max(min(top, y + 0.5) - max(-top, y - 0.5), 0)

            x = column - middle
            kinks = [
                np.sqrt(radius**2 - edge**2)
                for edge in (y - 0.5, y + 0.5)
                if abs(edge) <= radius and abs(np.sqrt(radius**2 - edge**2) - x) < 0.5
            ] + [edge for edge in (-radius, radius) if abs(edge - x) < 0.5]
            area = quad(inside, x - 0.5, x + 0.5, points=kinks or None, epsabs=1e-13)[0]
            assert_allclose(disk[row, column], area / (np.pi * radius**2), rtol=1e-9, atol=1e-14)

    def test_outside_is_zero_and_inside_is_flat(self):
        """Zero taps cost nothing, so they must be exact zeros."""
        disk = psf.disk(20.3)
        y, x = np.indices(disk.shape) - disk.shape[0] // 2
        assert (disk[np.hypot(abs(y) - 0.5, abs(x) - 0.5) > 20.3] == 0).all()
        inner = disk[np.hypot(abs(y) + 0.5, abs(x) + 0.5) < 20.3]
        assert (inner == inner[0]).all()


class TestMotion:
    def test_along_the_rows(self):
        """Angle 0 is a horizontal line; nine pixels of movement are nine equal taps."""
        assert_allclose(psf.motion(9), np.full((1, 9), 1 / 9), rtol=4 * EPS)
        assert_allclose(psf.motion(4), np.array([[1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8]]))
        assert_array_equal(psf.motion(0.7), [[1.0]])

    @pytest.mark.parametrize(("length", "angle"), [(7, 30), (12.3, 77), (5, -45), (20, 166)])
    def test_holds_the_length_in_each_pixel(self, length, angle):
        """A very thin box in that direction, counted on points along it."""
        made = psf.motion(length, angle)
        turn = np.deg2rad(angle)
        count = 400_000
        t = ((np.arange(count) + 0.5) / count - 0.5) * length
        middle = np.array(made.shape) // 2
        row = np.rint(-np.sin(turn) * t).astype(int) + middle[0]
        column = np.rint(np.cos(turn) * t).astype(int) + middle[1]
        counted = np.zeros(made.shape)
        np.add.at(counted, (row, column), 1 / count)
        assert_allclose(made, counted, atol=3 / count)

    def test_quarter_turn_is_the_transpose(self):
        assert_array_equal(psf.motion(5, 90), psf.motion(5, 0).T)

    def test_half_turn_is_the_same(self):
        assert_allclose(psf.motion(6, 200), psf.motion(6, 20), atol=1e-14)

    def test_rises_to_the_right(self):
        assert_allclose(psf.motion(3 * np.sqrt(2), 45), np.eye(3)[::-1] / 3, atol=1e-15)


class TestAiry:
    @pytest.mark.parametrize(("radius", "obstruction"), [(1.7, 0), (0.6, 0.4), (3.0, 0.2)])
    def test_is_the_integral_of_the_pattern(self, radius, obstruction):
        """The amplitude as a Hankel transform of the aperture, not as a Bessel quotient."""
        node, weight = np.polynomial.legendre.leggauss(60)
        rho = (1 - obstruction) / 2 * node + (1 + obstruction) / 2

        def density(y, x):
            v = 3.831705970207512 * np.hypot(y, x) / radius
            return np.dot(weight, rho * j0(v * rho)) ** 2

        expected = integrals(density, (3, 4))
        made = psf.airy((3, 4), radius, obstruction=obstruction)
        assert_allclose(made, expected / expected.sum(), rtol=1e-10, atol=1e-13)

    def test_first_dark_ring(self):
        """On pixels much finer than the rings, the first minimum lies at the radius."""
        made = psf.airy((1, 301), 100.0)[0, 150:]
        assert np.argmin(made[:130]) == 100
        assert made[100] < 1e-5 * made[0]

    def test_half_maximum(self):
        """FWHM = 1.02899 wavelength * f_number = 0.84366 radius."""
        made = psf.airy((1, 301), 100.0)[0, 150:]
        half = np.interp(-0.5, -made[:100] / made[0], np.arange(100))
        assert_allclose(2 * half / 100, 1.028993969962188 / 1.219669891266504, rtol=1e-3)

    @pytest.mark.parametrize("rings", [1, 2])
    def test_encircled_energy(self, rings):
        """Rayleigh's ``1 - J_0(v)**2 - J_1(v)**2``, between two radii since the array is cut."""
        v = np.array([3.831705970207512, 7.015586669815619])[rings - 1]
        made = psf.airy(201, 15.0)
        # The array holds this much of the whole, and a little more in its corners.
        edge = 3.831705970207512 * 100.5 / 15.0
        total = 1 - j0(edge) ** 2 - j1(edge) ** 2
        found = psf.encircled_energy(made, 15.0 * v / 3.831705970207512)
        assert_allclose(found * total, 1 - j0(v) ** 2 - j1(v) ** 2, atol=4e-3)

    def test_narrow_and_refused(self):
        assert psf.airy(3, 0.05)[1, 1] > 0.95
        with pytest.raises(ValueError, match="at least"):
            psf.airy(3, 0.01)


class TestMoffat:
    @pytest.mark.parametrize(("fwhm", "beta"), [(1.5, 2.5), (0.3, 1.5), (3.0, 4.765), (0.4, 50.0)])
    def test_is_the_integral_of_the_profile(self, fwhm, beta):
        alpha = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
        expected = integrals(lambda y, x: (1 + (x * x + y * y) / alpha**2) ** -beta, (3, 4))
        made = psf.moffat((3, 4), fwhm, beta)
        assert_allclose(made, expected / expected.sum(), rtol=1e-9, atol=1e-12)

    def test_half_maximum(self):
        made = psf.moffat((1, 301), 100.0, 3.0)[0]
        assert_allclose(made[100] / made[150], 0.5, rtol=1e-3)

    def test_encircled_energy(self):
        """``1 - (1 + (r/alpha)**2)**(1 - beta)`` of the whole profile."""
        fwhm, beta = 30.0, 4.0
        alpha = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
        radii = np.array([15.0, 36.0, 90.0])
        found = psf.encircled_energy(psf.moffat(401, fwhm, beta), radii)
        assert_allclose(found, 1 - (1 + (radii / alpha) ** 2) ** (1 - beta), atol=5e-4)

    def test_becomes_a_gaussian(self):
        sigma = 2.0
        made = psf.moffat(15, 2 * np.sqrt(2 * np.log(2)) * sigma, 1e6)
        assert_allclose(made, psf.gaussian(15, sigma), atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: psf.gaussian(0, 1),
        lambda: psf.gaussian(-3, 1),
        lambda: psf.gaussian(5, 0),
        lambda: psf.gaussian(5, -1),
        lambda: psf.gaussian(5, np.nan),
        lambda: psf.gaussian((3, 3, 3, 3), 1),
        lambda: psf.gaussian(3, (1, 2, 3)),
        lambda: psf.gaussian(3, (1, 2), angle=np.nan),
        lambda: psf.box(0),
        lambda: psf.box((1, 2, 3, 4)),
        lambda: psf.disk(-1),
        lambda: psf.disk(np.nan),
        lambda: psf.motion(-1, 0),
        lambda: psf.motion(np.nan, 0),
        lambda: psf.motion(3, np.inf),
        lambda: psf.airy(3, 0),
        lambda: psf.airy(3, 1, obstruction=1),
        lambda: psf.airy(3, 1, obstruction=np.nan),
        lambda: psf.moffat(3, 1, 1),
        lambda: psf.moffat(3, 0.01, 2),
        lambda: psf.moffat(3, 1, np.inf),
    ],
)
def test_senseless_values_are_refused(call):
    with pytest.raises(ValueError):
        call()


MAKERS = [
    psf.box,
    lambda size: psf.gaussian(size, 1),
    lambda size: psf.airy(size, 1),
    lambda size: psf.moffat(size, 1, 2),
]


@pytest.mark.parametrize("size", [2.5, "3", None, True])
@pytest.mark.parametrize("make", MAKERS)
def test_sizes_are_integers(make, size):
    with pytest.raises((TypeError, ValueError)):
        make(size)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: psf.gaussian(300, (50.0, 20.0), angle=30),
        lambda: psf.disk(150.0),
        lambda: psf.motion(40_000.0),
        lambda: psf.airy(300, 20.0),
        lambda: psf.moffat(300, 20.0, 3.0),
    ],
)
def test_memory_is_what_is_asked_for(monkeypatch, make):
    """What has no room is refused before it is begun, and what has takes no more."""
    room = pixels.COPIES * make().nbytes
    tracemalloc.start()
    make()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < room
    monkeypatch.setattr("dhop.runtime.memory.available", lambda: room - 1)
    with pytest.raises(MemoryError, match=r"pixels that (size|radius|length) asks for takes"):
        make()
