"""How sure a solution is, against dense inverses."""

import dataclasses
import pickle
from fractions import Fraction

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.fft import idctn
from scipy.special import ndtr, ndtri

from dhop import cautions, psf, super_resolve
from dhop.psf.stencils import stencils
from dhop.reconstruction.posterior.covariance import Covariance
from dhop.reconstruction.posterior.probing import probed
from dhop.reconstruction.problem import Problem

DIMS = (24, 24)
GAUSS = psf.gaussian(7, 1.0)
SHIFTS = np.array([[0, 0], [0.3, -0.2], [-0.4, 0.1], [0.25, 0.45], [-0.1, -0.35]])


class Dense:
    """A solution and the dense matrices of its normal equations."""

    def __init__(
        self, *, count=1, boundary="symmetric", regulariser="laplacian", beta=0.01, blur=GAUSS,
        weights=None, factor=2, dims=DIMS, seed=0, **options,
    ):  # fmt: skip
        rng = np.random.default_rng(seed)
        shifts = SHIFTS[:count]
        self.matrices = []
        for move in shifts * factor:
            moved, center = psf.shift(blur, move)
            self.matrices.append(
                oracle.matrix(
                    dims, moved, factor, center=center, boundary=boundary, decimation="mean"
                )
            )
        low = tuple(n // factor for n in dims)
        self.weights = [
            np.broadcast_to(1.0 if weights is None else weights(rng, low), low).ravel()
            for _ in range(count)
        ]
        scene = np.add.outer(np.sin(np.arange(dims[0]) / 2), np.cos(np.arange(dims[1]) / 3)).ravel()
        self.frames = np.stack(
            [(A @ scene + 0.05 * rng.standard_normal(len(A))).reshape(low) for A in self.matrices]
        )
        self.beta = beta
        self.solution = super_resolve(
            self.frames, blur, factor, shifts=shifts, beta=beta, boundary=boundary,
            regulariser=regulariser,
            weights=None if weights is None else [w.reshape(low) for w in self.weights], **options,
        )  # fmt: skip
        self.data = sum(
            A.T @ (w[:, None] * A) for A, w in zip(self.matrices, self.weights, strict=True)
        )
        S = [oracle.matrix(dims, each, 1, boundary=boundary) for each in stencils(regulariser)]
        self.inverse = np.linalg.inv(self.data + beta * sum(each.T @ each for each in S))

    def deviation(self, what, noise):
        K = self.inverse
        covariance = K if what == "posterior" else K @ self.data @ K
        return noise * np.sqrt(covariance.diagonal()).reshape(self.solution.image.shape)


def maps(rng, shape):
    return rng.uniform(0.3, 3.0, shape)


def holes(rng, shape):
    seen = (rng.random(shape) > 0.05).astype(float)
    seen[2:5, 6:9] = 0
    return seen


CLOSED = {
    "wrap": {"boundary": "wrap", "count": 3},
    "wrap, one frame": {"boundary": "wrap"},
    "wrap, factor 3": {"boundary": "wrap", "factor": 3, "regulariser": "gradient"},
    "symmetric": {},
    "symmetric, factor 4": {"factor": 4, "regulariser": "identity"},
    "separable, reflect": {"boundary": "reflect", "regulariser": "identity"},
    "separable, constant": {"boundary": "constant", "regulariser": "identity", "factor": 3},
    "weights": {"boundary": "wrap", "count": 3, "weights": lambda rng, shape: rng.uniform(1, 9)},
}
PROBED = {
    "shifted": {"count": 4},
    "constant": {"count": 5, "boundary": "constant"},
    "reflect": {"count": 2, "boundary": "reflect", "regulariser": "gradient"},
    "maps": {"count": 4, "weights": maps},
    "holes": {"count": 4, "weights": holes},
    "holes that wrap": {"count": 3, "boundary": "wrap", "weights": holes},
    "one frame with holes": {"weights": holes},
    "wide blur": {"count": 5, "blur": psf.gaussian(13, 2.0), "beta": 0.3},
}


@pytest.mark.parametrize("what", ["posterior", "noise"])
@pytest.mark.parametrize("case", CLOSED)
def test_closed_forms(case, what):
    dense = Dense(**CLOSED[case])
    found, error = dense.solution.standard_deviation(0.3, what, return_error=True)
    assert_allclose(found, dense.deviation(what, 0.3), rtol=1e-8)
    assert error == 0


@pytest.mark.parametrize("what", ["posterior", "noise"])
@pytest.mark.parametrize("case", PROBED)
def test_probing(case, what):
    """It states its own error."""
    dense = Dense(**PROBED[case])
    found, error = dense.solution.standard_deviation(0.3, what, return_error=True)
    true = np.sqrt(np.mean((found / dense.deviation(what, 0.3) - 1) ** 2))
    assert true < 0.03
    assert true / 2 < error < max(2 * true, 0.003)


@pytest.mark.filterwarnings("ignore::dhop.cautions.ConvergenceWarning")
@pytest.mark.parametrize("what", ["posterior", "noise"])
@pytest.mark.parametrize("beta", [1e-6, pytest.param(1e-8, marks=pytest.mark.slow)])
def test_condition_numbers_of_millions(beta, what):
    """Iterations that hardly move are not at their end: deviations were half of what they are."""
    dense = Dense(count=3, boundary="reflect", beta=beta, blur=psf.gaussian(9, 1.5), dims=(12, 12))
    found, error = dense.solution.standard_deviation(0.3, what, return_error=True)
    true = np.sqrt(np.mean((found / dense.deviation(what, 0.3) - 1) ** 2))
    assert true < 1.5 * error
    assert error < 0.2


def test_rounding_that_hides_the_prior():
    """In single precision products cannot tell so small a weight of the prior from nothing."""
    blur, frames = psf.gaussian(9, 1.5), np.zeros((3, 4, 4), np.float32)
    given = {"shifts": SHIFTS[:3], "boundary": "reflect", "beta": 1e-9}
    solution = super_resolve(frames, blur, 2, **given)
    with pytest.warns(cautions.ConvergenceWarning, match="rounding|iterations"):
        error = solution.standard_deviation(1.0, return_error=True)[1]
    assert error > 0.1


@pytest.mark.parametrize("boundary", ["reflect", "edge"])
def test_pixels_that_no_frame_sees(boundary):
    """The first steps of iterations, without a preconditioner, do not reach them."""
    blur, dims = [[1.0], [2.0], [1.0]], (12, 8)
    frame = np.random.default_rng(0).random((6, 4))
    options = {"boundary": ("symmetric", boundary), "decimation": "sample"}
    solution = super_resolve(frame, blur, 2, beta=1.9, regulariser="gradient", **options)
    A = oracle.matrix(dims, np.array(blur) / 4, 2, **options)
    assert not A.any(axis=0).reshape(dims)[:, 1].any()
    rules = {"boundary": options["boundary"]}
    S = [oracle.matrix(dims, each, 1, **rules) for each in stencils("gradient")]
    K = np.linalg.inv(A.T @ A + 1.9 * sum(each.T @ each for each in S))
    for what, covariance in ("posterior", K), ("noise", K @ A.T @ A @ K):
        expected = np.sqrt(covariance.diagonal()).reshape(dims)
        assert_allclose(solution.standard_deviation(1.0, what), expected, rtol=0.04)


def test_more_probes_are_more_accurate():
    dense = Dense(count=2, beta=3.0, boundary="reflect")
    expected = dense.deviation("posterior", 1.0)
    errors = []
    for probes in (9, 36, 10**6):
        found, stated = dense.solution.standard_deviation(1.0, probes=probes, return_error=True)
        errors.append(np.sqrt(np.mean((found / expected - 1) ** 2)))
        assert errors[-1] / 2 < stated < max(2 * errors[-1], 0.003)
    assert errors[0] > 2 * errors[1]
    assert errors[1] > 1.5 * errors[2]


@pytest.mark.parametrize(("probes", "most"), [(64, 0.03), (9, 0.15)])
def test_rows_of_a_large_image_are_looked_at_together(probes, most):
    """Probing that knows of no closed form, against that."""
    frames = np.zeros((2, 144, 150))
    exact = super_resolve(frames, GAUSS, 2, shifts=SHIFTS[:2], beta=0.01, boundary="wrap")
    problem = Problem(exact.operator, frames, "laplacian", 0.01, "wrap")
    free = np.ones(exact.image.size, bool)
    found = probed(Covariance(problem, free), False, probes, np.random.default_rng(0))
    true = np.sqrt(np.mean((np.sqrt(found.values) / exact.standard_deviation(1.0) - 1) ** 2))
    assert true < most
    assert true / 2 < found.error / 2 < 2 * true
    assert probes == 64 or true > 0.03


@pytest.mark.slow
@pytest.mark.parametrize("what", ["posterior", "noise"])
def test_wide_gaps_have_the_deviations_of_samples(what):
    """No combs can tell them, and no pixel there is sure."""

    def gap(rng, shape):
        seen = np.ones(shape)
        seen[1:11, 1:10] = 0
        return seen

    dense = Dense(count=3, weights=gap)
    expected = dense.deviation(what, 0.3)
    found, error = dense.solution.standard_deviation(0.3, what, return_error=True)
    ratio = found / expected
    assert (ratio > 0.5).all()
    assert (ratio < 1.5).all()
    true = np.sqrt(np.mean((ratio - 1) ** 2))
    assert true < 0.12
    assert true / 2 < error < 2 * true


def test_it_is_the_same_again():
    solution = Dense(count=3).solution
    assert_array_equal(solution.standard_deviation(), solution.standard_deviation())


@pytest.mark.slow
@pytest.mark.parametrize("case", ["symmetric", "shifted", "holes", "reflect", "separable, reflect"])
@pytest.mark.parametrize("pixel", [(0, 0), (11, 14), (7, 15), (-1, 3)])
def test_rows(case, pixel):
    """Pixels on the border, aliased, and in a hole."""
    dense = Dense(**{**CLOSED, **PROBED}[case], rtol=1e-10)
    number = np.ravel_multi_index(np.mod(pixel, DIMS), DIMS)
    for found, expected in (
        (dense.solution.covariance(pixel, 0.3), 0.09 * dense.inverse[number]),
        (dense.solution.response(pixel), dense.inverse @ dense.data[:, number]),
    ):
        size = 1e-5 * abs(expected).max()
        assert_allclose(found, expected.reshape(DIMS), rtol=0, atol=size)


def width_by_fourier(sigma, beta):
    """Of the response of a Gaussian and the Laplacian, sampled a thousand times a pixel."""
    k = np.fft.fftfreq(512)
    reach = np.arange(-24, 25)
    blur = psf.gaussian(49, sigma)
    line = np.cos(2 * np.pi * np.outer(k, reach)) @ blur.sum(axis=0)
    squares = np.outer(line, line) ** 2
    roughness = (4 - 2 * np.cos(2 * np.pi * k)[:, None] - 2 * np.cos(2 * np.pi * k)) ** 2
    gain = (squares / (squares + beta * roughness)).sum(axis=0)
    x = np.arange(0, 20, 1e-3)
    profile = np.cos(2 * np.pi * np.outer(x, k)) @ gain
    return 2 * x[np.argmax(profile < profile[0] / 2)]


@pytest.mark.slow
@pytest.mark.parametrize(("sigma", "beta"), [(0.8, 1e-3), (1.5, 1e-4), (1.5, 1.0), (2.5, 0.1)])
def test_widths_of_a_gaussian_are_those_of_the_fourier_formula(sigma, beta):
    frame = np.zeros((64, 64))
    for boundary in ("wrap", "symmetric"):
        solution = super_resolve(
            frame, psf.gaussian(49, sigma), 1, beta=beta, boundary=boundary, center=24
        )
        found = solution.resolution(3)
        assert found.widths.shape == found.pixels.shape == (3, 3, 2)
        assert_allclose(found.widths[1, 1], width_by_fourier(sigma, beta), rtol=2e-3)
        assert_array_equal(found.pixels[:, 0, 0], [10, 32, 53])


def test_widths_tell_axes_places_and_channels_apart():
    frames = np.zeros((2, 16, 20, 3))
    weights = np.ones((2, 16, 20, 3))
    weights[:, 2:7, 2:7, 2] = 0
    solution = super_resolve(
        frames, psf.gaussian((5, 9), (0.7, 2.0)), 2, channel_axis=-1, beta=0.01,
        weights=list(weights), shifts=SHIFTS[:2],
    )  # fmt: skip
    found = solution.resolution((4, 2))
    assert found.widths.shape == (3, 4, 2, 2)
    assert_array_equal(found.pixels[1, 0], [12, 10])
    assert (found.widths[..., 1] > 1.4 * found.widths[..., 0])[:2].all()
    assert_array_equal(found.widths[0], found.widths[1])
    assert found.widths[2, 1, 0, 0] > 1.2 * found.widths[0, 1, 0, 0]  # in the hole
    assert_allclose(found.widths[2, 3], found.widths[0, 3], rtol=0.02)
    with pytest.raises(ValueError, match="one integer or 2"):
        solution.resolution((3, 3, 3))
    with pytest.raises(ValueError, match="grid must be positive"):
        solution.resolution(0)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["symmetric", "shifted", "holes", "reflect"])
