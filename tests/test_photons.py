"""Frames of photon counts, against dense matrices and simulated counts."""

import warnings
from itertools import islice
from types import SimpleNamespace

import numpy as np
import oracle
import pytest
from bursts import burst, photograph
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize
from scipy.special import xlogy

from dhop import psf, super_resolve
from dhop.cautions import CountWarning, PSFWarning
from dhop.closed.masked import MaskedEquations
from dhop.iteration.richardson_lucy import richardson_lucy
from dhop.psf.stencils import stencils
from dhop.reconstruction import variational
from dhop.reconstruction.photon_noise import deviance

BLUR = psf.gaussian((3, 5), (0.8, 1.1))
LUCY = {"loss": "poisson", "solver": "richardson-lucy"}


def counts(peak=200, background=5.0, count=1, factor=1, seed=0, name="camera", size=96):
    """Photon counts of a photograph, its shifts, and the photograph in photons."""
    scene = photograph(name, size) * peak
    blur = psf.gaussian(9, 1.4)
    clean, shifts = burst(scene, blur, factor, 0.0, count, seed=1)
    drawn = np.random.default_rng(seed).poisson(clean.clip(0) + background)
    return drawn.astype(float), shifts, scene, blur


def error(image, scene):
    return np.sqrt(np.mean((image - scene)[8:-8, 8:-8] ** 2))


@pytest.mark.parametrize("decimation", ["sum", "mean", "sample"])
@pytest.mark.parametrize("boundary", ["constant", "reflect", "wrap"])
def test_richardson_lucy_is_the_formula(boundary, decimation):
    """Six steps: borders, masks, frames, gain, background."""
    rng = np.random.default_rng(0)
    frames = rng.poisson(9.0, (2, 4, 5)) * 3.0
    weights = rng.integers(0, 2, frames.shape).astype(float)
    back = rng.random((4, 5)) * 3
    centers = [(1, 2), (0, 3)]
    A = np.vstack([
        oracle.matrix((8, 10), BLUR, 2, center=c, boundary=boundary, decimation=decimation)
        for c in centers
    ])  # fmt: skip
    x0 = rng.random((8, 10)) + 0.5
    images = []
    frames[weights == 0] = np.nan
    super_resolve(
        frames, BLUR, 2, shifts=[(0, 0), (0.5, -0.5)], weights=weights, background=back, gain=3.0,
        boundary=boundary, decimation=decimation, x0=x0, maxiter=6, rtol=0.0, read_noise=1.5,
        callback=lambda step: images.append(step.image.ravel().copy()), **LUCY,
    )  # fmt: skip
    w = weights.ravel()
    n = np.where(w > 0, frames.ravel() / 3, 0) + 0.25
    b = np.tile(back.ravel(), 2) / 3 + 0.25
    sums = A.T @ w

    def loss(x):
        m = A @ x / 3 + b
        return np.sum(w * (m - n + xlogy(n, n / m)))

    x, last, age = x0.ravel(), None, 0
    for image in images:
        m = A @ x / 3 + b
        ratio = A.T @ (w * n / m)
        plain = np.where(sums > 0, x * ratio / np.where(sums > 0, sums, 1), x)
        new, age = plain, age + 1
        if last is not None:
            far = x + 2 * (plain - x) + (age - 2) / (age + 1) * last
            far = np.maximum(far, 0.8 * plain)
            new, age = (far, age) if loss(far) <= loss(x) else (plain, 1)
        assert_allclose(image, new, rtol=1e-8)
        x, last = new, new - x
    assert len(images) == 6


def test_photons_are_kept():
    """Without a background what an image sends to the frames is what they have counted."""
    rng = np.random.default_rng(0)
    frames = rng.poisson(9.0, (8, 10)).astype(float)
    image = super_resolve(
        frames, BLUR, 2, decimation="sum", boundary="constant", rtol=0.0, maxiter=80, **LUCY
    ).image
    A = oracle.matrix((16, 20), BLUR, 2, boundary="constant")
    assert_allclose((A @ image.ravel()).sum(), frames.sum(), rtol=3e-4)


