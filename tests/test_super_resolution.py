"""`super_resolve` against dense least squares, and against interpolation."""

import dataclasses
import warnings

import numpy as np
import oracle
import pytest
from bursts import photograph
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage
from scipy.optimize import nnls

from dhop import DHOperator, Solution, psf, regulariser_operator, super_resolve
from dhop.psf.stencils import stencils

STENCILS = {
    "laplacian": [np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])],
    "identity": [np.ones((1, 1))],
    "gradient": [np.array([[1.0], [-1.0]]), np.array([[1.0, -1.0]])],
}
SOLVERS = ["auto", "cg", "lsqr", "lsmr"]
BOUNDARIES = [*oracle.BOUNDARIES, ("wrap", "edge")]
DECIMATIONS = [("mean", 2, (8, 6)), ("sum", (2, 3), (9, 10)), ("sample", 2, (7, 6))]
BLUR = psf.gaussian((3, 5), (0.8, 1.1))


def dense_solution(
    frames, blur, factor, dims, regulariser, beta, boundary, decimation, weights=None, centers=None
):
    """The minimiser of `sum w_i |A_i x - y_i|^2 + beta |S x|^2`, by NumPy on stacked matrices."""
    weights = np.ones(np.shape(frames)) if weights is None else np.asarray(weights, float)
    options = {"boundary": boundary, "decimation": decimation}
    centers = [None] * len(frames) if centers is None else centers
    A = [oracle.matrix(dims, blur, factor, center=center, **options) for center in centers]
    A = np.vstack(A)
    S = [oracle.matrix(dims, each, 1, boundary=boundary) for each in STENCILS[regulariser]]
    root = np.sqrt(np.broadcast_to(weights, np.shape(frames))).ravel()
    stacked = np.vstack([root[:, None] * A, *(np.sqrt(beta) * each for each in S)])
    data = np.zeros(len(stacked))
    data[: root.size] = np.where(root > 0, root * np.nan_to_num(np.ravel(frames)), 0)
    x = np.linalg.lstsq(stacked, data)[0]
    return x.reshape(dims), np.linalg.norm((stacked @ x - data)[: root.size])


