"""The choice of beta: near the best of a sweep, and never noise."""

import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
from bursts import burst, photograph, quality
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter

from dhop import DHOperator, cautions, psf, super_resolve
from dhop.frames import masks
from dhop.frames.scene import Scene
from dhop.frames.spectra import Spectra
from dhop.psf.estimation import fit_blur, given_blur
from dhop.reconstruction.psf_mismatch import LIMIT, doubt
from dhop.selection import SpectralSolver, choose_beta

BLUR = psf.gaussian(9, 1.0)


def rms(image, truth):
    return float(np.sqrt(np.mean((image - truth) ** 2)))


def best_of(frames, blur, factor, truth, betas, **options):
    return min(
        rms(super_resolve(frames, blur, factor, beta=b, **options).image, truth) for b in betas
    )


def curves_of(frames, shifts, rules, noise=None, weights=None):
    """One of each rule, of one model of the scene, whose fit takes the time."""
    spectra = Spectra(frames, (2, 2), shifts, weights)
    scene = given_blur(spectra, "mean", BLUR)
    transfers = spectra.transfer(BLUR) * spectra.pixels("mean")
    scenes = [(1.0, scene)]
    return [choose_beta(spectra, transfers, scenes, "laplacian", rule, noise) for rule in rules]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noise", "factor", "regulariser"),
    [
        (0.003, 2, "laplacian"),
        (0.03, 2, "gradient"),
        pytest.param(0.01, 4, "laplacian", marks=pytest.mark.fuzz),
    ],
)
def test_near_the_best_of_a_sweep(noise, factor, regulariser):
    scene = photograph("camera", 96)
    frames, shifts = burst(scene, BLUR, factor, noise, 8)
    options = {"shifts": shifts, "rtol": 1e-4, "regulariser": regulariser}
    sweep = [
        quality(super_resolve(frames, BLUR, factor, beta=beta, **options).image, scene)
        for beta in np.logspace(-4, 0, 9)
    ]
    chosen = super_resolve(frames, BLUR, factor, beta="auto", **options)
    assert quality(chosen.image, scene) > max(sweep) - 0.3
    assert chosen.beta == chosen.beta_curve.beta
    assert chosen.beta_curve.settled
    for rule in ("gcv", "lcurve"):
        found = super_resolve(frames, BLUR, factor, beta=rule, **options)
        assert quality(found.image, scene) > max(sweep) - 3