@pytest.mark.parametrize("gain", [1e-25, 1e21])
def test_gains_whose_squares_single_precision_cannot_hold(gain):
    frames = np.random.default_rng(0).poisson(50.0, (8, 10)).astype(np.float32)
    settings = {"loss": "poisson", "gain": gain, "beta": 0.01, "maxiter": 5}
    image = super_resolve(frames, BLUR, 1, **settings).image
    assert np.isfinite(image).all()


def test_loss_falls_and_the_rule_stops_near_the_best():
    frames, shifts, scene, blur = counts(count=3, factor=2)
    errors = []
    solution = super_resolve(
        frames, blur, 2, shifts=shifts, background=5.0,
        callback=lambda step: errors.append(error(step.image, scene)), **LUCY,
    )  # fmt: skip
    assert solution.converged
    assert solution.beta == 0
    assert solution.image.min() >= 0
    losses = [step.loss for step in solution.history]
    assert (np.diff(losses) <= 0).all()
    assert abs(losses[-1] / frames.size - 1) < 0.08
    more = []
    super_resolve(
        frames, blur, 2, shifts=shifts, background=5.0, x0=solution.image, maxiter=1,
        callback=lambda step: more.append(error(step.image, scene)), **LUCY,
    )  # fmt: skip
    assert error(solution.image, scene) < 1.1 * min(errors + more)


def test_acceleration_halves_the_iterations():
    """Against the plain iteration, to the same loss."""
    frames, _, _, blur = counts(peak=2000, size=64)
    solution = super_resolve(frames, blur, 1, background=5.0, **LUCY)
    A = solution.operator.operators[0]
    x = np.full(A.shape[1], float(np.mean(frames - 5)))
    sums, n = A.rmatvec(np.ones(A.shape[0])), frames.ravel()
    taken = 0
    while taken < 200:
        taken += 1
        x *= A.rmatvec(n / (A.matvec(x) + 5)) / sums
        m = A.matvec(x) + 5
        if 2 * np.sum(m - n + n * np.log(n / m)) <= solution.history[-1].loss:
            break
    assert solution.converged
    assert 3 < solution.iterations < 0.6 * taken


def test_without_a_tolerance_it_goes_on():
    frames, _, _, blur = counts(peak=300, size=64)
    known = {"background": 5.0, **LUCY}
    solution = super_resolve(frames, blur, 1, **known)
    on = super_resolve(frames, blur, 1, rtol=0.0, maxiter=solution.iterations + 2, **known)
    assert solution.converged
    assert on.iterations == solution.iterations + 2
    assert on.history[-1].loss < solution.history[-1].loss
    assert not on.converged


def test_the_plain_step_where_the_loss_is_larger():
    """Iterations far beyond what the noise allows, on a matrix and few photons."""
    rng = np.random.default_rng(3)
    A = rng.random((12, 10)) ** 8
    n = rng.poisson(2.0, 12).astype(float)

    def look(x):
        m = A @ x + 1e-3
        value = 2 * np.sum(m - n + xlogy(n, n / m))
        return SimpleNamespace(value=value, residual=A.T @ (n / m - 1))

    iterates = richardson_lucy(look, 1 / A.sum(axis=0), np.ones(10))
    values = [view.value for _, view in islice(iterates, 400)]
    assert (np.diff(values) <= 1e-12).all()
    least = minimize(
        lambda x: look(x).value, np.ones(10), jac=lambda x: -2 * look(x).residual,
        bounds=[(0, None)] * 10, options={"ftol": 1e-14, "gtol": 1e-9},
    )  # fmt: skip
    assert values[-1] < least.fun + 0.01


