"""The choice of beta: near the best of a sweep."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from skimage import data

from dhop import DHOperator, psf, super_resolve
from dhop.selection import choose_beta, periodic
from dhop.shifting import shift


def burst(noise, count=8, factor=2):
    """Shifted frames of a part of a photograph, its operators and the part."""
    rng = np.random.default_rng(0)
    scene = data.camera()[90:218, 160:288] / 255
    shifts = rng.uniform(-0.5, 0.5, (count, 2))
    shifts[0] = 0
    blur = psf.gaussian(9, 1.0)
    operators = []
    for move in shifts * factor:
        moved, center = shift(blur, move)
        operators.append(
            DHOperator(
                scene.shape, moved, factor, center=center, decimation="mean", boundary="symmetric"
            )
        )
    frames = np.stack([A.degrade(scene) for A in operators])
    frames += noise * rng.standard_normal(frames.shape)
    return scene, blur, shifts, operators, frames


def quality(image, scene):
    return -10 * np.log10(np.mean((image - scene) ** 2))


@pytest.mark.parametrize(
    ("noise", "factor", "regulariser"),
    [
        (0.003, 2, "laplacian"),
        pytest.param(0.01, 4, "laplacian", marks=pytest.mark.fuzz),
        pytest.param(0.03, 2, "gradient", marks=pytest.mark.fuzz),
    ],
)
def test_near_the_best_of_a_sweep(noise, factor, regulariser):
    scene, blur, shifts, _, frames = burst(noise, factor=factor)
    options = {"shifts": shifts, "rtol": 1e-4, "regulariser": regulariser}
    sweep = [
        quality(super_resolve(frames, blur, factor, beta=beta, **options).image, scene)
        for beta in np.logspace(-4, 0, 9)
    ]
    chosen = super_resolve(frames, blur, factor, beta="auto", **options)
    assert quality(chosen.image, scene) > max(sweep) - 0.5
    assert chosen.beta == chosen.beta_curve.beta
    lcurve = super_resolve(frames, blur, factor, beta="lcurve", **options)
    assert quality(lcurve.image, scene) > max(sweep) - 3


@pytest.mark.parametrize(("sigma", "noise"), [(1.0, 0.01), (1.2, 0.003)])
def test_one_frame_that_could_be_fitted_exactly(sigma, noise):
    """Fewer observations than unknowns, and a narrow PSF: small `beta` leave no residual."""
    scene = data.camera()[64:192, 128:256] / 255
    A = DHOperator(scene.shape, psf.gaussian(9, sigma), 2, decimation="mean", boundary="symmetric")
    frame = A.degrade(scene) + noise * np.random.default_rng(0).standard_normal(A.dimsd)
    sweep = [
        quality(super_resolve(frame, A.psf, 2, beta=beta).image, scene)
        for beta in np.logspace(-5, 0, 11)
    ]
    for rule, loss in (("auto", 0.5), ("lcurve", 3)):
        chosen = super_resolve(frame, A.psf, 2, beta=rule)
        assert quality(chosen.image, scene) > max(sweep) - loss


def test_discrepancy_leaves_the_noise():
    scene, blur, shifts, _, frames = burst(0.02)
    options = {"shifts": shifts, "beta": "discrepancy"}
    solution = super_resolve(frames, blur, 2, noise=0.02, **options)
    inner = solution.residuals()[:, 6:-6, 6:-6]
    assert_allclose(np.sqrt(np.mean(inner**2)), 0.02, rtol=0.03)
    # Weights scale the noise of a pixel of weight one.
    weights = np.full(len(frames), 4.0)
    again = super_resolve(frames, blur, 2, noise=0.04, weights=weights, **options)
    assert_allclose(again.beta, 4 * solution.beta, rtol=0.2)
    assert quality(again.image, scene) == pytest.approx(quality(solution.image, scene), abs=0.3)


def test_does_not_depend_on_the_scale():
    _, _, _, operators, frames = burst(0.02)
    one, two = (
        choose_beta(operators, scale * frames, None, "laplacian", "gcv").beta for scale in (1, 1e4)
    )
    assert_allclose(one, two, rtol=1e-3)


def test_masked_pixels():
    _, _, _, operators, frames = burst(0.02)
    maps = np.ones(frames.shape)
    maps[:, 10:13, 20:24] = 0
    whole = choose_beta(operators, frames, None, "laplacian", "gcv")
    spoilt = np.where(maps == 0, np.nan, frames)
    masked = choose_beta(operators, spoilt, list(maps), "laplacian", "gcv")
    assert abs(np.log10(masked.beta / whole.beta)) < 0.3


def test_curve():
    _, _, _, operators, frames = burst(0.02)
    for rule in ("auto", "gcv", "lcurve"):
        curve = choose_beta(operators, frames, None, "laplacian", rule)
        assert (np.diff(curve.betas) > 0).all()
        assert len(curve.betas) == len(curve.scores) == len(curve.residuals)
        assert (np.diff(curve.residuals) > -1e-9).all()
        assert curve.betas[0] < curve.beta < curve.betas[-1]


def test_periodic_component():
    """Equal to the image for one that is periodic, less steep at the border for others."""
    i, j = np.indices((32, 40))
    wave = np.sin(2 * np.pi * i / 32) * np.cos(4 * np.pi * j / 40)
    ramp = 0.3 * i - 0.2 * j
    jumps = np.abs(wave[0] - wave[-1]).max()
    assert np.abs(periodic(wave) - wave).max() < jumps
    found = periodic(ramp)
    assert np.abs(found[0] - found[-1]).max() < 0.2 * np.abs(ramp[0] - ramp[-1]).max()
    assert_allclose(found.mean(), ramp.mean())
    stack = periodic(np.stack([wave, ramp]))
    assert_allclose(stack, [periodic(wave), found])


def test_tiny_frames():
    for shape in ((1, 1), (2, 3), (5, 1)):
        solution = super_resolve(np.random.default_rng(0).random(shape), np.ones((3, 3)) / 9, 2)
        assert np.isfinite(solution.image).all()
