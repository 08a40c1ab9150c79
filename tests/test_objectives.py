"""Every loss, penalty and set against a minimiser that knows nothing of ours, on dense matrices."""

import itertools

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose
from scipy.ndimage import convolve
from scipy.optimize import check_grad, minimize
from scipy.special import xlogy

from dhop import DHOperator, FrameStack, psf
from dhop.psf.stencils import stencils
from dhop.reconstruction.losses import ROUND
from dhop.reconstruction.photon_noise import PhotonNoise
from dhop.reconstruction.problem import Problem
from dhop.reconstruction.variational import Variational

BLUR = psf.gaussian((3, 5), (0.8, 1.1))
DIMS = (8, 10)
INF = np.inf
LOSSES = ["gaussian", "huber", "l1", "poisson"]
PENALTIES = ["laplacian", "tv", "huber-tv", "starlet"]
SETS = {"all": (-INF, INF), "nonnegative": (0.0, INF), "bounded": (0.1, 0.6)}
EDGES = {"laplacian": 0.0, "tv": 0.01, "huber-tv": 0.2, "starlet": 0.1}
THRESHOLD = 0.3


def huber(u, t):
    return np.where(abs(u) < t, u**2, 2 * t * abs(u) - t**2), 2 * np.clip(u, -t, t)


def starlet():
    """The noise that white noise has in each scale, and dense matrices of its coefficients."""
    left, unit = np.eye(80), np.zeros((63, 63))
    unit[31, 31] = 1
    gains, found = [], []
    for scale in range(2):
        line = np.zeros(4 * 2**scale + 1)
        line[:: 2**scale] = np.array([1, 4, 6, 4, 1]) / 16
        smooth = oracle.matrix(DIMS, np.outer(line, line), 1, boundary="symmetric") @ left
        spread = convolve(unit, np.outer(line, line), mode="constant")
        gains.append(np.linalg.norm(unit - spread))
        found.append(left - smooth)
        left, unit = smooth, spread
    return list(zip(gains, found, strict=True))


class Case:
    """Two frames, what is minimised for them in dense matrices, and how we minimise it."""

    def __init__(self, loss, penalty, box, beta=0.1):
        rng = np.random.default_rng(1)
        self.loss, self.penalty, self.box, self.beta = loss, penalty, box, beta
        centers = [(1, 2), (0, 3)]
        about = {"boundary": "reflect", "decimation": "mean"}
        self.A = np.vstack([oracle.matrix(DIMS, BLUR, 2, center=c, **about) for c in centers])
        scene = np.zeros(DIMS)
        scene[2:6, 3:7] = 1.0
        fits = (self.A @ scene.ravel()).reshape(2, 4, 5)
        weights = rng.integers(1, 3, fits.shape).astype(float)
        weights[0, 1, 1] = 0
        photon_noise = None
        if loss == "poisson":
            back = np.broadcast_to(np.linspace(0.2, 0.4, 5), fits.shape)
            photon_noise = PhotonNoise(back, 0.05, 0.1)
            frames = 0.05 * rng.poisson((fits + back) / 0.05) - back
            self.back, self.n = back.ravel() / 0.05 + 4, (frames + back).ravel() / 0.05 + 4
            own = photon_noise.weights(frames, list(weights))
        else:
            frames = fits + 0.1 * rng.standard_normal(fits.shape)
            frames[1, 2, 2] += 3
            own = list(weights)
        self.y, self.w = frames.ravel(), weights.ravel()
        operators = [
            DHOperator(DIMS, BLUR, 2, center=c, decimation="mean", boundary="reflect")
            for c in centers
        ]
        squares = penalty if penalty == "laplacian" else "gradient"
        self.S = np.vstack(
            [oracle.matrix(DIMS, s, 1, boundary="reflect") for s in stencils("laplacian")]
        )
        self.scales = starlet()
        self.problem = Problem(FrameStack(operators, own), frames, squares, beta, "reflect")
        self.how = Variational(
            loss, THRESHOLD if loss in ("huber", "l1") else None,
            None if penalty == "laplacian" else penalty, box, photon_noise, list(weights), "auto",
        )  # fmt: skip
        self.edge = self.how.edge = EDGES[penalty]

    def data(self, p):
        """The loss of a prediction, and its slope."""
        if self.loss == "poisson":
            m = p / 0.05 + self.back
            values = 2 * self.w * (m - self.n + xlogy(self.n, self.n / m))
            return values.sum(), 2 * self.w * (1 - self.n / m) / 0.05
        root = np.sqrt(self.w)
        u = root * (p - self.y)
        if self.loss == "gaussian":
            return (u**2).sum(), 2 * root * u
        t, over = (THRESHOLD, 1) if self.loss == "huber" else (ROUND * THRESHOLD, ROUND)
        values, slopes = huber(u, t)
        return values.sum() / over, root * slopes / over

    def prior(self, x):
        """The penalty, and its slope."""
        if self.penalty == "laplacian":
            return ((self.S @ x) ** 2).sum(), 2 * self.S.T @ (self.S @ x)
        if self.penalty == "starlet":
            value, slope = 0.0, np.zeros(80)
            for gain, W in self.scales:
                w, t = W @ x, gain * self.edge
                value += np.where(abs(w) < t, w**2 / 2 / t, abs(w) - t / 2).sum()
                slope += W.T @ (w / np.maximum(abs(w), t))
            return value, slope
        image = x.reshape(DIMS)
        down, across = np.zeros(DIMS), np.zeros(DIMS)
        down[:-1], across[:, :-1] = image[1:] - image[:-1], image[:, 1:] - image[:, :-1]
        size = np.sqrt(down**2 + across**2)
        value = np.where(size < self.edge, size**2 / 2 / self.edge, size - self.edge / 2).sum()
        d, a = (each / np.maximum(size, self.edge) for each in (down, across))
        slope = -d - a
        slope[1:] += d[:-1]
        slope[:, 1:] += a[:, :-1]
        return value, slope.ravel()

    def value(self, x):
        return self.data(self.A @ x)[0] + self.beta * self.prior(x)[0]

    def gradient(self, x):
        return self.A.T @ self.data(self.A @ x)[1] + self.beta * self.prior(x)[1]

    def least(self):
        options = {"maxiter": 20000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-10, "maxcor": 40}
        start = np.full(80, 0.3)
        return minimize(
            self.value, start, jac=self.gradient, method="L-BFGS-B", bounds=[self.box] * 80,
            options=options,
        ).fun  # fmt: skip

    def slant(self, x):
        """Norm of the gradient that no bound holds."""
        g = self.gradient(x)
        low, high = self.box
        g[((x <= low) & (g > 0)) | ((x >= high) & (g < 0))] = 0
        return np.linalg.norm(g)


