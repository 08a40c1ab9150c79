"""The model of scene, blur and noise: its gradient, and known numbers found again."""

import numpy as np
import pytest
from bursts import burst, photograph
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter

from dhop import psf
from dhop.frames.noise import growing_noise, quiet_noise
from dhop.frames.scene import Likelihood
from dhop.frames.spectra import Spectra
from dhop.psf.estimation import fit_blur, given_blur


def test_likelihood_is_that_of_normal_numbers():
    """Against the covariance written out, with more and with fewer frames than aliases."""
    rng = np.random.default_rng(0)
    for count in (1, 3, 6):
        shifts = rng.uniform(-0.5, 0.5, (count, 2))
        spectra = Spectra(rng.random((count, 20, 20)), (2, 2), shifts)
        likelihood = Likelihood(spectra, spectra.pixels("mean"))
        blur = np.real(spectra.transfer(psf.gaussian(9, 1.2)))
        exponent, level, floor, noise = 1.7, 2.0, -1.5, -0.5
        found = likelihood._cost(
            np.array([exponent, level, floor, noise]), lambda _, blur=blur: blur
        )[0]
        variance = np.mean(np.sum(np.abs(spectra.values) ** 2, axis=2)) / count * np.exp(noise)
        power = np.exp(level) * spectra.radius ** (-2 * exponent)
        power = (blur * spectra.pixels("mean")) ** 2 * power + np.exp(floor)
        total = 0.0
        for c, E in enumerate(spectra.phases):
            y = spectra.values[0, c]
            C = variance * (np.eye(count) + (E * power[c]) @ E.conj().T)
            total += np.linalg.slogdet(C)[1] + (y.conj() @ np.linalg.solve(C, y)).real
        assert_allclose(found, total / len(spectra.phases), rtol=1e-9)


def test_gradient():
    frames, shifts = burst(photograph("camera", 96), psf.gaussian(9, 1.0), 2, 0.01, 5)
    spectra = Spectra(frames, (2, 2), shifts)
    likelihood = Likelihood(spectra, spectra.pixels("mean"))

    def make(logs):
        return np.real(spectra.transfer(psf.gaussian(13, np.exp(logs[0]))))

    x = np.array([0.1, 1.6, 3.0, -1.0, -3.0])
    gradient = likelihood._cost(x, make)[1]
    step = 1e-5
    for k, unit in enumerate(np.eye(5)):
        ends = [likelihood._cost(x + side * step * unit, make)[0] for side in (1, -1)]
        assert_allclose(gradient[k], (ends[0] - ends[1]) / (2 * step), rtol=2e-3)


def test_information_is_the_covariance_of_the_gradient():
    """Over spectra that are drawn from the model itself."""
    rng = np.random.default_rng(0)
    spectra = Spectra(rng.random((3, 24, 24)), (2, 2), rng.uniform(-0.5, 0.5, (3, 2)))

    def make(logs):
        return np.real(spectra.transfer(psf.gaussian(13, np.exp(logs[0]))))

    x = np.array([0.1, 1.6, 2.0, -1.0, 0.0])
    signal = (make(x) * spectra.pixels("mean")) ** 2 * np.exp(x[2]) * spectra.radius ** (-2 * x[1])
    unit = spectra.weights.mean()
    roots = [
        np.linalg.cholesky(np.eye(3) + (E * (power + np.exp(x[3]))) @ E.conj().T / unit)
        for E, power in zip(spectra.phases, signal, strict=True)
    ]
    draws = []
    for _ in range(300):
        white = rng.standard_normal((len(roots), 3, 2)) @ [1, 1j] / np.sqrt(2)
        spectra.values = np.einsum("cij,cj->ci", roots, white)[None]
        x[4] = -np.log(np.mean(np.sum(np.abs(spectra.values) ** 2, axis=2)) / 3)  # variance one
        _, gradient, information = Likelihood(spectra, spectra.pixels("mean"))._cost(x, make)
        draws.append(gradient)
    observed = len(roots) * np.cov(np.array(draws).T)
    scale = np.sqrt(np.diag(information))
    assert_allclose(
        observed / np.outer(scale, scale), information / np.outer(scale, scale), atol=0.3
    )


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.003, 0.02])
@pytest.mark.parametrize("sigma", [0.8, 1.5])
def test_noise_and_width_are_found(sigma, noise):
    blur = psf.gaussian(2 * round(4 * sigma) + 1, sigma)
    frames, shifts = burst(photograph("astronaut", 240), blur, 2, noise, 12)
    spectra = Spectra(frames, (2, 2), shifts)
    given = given_blur(spectra, "mean", blur)
    assert_allclose(given.noise, noise**2, rtol=0.05)
    _, free = fit_blur(spectra, "mean")
    assert_allclose(np.exp(free.parameters[0]), sigma, rtol=0.15)
    assert free.cost <= given.cost + 0.01


