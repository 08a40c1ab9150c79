"""Plug and play against the same turns by dense matrices."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose
from scipy import ndimage

from dhop import psf, super_resolve
from dhop.reconstruction import plug_and_play

BLUR = psf.gaussian((3, 5), (0.8, 1.1))


def soften(image, level):
    return ndimage.gaussian_filter(image, 3 * level)


@pytest.mark.parametrize("decimation", ["mean", "sum"])
def test_is_the_splitting(decimation, monkeypatch):
    monkeypatch.setattr(plug_and_play, "ROUGH", 1e-11)
    rng = np.random.default_rng(0)
    frames = rng.random((2, 4, 5))
    weights = rng.integers(1, 3, frames.shape).astype(float)
    about = {"boundary": "reflect", "decimation": decimation}
    options = {"shifts": [(0, 0), (0.5, -0.5)], "weights": weights, "beta": 0.1, **about}
    levels = []

    def denoise(image, level):
        levels.append(level)
        return soften(image, level)

    found = super_resolve(frames, BLUR, 2, denoiser=denoise, noise=0.1, rtol=1e-12, **options)
    start = super_resolve(frames, BLUR, 2, rtol=1e-12, **options).image.ravel()
    A = np.vstack([oracle.matrix((8, 10), BLUR, 2, center=c, **about) for c in [(1, 2), (0, 3)]])
    root = np.sqrt(weights).ravel()
    B, y = root[:, None] * A, root * frames.ravel()
    bright = 4 if decimation == "sum" else 1
    noise = 0.1 / np.sqrt(weights.mean()) / bright
    assert_allclose(levels, noise * np.geomspace(8, 0.7, 12))
    x = start
    for level in levels:
        z = 0.7 * soften(x.reshape(8, 10), level).ravel() + 0.3 * x
        gamma = 2 * (level * bright / 0.1) ** 2
        x = np.linalg.solve(gamma * B.T @ B + np.eye(80), gamma * B.T @ y + z)
    expected = 0.7 * x + 0.3 * start
    assert_allclose(found.image.ravel(), expected, rtol=0, atol=1e-6)
    assert found.solver == "plug-and-play"
    assert_allclose(found.residual_norm, np.linalg.norm(B @ found.image.ravel() - y))


def test_channels_are_where_the_caller_has_them():
    shapes = []
    frames = np.random.default_rng(0).random((3, 6, 7, 2)).astype(np.float32)

    def denoise(image, level):
        shapes.append((image.shape, image.dtype))
        return image

    steps = []
    solution = super_resolve(
        frames, BLUR, 2, channel_axis=-1, beta=0.1, denoiser=denoise, callback=steps.append
    )
    assert set(shapes) == {((12, 14, 2), np.dtype(np.float32))}
    assert len(shapes) == 12
    assert solution.image.shape == (12, 14, 2)
    assert solution.image.dtype == np.float32
    assert steps[-1].image.shape == (12, 14, 2)
    assert [step.iteration for step in solution.history] == list(range(1, solution.iterations + 1))


def test_refusals():
    def keep(image, level):
        return image

    for options in ({"loss": "huber"}, {"regulariser": "tv"}, {"nonnegative": True},
                    {"bounds": (0, 1)}):  # fmt: skip
        with pytest.raises(ValueError, match="takes the place of a prior"):
            super_resolve(np.eye(8), BLUR, 2, beta=0.1, denoiser=keep, **options)
    with pytest.raises(TypeError, match="callable"):
        super_resolve(np.eye(8), BLUR, 2, beta=0.1, denoiser="bm3d")
    for wrong in (lambda x, s: x[1:], lambda x, s: x > 0, lambda x, s: x * np.nan):
        with pytest.raises(ValueError, match="the denoiser must give"):
            super_resolve(np.eye(8), BLUR, 2, beta=0.1, noise=0.1, denoiser=wrong)
    constant = super_resolve(np.full((2, 8, 8), 2.0), BLUR, 2, beta=0.1, denoiser=keep)
    assert abs(constant.image - 2).max() < 1e-6