@pytest.mark.parametrize("noise", [1e-6, 1e3])
def test_no_rule_costs_more_than_twice_the_least_error(noise):
    """What a senseless noise asks for, nothing or all, is not given."""
    frames, shifts = burst(photograph("camera", 160), BLUR, 2, 0.01, 8)
    (curve,) = curves_of(frames, shifts, ["discrepancy"], noise)
    (chosen,) = curve.errors[curve.betas == curve.beta]
    assert_allclose(chosen, 2 * curve.errors.min(), rtol=0.03)
    assert not curve.settled


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.001])
@pytest.mark.parametrize("scene", ["bump", "waves"])
def test_smooth_scenes_do_not_contradict_the_psf(scene, noise):
    """What little they show of high frequencies is what windows make of low ones."""
    n = np.arange(48)
    image = np.outer(np.hanning(48), np.hanning(48))
    if scene == "waves":
        image = np.add.outer(np.sin(n / 8), np.cos(n / 12)) / 4
    frames, shifts = burst(image, BLUR, 2, noise, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = super_resolve(frames, BLUR, 2, shifts=shifts)
    assert rms(solution.image, image) < 0.005


@pytest.mark.slow
def test_masked_pixels_do_not_count():
    """A mask is what it fills in, and no smaller weight of the frame."""
    scene = photograph("camera", 160)
    frames, shifts = burst(scene, BLUR, 2, 0.01, 8)
    mask = (np.random.default_rng(0).random((80, 80)) > 0.1).astype(float)
    filled = np.stack([masks.filled(frame, mask) for frame in frames])
    rules = "auto", "gcv", "discrepancy"
    expected = curves_of(filled, shifts, rules, 0.01)
    for scale in (1, 4):
        root = np.sqrt(scale)
        found = curves_of(frames, shifts, rules, 0.01 * root, [scale * mask] * 8)
        for one, other in zip(found, expected, strict=True):
            assert_allclose(one.beta, scale * other.beta, rtol=1e-2)
            assert_allclose(one.residuals[0], root * other.residuals[0], rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize(("sigma", "noise"), [(1.0, 0.01), (1.2, 0.003), (2.0, 0.01)])
def test_one_frame(sigma, noise):
    """Fewer observations than unknowns: noise and scene are told apart by quiet parts."""
    scene = photograph("astronaut", 200)
    blur = psf.gaussian(2 * round(4 * sigma) + 1, sigma)
    frames, _ = burst(scene, blur, 2, noise, 1)
    sweep = [
        quality(super_resolve(frames, blur, 2, beta=beta).image, scene)
        for beta in np.logspace(-5, 0, 11)
    ]
    chosen = super_resolve(frames, blur, 2)
    assert quality(chosen.image, scene) > max(sweep) - 0.3


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
def test_a_smooth_scene_and_noisy_frames(noise):
    """Where far more smoothing is needed than elsewhere, up to frames of nothing but noise."""
    y, x = np.mgrid[:128, :128]
    scene = np.exp(-((y - 60) ** 2 + (x - 70) ** 2) / 800)
    blur = psf.gaussian(5, 1.0)
    A = DHOperator(scene.shape, blur, 2, decimation="mean", boundary="symmetric")
    frame = A.degrade(scene) + noise * np.random.default_rng(1).standard_normal(A.dimsd)
    best = best_of(frame, blur, 2, scene, 10.0 ** np.arange(-4, 6))
    assert rms(super_resolve(frame, blur, 2).image, scene) < 1.5 * best
    left = super_resolve(frame, blur, 2, beta="discrepancy", noise=noise)
    assert_allclose(left.residual_norm / 64, noise, rtol=0.1)


@pytest.mark.slow
def test_frames_that_wrap():
    rng = np.random.default_rng(0)
    scene = np.kron(rng.random((8, 8)), np.ones((16, 16)))
    blur = psf.gaussian(7, 1.2)
    frames, shifts = burst(scene, blur, 2, 0.003, 16, boundary="wrap")
    options = {"shifts": shifts, "boundary": "wrap"}
    best = best_of(frames, blur, 2, scene, (1e-4, 1e-3), **options)
    assert rms(super_resolve(frames, blur, 2, **options).image, scene) < 1.1 * best


@pytest.mark.slow
def test_copies_of_frames_say_nothing_new():
    rng = np.random.default_rng(0)
    scene = gaussian_filter(np.kron(rng.random((8, 8)), np.ones((16, 16))), 0.7)
    frames, shifts = burst(scene, BLUR, 2, 0.02, 4)
    once = super_resolve(frames, BLUR, 2, shifts=shifts)
    twice = super_resolve(np.repeat(frames, 2, 0), BLUR, 2, shifts=np.repeat(shifts, 2, 0))
    assert_allclose(twice.beta, 2 * once.beta, rtol=1e-3)
    assert_allclose(twice.image, once.image, atol=1e-4)


@pytest.mark.slow
def test_small_stamps():
    blur = psf.gaussian(17, 2.0)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        big = gaussian_filter(np.kron(rng.random((7, 7)), np.ones((8, 8))), 1)
        A = DHOperator(big.shape, blur, 2, decimation="mean", boundary="symmetric")
        frame = A.degrade(big)[10:18, 10:18] + 0.01 * rng.standard_normal((8, 8))
        truth = big[20:36, 20:36]
        best = best_of(frame, blur, 2, truth, 10.0 ** np.arange(-5, 3))
        assert rms(super_resolve(frame, blur, 2).image, truth) < 1.5 * best, seed


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [0.7, 1.4])
def test_a_wrong_psf_does_not_end_in_noise(wrong):
    scene = photograph("camera", 288)
    truth = scene[24:-24, 24:-24]
    frames, shifts = burst(scene, psf.gaussian(13, 1.5), 2, 0.01, 16, margin=24)
    given = psf.gaussian(2 * round(6 * wrong) + 1, 1.5 * wrong)
    with pytest.warns(cautions.PSFWarning, match=r"sigma 1\.[3-6]"):
        solution = super_resolve(frames, given, 2, shifts=shifts)
    enlarged = np.kron(frames[0], np.ones((2, 2)))
    assert quality(solution.image, truth) > quality(enlarged, truth)
    assert -0.5 < solution.image.min() < solution.image.max() < 1.5
    assert any("psf" in note for note in solution.notes)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0])
