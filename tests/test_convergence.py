"""What `converged` says, against the gradient by dense matrices in extended precision."""

import itertools

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import psf, super_resolve
from dhop.psf.stencils import stencils

BLUR = psf.gaussian(5, 1.0)
ROUGHEST = 1e-2
SOLVERS = ("auto", "auto", "direct", "cg", "cg", "lsqr", "lsmr", "projected")


class Problem:
    """A call of `super_resolve` and its normal equations."""

    def __init__(self, frames, blur, factor, **options):
        self.frames, self.blur, self.factor = frames, blur, factor
        self.options = {"regulariser": "laplacian", "boundary": "symmetric"} | options
        self.options.setdefault("decimation", "mean")
        stack = np.reshape(frames, (-1, *np.shape(frames)[-2:]))
        steps = np.broadcast_to(factor, 2)
        self.dims = tuple(stack.shape[1:] * steps)
        moves = np.asarray(options.get("shifts", np.zeros((len(stack), 2))))
        about = {"boundary": self.options["boundary"], "decimation": self.options["decimation"]}
        A = [
            oracle.matrix(self.dims, shifted, factor, center=center, **about)
            for shifted, center in (psf.shift(blur, move * steps) for move in moves)
        ]
        A = np.vstack(A).astype(np.longdouble)
        S = [
            oracle.matrix(self.dims, stencil, 1, boundary=self.options["boundary"])
            for stencil in stencils(self.options["regulariser"])
        ]
        S = np.vstack(S).astype(np.longdouble)
        weights = options.get("weights")
        if weights is None:
            weights = np.ones(len(stack))
        weights = np.concatenate([np.broadcast_to(w, stack.shape[1:]).ravel() for w in weights])
        weights = weights.astype(np.longdouble)
        N = A.T @ (weights[:, None] * A) + np.longdouble(self.options["beta"]) * (S.T @ S)
        b = A.T @ (weights * stack.ravel().astype(np.longdouble))
        # Of the order of one, for a double holds no square of 1e-300.
        self.unit = abs(b).max()
        self.N, self.b = N / self.unit, b / self.unit
        size = abs(self.N).max()
        self.largest = float(np.linalg.eigvalsh((self.N / size).astype(float))[-1]) * size

    def solve(self, **options):
        return super_resolve(self.frames, self.blur, self.factor, **self.options | options)

    def gradient(self, image, projected=False):
        """Norm of the gradient, or of the gradient mapping, relative to that at zero."""
        x = np.ravel(image).astype(np.longdouble)
        g = self.N @ x - self.b
        if projected:
            g = np.minimum(g, self.largest * x)
        return float(np.sqrt(g @ g / (self.b @ self.b)))

    def limit(self, image):
        """What the documentation says that rounding may leave, but with the norm itself."""
        x = np.ravel(image).astype(np.longdouble)
        ratio = self.largest * np.sqrt(x @ x / (self.b @ self.b))
        return min(4 * float(np.finfo(image.dtype).eps * ratio), ROUGHEST)


def random_problem(seed):
    """Any solver, boundary, regulariser, dtype; beta from 1e-12 to 1e9, any scale."""
    rng = np.random.default_rng(seed)

    def pick(*choices):
        return choices[rng.integers(len(choices))]

    count, factor, scale = pick(1, 1, 3), pick(1, 2, 3, (2, 3)), 10.0 ** rng.uniform(-30, 30)
    shape = tuple(rng.integers(3, 7, 2).tolist())
    frames = (rng.standard_normal((count, *shape)) + pick(0, 3)) * scale
    uneven = psf.normalise(rng.random((3, 4)))
    blur = pick(BLUR, psf.gaussian((3, 5), (0.8, 1.1)), psf.disk(1.5), uneven)
    names = "identity", "gradient", "laplacian", "laplacian-of-gaussian"
    options = {
        "regulariser": pick(*names, rng.standard_normal((2, 3))),
        "boundary": pick(*oracle.BOUNDARIES, ("wrap", "edge")),
        "decimation": pick(*oracle.DECIMATIONS),
        "solver": pick(*SOLVERS),
        "beta": 10.0 ** rng.uniform(-12, 9),
        "rtol": pick(1e-6, 10.0 ** rng.uniform(-12, -3)),
    }
    if count > 1:
        options["shifts"] = rng.uniform(-0.7, 0.7, (count, 2))
    weights = pick(None, "variance", "maps")
    if weights == "variance":
        options["weights"] = (10.0 ** rng.uniform(-1, 1, count) / scale**2).tolist()
        options["beta"] /= scale**2
    elif weights == "maps":
        options["weights"] = [rng.integers(0, 3, shape) + np.eye(*shape) for _ in range(count)]
    if pick(*range(6)) == 0:
        dims = tuple(np.multiply(shape, factor))
        options["x0"] = rng.standard_normal(dims) * scale * 10.0 ** rng.uniform(0, 6)
    return Problem(frames.astype(pick(np.float32, np.float64)), blur, factor, **options)