ALL = [
    (loss, penalty, name)
    for loss, penalty, name in itertools.product(LOSSES, PENALTIES, SETS)
    if not (loss == "poisson" and name == "all")
]


@pytest.mark.parametrize(("loss", "penalty", "name"), ALL)
def test_is_the_minimum(loss, penalty, name):
    case = Case(loss, penalty, SETS[name])
    found = case.how.solve(case.problem, rtol=1e-7, maxiter=4000)
    x = found.x
    least = case.least()
    assert case.value(x) <= least * (1 + 1e-6)
    low, high = case.box
    assert low <= x.min()
    assert x.max() <= high
    values = np.array([step.objective for step in found.history])
    assert_allclose(values[-1], case.value(x), rtol=1e-10)
    assert (np.diff(values) <= 1e-12 * values[0]).all()
    nothing = np.zeros(80).clip(low, high)
    if found.converged:
        assert case.slant(x) <= 1e-5 * case.slant(nothing)
    assert found.converged or (loss, penalty) == ("l1", "tv")
    if name != "all":
        unbounded = Case(loss, penalty, SETS["nonnegative" if loss == "poisson" else "all"]).least()
        assert (x == low).any() or least == pytest.approx(unbounded, rel=1e-3)


@pytest.mark.parametrize(("loss", "penalty"), list(itertools.product(LOSSES, PENALTIES)))
def test_the_reference_has_the_gradient_that_it_says(loss, penalty):
    case = Case(loss, penalty, SETS["all"])
    x = np.random.default_rng(2).random(80)
    assert check_grad(case.value, case.gradient, x) < 1e-4 * np.linalg.norm(case.gradient(x))


def test_single_precision():
    case = Case("gaussian", "huber-tv", SETS["bounded"])
    operators = [
        DHOperator(DIMS, BLUR, 2, center=c, decimation="mean", boundary="reflect",
                   dtype=np.float32)
        for c in ((1, 2), (0, 3))
    ]  # fmt: skip
    problem = Problem(
        FrameStack(operators, case.problem.operator.weights),
        case.problem.frames.astype(np.float32), "gradient", case.beta, "reflect",
    )  # fmt: skip
    found = case.how.solve(problem, rtol=1e-4)
    assert found.converged
    assert found.x.dtype == np.float32
    assert_allclose(case.value(found.x.astype(float)), case.least(), rtol=1e-5)
