"""Lines as users have them: one or several, with channels before or behind their pixels."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

from dhop import psf, super_resolve

BLUR = np.array([1.0, 2.0, 1.0]) / 4
SECOND = np.array([[1.0, -2.0, 1.0]])
PIXELS = 12


def matrix(shift=0.0):
    moved, center = psf.shift(BLUR[None], (0, 2 * shift))
    return oracle.matrix(
        (1, 2 * PIXELS), moved, (1, 2), decimation="mean", boundary="symmetric", center=center
    )


def solved(A, y, weights, beta=0.1, stencil=SECOND):
    """The image of the least squares."""
    S = oracle.matrix((1, 2 * PIXELS), stencil, 1, boundary="symmetric")
    W = np.diag(np.broadcast_to(weights, len(A)))
    return np.linalg.solve(A.T @ W @ A + beta * S.T @ S, A.T @ W @ y)


@pytest.fixture
def line():
    return np.random.default_rng(0).random(PIXELS)


def test_the_shift_of_a_single_line(line):
    """Whose pixels are no frames."""
    expected = solved(matrix(0.3), line, 1.0)
    for given in ({"shifts": [0.3]}, {"shifts": [[0.3]]}, {"motion": [[[1.0, -0.3], [0, 1]]]}):
        assert_allclose(super_resolve(line, BLUR, 2, beta=0.1, **given).image, expected, atol=1e-5)


def test_the_weights_of_a_single_line(line):
    weights = np.linspace(0.5, 2, PIXELS)
    expected = solved(matrix(), line, weights)
    for given in (weights, [weights]):
        found = super_resolve(line, BLUR, 2, beta=0.1, weights=given, rtol=1e-8)
        assert_allclose(found.image, expected, atol=1e-6)
    found = super_resolve(line, BLUR, 2, beta=0.1, weights=[2.0])
    assert_allclose(found.image, solved(matrix(), line, 2.0), atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("count", [1, 2])
def test_maps_with_channels(axis, count):
    """They have the channels where the lines have them."""
    rng = np.random.default_rng(1)
    frames, weights = rng.random((count, 3, PIXELS)), rng.uniform(0.5, 2, (count, 3, PIXELS))
    place = axis + 1 if axis >= 0 and count > 1 else axis

    def outward(array):
        return np.moveaxis(array, -2, place if array.ndim == 2 + (count > 1) else axis)

    given, maps = (outward(each if count > 1 else each[0]) for each in (frames, weights))
    options = {"beta": 0.1, "channel_axis": place, "rtol": 1e-8}
    found = super_resolve(given, BLUR, 2, weights=list(maps) if count > 1 else maps, **options)
    A = np.concatenate([matrix()] * count)
    for channel in range(3):
        y, w = (each[:, channel].ravel() for each in (frames, weights))
        image = np.moveaxis(found.image, axis, 0)[channel]
        assert_allclose(image, solved(A, y, w), atol=1e-6)
    plain = [each[0] for each in weights]
    found = super_resolve(given, BLUR, 2, weights=plain, **options)
    image = np.moveaxis(found.image, axis, 0)[1]
    assert_allclose(image, solved(A, frames[:, 1].ravel(), np.ravel(plain)), atol=1e-6)


@pytest.mark.parametrize("axis", [0, -1])
def test_backgrounds_with_channels(axis):
    """Of photon counts, each channel by itself."""
    rng = np.random.default_rng(2)
    counts, back = rng.poisson(30, (2, PIXELS)).astype(float), rng.uniform(0, 5, (2, PIXELS))
    options = {"loss": "poisson", "beta": 0.01, "rtol": 1e-7}
    given, dark = (np.moveaxis(each, 0, axis) for each in (counts, back))
    found = super_resolve(given, BLUR, 2, channel_axis=axis, background=dark, **options)
    A, S = matrix(), oracle.matrix((1, 2 * PIXELS), SECOND, 1, boundary="symmetric")
    for channel, image in enumerate(np.moveaxis(found.image, axis, 0)):
        y, b = counts[channel], back[channel]

        def value(x, y=y, b=b):
            m = A @ x + b
            slope = A.T @ (1 - y / m) + 0.01 * S.T @ (S @ x)
            return np.sum(m - y * np.log(m)) + 0.005 * np.sum((S @ x) ** 2), slope

        bounds = [(1e-9, None)] * len(image)
        best = minimize(value, image + 1, jac=True, bounds=bounds, options={"gtol": 1e-9})
        assert value(np.maximum(image, 1e-9))[0] <= best.fun + 1e-3


def test_a_regulariser_of_one_axis(line):
    found = super_resolve(line, BLUR, 2, beta=0.1, regulariser=[1.0, -1.0], rtol=1e-8)
    expected = solved(matrix(), line, 1.0, stencil=np.array([[1.0, -1.0]]))
    assert_allclose(found.image, expected, atol=1e-6)
    assert found.standard_deviation(1.0).shape == (2 * PIXELS,)


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_callbacks_and_denoisers_see_lines(line, axis):
    given = line if axis is None else np.stack([line, line[::-1]], axis)
    shape = (2 * PIXELS,) if axis is None else np.stack([np.ones(2 * PIXELS)] * 2, axis).shape
    seen = []
    options = {"beta": 0.1, "solver": "cg", "channel_axis": axis}
    found = super_resolve(given, BLUR, 2, callback=lambda step: seen.append(step.image), **options)
    assert {each.shape for each in seen} == {shape}
    assert_array_equal(seen[-1], found.image)
    levels = []

    def denoiser(image, level):
        assert image.shape == shape
        levels.append(level)
        return 0 * image

    black = super_resolve(given, BLUR, 2, denoiser=denoiser, noise=0.1, **options)
    assert black.image.shape == shape
    assert levels