def check(solution, expected, residual, rtol=1e-8):
    assert solution.converged
    assert_allclose(solution.image, expected, rtol=0, atol=rtol * abs(expected).max())
    assert_allclose(solution.residual_norm, residual, rtol=rtol)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("regulariser", STENCILS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("count", [pytest.param(None, marks=pytest.mark.fuzz), 3])
def test_is_the_least_squares_solution(count, boundary, regulariser, solver):
    """Decimations take turns, so that each meets every boundary, regulariser and solver."""
    turn = BOUNDARIES.index(boundary) + list(STENCILS).index(regulariser) + SOLVERS.index(solver)
    decimation, factor, dims = DECIMATIONS[turn % 3]
    shape = DHOperator(dims, BLUR, factor, decimation=decimation).dimsd
    frames = np.random.default_rng(0).standard_normal(shape if count is None else (count, *shape))
    options = {"regulariser": regulariser, "beta": 0.1, "boundary": boundary}
    options["decimation"] = decimation
    tolerance = {"maxiter": 2000, "rtol": 1e-13}
    solution = super_resolve(frames, BLUR, factor, dims=dims, solver=solver, **tolerance, **options)
    check(solution, *dense_solution(frames.reshape(-1, *shape), BLUR, factor, dims, **options))


@pytest.mark.parametrize("solver", SOLVERS)
def test_shifts_weights_and_masks(solver):
    """Whole pixels of the result, so that the shifted operator is known without interpolation."""
    rng = np.random.default_rng(1)
    frames = rng.standard_normal((3, 4, 5))
    maps = rng.integers(0, 3, frames.shape)
    frames[maps == 0] = np.nan
    centers = [(1, 2), (0, 3), (1, 4)]  # (K - 1) // 2 less the shift times the factor
    shifts = [(0, 0), (0.5, -0.5), (0, -1)]
    options = {"regulariser": "laplacian", "beta": 0.1, "boundary": "reflect"}
    options["decimation"] = "mean"
    expected = dense_solution(frames, BLUR, 2, (8, 10), weights=maps, centers=centers, **options)
    solution = super_resolve(
        frames, BLUR, 2, shifts=shifts, weights=maps, solver=solver, rtol=1e-13, **options
    )
    check(solution, *expected)
    assert_array_equal(solution.shifts, shifts)


def test_masked_pixels_have_no_influence():
    rng = np.random.default_rng(2)
    frames = rng.standard_normal((2, 6, 7))
    weights = rng.integers(0, 2, frames.shape).astype(float)
    options = {"weights": weights, "shifts": [(0, 0), (0.3, -0.2)]}
    for beta in (0.1, "auto"):
        first = super_resolve(frames, BLUR, 2, beta=beta, **options)
        for value in (0.0, 1e9, np.nan, np.inf):
            changed = np.where(weights == 0, value, frames)
            again = super_resolve(changed, BLUR, 2, beta=beta, **options)
            assert_array_equal(again.image, first.image)
    marked = np.where(weights == 0, np.nan, frames)
    finite = super_resolve(marked, BLUR, 2, beta=beta, **options | {"weights": "finite"})
    assert_array_equal(finite.image, first.image)


@pytest.mark.parametrize("solver", ["auto", "cg", "projected"])
def test_channels_are_solved_alike(solver):
    frames = np.random.default_rng(3).random((2, 3, 6, 5))
    options = {"beta": 0.1, "solver": solver, "rtol": 1e-12, "maxiter": 5000}
    solution = super_resolve(frames, BLUR, 2, **options)
    assert solution.image.shape == (3, 12, 10)
    for channel, image in enumerate(solution.image):
        alone = super_resolve(frames[:, channel], BLUR, 2, **options)
        assert_allclose(alone.image, image, rtol=0, atol=1e-9)


def test_nonnegative_is_the_constrained_minimum():
    rng = np.random.default_rng(4)
    frames = rng.standard_normal((3, 4, 5))
    A = oracle.matrix((8, 10), BLUR, 2, boundary="symmetric", decimation="mean")
    S = oracle.matrix((8, 10), STENCILS["laplacian"][0], 1, boundary="symmetric")
    stacked = np.vstack([A] * 3 + [np.sqrt(0.1) * S])
    expected = nnls(stacked, np.append(frames.ravel(), np.zeros(len(S))))[0].reshape(8, 10)
    solution = super_resolve(frames, BLUR, 2, beta=0.1, nonnegative=True, rtol=1e-12, maxiter=5000)
    assert solution.solver == "projected"
    assert solution.converged
    assert solution.image.min() == 0
    assert_allclose(solution.image, expected, rtol=0, atol=1e-8)


def test_regulariser_of_ones_own():
    frame = np.random.default_rng(5).standard_normal((4, 5))
    stencil = STENCILS["laplacian"][0]
    S = DHOperator((8, 10), stencil, 1, boundary="symmetric")
    named, array, operator = (
        super_resolve(frame, BLUR, 2, beta=0.1, regulariser=each, solver="cg", rtol=1e-13)
        for each in ("laplacian", stencil, S)
    )
    assert_allclose(array.image, named.image, rtol=0, atol=1e-10)
    assert_allclose(operator.image, named.image, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="number"):
        super_resolve(frame, BLUR, 2, regulariser=S)
    with pytest.raises(ValueError, match="columns"):
        super_resolve(frame, BLUR, 2, beta=0.1, regulariser=DHOperator((4, 5), stencil, 1))


@pytest.mark.parametrize("solver", SOLVERS)
def test_first_guess(solver):
    frame = np.random.default_rng(6).standard_normal((4, 5))
    options = {"beta": 0.1, "boundary": "reflect", "solver": solver}
    found = super_resolve(frame, BLUR, 2, rtol=1e-13, **options)
    again = super_resolve(frame, BLUR, 2, x0=found.image, rtol=1e-8, **options)
    assert again.iterations <= 1
    assert_allclose(again.image, found.image, rtol=0, atol=1e-8)


def test_zero_frames():
    for solver in [*SOLVERS, "projected"]:
        solution = super_resolve(np.zeros((4, 5)), BLUR, 2, beta=0.1, solver=solver)
        assert solution.converged
        assert_array_equal(solution.image, np.zeros((8, 10)))


@pytest.mark.parametrize("solver", ["cg", "lsqr", "lsmr", "projected"])
def test_history(solver):
    """Each residual is that of the iterate, found again by stopping there."""
    frames = np.random.default_rng(7).standard_normal((2, 6, 5))
    options = {"beta": 0.05, "solver": solver, "rtol": 0.0, "boundary": "edge"}
    A = oracle.matrix((12, 10), BLUR, 2, boundary="edge", decimation="mean")
    S = oracle.matrix((12, 10), STENCILS["laplacian"][0], 1, boundary="edge")
    rhs = A.T @ frames.sum(axis=0).ravel()
    seen = []
    solution = super_resolve(frames, BLUR, 2, maxiter=8, callback=seen.append, **options)
    assert [step.iteration for step in solution.history] == list(range(1, 9))
    assert [step.residual for step in seen] == [step.residual for step in solution.history]
    seconds = [step.seconds for step in solution.history]
    assert seconds == sorted(seconds)
    for step in solution.history if solver != "projected" else []:
        x = super_resolve(frames, BLUR, 2, maxiter=step.iteration, **options).image.ravel()
        gradient = 2 * A.T @ (A @ x) + 0.05 * S.T @ (S @ x) - rhs
        assert_allclose(
            step.residual, np.linalg.norm(gradient) / np.linalg.norm(rhs), rtol=1e-6, atol=1e-12
        )
    if solver in ("cg", "projected"):
        assert_array_equal(seen[-1].image, solution.image)


def test_estimated_shifts():
    rng = np.random.default_rng(8)
    scene = ndimage.gaussian_filter(rng.standard_normal((120, 120)), 2.5) * 10
    given = np.array([(0, 0), (0.5, -0.5), (-1, 0.5), (0.5, 1)])
    blur = psf.gaussian(7, 1.0)
    frames = []
    for dy, dx in (2 * given).astype(int):
        A = DHOperator((120, 120), blur, 2, decimation="mean", center=(3 - dy, 3 - dx))
        frames.append(A.degrade(scene)[8:-8, 8:-8] + 0.01 * rng.standard_normal((44, 44)))
    solution = super_resolve(frames, blur, 2, shifts="estimate", beta=0.01)
    assert np.abs(solution.shifts - given).max() < 0.05


@pytest.mark.slow
def test_bad_pixels_stand_aside_in_the_registration():
    rng = np.random.default_rng(9)
    scene = ndimage.gaussian_filter(rng.random((90, 90)), 2) * 10
    frames = np.stack([scene[10:70, 10:70], scene[9:69, 12:72]])
    frames[1, 30:33, 20:22] = np.nan
    options = {"beta": 0.1, "shifts": "estimate", "weights": "finite"}
    for each in (frames, np.stack([frames, frames[::-1]], axis=1)[:, :1]):
        shifts = super_resolve(each, BLUR, 1, **options).shifts
        assert_allclose(shifts, [[0, 0], [1, -2]], atol=0.05)


def test_a_psf_for_each_frame():
    frames = np.random.default_rng(10).standard_normal((2, 4, 5))
    blurs = [BLUR, psf.disk(1.5)]
    found = super_resolve(frames, blurs, 2, beta=0.1, rtol=1e-12)
    operators = [
        DHOperator((8, 10), blur, 2, decimation="mean", boundary="symmetric") for blur in blurs
    ]
    for one, other in zip(found.operator.operators, operators, strict=True):
        assert_array_equal(one.to_sparse().toarray(), other.to_sparse().toarray())
    with pytest.raises(ValueError, match="2 frames, but 3 psfs"):
        super_resolve(frames, [BLUR] * 3, 2)


def test_metrics_and_plot(tmp_path):
    i, j = np.indices((40, 40)) / 6
    scene = np.sin(i) * np.cos(j)
    A = DHOperator(scene.shape, BLUR, 2, decimation="mean", boundary="symmetric")
    frame = A.degrade(scene)
    for options in ({"beta": 1e-4}, {"beta": "gcv", "solver": "cg"}):
        solution = super_resolve(frame, BLUR, 2, **options)
        assert solution.metrics(scene)["psnr"] > 30
        solution.plot().savefig(tmp_path / "report.png")
        assert (tmp_path / "report.png").stat().st_size > 20_000
    assert_allclose(np.linalg.norm(solution.residuals()), solution.residual_norm, rtol=1e-10)


@pytest.mark.slow
def test_sums_are_in_range_as_means_are():
    """Frames that are sums are brighter than the image, which is in their range nevertheless."""
    scene = 1 + photograph("camera", 96)
    blur = psf.gaussian(9, 1.2)
    A = DHOperator(scene.shape, blur, 2, decimation="mean", boundary="symmetric")
    frame = A.degrade(scene) + 0.003 * np.random.default_rng(0).standard_normal(A.dimsd)
    for estimated in (False, True):
        given = "estimate" if estimated else blur
        mean = super_resolve(frame, given, 2)
        total = super_resolve(4 * frame, given, 2, decimation="sum")
        assert total.notes == mean.notes == []
        assert_allclose(total.beta, 16 * mean.beta, rtol=0.05)
        assert_allclose(total.image, mean.image, atol=0.01)


@pytest.mark.parametrize("photometry", [None, "both"])
def test_residuals_are_data_minus_model(photometry):
    """With their sign, so that what the model lacks is bright in them."""
    rng = np.random.default_rng(3)
    frames, weights = rng.random((2, 4, 5)), rng.random((2, 4, 5))
    found = super_resolve(frames, BLUR, 2, beta=0.1, weights=weights, photometry=photometry)
    A = oracle.matrix((8, 10), BLUR / BLUR.sum(), 2, boundary="symmetric", decimation="mean")
    model = (A @ found.image.ravel()).reshape(4, 5)
    expected = [
        np.sqrt(w) * g * ((y - o) / g - model)
        for w, y, g, o in zip(
            weights, frames, found.photometry.gains, found.photometry.offsets, strict=True
        )
    ]
    assert_allclose(found.residuals(), expected, rtol=0, atol=1e-12)


def test_width_of_the_laplacian_of_gaussian():
    """By its moments: those of the five-point Laplacian of a Gaussian of one pixel, on pixels.

    Summed by parts, x^2 counts the Gaussian twice and x^4 its second moment twelve times, and twice
    itself. A pixel adds a twelfth to the second moment, the end of the array takes a little off.
    """
    (stencil,) = stencils("laplacian-of-gaussian")
    for line in (stencil.sum(axis=0), stencil.sum(axis=1)):
        x = np.arange(line.size) - line.size // 2
        assert_allclose([line.sum(), line @ x, line @ x**3], 0, atol=1e-12)
        assert_allclose(line @ x**2, 2, rtol=1e-12)
        assert_allclose((line @ x**4 - 2) / 12, 1 + 1 / 12, atol=0.02)
    assert_array_equal(stencil, stencil[::-1].T)


def test_defaults():
    """A Laplacian, symmetric borders, means; as large as the factor says."""
    frames = np.random.default_rng(1).standard_normal((4, 3))
    solution = super_resolve(frames, BLUR, (2, 3), beta=0.5, maxiter=2000, rtol=1e-13)
    options = {"regulariser": "laplacian", "boundary": "symmetric", "decimation": "mean"}
    assert solution.image.shape == (8, 9)
    check(solution, *dense_solution([frames], BLUR, (2, 3), (8, 9), beta=0.5, **options))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64, bool])
