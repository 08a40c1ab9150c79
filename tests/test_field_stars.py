"""Fields built from the stars of an image, against the profiles that the stars were made of."""

import sys

import numpy as np
import pytest
from scipy.special import erf

from dhop import psf

WIDTHS = 1.1, 1.9  # of stars on the left and on the right


def line(places, width):
    """The integral of a Gaussian over each pixel."""
    edges = (np.subtract.outer(places, [0.5, -0.5])) / (np.sqrt(2) * width)
    return (erf(edges[:, 1]) - erf(edges[:, 0])) / 2


def stars(rng, shape=(120, 240), step=24):
    """An image of stars at any phase, a third of them too near the border, and where they are."""
    rows, columns = (np.arange(step // 2, n, step) for n in shape)
    at = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
    at = at + rng.uniform(-0.5, 0.5, at.shape)
    image = np.full(shape, 7.0)
    for row, column in at:
        width = WIDTHS[int(column > shape[1] / 2)]
        profile = [line(np.arange(n) - p, width) for n, p in zip(shape, (row, column), strict=True)]
        image += rng.uniform(2e3, 1e4) * np.outer(*profile)
    return image + rng.standard_normal(shape), at


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1, 2])
def test_stars_show_the_psf_of_their_tile(factor):
    pytest.importorskip("photutils")
    image, at = stars(np.random.default_rng(0))
    image[40, 60] = np.nan
    field = psf.Field.from_stars(
        image, np.rint(at), grid=(1, 2), size=21, factor=factor
    )  # fmt: skip
    nodes = [each.tolist() for each in field.positions]
    assert nodes == [[factor * 59.5], [factor * 59.5, factor * 179.5]]
    for stamp, width in zip(field.stamps[0], WIDTHS, strict=True):
        reach = stamp.shape[0] // 2
        expected = line(np.arange(-reach, reach + 1) / factor, width)
        expected = np.outer(expected, expected) / expected.sum() ** 2
        assert np.abs(stamp - expected).max() < 0.05 * expected.max()
        np.testing.assert_allclose(stamp.sum(), 1)


@pytest.mark.slow
def test_a_star_that_is_lost_costs_no_other():
    pytest.importorskip("photutils")
    image, at = stars(np.random.default_rng(2), (60, 60))
    row, column = np.rint(at[0]).astype(int)
    lost = image.copy()
    lost[row - 8 : row + 9, column - 8 : column + 9] = np.nan
    found, expected = (
        psf.Field.from_stars(one, places, grid=1, size=13)
        for one, places in ((lost, at), (image, at[1:]))
    )
    np.testing.assert_array_equal(found.stamps, expected.stamps)


def test_what_stars_cannot_tell_is_refused():
    pytest.importorskip("photutils")
    image, at = stars(np.random.default_rng(1))
    given = [
        ({"grid": (1, 40)}, "no star lies in tile"),
        ({"size": 4}, "odd and at least 5"),
        ({"grid": 0}, "grid"),
    ]
    for options, match in given:
        with pytest.raises(ValueError, match=match):
            psf.Field.from_stars(image, at, **options)
    with pytest.raises(ValueError, match="rows and columns"):
        psf.Field.from_stars(image, at[:, :1])
    with pytest.raises(ValueError, match="two axes"):
        psf.Field.from_stars(image[0], at)
    for nothing in (0, np.nan, np.inf):
        with pytest.raises(ValueError, match="brighter than its surroundings"):
            psf.Field.from_stars(np.full((40, 40), nothing), [(20, 20)], grid=1)


def test_without_photutils_it_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "photutils", None)
    monkeypatch.setitem(sys.modules, "photutils.psf", None)
    with pytest.raises(ModuleNotFoundError, match=r'needs photutils; .* "dhop\[stars\]"'):
        psf.Field.from_stars(np.ones((64, 64)), [(30, 30)])
