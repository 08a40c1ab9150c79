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
        # The immersion is thinner by what the nominal focus has gone down into the sample.
        immersion = 150 + z - depth * index / sample
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
    assert found.argmax() // 225 != 30
    assert found.max() < plain.max()


def test_confocal():
    args = (9, 25, 25), (0.2, 0.05)
    lit, seen = (psf.widefield(*args, wave, 1.3) for wave in (0.488, 0.52))
    point = psf.confocal(*args, 0.488, 0.52, 1.3)
    assert_allclose(point, lit * seen / (lit * seen).sum(), 1e-12)
    # A pinhole that lets everything through leaves what is lit.
    open_ = psf.confocal(*args, 0.488, 0.52, 1.3, pinhole=10.0)
    assert_allclose(open_, lit, 0, 0.02 * lit.max())
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