def test_samples_have_the_covariance(case):
    dense = Dense(**{**CLOSED, **PROBED}[case])
    count = 400
    drawn = dense.solution.samples(count, noise=0.3, rng=7)
    assert drawn.shape == (count, *DIMS)
    centred = (drawn - dense.solution.image).reshape(count, -1) / 0.3
    root = np.linalg.cholesky(np.linalg.inv(dense.inverse))
    white = centred @ root  # independent and normal
    assert_allclose((white**2).mean(), 1, atol=4 * np.sqrt(2 / white.size))
    assert_allclose((white**2).mean(axis=0), 1, atol=5 * np.sqrt(2 / count))
    assert_allclose(white.mean(axis=0), 0, atol=5 / np.sqrt(count))
    off = (white.T @ white / count)[np.triu_indices(white.shape[1], 1)]
    assert_allclose(off.std(), 1 / np.sqrt(count), rtol=0.05)


def test_samples_are_those_of_the_seed():
    solution = Dense(count=3, weights=holes).solution
    three = solution.samples(3, rng=5)
    assert_array_equal(three, solution.samples(3, rng=np.random.default_rng(5)))
    assert_allclose(three[:2], solution.samples(2, rng=5), rtol=0, atol=1e-4)
    assert abs(three - solution.samples(3, rng=6)).max() > 0.01
    with pytest.raises(ValueError, match="n must be positive"):
        solution.samples(0)