@pytest.mark.parametrize("mean", [0.02, 0.5, 3.0, 40.0, 1000.0])
def test_expected_deviance(mean):
    n = np.random.default_rng(0).poisson(mean, 400_000)
    losses = 2 * (mean - n + n * np.log(np.maximum(n, 1) / mean))
    spread = losses.std() / np.sqrt(n.size)
    assert abs(deviance(np.array([mean]))[0] - losses.mean()) < 5 * spread + 1e-3


@pytest.mark.slow
def test_the_dark_is_not_outshone():
    """Beside a bright half, whose noise is that of thousands of photons, the dark one is better."""
    scene = photograph("camera", 96) * np.where(np.arange(96) < 48, 5000, 20)
    blur = psf.gaussian(9, 1.0)
    clean, shifts = burst(scene, blur, 2, 0.0, 4, seed=1)
    frames = np.random.default_rng(0).poisson(clean.clip(0) + 1).astype(float)
    known = {"shifts": shifts, "rtol": 1e-4}
    squares = super_resolve(frames - 1, blur, 2, **known).image
    likely = super_resolve(frames, blur, 2, loss="poisson", background=1.0, **known)
    assert likely.converged
    assert likely.solver == "quasi-newton"
    dark = (slice(8, -8), slice(56, -8))
    errors = [np.sqrt(np.mean((image - scene)[dark] ** 2)) for image in (likely.image, squares)]
    assert errors[0] < 0.97 * errors[1]


@pytest.mark.parametrize("solver", ["auto", "richardson-lucy"])
def test_the_unit_of_the_frames(solver):
    """Frames in another unit, with the gain in it, give the image in it."""
    frames, shifts, _, blur = counts(count=2, factor=2, size=64)
    about = {"shifts": shifts, "loss": "poisson", "solver": solver, "read_noise": 1.0, "rtol": 1e-8}
    one = super_resolve(frames, blur, 2, background=5.0, **about)
    about["read_noise"] = 7.0
    other = super_resolve(7 * frames, blur, 2, background=35.0, gain=7.0, **about)
    assert_allclose(other.image, 7 * one.image, rtol=0, atol=1e-3 * one.image.max() * 7)


def test_maps_channels_and_masks():
    frames, shifts, _, blur = counts(count=2, factor=2, size=64)
    back = np.linspace(4, 6, 32) * np.ones((32, 1))
    colours = np.stack([frames, frames[:, ::-1]], axis=-1)
    weights = np.ones(frames.shape)
    weights[1, 3, 4] = 0
    colours[1, 3, 4] = np.nan
    about = {"shifts": shifts, "loss": "poisson", "weights": weights, "beta": 0.01, "rtol": 1e-9}
    both = super_resolve(
        colours, blur, 2, channel_axis=-1, background=np.stack([back, back + 1], -1), **about
    )
    assert both.image.shape == (64, 64, 2)
    for k, more in ((0, 0), (1, 1)):
        alone = super_resolve(colours[..., k], blur, 2, background=back + more, **about)
        assert_allclose(both.image[..., k], alone.image, rtol=0, atol=0.05)
    each = super_resolve(colours[..., 0], blur, 2, background=np.stack([back, back]), **about)
    assert_array_equal(each.image, super_resolve(colours[..., 0], blur, 2, background=back,
                                                 **about).image)  # fmt: skip


def test_residuals_are_standardised():
    frames, shifts, _, blur = counts(count=3, factor=2)
    solution = super_resolve(frames, blur, 2, shifts=shifts, loss="poisson", background=5.0)
    assert 0.8 < solution.residuals().std() < 1.1
    assert_allclose(np.linalg.norm(solution.residuals()), solution.residual_norm, rtol=1e-6)
    assert solution.weights is None