def test_a_single_frame_contradicts_a_wide_psf(sigma):
    """And where a rule believes the psf nevertheless, the image leaves the range of the frame."""
    frames, _ = burst(photograph("camera", 160), psf.gaussian(9, 1.0), 2, 0.003, 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        solution = super_resolve(frames[0], psf.gaussian(15, sigma), 2, beta="gcv")
    kinds = {warning.category for warning in caught}
    wide, beyond = {cautions.PSFWarning, cautions.BetaWarning}, {cautions.RangeWarning}
    assert kinds == {1.0: set(), 1.5: beyond, 2.0: wide | beyond}[sigma]
    assert [str(warning.message) for warning in caught] == solution.notes


@pytest.mark.slow
def test_frames_that_nearly_contradict_the_psf():
    """A little more of it or less changes little; beyond the limit the other model has its say."""
    frames, shifts = burst(photograph("camera", 96), psf.gaussian(13, 1.0), 2, 0.01, 8)
    spectra, blur = Spectra(frames, (2, 2), shifts), psf.gaussian(17, 1.2)
    given, (_, free) = given_blur(spectra, "mean", blur), fit_blur(spectra, "mean")
    transfers = spectra.transfer(blur) * spectra.pixels("mean")
    betas = []
    for excess in np.linspace(0.5, 2.5, 9) * LIMIT:
        part = doubt(replace(given, cost=free.cost + excess), free, 8)
        scenes = [(1 - part, given), (part, free)]
        betas.append(choose_beta(spectra, transfers, scenes, "laplacian", "auto").beta)
    steps = np.diff(np.log(betas))
    assert (steps > -0.02).all()
    assert steps.max() < np.log(2.5)
    assert np.log(betas[-1] / betas[0]) > 2 * steps.max()
    for part, scene in (0, given), (-1, free):
        alone = choose_beta(spectra, transfers, [(1.0, scene)], "laplacian", "auto").beta
        assert_allclose(betas[part], alone, rtol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_stars_rise_above_the_range_and_nothing_falls_below(sign):
    rng = np.random.default_rng(1)
    scene = np.zeros((96, 96))
    scene[tuple(rng.integers(8, 88, (2, 20)))] = sign * 20
    scene = 10 + gaussian_filter(scene, 1.0)
    A = DHOperator(scene.shape, BLUR, 2, decimation="mean", boundary="symmetric")
    frame = A.degrade(scene) + 0.003 * rng.standard_normal(A.dimsd)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        super_resolve(frame, BLUR, 2)
    assert [each.category for each in caught] == [cautions.RangeWarning] * (sign < 0)


@pytest.mark.slow
def test_point_sources_keep_their_light():
    """Stars have as much power at high frequencies as at low ones."""
    rng = np.random.default_rng(5)
    scene = np.zeros((160, 160))
    scene[tuple(rng.integers(8, 152, (2, 60)))] = rng.exponential(20, 60)
    scene = gaussian_filter(scene, 0.5)
    blur = psf.gaussian(15, 1.5)
    frames, shifts = burst(scene, blur, 2, 0.01, 16)
    best = best_of(frames, blur, 2, scene, 10.0 ** np.arange(-6, 0), shifts=shifts, rtol=1e-4)
    assert rms(super_resolve(frames, blur, 2, shifts=shifts).image, scene) < 1.1 * best


@pytest.mark.slow
def test_discrepancy_leaves_the_noise():
    frames, shifts = burst(photograph("camera", 160), BLUR, 2, 0.02, 8)
    options = {"shifts": shifts, "beta": "discrepancy"}
    solution = super_resolve(frames, BLUR, 2, noise=0.02, **options)
    inner = solution.residuals()[:, 6:-6, 6:-6]
    assert_allclose(np.sqrt(np.mean(inner**2)), 0.02, rtol=0.03)
    # Weights scale the noise of a pixel of weight one.
    weights = np.full(len(frames), 4.0)
    again = super_resolve(frames, BLUR, 2, noise=0.04, weights=weights, **options)
    assert_allclose(again.beta, 4 * solution.beta, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [1e-6, 10.0])
def test_a_noise_that_cannot_be(noise):
    frames, shifts = burst(photograph("camera", 160), BLUR, 2, 0.02, 8)
    with pytest.warns(cautions.BetaWarning, match="discrepancy"):
        solution = super_resolve(
            frames, BLUR, 2, shifts=shifts, beta="discrepancy", noise=noise, rtol=1e-3
        )
    assert not solution.beta_curve.settled
    assert -0.5 < solution.image.min() < solution.image.max() < 1.5


@pytest.mark.slow
def test_does_not_depend_on_the_scale():
    frames, shifts = burst(photograph("camera", 160), BLUR, 2, 0.02, 8)
    rules = "auto", "gcv", "lcurve"
    one, two, three = (
        [curve.beta for curve in curves_of(scale * frames, shifts, rules)]
        for scale in (1, 1e4, 1e-22)
    )
    assert_allclose(two, one, rtol=1e-2)
    assert_allclose(three, one, rtol=1e-2)


def test_masked_pixels():
    frames, shifts = burst(photograph("camera", 160), BLUR, 2, 0.02, 8)
    maps = np.ones(frames.shape)
    maps[:, 10:13, 20:24] = 0
    (whole,) = curves_of(frames, shifts, ["auto"])
    spoilt = np.where(maps == 0, np.nan, frames)
    (found,) = curves_of(spoilt, shifts, ["auto"], weights=list(maps))
    assert_allclose(found.beta, whole.beta, rtol=0.3)


def test_curve():
    frames, shifts = burst(photograph("camera", 160), BLUR, 2, 0.02, 8)
    for curve in curves_of(frames, shifts, ["auto", "gcv", "lcurve"]):
        assert (np.diff(curve.betas) > 0).all()
        assert len(curve.betas) == len(curve.scores) == len(curve.residuals) == len(curve.errors)
        assert (np.diff(curve.residuals) > -1e-9).all()
        assert curve.betas[0] < curve.beta < curve.betas[-1]


@pytest.mark.parametrize("count", [3, 6])  # fewer frames than aliases, and more
def test_terms_are_those_of_the_problem(count):
    """Residual, penalty and trace against dense matrices, of frames that wrap without a window."""
    rng = np.random.default_rng(0)
    frames, shifts = rng.random((count, 12, 12)), rng.uniform(-0.5, 0.5, (count, 2))
    spectra = Spectra(frames, (2, 2), shifts)
    transfers = spectra.transfer(BLUR) * spectra.pixels("mean")
    solver = SpectralSolver(spectra, transfers, "laplacian")
    penalty = np.abs(spectra.transfer(np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]))) ** 2
    residual = size = taken = 0.0
    for c in range(len(spectra.phases)):
        T = spectra.phases[c] * transfers[c]
        hat = np.linalg.solve(T.conj().T @ T + 0.1 * np.diag(penalty[c]), T.conj().T)
        y = spectra.values[0, c]
        x = hat @ y
        residual += np.sum(np.abs(y - T @ x) ** 2) / count
        size += np.mean(penalty[c] * np.abs(x) ** 2)
        taken += np.trace(hat @ T).real / count
    each = np.array([residual, size, taken]) / len(spectra.phases)
    assert_allclose(solver.terms(0.1), [*each[:2], 1 - each[2]])