def test_frames_of_any_real_dtype(dtype):
    frames = (np.arange(20).reshape(4, 5) % 7).astype(dtype)
    solution = super_resolve(frames, BLUR, 2, beta=0.1)
    reference = super_resolve(frames.astype(float), BLUR, 2, beta=0.1)
    assert np.issubdtype(solution.image.dtype, np.floating)
    assert_allclose(solution.image, reference.image, atol=1e-3 * abs(reference.image).max())


class TestSolution:
    def solve(self, **options):
        frame = np.random.default_rng(2).standard_normal((8, 9))
        return super_resolve(
            frame, BLUR, 2, beta=0.01, **{"solver": "cg", "boundary": "edge"} | options
        )

    def test_fields(self):
        solution = self.solve()
        assert isinstance(solution, Solution)
        assert solution.converged is True
        assert isinstance(solution.iterations, int)
        assert solution.iterations > 1
        assert isinstance(solution.residual_norm, float)
        assert solution.solver == "cg"
        assert solution.beta == 0.01
        assert solution.beta_curve is None
        assert_array_equal(solution.shifts, [[0, 0]])
        assert solution.frames.shape == (1, 8, 9)
        assert "cg" in repr(solution)

    def test_is_frozen(self):
        solution = self.solve()
        with pytest.raises(dataclasses.FrozenInstanceError):
            solution.converged = False

    def test_iteration_limit(self):
        solution = self.solve(maxiter=2, rtol=1e-12)
        assert solution.converged is False
        assert solution.iterations == 2

    def test_progress_is_called(self):
        calls = []
        solution = self.solve(progress=lambda *args: calls.append(args))
        assert calls == [(k + 1, 500) for k in range(solution.iterations)]
        silent = self.solve()
        assert (silent.image == solution.image).all()

    def test_exception_in_progress_reaches_the_caller(self):
        def stop(*_):
            raise StopAsyncIteration("enough")

        with pytest.raises(StopAsyncIteration, match="enough"):
            self.solve(progress=stop)