def test_dark_frames():
    for solver in ("auto", "richardson-lucy"):
        solution = super_resolve(
            np.zeros((2, 8, 8)), BLUR, 2, loss="poisson", solver=solver, beta=0, maxiter=50
        )
        assert 0 <= solution.image.max() < 0.2


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"background": -1.0}, "background must not be negative"),
        ({"background": np.ones(3)}, "background must be a number"),
        ({"background": np.nan}, "finite"),
        ({"gain": 0.0}, "gain must be positive"),
        ({"read_noise": -1.0}, "read_noise"),
        ({"photometry": "gain"}, "photometry"),
        ({"bounds": (-2.0, -1.0)}, "negative"),
        ({"bounds": (-1.0, 9.0)}, "allow negative values"),
        ({"solver": "richardson-lucy", "beta": 0.1}, "no prior"),
        ({"solver": "richardson-lucy", "regulariser": "tv"}, "without a prior"),
        ({"solver": "richardson-lucy", "bounds": (0, 5)}, "bounds"),
        ({"solver": "reweighted"}, "quasi-newton"),
        ({"solver": "cg"}, 'is for loss="gaussian"'),
        ({"threshold": 1.0}, "huber"),
        ({"loss": "gaussian", "background": 1.0}, "poisson"),
        ({"loss": "huber", "gain": 2.0}, "poisson"),
        ({"loss": "gaussian", "solver": "richardson-lucy"}, "other losses"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(ValueError, match=match):
        super_resolve(np.ones((2, 8, 8)), BLUR, 2, **{"loss": "poisson", **options})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_background_that_was_subtracted(dtype):
    """Is told from read-out noise, from a background that is given, and from what is masked."""
    frames = counts(peak=5, background=40.0, size=64)[0].astype(dtype)
    quick = {"loss": "poisson", "beta": 0.1, "maxiter": 1}
    with pytest.warns(CountWarning, match=r"of 4096 pixels are negative, .*background= instead"):
        solution = super_resolve(frames - dtype(40), BLUR, 1, **quick)
    assert any("negative" in note for note in solution.notes)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CountWarning)
        super_resolve(frames, BLUR, 1, background=40.1, **quick)
        super_resolve(frames - dtype(40), BLUR, 1, read_noise=6.5, **quick)
        masked = np.where(frames < 40, 0.0, 1.0)
        super_resolve(frames - dtype(40), BLUR, 1, weights=[masked[0]], **quick)
    with pytest.raises(ValueError, match="background= instead"):
        super_resolve(frames - dtype(60), BLUR, 1, **quick)


