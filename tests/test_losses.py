"""Losses against a minimiser that knows nothing of weights, on dense matrices."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

from dhop import psf, super_resolve
from dhop.psf.stencils import stencils
from dhop.reconstruction.losses import ROUND, Absolute, Huber

BLUR = psf.gaussian((3, 5), (0.8, 1.1))
SHIFTS = [(0, 0), (0.5, -0.5), (0, -1)]
CENTERS = [(1, 2), (0, 3), (1, 4)]


def huber(u, t):
    return np.where(abs(u) < t, u**2, 2 * t * abs(u) - t**2)


def slope(u, t):
    return 2 * np.clip(u, -t, t)


LOSSES = {
    "huber": (huber, slope),
    "l1": (lambda u, t: huber(u, ROUND * t) / ROUND, lambda u, t: slope(u, ROUND * t) / ROUND),
}


class Case:
    """Three frames with outliers, and what is minimised for them."""

    def __init__(self, name, regulariser="laplacian", beta=0.1, threshold=0.2, scale=1.0):
        rng = np.random.default_rng(0)
        self.frames = rng.standard_normal((3, 4, 5)) * 0.1 + 0.03
        self.frames[rng.random(self.frames.shape) < 0.1] += 3
        self.weights = rng.integers(1, 3, self.frames.shape).astype(float)
        self.weights[0, 1, 1] = 0
        about = {"boundary": "reflect", "decimation": "mean"}
        A = np.vstack([oracle.matrix((8, 10), BLUR, 2, center=c, **about) for c in CENTERS])
        self.S = np.vstack(
            [oracle.matrix((8, 10), s, 1, boundary="reflect") for s in stencils(regulariser)]
        )
        root = np.sqrt(self.weights).ravel()
        self.B, self.y = root[:, None] * A, root * self.frames.ravel()
        self.beta, self.threshold = beta, threshold
        self.loss, self.slope = LOSSES[name]
        self.options = {
            "shifts": SHIFTS, "weights": self.weights, "regulariser": regulariser, "beta": beta,
            "boundary": "reflect", "loss": name, "threshold": threshold * scale,
        }  # fmt: skip

    def value(self, x):
        x = np.ravel(x)
        prior = self.beta * ((self.S @ x) ** 2).sum()
        return self.loss(self.B @ x - self.y, self.threshold).sum() + prior

    def gradient(self, x):
        x = np.ravel(x)
        u = self.B @ x - self.y
        return self.B.T @ self.slope(u, self.threshold) + 2 * self.beta * self.S.T @ (self.S @ x)

    def least(self, bounds=None):
        options = {"maxiter": 20000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-11, "maxcor": 50}
        return minimize(
            self.value, np.zeros(80), jac=self.gradient, method="L-BFGS-B", options=options,
            bounds=None if bounds is None else [bounds] * 80,
        ).fun  # fmt: skip


@pytest.mark.parametrize(
    ("name", "regulariser", "nonnegative"),
    [
        *[("huber", each, sign) for each in ("laplacian", "identity") for sign in (False, True)],
        *[("l1", each, False) for each in ("laplacian", "gradient")],
        ("l1", "laplacian", True),
    ],
)
def test_is_the_minimum(name, regulariser, nonnegative):
    case = Case(name, regulariser)
    solution = super_resolve(
        case.frames, BLUR, 2, nonnegative=nonnegative, maxiter=600, rtol=1e-6, **case.options
    )
    least = case.least((0, None) if nonnegative else None)
    assert_allclose(case.value(solution.image), least, rtol=1e-6)
    assert solution.solver == ("quasi-newton" if nonnegative or name == "l1" else "reweighted")
    if nonnegative:
        assert solution.image.min() == 0
    last = solution.history[-1]
    assert_allclose(last.objective, case.value(solution.image), rtol=1e-10)
    assert_allclose(last.prior, case.beta * ((case.S @ solution.image.ravel()) ** 2).sum())


@pytest.mark.parametrize("name", LOSSES)
def test_reweighting_falls_from_each_to_the_next(name):
    case = Case(name)
    solution = super_resolve(case.frames, BLUR, 2, rtol=1e-5, solver="reweighted", **case.options)
    assert solution.converged
    assert_allclose(case.value(solution.image), case.least(), rtol=1e-6)
    values = [step.objective for step in solution.history]
    assert len(values) > 3
    assert (np.diff(values) <= 1e-12 * values[0]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_converged_is_honest(name, dtype):
    case = Case(name)
    at_zero = np.linalg.norm(case.gradient(np.zeros(80)))
    for maxiter in (1, 3, 500):
        found = super_resolve(
            case.frames.astype(dtype), BLUR, 2, maxiter=maxiter, rtol=1e-5, **case.options
        )
        relative = np.linalg.norm(case.gradient(found.image.astype(float))) / at_zero
        assert_allclose(found.history[-1].residual, relative, rtol=1e-2, atol=1e-6)
        assert found.iterations <= maxiter
        steep = {"huber": 1, "l1": 1 / ROUND}[name]  # so much more may rounding leave
        assert not found.converged or relative < 2e-5 + 10 * steep * np.finfo(dtype).eps
    assert found.converged


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_brightness_scales(name, scale):
    expected = Case(name)
    case = Case(name, scale=scale)
    images = [
        super_resolve(each.frames * unit, BLUR, 2, **each.options).image / unit
        for each, unit in ((expected, 1.0), (case, scale))
    ]
    assert_allclose(images[1], images[0], rtol=0, atol=1e-4)


def test_no_outliers_means_least_squares():
    case = Case("huber", threshold=1e3)
    options = case.options | {"rtol": 1e-10}
    solution = super_resolve(case.frames, BLUR, 2, **options)
    plain = super_resolve(case.frames, BLUR, 2, **options | {"loss": "gaussian", "threshold": None})
    assert_allclose(solution.image, plain.image, rtol=0, atol=1e-8)
    assert_allclose(solution.residual_norm, plain.residual_norm)
    assert_array_equal(solution.weights, 1)
    assert plain.weights is None
    assert plain.history[-1].objective is None


def test_weights_and_residuals_are_those_of_the_image():
    case = Case("huber")
    solution = super_resolve(case.frames, BLUR, 2, rtol=1e-10, **case.options)
    u = (case.B @ solution.image.ravel() - case.y).reshape(case.frames.shape)
    trust = np.minimum(1, 0.2 / np.maximum(abs(u), 1e-9))
    assert_allclose(solution.weights, trust, rtol=1e-6)
    assert_allclose(abs(solution.residuals()), np.sqrt(trust) * abs(u), atol=1e-7)
    assert_allclose(np.linalg.norm(solution.residuals()), solution.residual_norm, rtol=1e-6)


@pytest.mark.parametrize("loss", [Huber(0.7), Absolute(0.7)])
def test_majorisers_touch_and_are_nowhere_below(loss):
    u = np.linspace(-3, 3, 121)
    for at in (0.0, 0.003, -0.5, 0.7, 2.0):
        weight = float(loss.weights(np.array(at)))
        values = np.array([loss.value(np.array([each])) for each in u])
        touch = loss.value(np.array([at]))
        assert (weight * (u**2 - at**2) + touch >= values - 1e-12).all()
        step = 1e-7
        rise = loss.value(np.array([at + step])) - loss.value(np.array([at - step]))
        assert_allclose(rise / (2 * step), 2 * weight * at, atol=1e-5)


class TestRefusals:
    @pytest.mark.parametrize("solver", ["direct", "cg", "lsqr", "lsmr", "projected"])
    def test_solvers_of_least_squares(self, solver):
        with pytest.raises(ValueError, match='is for loss="gaussian"'):
            super_resolve(np.eye(8), BLUR, 2, beta=0.1, loss="huber", solver=solver)

    def test_the_solver_without_a_loss(self):
        with pytest.raises(ValueError, match="loss="):
            super_resolve(np.eye(8), BLUR, 2, beta=0.1, solver="reweighted")

    def test_names_and_numbers(self):
        for options, match in [
            ({"loss": "hubert"}, "huber"),
            ({"threshold": 0.1}, "loss="),
            ({"loss": "huber", "threshold": 0.0}, "positive"),
            ({"loss": "huber", "threshold": np.nan}, "threshold"),
        ]:
            with pytest.raises(ValueError, match=match):
                super_resolve(np.eye(8), BLUR, 2, beta=0.1, **options)

    def test_chunks(self):
        da = pytest.importorskip("dask.array")
        with pytest.raises(ValueError, match="denoiser needs the whole image"):
            super_resolve(da.ones((8, 8)), BLUR, 2, beta=0.1, denoiser=lambda x, level: x)