def psnr(image, reference):
    return 10 * np.log10(np.ptp(reference) ** 2 / np.mean((image - reference) ** 2))


@pytest.mark.parametrize("factor", [2, 3])
def test_better_than_bicubic(factor):
    """A smooth image, blurred and decimated without noise: more than 3 dB above interpolation."""
    i, j = np.indices((72, 90)) / 9
    image = np.sin(i) * np.cos(1.3 * j) + np.sin(0.7 * i * j / 5) + 0.1 * j
    blur = psf.gaussian(9, 1.5)
    A = DHOperator(image.shape, blur, factor, decimation="mean", boundary="symmetric")
    frame = A.degrade(image)
    bicubic = ndimage.zoom(frame, factor, order=3, mode="nearest", grid_mode=True)
    solution = super_resolve(frame, blur, factor, beta=1e-5)
    assert psnr(solution.image, image) > psnr(bicubic, image) + 3


def test_more_frames_less_noise():
    rng = np.random.default_rng(3)
    i, j = np.indices((40, 48)) / 6
    image = np.sin(i) * np.cos(j)
    blur = psf.gaussian(7, 1.0)
    A = DHOperator(image.shape, blur, 2, decimation="mean", boundary="symmetric")
    frames = A.degrade(image) + 0.05 * rng.standard_normal((16, *A.dimsd))
    one = super_resolve(frames[0], blur, 2, beta=0.01)
    many = super_resolve(frames, blur, 2, beta=0.01)
    assert psnr(many.image, image) > psnr(one.image, image) + 3


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"frames": np.ones(5)}, ValueError),
        ({"frames": np.ones((1, 1, 2, 3, 4))}, ValueError),
        ({"frames": np.ones((0, 4, 4))}, ValueError),
        ({"frames": [[1.0, np.nan]]}, ValueError),
        ({"frames": "frames"}, FileNotFoundError),
        ({"frames": None}, (TypeError, ValueError)),
        ({"frames": np.ma.masked_less([[1.0, 2.0]], 2)}, (TypeError, ValueError)),
        ({"dims": (9, 9)}, ValueError),
        ({"dims": (8,)}, ValueError),
        ({"beta": -1}, ValueError),
        ({"beta": np.nan}, ValueError),
        ({"regulariser": "total variation"}, ValueError),
        ({"boundary": "zeros"}, ValueError),
        ({"factor": 0}, ValueError),
        ({"factor": "1.5"}, TypeError),
    ],
)
def test_senseless_arguments(change, error):
    arguments = {"frames": np.ones((4, 3)), "psf": BLUR, "factor": 2, "beta": 0.1, **change}
    with pytest.raises(error):
        super_resolve(**arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"maxiter": 0}, "maxiter must be positive"),
        ({"beta": np.inf}, "beta must"),
        ({"beta": -1.0}, "beta must"),
        ({"x0": np.zeros((6, 8))}, r"shape \(8, 6\)"),
        ({"x0": np.zeros((8, 6), complex)}, "x0 must be real"),
        ({"dims": (9, 9)}, "gives frames of"),
        ({"regulariser": "laplace"}, "did you mean 'laplacian'"),
        ({"weights": [1, 2]}, "1 frames, but 2 weights"),
        ({"weights": [-1]}, "weights must"),
        ({"weights": "all"}, "weights"),
        ({"shifts": [(0, 0), (1, 1)]}, "shifts must be 1 pairs"),
        ({"shifts": "guess"}, "shifts"),
        ({"beta": "best"}, "beta"),
        ({"beta": "discrepancy"}, "needs noise"),
        ({"solver": "newton"}, "solver"),
        ({"solver": "direct", "boundary": "edge"}, 'take "cg"'),
        ({"solver": "lsqr", "nonnegative": True}, "projected"),
    ],
)
def test_senseless_arguments_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        super_resolve(np.ones((4, 3)), np.ones((3, 3)), 2, **options)