@pytest.mark.parametrize("boundary", ["reflect", "edge"])
def test_the_minimum_of_block_sums(boundary):
    """Where an inverse of most of the equations leads up along the bounds; masked, on a matrix."""
    rng = np.random.default_rng(1)
    about = {"boundary": boundary, "decimation": "sum"}
    A = np.vstack([oracle.matrix((8, 10), BLUR, 2, **about)] * 3)
    scene = 0.2 * rng.random((8, 10))
    scene[2:5, 2:6] += 1
    n = rng.poisson((A @ scene.ravel() + 0.3) / 0.05) + 4.0
    w = rng.integers(1, 3, n.size) * (rng.random(n.size) > 0.15)
    S = np.vstack([oracle.matrix((8, 10), s, 1, boundary=boundary) for s in stencils("laplacian")])

    def cost(x):
        m, bent = (A @ x + 0.3) / 0.05 + 4, S @ x
        value = 2 * np.sum(w * (m - n + xlogy(n, n / m))) + 0.05 * bent @ bent
        return value, A.T @ (2 * w * (1 - n / m) / 0.05) + 0.1 * S.T @ bent

    least = minimize(
        cost, np.full(80, 0.3), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 80,
        options={"maxiter": 20000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-10},
    )  # fmt: skip
    frames = 0.05 * (n - 4).reshape(3, 4, 5)
    solution = super_resolve(
        frames, BLUR, 2, loss="poisson", background=0.3, gain=0.05, read_noise=0.1, beta=0.05,
        weights=w.reshape(frames.shape).astype(float), rtol=1e-9, maxiter=3000, **about,
    )  # fmt: skip
    assert solution.converged
    assert cost(solution.image.ravel())[0] <= least.fun * (1 + 1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("peak", [300, 5000])
def test_beta_of_one_frame(peak):
    """Noise is larger where it is bright than in quiet parts; a sweep is hardly better."""
    frames, _, scene, blur = counts(peak=peak, size=128)
    about = {"loss": "poisson", "background": 5.0, "rtol": 1e-4, "maxiter": 100}
    with warnings.catch_warnings():
        warnings.simplefilter("error", PSFWarning)
        chosen = super_resolve(frames, blur, 1, **about)
    others = [
        super_resolve(frames, blur, 1, beta=chosen.beta * 10.0**k, **about) for k in (-1, -0.5, 1)
    ]
    least = min(error(each.image, scene) for each in others)
    assert error(chosen.image, scene) < 1.05 * least
    assert error(chosen.image, scene) < 0.9 * error(frames[0] - 5.0, scene)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dark_without_a_background(dtype):
    """Of frames whose dark was clipped to zero, the minimum; steps that touch it come back."""
    frames = counts(peak=255, background=0.0)[0]
    frames = (frames - np.quantile(frames, 0.1)).clip(0).astype(dtype)
    blur = psf.gaussian(9, 1.4)
    solution = super_resolve(frames, blur, 1, loss="poisson", beta=0.01)
    assert solution.converged
    assert solution.iterations > 20
    A = solution.operator.operators[0]
    m = A.matvec(solution.image.ravel().astype(float))
    assert (m > 1e-3 * frames.ravel()).all()


@pytest.mark.slow
def test_beta_of_a_stack_that_is_hardly_deeper_than_its_psf():
    """A stack, whose planes are blurred across too; a sweep is hardly better."""
    rng = np.random.default_rng(0)
    shape = (24, 48, 48)
    places = np.indices(shape)
    scene = np.zeros(shape)
    for _ in range(30):
        middle, radius = [rng.uniform(0, n) for n in shape], rng.uniform(2, 7)
        squares = sum((p - c) ** 2 for p, c in zip(places, middle, strict=True))
        scene[squares < radius**2] += rng.uniform(20, 100)
    blur = psf.gaussian((13, 9, 9), (2.5, 1.3, 1.3))
    clean = gaussian_filter(scene, (2.5, 1.3, 1.3), mode="reflect", radius=(6, 4, 4))
    frames = rng.poisson(clean + 10.0).astype(np.float32)
    about = {"loss": "poisson", "background": 10.0, "rtol": 1e-3, "maxiter": 60}
    chosen = super_resolve(frames, blur, 1, **about)
    others = [super_resolve(frames, blur, 1, beta=chosen.beta * f, **about) for f in (0.1, 10)]
    least = min(error(each.image, scene) for each in others)
    assert error(chosen.image, scene) < least
    assert error(chosen.image, scene) < 0.8 * error(frames - 10, scene)


def test_beta_of_bright_frames():
    """Of so little noise that the likelihood's search comes where rounding is more."""
    frames, shifts, _, blur = counts(peak=5000, count=2, factor=2, size=128)
    about = {"shifts": shifts, "loss": "poisson", "background": 5.0, "maxiter": 1}
    assert super_resolve(frames, blur, 2, **about).beta > 0


@pytest.mark.parametrize("unit", [1e-3, 65535.0])
def test_beta_does_not_depend_on_the_unit(unit):
    """The same counts in another unit have other weights, by 10 or so orders of magnitude."""
    rng = np.random.default_rng(1)
    counts = 257.0 * rng.poisson(20 + 100 * np.outer(np.hanning(24), np.hanning(20)))
    blur = psf.gaussian(7, 1.0)
    settings = {"loss": "poisson", "maxiter": 1}
    expected = super_resolve(counts, blur, 2, background=2570.0, **settings)
    found = super_resolve(
        counts / unit, blur, 2, background=2570.0 / unit, gain=1 / unit, **settings
    )
    assert_allclose(found.beta / unit**2, expected.beta, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("regulariser", ["laplacian", "huber-tv"])
@pytest.mark.parametrize("peak", [100, 2000])
def test_squares_of_counts(peak, regulariser):
    """The quiet parts of a frame of photons are the dark ones; a sweep is hardly better."""
    frames, _, scene, blur = counts(peak=peak, background=0.0, size=128)
    about = {"regulariser": regulariser, "rtol": 1e-3}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = super_resolve(frames, blur, 1, **about)
    others = [super_resolve(frames, blur, 1, beta=chosen.beta * f, **about) for f in (0.2, 5)]
    least = min(error(each.image, scene) for each in others)
    assert error(chosen.image, scene) < 1.04 * least


def test_total_variation_of_few_photons(monkeypatch):
    """The inverse for a map of weights iterates in each step; weights that differ do without."""
    made = []
    inverse = MaskedEquations.inverse
    monkeypatch.setattr(
        MaskedEquations, "inverse", lambda *args, **more: made.append(1) or inverse(*args, **more)
    )
    frames, _, scene, blur = counts(peak=100, background=0.0, size=96)
    about = {"loss": "poisson", "regulariser": "huber-tv", "rtol": 1e-4}
    solution = super_resolve(frames, blur, 1, **about)
    assert solution.converged
    assert not made
    others = [super_resolve(frames, blur, 1, beta=solution.beta * f, **about) for f in (0.25, 4)]
    assert error(solution.image, scene) < 1.02 * min(error(each.image, scene) for each in others)


@pytest.mark.parametrize(("count", "told"), [(1, 2**20), (3, 2**20), (3, 64**2)])
def test_a_gain_that_the_noise_contradicts(monkeypatch, count, told):
    """Numbers of 8 bits that are no counts, and counts in another unit; or a part of them."""
    monkeypatch.setattr(variational, "ENOUGH", told)
    drawn, shifts, scene, blur = counts(peak=200, count=count, size=96)
    quick = {"loss": "poisson", "beta": 0.1, "maxiter": 1, "shifts": shifts}
    with pytest.warns(CountWarning, match="about 2[0-9] to a pixel") as caught:
        solution = super_resolve(25 * drawn, blur, 1, background=125.0, **quick)
    assert str(caught[0].message) in solution.notes
    quiet, _ = burst(scene, blur, 1, 1.0, count, seed=1)
    with pytest.warns(CountWarning, match="if they count no photons take another loss"):
        super_resolve(quiet.clip(0), blur, 1, **quick)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CountWarning)
        super_resolve(25 * drawn, blur, 1, background=125.0, gain=25.0, **quick)
        super_resolve(np.full((8, 8), 7.0), blur, 1, loss="poisson", beta=0.1, maxiter=1)


@pytest.mark.parametrize(("name", "size"), [("camera", 512), ("coffee", 384)])
def test_a_frame_of_8_bits(name, size):
    """It counts no photons; the image rings, and as that is not negative, upwards alone."""
    frame = np.rint(255 * photograph(name, size)[::4, ::4])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = super_resolve(frame, psf.gaussian(9, 0.7), 2, loss="poisson", rtol=1e-3)
    assert solution.image.max() < 1.7 * frame.max()


@pytest.mark.parametrize(("count", "factor"), [(1, 1), (3, 2)])
def test_counts_are_not_guarded(monkeypatch, count, factor):
    """The weight for frames that are what they are said to be is that of the least error."""
    frames, shifts, _, blur = counts(peak=300, count=count, factor=factor)
    about = {"shifts": shifts, "loss": "poisson", "background": 5.0, "maxiter": 1}
    guarded = super_resolve(frames, blur, factor, **about)
    monkeypatch.setattr("dhop.reconstruction.ranges.plausible", lambda posed, beta, span: beta)
    assert super_resolve(frames, blur, factor, **about).beta == guarded.beta