def not_negative(mean, precision, chains=1000, sweeps=80):
    """Mean and deviation of a Gaussian without its negative part, by Gibbs' sampler."""
    rng = np.random.default_rng(0)
    x = np.tile(mean.clip(0), (chains, 1))
    pull = precision @ mean
    kept = []
    for sweep in range(sweeps):
        for i, own in enumerate(precision.diagonal()):
            middle = (pull[i] - x @ precision[i]) / own + x[:, i]
            z = np.sqrt(own) * middle
            x[:, i] = (z - ndtri((1 - rng.random(chains)) * ndtr(z))).clip(0) / np.sqrt(own)
        if sweep >= sweeps // 4:
            kept.append(x.copy())
    return np.mean(kept, axis=(0, 1)), np.std(kept, axis=(0, 1))


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "beta"), [(0.02, 0.05), (0.05, 0.2)])
def test_images_without_negative_values(noise, beta):
    """What is far above zero varies as the sampler says; what is at zero is held there."""
    dims, blur = (10, 10), psf.gaussian(3, 0.7)
    A = oracle.matrix(dims, blur, 1, boundary="symmetric")
    scene = np.full(dims, -0.1)
    scene[3:8, 2:7] = 1
    rng = np.random.default_rng(0)
    frame = (A @ scene.ravel() + noise * rng.standard_normal(100)).reshape(dims)
    given = {"beta": beta, "regulariser": "gradient", "rtol": 1e-9, "maxiter": 5000}
    solution = super_resolve(frame, blur, 1, nonnegative=True, **given)
    S = [oracle.matrix(dims, each, 1, boundary="symmetric") for each in stencils("gradient")]
    K = A.T @ A + beta * sum(each.T @ each for each in S)
    mean = np.linalg.solve(K, A.T @ frame.ravel())
    _, expected = not_negative(mean, K / noise**2)
    x = solution.image.ravel()
    found = solution.standard_deviation(noise).ravel()
    far = x > 4 * expected
    assert far.sum() > 20
    assert_allclose(found[far], expected[far], rtol=0.04)
    assert (found[x == 0] == 0).all()
    near = (x > 0) & ~far
    assert (found[near] > 0.95 * expected[near]).all()
    assert (found[near] < 2 * expected[near]).all()
    free = x > 0
    held = np.linalg.inv(K[np.ix_(free, free)])
    assert_allclose(found[free], noise * np.sqrt(held.diagonal()), rtol=0.03)
    drawn = solution.samples(500, noise=noise).reshape(500, -1)
    assert drawn.min() == 0
    assert not drawn[:, x == 0].any()
    assert_allclose(drawn[:, far].std(axis=0), expected[far], rtol=0.15)
    pixel = np.unravel_index(np.flatnonzero(far)[0], dims)
    row = noise**2 * held[np.flatnonzero(np.flatnonzero(free) == np.flatnonzero(far)[0])[0]]
    assert_allclose(solution.covariance(pixel, noise).ravel()[free], row, atol=1e-5 * row.max())


