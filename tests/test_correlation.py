"""What images have in common, against sums over the common pixels one shift at a time."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter

from dhop.estimation.correlation import (
    agreement,
    correlations,
    details,
    deviation,
    local_mean,
    sample,
)


def weighted(a, b, w):
    """Correlation coefficient of two lists of numbers."""
    a, b = (each - np.average(each, weights=w) for each in (a, b))
    return np.sum(w * a * b) / np.sqrt(np.sum(w * a * a) * np.sum(w * b * b))


@pytest.mark.parametrize("shape", [(9, 12), (1, 14), (13, 1), (6, 5)])
def test_correlations_are_those_of_the_common_pixels(shape):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, *shape)).astype("f4")
    v, w = (rng.random((2, *shape)) > 0.3).astype("f4")
    r, nats, origin = correlations(a, v, b, w)
    reach = [m // 2 + (m > 1) for m in shape]
    assert_array_equal(origin, reach)
    assert r.shape == nats.shape == tuple(2 * n + 1 for n in reach)
    common = np.zeros(r.shape)
    expected = np.zeros(r.shape)
    for dy, dx in np.ndindex(r.shape):
        pairs = [
            (a[i, j], b[y, x], v[i, j] * w[y, x])
            for i, j in np.ndindex(shape)
            for y, x in [(i + dy - reach[0], j + dx - reach[1])]
            if 0 <= y < shape[0] and 0 <= x < shape[1]
        ]
        one, other, weight = np.array(pairs).T
        common[dy, dx] = weight.sum()
        if weight.sum() >= 3:
            expected[dy, dx] = max(weighted(one, other, weight), 0)
    enough = common >= max(0.2 * common.max() + 0.1, 3)
    assert enough.sum() > 5
    assert_allclose(r[enough], expected[enough], atol=1e-4)
    assert_array_equal(r[common < 0.2 * common.max() - 0.1], 0)
    assert_array_equal(nats > 0, r > 0)


def test_agreement():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 30, 40)).astype("f4")
    b += a / 2
    w = rng.random((30, 40)).astype("f4")
    r, nats = agreement(a, b, w)
    assert_allclose(r, weighted(a, b, w), rtol=1e-4)
    # Nearly as many independent pixels as there are weights, and normal tails.
    assert_allclose(nats, -0.5 * w.sum() * np.log(1 - r**2), rtol=0.3)
    assert_allclose(agreement(3 * a, b / 7, w), (r, nats), rtol=1e-4)
    assert agreement(a, -b, w) == (0, 0)
    assert agreement(a, np.zeros_like(b), w) == (0, 0)


def test_evidence_of_what_is_smooth_or_sparse_is_less():
    """By the number of pixels that say the same; hardly any if it is one star that agrees."""
    noise = np.random.default_rng(2).standard_normal((64, 64)).astype("f4")
    ones = np.ones_like(noise)
    smooth = gaussian_filter(noise, 2, mode="wrap")
    # A Gaussian's autocorrelation squared sums to 2 pi sigma^2.
    ratio = agreement(noise, noise, ones)[1] / agreement(smooth, smooth, ones)[1]
    assert_allclose(ratio, 2 * np.pi * 4, rtol=0.2)
    star = np.zeros_like(noise)
    star[20, 30] = 1
    assert agreement(noise, noise, ones)[1] > 5000
    assert agreement(star, star, ones)[1] < 15


def test_chance_gives_little_evidence():
    rng = np.random.default_rng(3)
    most = []
    for _ in range(40):
        a, b = gaussian_filter(rng.standard_normal((2, 48, 48)), (0, 1, 1)).astype("f4")
        ones = np.ones_like(a)
        most.append(correlations(a, ones, b, ones)[1].max())
    assert max(most) < 14


def test_details_are_without_fields_and_do_not_run_away():
    rng = np.random.default_rng(4)
    image = rng.standard_normal((50, 60)).astype("f4")
    ones = np.ones_like(image)
    plain = details(image, ones)
    y, x = np.mgrid[:50, :60].astype("f4")
    inner = (slice(8, -8),) * 2
    sloping = details(image + 2 * y - x, ones)
    assert np.corrcoef(sloping[inner].ravel(), plain[inner].ravel())[0, 1] > 0.9999
    image[25, 30] = 1e6
    assert 10 < details(image, ones)[25, 30] < 1000
    assert_allclose(details(np.full_like(image, 7), ones), 0, atol=1e-6)  # of 7, in float32


def test_local_mean():
    image = np.arange(12, dtype="f4").reshape(3, 4)
    seen = np.ones_like(image)
    seen[1, 1] = 0
    assert_allclose(local_mean(image, seen, 3)[1, 2], (1 + 2 + 3 + 6 + 7 + 9 + 10 + 11) / 8)
    assert_allclose(local_mean(image, seen, 3)[0, 0], (0 + 1 + 4) / 3)
    assert_allclose(local_mean(image[:1], seen[:1], 3)[0], [0.5, 1, 2, 2.5])


def test_deviation():
    rng = np.random.default_rng(5)
    values = 3 * rng.standard_normal((400, 500)).astype("f4")
    seen = rng.random(values.shape) > 0.1
    assert_allclose(deviation(np.where(seen, values, 1e9), seen), 3, rtol=0.03)
    assert 10_000 < len(sample(values, np.ones_like(values))) < 60_000
    assert deviation(values, np.zeros_like(values)) == 0