def test_copies_of_frames_are_as_many_observations():
    """Of the same image, and of the same mean square residual."""
    rng = np.random.default_rng(0)
    frames, shifts = rng.random((3, 12, 12)), np.array([[0, 0], [0.3, -0.2], [-0.4, 0.1]])
    terms = []
    for count in (1, 2):
        spectra = Spectra(np.repeat(frames, count, 0), (2, 2), np.repeat(shifts, count, 0))
        transfers = spectra.transfer(BLUR) * spectra.pixels("mean")
        terms.append(SpectralSolver(spectra, transfers, "laplacian").terms(0.1 * count))
    (residual, size, free), twice = terms
    assert_allclose(twice, [residual, size, 1 - (1 - free) / 2])


@pytest.mark.parametrize("count", [3, 6])  # fewer frames than aliases, and more
def test_the_expected_error_is_that_of_the_model(count):
    """Of the scene, of what no optics let through, and of noise, each against dense matrices."""
    rng = np.random.default_rng(0)
    frames, shifts = rng.random((count, 12, 12)), rng.uniform(-0.5, 0.5, (count, 2))
    spectra = Spectra(frames, (2, 2), shifts)
    pixels = spectra.pixels("mean")
    transfers = spectra.transfer(BLUR) * pixels
    solver = SpectralSolver(spectra, transfers, "laplacian")
    penalty = np.abs(spectra.transfer(np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]))) ** 2
    transfer = spectra.transfer(psf.gaussian(7, 1.3)) * pixels  # of other optics
    floor, power = rng.random((2, *transfer.shape))
    for given in ((power, 0 * floor, 0.0), (0 * power, floor, 0.0), (0 * power, 0 * floor, 0.7)):
        scene = Scene(given[2], given[1], given[0], transfer, 1.5, np.zeros(1), 0.0)
        expected = 0.0
        for c, E in enumerate(spectra.phases):
            T = E * transfers[c]
            R = np.linalg.solve(T.conj().T @ T + 0.1 * np.diag(penalty[c]), T.conj().T)
            wrong = R @ E @ np.diag(transfer[c]) - np.eye(T.shape[1])
            covariance = E @ np.diag(given[1][c]) @ E.conj().T + given[2] * np.eye(len(E))
            expected += np.trace(wrong @ np.diag(given[0][c]) @ wrong.conj().T).real
            expected += np.trace(R @ covariance @ R.conj().T).real
        assert_allclose(solver.error(0.1, scene), expected / penalty.size)