def test_an_image_of_zeros_does_not_vary():
    solution = super_resolve(-np.ones((12, 12)), GAUSS, 2, nonnegative=True, beta=0.1)
    assert not solution.image.any()
    assert not solution.standard_deviation(1.0).any()
    assert np.isnan(solution.resolution(2).widths).all()


@pytest.mark.slow
@pytest.mark.parametrize("case", ["symmetric", "shifted", "holes"])
def test_coverage(case):
    """Of scenes drawn from the prior 68.3 percent of the pixels are within a deviation."""
    dense = Dense(**{**CLOSED, **PROBED}[case])
    rng = np.random.default_rng(3)
    sigma, count = 0.05, 200
    waves = 2 - 2 * np.cos(np.pi * np.arange(24) / 24)
    strength = np.add.outer(waves, waves)
    strength[0, 0] = np.inf  # a constant is as likely as any other
    scenes = idctn(
        sigma / np.sqrt(dense.beta) * rng.standard_normal((count, *DIMS)) / strength,
        axes=(1, 2), norm="ortho",
    )  # fmt: skip
    frames = np.stack([scenes.reshape(count, -1) @ A.T for A in dense.matrices])
    frames += sigma * rng.standard_normal(frames.shape)
    frames = frames.reshape(len(frames), count, 12, 12)
    solution = super_resolve(
        frames, GAUSS, 2, channel_axis=1, shifts=SHIFTS[: len(frames)], beta=dense.beta,
        weights=[w.reshape(12, 12) for w in dense.weights],
    )  # fmt: skip
    for noise in (sigma, None):
        inside = abs(solution.image - scenes) < solution.standard_deviation(noise)
        assert_allclose(inside.mean(), 0.683, atol=0.02)


