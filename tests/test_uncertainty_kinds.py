"""How sure solutions of every kind are, by dense inverses, and by a sampler for total variation."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import psf, regulariser_operator, super_resolve
from dhop.psf.stencils import stencils

rng = np.random.default_rng(0)
GAUSS = psf.gaussian(5, 1.0)
LINE = psf.gaussian((5,), 1.0)
SMALL = psf.gaussian(3, 0.7)
FRAMES = rng.random((3, 8, 8))
SKEW = rng.random((3, 4))
SHIFTS = [[0, 0], [0.3, -0.2], [-0.4, 0.1]]
MASK = np.ones((8, 8))
MASK[2:4, 3:5] = 0
ANGLE = 0.05
TURN = np.eye(3)
TURN[:2, :2] = [[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]]
FIELD = psf.Field([[psf.gaussian(5, 0.8), psf.gaussian(5, 1.2)]], ([8], [0, 15]))
OUTLIERS = np.array(FRAMES)
OUTLIERS[:, 3, 4] += 5

KINDS = {
    "motion": lambda: super_resolve(FRAMES[:2], GAUSS, 2, motion=[np.eye(3), TURN], beta=0.1),
    "ratio of pixels": lambda: super_resolve(FRAMES[:1], GAUSS, 1.5, beta=0.1),
    "field": lambda: super_resolve(FRAMES[0], FIELD, 2, beta=0.1),
    "mask": lambda: super_resolve(FRAMES, GAUSS, 2, shifts=SHIFTS, beta=0.1, weights=[MASK] * 3),
    "line": lambda: super_resolve(FRAMES[0].ravel(), LINE, 2, beta=0.1),
    "lines of channels": lambda: super_resolve(
        rng.random((2, 20, 2)), LINE, 2, beta=0.1, channel_axis=-1, shifts=[0, 0.3]
    ),
    "volume": lambda: super_resolve(
        rng.random((2, 4, 4, 5)), psf.gaussian((3, 3, 3), 0.8), (1, 2, 2), beta=0.1,
        shifts=[[0, 0, 0], [0.2, 0.3, 0.1]],
    ),
    "huber": lambda: super_resolve(OUTLIERS, GAUSS, 2, shifts=SHIFTS, beta=0.1, loss="huber"),
    "l1": lambda: super_resolve(OUTLIERS, GAUSS, 2, shifts=SHIFTS, beta=0.1, loss="l1"),
    "poisson": lambda: super_resolve(
        rng.poisson(20 * FRAMES).astype(float), GAUSS, 2, shifts=SHIFTS, beta=0.01, loss="poisson"
    ),
    "bounds": lambda: super_resolve(
        FRAMES, GAUSS, 2, shifts=SHIFTS, beta=0.01, bounds=(0.2, 0.8), rtol=1e-8
    ),
    "huber with bounds": lambda: super_resolve(
        OUTLIERS - 0.5, GAUSS, 2, shifts=SHIFTS, beta=0.01, loss="huber", nonnegative=True
    ),
    "photometry": lambda: super_resolve(
        FRAMES, GAUSS, 2, shifts=SHIFTS, beta=0.1, photometry="both"
    ),
    "colours": lambda: super_resolve(
        np.moveaxis(FRAMES, 0, -1), GAUSS, 2, beta=0.1, channel_axis=-1
    ),
    "colours of their own PSFs": lambda: super_resolve(
        FRAMES, [GAUSS, psf.gaussian(5, 0.7), GAUSS], 2, beta=0.1, channel_axis=0
    ),
    "sums": lambda: super_resolve(FRAMES, GAUSS, 2, shifts=SHIFTS, beta=0.1, decimation="sum"),
    "operator": lambda: super_resolve(
        FRAMES, GAUSS, 2, shifts=SHIFTS, beta=0.1,
        regulariser=regulariser_operator("laplacian", (16, 16)),
    ),
    "target": lambda: super_resolve(FRAMES[0], GAUSS, 2, beta=0.1, target=SMALL),
    "target of shifted": lambda: super_resolve(
        FRAMES, GAUSS, 2, shifts=SHIFTS, beta=0.1, target=SKEW
    ),
    "target of colours": lambda: super_resolve(
        np.moveaxis(FRAMES, 0, -1), GAUSS, 2, beta=0.1, channel_axis=-1, target=SMALL
    ),
    "target of lines": lambda: super_resolve(
        rng.random((2, 20)), LINE, 2, beta=0.1, shifts=[0, 0.3], target=psf.gaussian((5,), 0.9)
    ),
    "target within bounds": lambda: super_resolve(
        FRAMES, GAUSS, 2, shifts=SHIFTS, beta=0.01, bounds=(0.2, 0.8), target=SMALL
    ),
}  # fmt: skip


class Dense:
    """The dense matrices of a solution, its pixels as the images have them, channels first."""

    def __init__(self, solution):
        B, self.axis, self.shape = solution.operator, solution.channel_axis, solution.image.shape
        size = solution.shifts.shape[1]
        dims = B.dims[-size:]
        matrix = B.toarray()
        self.data = matrix.T @ matrix
        copies = np.eye(B.shape[1] // np.prod(dims))
        S = [
            oracle.matrix(dims, each, 1, boundary="symmetric")
            for each in stencils("laplacian", size)
        ]
        penalty = np.kron(copies, sum(each.T @ each for each in S))
        scene = self.inward(solution.scene)
        low, high = solution.bounds or (-np.inf, np.inf)
        free = np.flatnonzero((scene > low) & (scene < high))
        K = self.data + solution.beta * penalty
        self.inverse = np.zeros_like(K)
        self.inverse[np.ix_(free, free)] = np.linalg.inv(K[np.ix_(free, free)])
        if solution.target is None:
            self.target = np.eye(B.shape[1])
        else:
            G = oracle.matrix(dims, solution.target, 1, boundary="symmetric")
            self.target = np.kron(copies, G)

    def inward(self, image):
        return (image if self.axis is None else np.moveaxis(image, self.axis, 0)).ravel()

    @property
    def posterior(self):
        return self.target @ self.inverse @ self.target.T

    @property
    def noise(self):
        return self.target @ self.inverse @ self.data @ self.inverse @ self.target.T


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    solution = KINDS[request.param]()
    return request.param, solution, Dense(solution)


@pytest.mark.slow
def test_deviations(kind):
    _, solution, dense = kind
    for what in ("posterior", "noise"):
        found, error = solution.standard_deviation(0.3, what, return_error=True)
        assert found.shape == solution.image.shape
        expected = 0.3 * np.sqrt(getattr(dense, what).diagonal())
        found = dense.inward(found)
        held = expected == 0
        assert_array_equal(found == 0, held)
        true = np.sqrt(np.mean((found[~held] / expected[~held] - 1) ** 2))
        assert true < 0.04
        assert error < max(2 * true, 0.003) or error < 0.03
        assert error > true / 3 or true < 1e-6


def test_rows(kind):
    _, solution, dense = kind
    pixel = tuple(n // 2 for n in solution.image.shape)
    unit = np.zeros(solution.image.shape)
    unit[pixel] = 1
    unit = dense.inward(unit)
    for found, expected in (
        (solution.covariance(pixel, 0.3), 0.09 * dense.posterior @ unit),
        (solution.response(pixel), dense.target @ dense.inverse @ dense.data @ unit),
    ):
        assert found.shape == solution.image.shape
        size = 2e-5 * abs(expected).max() + 1e-12
        assert_allclose(dense.inward(found), expected, rtol=0, atol=size)


def test_widths(kind):
    """As many numbers as the image has axes, for each channel."""
    name, solution, _ = kind
    found = solution.resolution(2)
    size = 1 if "line" in name else 3 if name == "volume" else 2
    assert found.pixels.shape == (2,) * size + (size,)
    axis = solution.channel_axis
    channels = () if axis is None else (solution.image.shape[axis],)
    assert found.widths.shape == (*channels, *found.pixels.shape)
    places = found.pixels.reshape(-1, size)
    assert (places < np.array(np.moveaxis(solution.image, axis or 0, 0).shape)[-size:]).all()


@pytest.mark.slow
def test_samples(kind):
    """Their deviation is that of the dense inverse; bounds hold."""
    _, solution, dense = kind
    drawn = solution.samples(200, noise=0.03)
    assert drawn.shape == (200, *solution.image.shape)
    centred = np.stack([dense.inward(each) for each in drawn - solution.image])
    expected = 0.03 * np.sqrt(dense.posterior.diagonal())
    far = expected > 0
    if solution.bounds is not None:
        low, high = solution.bounds
        assert drawn.min() >= low - 1e-9
        assert drawn.max() <= high + 1e-9
        scene = dense.inward(solution.scene)
        room = np.minimum(scene - low, high - scene)
        far &= room > 0.15
    if far.sum() > 10 and (solution.bounds is None or solution.target is None):
        assert_allclose(np.mean(centred[:, far].std(axis=0) / expected[far]), 1, atol=0.1)


def test_residuals_are_those_of_what_was_solved_for(kind):
    _, solution, _ = kind
    assert_allclose(np.linalg.norm(solution.residuals()), solution.residual_norm, rtol=1e-6)


@pytest.mark.parametrize(
    ("case", "bounds"),
    [
        ("mask", None), ("huber", None), ("bounds", (0.2, 0.8)), ("poisson", (0, np.inf)),
        ("huber with bounds", (0, np.inf)), ("target within bounds", (0.2, 0.8)),
    ],
)  # fmt: skip
def test_bounds_are_told(case, bounds):
    assert KINDS[case]().bounds == bounds
    positive = super_resolve(FRAMES[0] - 0.5, GAUSS, 2, beta=0.1, nonnegative=True)
    assert positive.bounds == (0, np.inf)


def test_a_denoiser_is_no_prior():
    solution = super_resolve(FRAMES[0], GAUSS, 2, beta=0.1, noise=0.1, denoiser=lambda x, s: x)
    with pytest.raises(ValueError, match="a denoiser is no prior"):
        solution.standard_deviation()


@pytest.mark.parametrize("blur", [1j * GAUSS, psf.Field(1j * FIELD.stamps, FIELD.positions)])
def test_complex_psfs_are_refused(blur):
    with pytest.raises(TypeError, match="psf must be real"):
        super_resolve(FRAMES[0], blur, 2, beta=0.1)


class TestTarget:
    @pytest.mark.parametrize("case", [each for each in KINDS if each.startswith("target")])
    def test_the_image_is_the_estimate_seen_through_it(self, case):
        solution = KINDS[case]()
        dense = Dense(solution)
        assert_allclose(
            dense.inward(solution.image), dense.target @ dense.inward(solution.estimate), atol=1e-12
        )

    def test_responses_are_the_target_where_the_frames_tell_as_much(self):
        """Of frames with PSFs of different widths, aliased; and not of a target that is sharper."""
        shifts = [[y / 2, x / 2] for y in range(2) for x in range(2)]
        blurs = [psf.gaussian(9, width) for width in (0.9, 1.0, 1.1, 1.2)]
        G = psf.gaussian(13, 1.5)
        errors = []
        for target in (G, psf.gaussian(13, 0.6)):
            solution = super_resolve(
                np.zeros((4, 16, 16)), blurs, 2, shifts=shifts, beta=1e-5, target=target
            )
            for pixel in [(15, 16), (16, 15)]:
                found = solution.response(pixel)
                wanted = np.zeros((32, 32))
                rows, columns = (slice(p - 6, p + 7) for p in pixel)
                wanted[rows, columns] = target
                errors.append(abs(found - wanted).max() / target.max())
        assert max(errors[:2]) < 0.01
        assert min(errors[2:]) > 0.1
        sharp = super_resolve(np.zeros((4, 16, 16)), blurs, 2, shifts=shifts, beta=1e-5)
        fwhm = 2 * np.sqrt(2 * np.log(2)) * np.sqrt(1.5**2 + 1 / 12)
        at = super_resolve(np.zeros((4, 16, 16)), blurs, 2, shifts=shifts, beta=1e-5, target=G)
        assert_allclose(at.resolution(1).widths, fwhm, rtol=0.02)
        assert (sharp.resolution(1).widths < 0.7 * fwhm).all()

    def test_what_is_no_target_is_refused(self):
        for target, words in (
            (np.ones(3), "target must have the 2 axes"), (-np.ones((3, 3)), "positive sum"),
            (np.full((3, 3), np.nan), "target must be finite"),
        ):  # fmt: skip
            with pytest.raises(ValueError, match=words):
                super_resolve(FRAMES[0], GAUSS, 2, beta=0.1, target=target)
        with pytest.raises(TypeError, match="target must be real"):
            super_resolve(FRAMES[0], GAUSS, 2, beta=0.1, target=1j * np.ones((3, 3)))


def looks(prior, n):
    """What a prior of n x n pixels looks at: for each part its weight, and matrices."""
    if prior == "starlet":
        line = np.array([1, 4, 6, 4, 1]) / 16
        spline = np.outer(line, line)
        wavelet = np.eye(n * n) - oracle.matrix((n, n), spline, 1, boundary="symmetric")
        gain = np.sqrt(1 - 2 * spline[2, 2] + (spline**2).sum())
        return [(gain, [wavelet])]
    one = np.vstack([np.diff(np.eye(n), axis=0), np.zeros(n)])
    return [(1.0, [np.kron(one, np.eye(n)), np.kron(np.eye(n), one)])]


class TestPriorsThatAreNoSquares:
    N, SIGMA, BETA = 6, 0.05, 0.02

    def solve(self, prior, **options):
        n = self.N
        self.A = oracle.matrix((n, n), SMALL, 1, boundary="symmetric")
        scene = np.zeros((n, n))
        scene[1:4, 1:4] = 1
        scene[4:, 3:] = 0.5
        noise = self.SIGMA * np.random.default_rng(0).standard_normal(n * n)
        self.y = self.A @ scene.ravel() + noise
        return super_resolve(
            self.y.reshape(n, n), SMALL, 1, regulariser=prior, beta=self.BETA, noise=self.SIGMA,
            rtol=1e-8, maxiter=5000, **options,
        )  # fmt: skip

    def covariance(self, parts, sizes, edge):
        penalty = 0
        for (gain, matrices), size in zip(parts, sizes, strict=True):
            w = 1 / (2 * np.maximum(size, gain * edge))
            penalty += sum(each.T @ (w[:, None] * each) for each in matrices)
        return self.SIGMA**2 * np.linalg.inv(self.A.T @ self.A + self.BETA * penalty)

    @pytest.mark.parametrize("prior", ["huber-tv", "tv", "starlet"])
    def test_the_covariance_is_that_of_its_own_weights(self, prior):
        solution = self.solve(prior)
        parts = looks(prior, self.N)
        x = solution.image.ravel()
        here = [sum((each @ x) ** 2 for each in matrices) for _, matrices in parts]
        K = self.covariance(parts, np.sqrt(here), solution.edge)
        unit = np.eye(self.N**2)[14]
        expected = K @ self.A.T @ self.A @ unit / self.SIGMA**2
        response = solution.response((2, 2)).ravel()
        assert_allclose(response, expected, atol=1e-5 * abs(expected).max())
        for _ in range(20):
            squares = [
                own + sum(((each @ K) * each).sum(axis=1) for each in matrices)
                for own, (_, matrices) in zip(here, parts, strict=True)
            ]
            K = self.covariance(parts, np.sqrt(squares), solution.edge)
        ratio = solution.standard_deviation(self.SIGMA).ravel() / np.sqrt(K.diagonal())
        assert_allclose(ratio, 1, atol=0.12)
        assert_allclose(ratio.mean(), 1, atol=0.03)
        row = solution.covariance((2, 2), self.SIGMA).ravel()
        assert_allclose(row, K[14], atol=0.15 * K[14].max())
        drawn = solution.samples(300, noise=self.SIGMA).reshape(300, -1)
        assert_allclose(np.mean(drawn.std(axis=0) / np.sqrt(K.diagonal())), 1, atol=0.06)

    @pytest.mark.slow
    @pytest.mark.parametrize("prior", ["huber-tv", "tv"])
    def test_deviations_are_near_those_of_a_sampler(self, prior):
        """A tenth to a third too small, for a Gaussian has no tails."""
        solution = self.solve(prior)
        expected = self.sampled(solution)
        ratio = solution.standard_deviation(self.SIGMA).ravel() / expected
        assert ratio.min() > 0.6
        assert ratio.max() < 1.05
        assert 0.75 < np.median(ratio) < 0.95

    def sampled(self, solution, chains=300, sweeps=150):
        """Deviations of the posterior, by Metropolis' sampler."""
        rng = np.random.default_rng(1)
        n, t, A = self.N, solution.edge, self.A
        x = np.tile(solution.image.ravel(), (chains, 1))

        def penalty(x):
            image = x.reshape(-1, n, n)
            size = np.hypot(
                np.diff(image, axis=1, append=image[:, -1:]),
                np.diff(image, axis=2, append=image[:, :, -1:]),
            )
            return np.where(size < t, size**2 / (2 * t), size - t / 2).sum(axis=(1, 2))

        left = x @ A.T - self.y
        energy = (left**2).sum(axis=1) + self.BETA * penalty(x)
        kept = []
        for sweep in range(sweeps):
            for i in range(n * n):
                move = 2.5 * self.SIGMA * rng.standard_normal(chains)
                residual, new = left + move[:, None] * A[:, i], x.copy()
                new[:, i] += move
                cost = (residual**2).sum(axis=1) + self.BETA * penalty(new)
                taken = np.log(rng.random(chains)) < (energy - cost) / (2 * self.SIGMA**2)
                x[taken], left[taken], energy[taken] = new[taken], residual[taken], cost[taken]
            if sweep >= sweeps // 3:
                kept.append(x.copy())
        return np.std(kept, axis=(0, 1))

    def test_colours_and_bounds(self):
        frames = np.moveaxis(FRAMES, 0, -1)
        solution = super_resolve(
            frames, GAUSS, 2, channel_axis=-1, regulariser="huber-tv", beta=0.05, noise=0.1,
            bounds=(0.3, 0.6),
        )  # fmt: skip
        found = solution.standard_deviation(0.1)
        held = (solution.image == 0.3) | (solution.image == 0.6)
        assert held.any()
        assert_array_equal(found == 0, held)
        drawn = solution.samples(5, noise=0.1)
        assert drawn.min() >= 0.3
        assert drawn.max() <= 0.6
        assert solution.resolution(2).widths.shape == (3, 2, 2, 2)

    def test_no_noise_and_no_gradients(self):
        flat = super_resolve(np.ones((6, 6)), SMALL, 1, regulariser="tv", beta=0.1)
        assert np.isfinite(flat.standard_deviation(0.1)).all()
        assert not flat.standard_deviation(0.0).any()