@pytest.mark.filterwarnings("ignore::dhop.cautions.Caution")
def test_next_to_nothing_to_choose_from():
    for shape in ((1, 1), (2, 3), (5, 1)):
        for rule in ("auto", "gcv", "lcurve"):
            frame = np.random.default_rng(0).random(shape)
            solution = super_resolve(frame, np.ones((3, 3)) / 9, 2, beta=rule)
            assert np.isfinite(solution.image).all()
    shifts = [(0, 0), (0.3, -0.2), (-0.4, 0.1)]
    for shape in ((1, 9), (2, 5)):
        frames = np.random.default_rng(0).random((3, *shape))
        assert np.isfinite(super_resolve(frames, BLUR, 2, shifts=shifts).image).all()
    assert_allclose(super_resolve(np.ones((16, 16)), BLUR, 2).image, 1, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::dhop.cautions.Caution")
@pytest.mark.parametrize(("count", "factor"), [(1, 24), (3, 16)])
def test_large_factors_take_no_more_memory_than_an_image(count, factor):
    """A system for each class of aliases took a hundred gigabytes at a factor of 100."""
    rng = np.random.default_rng(0)
    frames = np.kron(rng.random((4, 4)), np.ones((4, 4))) + 0.01 * rng.random((count, 16, 16))
    blur = psf.gaussian(2 * factor + 1, factor / 2.355)
    tracemalloc.start()
    given = {"shifts": rng.uniform(-0.5, 0.5, (count, 2)), "maxiter": 2}
    solution = super_resolve(frames, blur, factor, **given)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < (20 + 20 * count) * solution.image.nbytes
    assert np.isfinite(solution.image).all()