def check(problem, **options):
    """A solution that converged did so; whether it converged."""
    try:
        solution = problem.solve(**options)
    except ValueError as error:
        if "needs beta > 0, weights that are the same" not in str(error):
            raise
        return None
    assert np.isfinite(solution.image).all()
    if solution.converged:
        found = problem.gradient(solution.image, solution.solver == "projected")
        assert found <= 10 * max(problem.options.get("rtol", 1e-6), problem.limit(solution.image))
    return solution.converged


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dhop.cautions.PSFWarning")  # any psf will do
@pytest.mark.parametrize("seed", range(30))
def test_random_problems(seed):
    check(random_problem(seed))


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore::dhop.cautions.PSFWarning")
def test_two_hundred_random_problems():
    """Most of them converge: what is refused aside, nine of ten."""
    found = [check(random_problem(seed)) for seed in range(1000, 1200)]
    assert np.mean([each for each in found if each is not None]) > 0.85


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["auto", "cg", "lsqr", "lsmr", "projected"])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_sensible_problems_converge(scale, solver, dtype):
    rng = np.random.default_rng(0)
    for count, boundary in itertools.product((1, 3), ("symmetric", "constant")):
        frames = (rng.random((count, 6, 5)) * scale).astype(dtype)
        shifts = rng.uniform(-0.5, 0.5, (count, 2)) if count > 1 else np.zeros((1, 2))
        problem = Problem(frames, BLUR, 2, beta=0.01, boundary=boundary, shifts=shifts)
        assert check(problem, solver=solver)


class TestClaims:
    """Residuals that are small only by the iteration's own account."""

    def problem(self, dtype=np.float64, shape=(6, 7), **options):
        return Problem(np.random.default_rng(0).random(shape).astype(dtype), BLUR, 2, **options)

    def test_a_closed_form_that_divides_by_almost_nothing(self):
        problem = self.problem(beta=1e-18, boundary="reflect", regulariser="identity")
        assert not problem.solve(solver="direct").converged
        solution = problem.solve()
        assert solution.solver == "cg"
        assert solution.converged
        assert problem.gradient(solution.image) <= 1.1e-6

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("solver", ["auto", "cg", "lsqr", "lsmr", "projected"])
    def test_a_first_guess_that_is_far_off(self, solver, dtype):
        problem = self.problem(dtype, beta=0.01, boundary="edge")
        x0 = 1e6 * np.random.default_rng(1).standard_normal(problem.dims)
        assert check(problem, x0=x0, solver=solver)

    @pytest.mark.slow
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("solver", ["auto", "cg", "lsqr", "lsmr", "projected"])
    @pytest.mark.parametrize("beta", [1e8, 1e9])
    def test_a_beta_that_drowns_the_data(self, beta, solver, dtype):
        problem = self.problem(dtype, beta=beta)
        converged = check(problem, solver=solver)
        assert converged or dtype == np.float32 or solver not in ("auto", "cg")

    @pytest.mark.parametrize("solver", ["lsqr", "lsmr"])
    def test_least_squares_solvers_go_on_after_their_own_tolerance(self, solver):
        problem = self.problem(beta=1e3, regulariser="gradient")
        assert check(problem, solver=solver)

    def test_history_ends_with_the_truth(self):
        problem = self.problem(np.float32, beta=1e-3, boundary="edge", rtol=1e-3)
        for x0 in (None, np.full(problem.dims, 1e7)):
            solution = problem.solve(x0=x0, solver="cg")
            assert solution.converged
            truth = problem.gradient(solution.image)
            assert_allclose(solution.history[-1].residual, truth, rtol=1e-3)
            assert [step.iteration for step in solution.history] == list(
                range(1, solution.iterations + 1)
            )

    def test_float32_holds_the_digits_that_it_can(self):
        """Refined as far as rounding allows: the float64 solution, rounded."""
        single = self.problem(np.float32, beta=1e-3, boundary="reflect", rtol=0.0)
        for solver in ("auto", "cg", "lsqr", "projected"):
            found = single.solve(solver=solver, maxiter=2000)
            expected = super_resolve(
                single.frames.astype(np.float64), BLUR, 2, solver=solver, maxiter=9000,
                **single.options | {"rtol": 1e-12},
            ).image  # fmt: skip
            assert found.converged
            assert_allclose(found.image, expected, rtol=0, atol=1e-5 * abs(expected).max())


class TestTheBest:
    """What does not converge gives the image of the least gradient."""

    @pytest.mark.parametrize("solver", ["cg", "projected"])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_of_all_that_were_met(self, solver, dtype):
        frames = np.random.default_rng(5).random((2, 4, 3)).astype(dtype)
        shifts = [(0, 0), (0.3, -0.4)]
        problem = Problem(frames, BLUR, 3, beta=1e-5, boundary="edge", shifts=shifts, rtol=0.0)
        climbed = 0
        for maxiter in (5, 9, 14, 20, 27, 35):
            steps = []
            solution = problem.solve(solver=solver, maxiter=maxiter, callback=steps.append)
            images = [np.zeros(problem.dims), *(step.image for step in steps)]
            gradients = [problem.gradient(image, solver == "projected") for image in images]
            assert not solution.converged
            assert solution.iterations == maxiter
            found = problem.gradient(solution.image, solver == "projected")
            # Projected gradients know the gradient one iterate late.
            assert found <= min(gradients) * (1.01 if solver == "cg" else 3)
            climbed += gradients[-2] > 1.01 * min(gradients)
        assert climbed

    def test_zero_frames_have_the_zero_image(self):
        for dtype in (np.float32, np.float64):
            solution = super_resolve(
                np.zeros((4, 5), dtype), BLUR, 2, beta=0.1, x0=np.ones((8, 10)), solver="cg"
            )
            assert solution.converged
            assert_array_equal(solution.image, np.zeros((8, 10)))