@pytest.mark.parametrize("case", ["symmetric", "shifted", "holes"])
def test_the_noise_is_that_of_the_residuals(case):
    """Without data of weight zero; degrees of freedom are the trace of `K^-1 N`."""
    dense = Dense(**{**CLOSED, **PROBED}[case])
    used = np.trace(dense.inverse @ dense.data)
    seen = sum(int((w > 0).sum()) for w in dense.weights)
    noise = dense.solution.residual_norm / np.sqrt(seen - used)
    ratio = dense.solution.standard_deviation() / dense.solution.standard_deviation(1.0)
    assert_allclose(ratio, noise, rtol=0.05)
    assert_allclose(noise, 0.05, rtol=0.35)


def test_channels():
    """Each has its own weights, PSFs and place; those that are alike are computed once."""
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((2, 12, 12, 3))
    weights = np.ones((2, 12, 12, 3))
    weights[:, 3:6, 2:5, 1] = 0
    whole = super_resolve(
        frames, GAUSS, 2, channel_axis=-1, weights=list(weights), beta=0.1, shifts=SHIFTS[:2]
    )
    deviation = whole.standard_deviation(0.5)
    assert deviation.shape == whole.image.shape == (24, 24, 3)
    assert_array_equal(deviation[..., 0], deviation[..., 2])
    assert (deviation[7:11, 5:9, 1] > 1.3 * deviation[7:11, 5:9, 0]).all()
    covariance = whole.covariance((5, 6, 1), 0.5)
    assert not covariance[..., [0, 2]].any()
    assert_allclose(covariance[5, 6, 1], deviation[5, 6, 1] ** 2, rtol=0.1)
    for channel in range(3):
        alone = super_resolve(
            frames[..., channel], GAUSS, 2, weights=list(weights[..., channel]), beta=0.1,
            shifts=SHIFTS[:2],
        )  # fmt: skip
        ratio = alone.standard_deviation(0.5) / deviation[..., channel]
        assert_allclose(ratio, 1, rtol=0.3)
        assert_allclose(ratio.std(), 0, atol=0.03)
    blurs = [GAUSS, psf.gaussian(5, 0.7), GAUSS]
    own = super_resolve(frames[0], blurs, 2, channel_axis=-1, beta=0.1, boundary="wrap")
    for channel, blur in enumerate(blurs):
        alone = super_resolve(frames[0, ..., channel], blur, 2, beta=0.1, boundary="wrap")
        for method, argument in (("standard_deviation", 0.5), ("response", (3, 4))):
            expected = getattr(alone, method)(argument)
            argument = (3, 4, channel) if method == "response" else argument
            found = getattr(own, method)(argument)[..., channel]
            assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("count", [1, 3])