def test_what_no_optics_let_through_is_an_error():
    """An image that frames have in common up to the highest frequencies."""
    scene = photograph("camera", 200)
    blur = psf.gaussian(13, 1.6)
    frames, shifts = burst(scene, blur, 2, 0.01, 12)
    clean = given_blur(Spectra(frames, (2, 2), shifts), "mean", blur)
    pattern = 0.05 * np.random.default_rng(1).standard_normal(scene.shape)
    more, _ = burst(scene + pattern, np.ones((1, 1)), 2, 0.0, 12)
    less, _ = burst(scene, np.ones((1, 1)), 2, 0.0, 12)
    spoilt = given_blur(Spectra(frames + more - less, (2, 2), shifts), "mean", blur)
    assert spoilt.floor.mean() > 20 * clean.floor.mean()


@pytest.mark.parametrize("level", [1e-3, 1.0])
def test_quiet_noise(level):
    rng = np.random.default_rng(0)
    flat = level * rng.standard_normal((200, 200))
    assert_allclose(quiet_noise(flat), level, rtol=0.1)
    textured = flat.copy()
    textured[:, 60:] += 50 * level * rng.standard_normal((200, 140))
    assert_allclose(quiet_noise(textured), level, rtol=0.15)
    saturated = flat.copy()
    saturated[:120] = 0
    assert_allclose(quiet_noise(saturated), level, rtol=0.3)
    masked = textured.copy()
    masked[:, 60:] = np.nan
    assert_allclose(quiet_noise(masked, np.isfinite(masked)), level, rtol=0.15)
    assert quiet_noise(np.ones((1, 9))) == 0


def test_noise_beside_masked_pixels_is_not_judged():
    """Differences reach over a masked row into the parts on both sides of it."""
    rng = np.random.default_rng(0)
    image = 100 + rng.standard_normal((26, 66))
    mask = np.ones(image.shape)
    mask[9] = 0  # the first row of the second of three parts
    assert_allclose(quiet_noise(image, mask), quiet_noise(image[17:]), rtol=0.3)
    assert quiet_noise(image[:18], mask[:18]) == 0


def counted(name):
    """A scene that has been blurred, a mean of one."""
    if name == "stars":
        scene = np.full((192, 192), 0.02)
        at = np.random.default_rng(5).integers(0, 192, (2, 40))
        np.add.at(scene, tuple(at), np.random.default_rng(6).exponential(5, 40))
    else:
        scene = photograph(name, 192)
    scene = gaussian_filter(scene, 1.0)
    return scene / scene.mean()


@pytest.mark.parametrize("name", ["camera", "astronaut", "coffee", "coins", "stars"])
def test_noise_that_grows_with_the_brightness(name):
    """Of photons about the mean count; where noise is the same all over nothing grows."""
    scene, rng = counted(name), np.random.default_rng(0)
    for mean in (10, 1000):
        counts = rng.poisson(mean * scene)
        noise = growing_noise(counts.astype(float))
        assert 0.65 * mean < noise.variance < 1.15 * mean
        if noise.growing:
            assert_allclose(noise.at(mean * scene).mean(), noise.variance, rtol=0.06)
        even = growing_noise(scene + 0.03 * rng.standard_normal(scene.shape))
        assert even.growing == 0
        assert_allclose(np.sqrt(even.variance), 0.03, rtol=0.1)
    assert growing_noise(np.full((40, 40), 3.0)) == (0, 0, 3)
    assert growing_noise(np.ones((2, 2))) == (0, 0, 0)
