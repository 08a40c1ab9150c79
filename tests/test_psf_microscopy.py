"""Microscopes: the Gibson-Lanni integral by adaptive quadrature, and laws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import j0, jn_zeros

from dhop import psf

VOXEL, WAVE = (0.2, 0.1), 0.52
NODES, WEIGHTS = np.polynomial.legendre.leggauss(6)


def intensity(r, z, na, index, sample, depth, glass, thick):
    """Of a point, with an oil objective made for a coverslip of 170 and 1.515."""
    k = 2 * np.pi / WAVE

    def path(rho):
        a, b, c, d, e = (
            np.sqrt(n**2 - (na * rho) ** 2) for n in (index, sample, 1.515, glass, 1.515)
        )
        # Equation 7 of Gibson and Lanni: rays near the axis meet in the point where z is zero.
        immersion = index * (150 / 1.515 + 170 / 1.515 - thick / glass - depth / sample) - z
        return immersion * a + depth * b - 150 * c + thick * d - 170 * e

    def part(wave):
        def light(rho):
            return j0(k * na * r * rho) * wave(k * (path(rho) - path(0))) * rho

        return quad(light, 0, 1, limit=400)[0]

    return part(np.cos) ** 2 + part(np.sin) ** 2


def pixel(y, x, z, **settings):
    return sum(
        a * b * intensity(np.hypot(0.1 * (y + p / 2), 0.1 * (x + q / 2)), z, **settings)
        for p, a in zip(NODES, WEIGHTS, strict=True)
        for q, b in zip(NODES, WEIGHTS, strict=True)
    )


@pytest.mark.parametrize(
    ("na", "index", "sample", "depth", "glass", "thick"),
    [
        (1.4, 1.515, 1.515, 0.0, 1.515, 170.0),
        (1.2, 1.515, 1.33, 4.0, 1.515, 170.0),
        (1.3, 1.52, 1.38, 2.0, 1.5, 165.0),
    ],
)
def test_the_integral(na, index, sample, depth, glass, thick):
    found = psf.widefield(
        (9, 21, 21), VOXEL, WAVE, na, index, sample_index=sample, depth=depth,
        coverslip=(thick, glass), design_index=1.515,
    )  # fmt: skip
    settings = {
        "na": na, "index": index, "sample": sample, "depth": depth, "glass": glass, "thick": thick,
    }  # fmt: skip
    first = pixel(0, 0, 0, **settings)
    for z, y, x in ((1, 2, 3), (-3, 0, 0), (3, -4, 1), (4, 6, -2)):
        expected = pixel(y, x, 0.2 * z, **settings) / first
        assert_allclose(found[4 + z, 10 + y, 10 + x] / found[4, 10, 10], expected, 1e-3, 1e-6)


def test_without_aberration_it_is_symmetric():
    found = psf.widefield((11, 25, 25), VOXEL, WAVE, 1.3)
    assert_allclose(found.sum(), 1)
    assert np.unravel_index(found.argmax(), found.shape) == (5, 12, 12)
    for turned in (found[::-1], found[:, ::-1], found.swapaxes(1, 2)):
        assert_allclose(found, turned, 0, 1e-12)


def test_at_the_focus_it_is_the_airy_pattern():
    found = psf.widefield((1, 31, 31), (0.2, 0.05), WAVE, 0.9, 1.0)[0]
    airy = psf.airy(31, jn_zeros(1, 1)[0] / (2 * np.pi) * WAVE / 0.9 / 0.05)
    assert_allclose(found, airy, 0, 1e-5 * airy.max())


def test_a_softer_sample_moves_the_focus_and_blurs():
    settings = {"sample_index": 1.33, "depth": 10.0}
    found = psf.widefield((61, 15, 15), VOXEL, WAVE, 1.2, 1.515, **settings)
    plain = psf.widefield((61, 15, 15), VOXEL, WAVE, 1.2, 1.515)
    # Rays of the water bend outwards, and meet before those near the axis do: the focus that shows
    # a point best is nominally deeper than the point, the more so the deeper that is.
    deeper = psf.widefield((61, 15, 15), VOXEL, WAVE, 1.2, 1.515, sample_index=1.33, depth=20.0)
    best = [blur.argmax() // 225 for blur in (plain, found, deeper)]
    assert best[0] == 30 < best[1] < best[2]
    assert plain.max() > found.max() > deeper.max()


def test_a_coverslip_of_another_thickness_does_not_move_the_nominal_focus():
    """Of the index of the oil it is one with it; of another, rays near the axis meet as before."""
    plain = psf.widefield((21, 9, 9), VOXEL, WAVE, 1.2)
    same = psf.widefield((21, 9, 9), VOXEL, WAVE, 1.2, coverslip=(120.0, 1.515))
    assert_allclose(same, plain, 0, 1e-9 * plain.max())
    narrow = {"na": 0.3, "wavelength": WAVE, "shape": (21, 9, 9), "voxel": (2.0, 0.3)}
    other = psf.widefield(
        **narrow, index=1.0, design_index=1.33, sample_index=1.4, depth=15.0,
        coverslip=(150.0, 1.48), working_distance=300.0,
    )  # fmt: skip
    assert abs(int(other.argmax()) // 81 - 10) <= 1


def test_confocal():
    args = (9, 25, 25), (0.2, 0.05)
    lit, seen = (psf.widefield(*args, wave, 1.3) for wave in (0.488, 0.52))
    point = psf.confocal(*args, 0.488, 0.52, 1.3)
    assert_allclose(point, lit * seen / (lit * seen).sum(), 1e-12)
    # A pinhole that lets everything through leaves what is lit.
    open_ = psf.confocal(*args, 0.488, 0.52, 1.3, pinhole=10.0)
    assert_allclose(open_, lit, 0, 0.02 * lit.max())
    assert_allclose(psf.confocal(*args, 0.488, 0.52, 1.3, pinhole=1e-200), point)
    some = psf.confocal(*args, 0.488, 0.52, 1.3, pinhole=0.4)
    assert point.max() > some.max() > open_.max()


def test_gaussians_and_boxes_have_one_to_three_axes():
    line = psf.gaussian((7,), 1.5)
    assert line.shape == (7,)
    assert_allclose(line, psf.gaussian(7, 1.5).sum(axis=0), 1e-12)
    volume = psf.gaussian((5, 7, 9), (2.0, 1.0, 0.5))
    assert_allclose(volume.sum(axis=0), psf.gaussian((7, 9), (1.0, 0.5)), 1e-12)
    assert_allclose(volume.sum(axis=(1, 2)), psf.gaussian((5,), 2.0), 1e-12)
    assert psf.box((2, 3, 4)).shape == (2, 3, 4)
    moved, center = psf.shift(volume, (0, 0.5, -1))
    assert_allclose(moved.sum(), 1)
    assert center[2] == 5
    with pytest.raises(ValueError, match="angle"):
        psf.gaussian((3, 3, 3), 1.0, angle=20)
    with pytest.raises(ValueError, match="one to three"):
        psf.gaussian((3, 3, 3, 3), 1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"na": 1.6}, {"na": 0}, {"voxel": (1, 2, 3, 4)}, {"shape": (0, 3, 3)}, {"shape": (3, 3)},
        {"depth": -1}, {"wavelength": np.nan},
    ],
)  # fmt: skip
def test_senseless_numbers(change):
    given = {"shape": (3, 5, 5), "voxel": 0.1, "wavelength": 0.5, "na": 1.2} | change
    with pytest.raises(ValueError, match=next(iter(change))):
        psf.widefield(**given)


def test_what_has_no_room_or_no_end_is_refused_before_it_is_begun():
    with pytest.raises(MemoryError, match="shape"):
        psf.widefield((10**5,) * 3, 0.1, 0.5, 1.2)
    with pytest.raises(ValueError, match="one unit"):
        psf.widefield((3, 5, 5), 0.1, 0.5e-3, 1.2, sample_index=1.33, depth=100.0)
    with pytest.raises(ValueError, match="pinhole must be at most"):
        psf.confocal((3, 5, 5), 0.1, 0.4, 0.5, 1.2, pinhole=1e300)


def test_a_pinhole_sums_what_it_lets_through():
    """Detection is the widefield blur summed under the pinhole."""
    args, half = (0.2, 0.1), 4
    size = 5 + 2 * half
    seen = psf.widefield((3, size, size), args, 0.52, 1.3)
    lit = psf.widefield((3, 5, 5), args, 0.488, 1.3)
    points = (np.arange(9 * 41) + 0.5) / 41 - 4.5  # of a fine grid, inside or outside
    inside = np.hypot(points[:, None], points) < 3.2
    hole = inside.reshape(9, 41, 9, 41).mean(axis=(1, 3))
    expected = np.empty((3, 5, 5))
    for i, j in np.ndindex(5, 5):
        expected[:, i, j] = (seen[:, i : i + 9, j : j + 9] * hole).sum(axis=(1, 2)) * lit[:, i, j]
    found = psf.confocal((3, 5, 5), args, 0.488, 0.52, 1.3, pinhole=0.64)
    assert_allclose(found, expected / expected.sum(), rtol=5e-4)