def test_scales(count, scale):
    """Weights of any size, as one over variances are."""
    plain = Dense(count=count)
    weights = [scale] * count
    other = super_resolve(
        plain.frames, GAUSS, 2, shifts=SHIFTS[:count], weights=weights, beta=scale * plain.beta
    )
    found = other.standard_deviation()
    assert_allclose(found, plain.solution.standard_deviation(), rtol=1e-3)
    assert_allclose(other.standard_deviation(0.05 * np.sqrt(scale)), found, rtol=0.35)
    ratio = other.standard_deviation(1.0) / plain.solution.standard_deviation(1.0)
    assert_allclose(ratio, scale**-0.5, rtol=1e-3)


def test_single_precision():
    wide = Dense(count=3, weights=maps)
    frames = wide.frames.astype(np.float32)
    weights = [w.reshape(frames[0].shape) for w in wide.weights]
    narrow = super_resolve(frames, GAUSS, 2, shifts=SHIFTS[:3], weights=weights, beta=0.01)
    found = narrow.standard_deviation(1.0)
    assert found.dtype == narrow.covariance((3, 4)).dtype == np.float32
    assert_allclose(found, wide.solution.standard_deviation(1.0), rtol=1e-3)


def test_a_regulariser_that_is_an_operator():
    from dhop import regulariser_operator

    given = Dense(count=3)
    S = regulariser_operator("laplacian", DIMS)
    same = super_resolve(given.frames, GAUSS, 2, shifts=SHIFTS[:3], beta=0.01, regulariser=S)
    assert_allclose(same.standard_deviation(0.3), given.deviation("posterior", 0.3), rtol=0.1)