def test_a_beta_that_is_chosen_keeps_above_rounding():
    """Rounding of float32 frames over a beta of 1e-14 was an image between -1e5 and 1e5."""
    rng = np.random.default_rng(0)
    scene = np.cumsum(np.cumsum(rng.standard_normal((128, 128)), 0), 1)
    scene = (scene - scene.min()) / np.ptp(scene)
    frame = scene.reshape(64, 2, 64, 2).mean((1, 3)).astype(np.float32)
    sharp = np.outer([-0.05, 1.1, -0.05], [-0.05, 1.1, -0.05])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = super_resolve(frame, sharp, 2)
    assert solution.beta > 1e-8
    assert -0.2 < solution.image.min() < solution.image.max() < 1.2


@pytest.mark.parametrize("regulariser", ["identity", "laplacian"])
def test_a_small_beta_makes_no_image_of_rounding(regulariser):
    """The residual of float32 frames, rounded to float32, leaves what the operator can reach."""
    rng = np.random.default_rng(0)
    frame = rng.random((12, 12)).astype(np.float32)
    blur = psf.gaussian(5, 0.8)
    beta = 1e-8
    size = (24, 24)
    A = oracle.matrix(size, blur / blur.sum(), 2, decimation="mean", boundary="symmetric")
    S = regulariser_operator(regulariser, size) @ np.eye(576)
    M = A.T @ A + beta * S.T @ S
    expected = np.linalg.solve(M, A.T @ frame.ravel().astype(np.float64)).reshape(size)
    found = super_resolve(frame, blur, 2, beta=beta, regulariser=regulariser)
    assert found.solver == "direct"
    assert_allclose(found.image, expected, rtol=0, atol=0.01 * np.abs(expected).max())