@pytest.mark.parametrize("regulariser", ["laplacian", "tv"])
def test_a_pickle_after_it_was_told(regulariser):
    frame = np.random.default_rng(0).random((6, 5))
    options = {"regulariser": regulariser, "noise": 0.1, "beta": 0.1, "maxiter": 5}
    solution = super_resolve(frame, GAUSS, 2, **options)
    expected = solution.standard_deviation(0.1)
    again = pickle.loads(pickle.dumps(solution))
    assert_array_equal(again.image, solution.image)
    assert_array_equal(again.standard_deviation(0.1), expected)


def test_what_cannot_be_told():
    solution = Dense().solution
    for pixel in [(24, 0), (0,), (0, 0, 0), (0, -25)]:
        with pytest.raises(ValueError, match="index of the image of shape"):
            solution.response(pixel)
    with pytest.raises(TypeError, match="pixel must be an integer"):
        solution.covariance((0.5, 1))
    with pytest.raises(ValueError, match="did you mean 'noise'"):
        solution.standard_deviation(what="nois")
    with pytest.raises(ValueError, match="noise must not be negative"):
        solution.standard_deviation(-1.0)
    with pytest.raises(ValueError, match="without a regulariser"):
        dataclasses.replace(solution, beta=0.0).standard_deviation()
    one = super_resolve(np.eye(12), [[1.0]], 1, beta=1e-9)
    with pytest.raises(ValueError, match="give noise"):
        one.standard_deviation()


def test_chunks_are_refused():
    """What is more than standard deviations."""
    da = pytest.importorskip("dask.array")
    frames = da.from_array(np.ones((12, 12)), chunks=6)
    solution = super_resolve(frames, GAUSS, 2, beta=0.1)
    for refused in (solution.covariance, solution.response):
        with pytest.raises(TypeError, match="of a solution in chunks"):
            refused((3, 3))


def test_progress_is_told():
    seen = []
    Dense(count=3).solution.standard_deviation(
        progress=lambda done, total: seen.append((done, total))
    )
    assert seen
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize("seed", range(12))
def test_inverses_of_one_frame_are_right_however_small_the_penalty(seed):
    """Against rational numbers: of a rank and a diagonal of any sizes, zeros among them."""
    from dhop.kernels.aliased_inverses import add_inverse_one

    rng = np.random.default_rng(seed)
    t = rng.standard_normal(4) * 10.0 ** rng.integers(-6, 1, 4)
    d = 10.0 ** rng.integers(-20, 1, 4)
    t[seed % 5 : seed % 5 + 1] = 0
    places = np.arange(4).reshape(1, 2, 2, 1)
    out = np.zeros((1, 2, 2, 4))
    columns = np.arange(2).reshape(1, 2)
    tables = columns, False, places, np.ones(places.shape)
    add_inverse_one(t.reshape(2, 2).copy(), 0.7, d.reshape(2, 2).copy(), *tables, out)
    found = out.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    one, other = [Fraction(x) for x in t], [Fraction(x) for x in d]
    w = Fraction(0.7)
    whole = 1 + w * sum(x * x / y for x, y in zip(one, other, strict=True))
    for a in range(4):
        for b in range(4):
            exact = (a == b) / other[a] - w * one[a] * one[b] / (other[a] * other[b] * whole)
            size = np.sqrt(found[a, a] * found[b, b])
            assert_allclose(found[a, b], float(exact), rtol=0, atol=1e-13 * size)
