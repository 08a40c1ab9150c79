"""Input with nothing to solve for or with: a right answer, or an error in words."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import eye_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from dhop import psf, super_resolve

BLUR = psf.gaussian(5, 1.0)
FRAMES = np.random.default_rng(0).random((2, 6, 5))
PIXELS = 120
SOLVERS = ["auto", "cg", "lsqr", "lsmr", "projected"]


def operator(forward, adjoint=None, dtype=float, size=PIXELS):
    return LinearOperator((size, size), forward, rmatvec=adjoint or forward, dtype=dtype)


MAPS = {"zeros": [np.zeros((6, 5))] * 2, "a shape of its own": [np.ones((3, 3)), 1.0]}
# Refused by both, in memory and in chunks.
REFUSED = [
    ({"weights": [0, 0]}, ValueError, "weights must not all be zero"),
    ({"weights": MAPS["zeros"]}, ValueError, "weights must not all be zero"),
    ({"weights": MAPS["zeros"], "beta": 0.0}, ValueError, "weights must not all be zero"),
    ({"frames": FRAMES * np.nan, "weights": "finite"}, ValueError, "weights must not all be zero"),
    ({"weights": [np.nan, 1]}, ValueError, "weights must be"),
    ({"weights": [np.inf, 1]}, ValueError, "weights must be"),
    ({"weights": [1j, 1]}, (TypeError, ValueError), "weights must be real"),
    ({"weights": ["1", 1]}, TypeError, "weights must be"),
    ({"weights": MAPS["a shape of its own"]}, ValueError, r"weights of .*\(3, 3\).* do not fit"),
    ({"frames": FRAMES * 1j}, TypeError, "frames must be real"),
    ({"frames": FRAMES * np.nan}, ValueError, "frames must be finite"),
    ({"frames": FRAMES * 1.7e308}, ValueError, "frames .*overflow"),
    ({"frames": np.ones((2, 0, 3))}, ValueError, r"got \(2, 0, 3\)"),
    ({"frames": None}, TypeError, "frames must be an array"),
    ({"regulariser": np.zeros((3, 3))}, ValueError, "regulariser must not be zero"),
    ({"regulariser": 1j * np.ones((2, 2))}, TypeError, "regulariser must be real"),
    ({"regulariser": np.full((2, 2), np.nan)}, ValueError, "regulariser must be finite"),
    ({"regulariser": eye_array(PIXELS)}, TypeError, "regulariser must be a dense array"),
    ({"x0": np.full((12, 10), np.nan)}, ValueError, "x0 must be .*finite"),
    ({"x0": np.full((12, 10), np.inf)}, ValueError, "x0 must be .*finite"),
    ({"x0": np.full((12, 10), 1e308)}, ValueError, "x0 .*too large for float64"),
    ({"x0": 1j * np.ones((12, 10))}, ValueError, "x0 must be real"),
    ({"x0": np.ones((3, 3))}, ValueError, r"x0 must .* shape \(12, 10\)"),
    ({"x0": "zeros"}, TypeError, "x0 must be an array"),
    ({"maxiter": 0}, ValueError, "maxiter must be positive"),
    ({"maxiter": 2.5}, TypeError, "maxiter must be an integer"),
    ({"maxiter": np.nan}, TypeError, "maxiter must be an integer"),
    ({"rtol": np.nan}, ValueError, "rtol must be finite"),
    ({"rtol": -1.0}, ValueError, "rtol must not be negative"),
    ({"beta": 1j}, TypeError, "beta must be a real number"),
    ({"beta": np.nan}, ValueError, "beta must be finite"),
    ({"beta": 1.7e308}, ValueError, "beta overflow"),
    ({"psf": 1e308 * np.ones((5, 5))}, ValueError, "sum of the psf overflows"),
    ({"psf": 1j * BLUR}, TypeError, "psf must be real"),
]
IN_MEMORY = [
    (operator(lambda x: np.nan * x), ValueError, "regulariser must give .*finite"),
    (operator(lambda x: 1e200 * x), ValueError, "regulariser must give .*finite"),
    (operator(lambda x: 1j * x), ValueError, "regulariser must give real"),
    (operator(lambda x: 1j * x, dtype=complex), TypeError, "regulariser must be real"),
    (operator(lambda x: x[:3]), ValueError, "regulariser cannot be multiplied"),
    (operator(lambda x: x, size=5), ValueError, "regulariser has 5 columns"),
    (LinearOperator((PIXELS, PIXELS), lambda x: x, dtype=float), TypeError, "adjoint product"),
]


def solve(**changes):
    given = {"frames": FRAMES, "psf": BLUR, "factor": 2, "beta": 0.1}
    return super_resolve(**given | changes)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf, 1j])
@pytest.mark.parametrize("chosen", ["shifts", "psf"])
def test_weights_are_looked_at_before_anything_is_chosen(weight, chosen):
    with pytest.raises(ValueError, match="finite and not negative: frame 1"):
        solve(weights=[1, weight], **{chosen: "estimate"})


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("changes", "error", "words"), REFUSED)
def test_refusals(changes, error, words, solver):
    with pytest.raises(error, match=words):
        solve(**changes, solver=solver)


@pytest.mark.filterwarnings("ignore::dhop.cautions.Caution")
@pytest.mark.parametrize(("changes", "error", "words"), REFUSED)
def test_refusals_before_beta_is_chosen(changes, error, words):
    if "beta" not in changes and "psf" not in changes:
        with pytest.raises(error, match=words):
            solve(**changes, beta="auto")


def test_squares_that_underflow_when_beta_is_chosen():
    """By their weights: faint frames have a unit of their own."""
    with pytest.raises(ValueError, match="frames times weights underflow"):
        solve(weights=[1e-300] * 2, beta="gcv")


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("S", "error", "words"), IN_MEMORY)
def test_regularisers_that_are_none(S, error, words, solver):
    with pytest.raises(error, match=words):
        solve(regulariser=S, solver=solver)


def test_errors_in_a_regulariser_of_ones_own_are_its_own():
    def fails(x):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        solve(regulariser=operator(fails))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_regulariser_that_fails_later(solver):
    """The best image until then, which is not said to have converged."""
    calls = []

    def sometimes(x):
        calls.append(x)
        return x if len(calls) < 9 else np.nan * x

    found = solve(regulariser=operator(sometimes), solver=solver, boundary="edge")
    assert np.isfinite(found.image).all()
    assert not found.converged


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_regulariser_that_is_zero_is_none(solver):
    S = operator(lambda x: 0 * x)
    found, expected = solve(regulariser=S, solver=solver), solve(beta=0.0, solver=solver)
    assert found.converged == expected.converged
    assert_allclose(found.image, expected.image, rtol=0, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_psf_of_zeros_has_the_zero_image(solver):
    for beta in (0.0, 0.1):
        found = solve(psf=np.zeros((3, 3)), solver=solver, beta=beta, x0=np.ones((12, 10)))
        assert found.converged
        assert_array_equal(found.image, np.zeros((12, 10)))


@pytest.mark.parametrize("solver", SOLVERS)
def test_frames_of_one_pixel(solver):
    for count in (1, 2):
        found = solve(frames=np.full((count, 1, 1), 5.0), factor=1, solver=solver)
        assert found.converged
        assert_allclose(found.image, [[5.0]], rtol=1e-5)  # blurred from its own mirror images


@pytest.mark.parametrize("solver", SOLVERS)
def test_operators_of_any_real_dtype(solver):
    expected = solve(regulariser="identity", solver=solver)
    for S in (aslinearoperator(eye_array(PIXELS, dtype=int)), operator(lambda x: x, dtype="f4")):
        found = solve(regulariser=S, solver=solver)
        assert found.converged
        assert_allclose(found.image, expected.image, rtol=0, atol=1e-4)


@pytest.mark.parametrize("solver", SOLVERS)
def test_images_that_float32_cannot_hold(solver):
    frames = (3e38 * FRAMES).astype(np.float32)
    with pytest.raises(ValueError, match="too large for float32"):
        solve(frames=frames, beta=1e-9, solver=solver, maxiter=3000)


@pytest.mark.parametrize("solver", SOLVERS)
def test_numbers_at_the_ends_of_the_range(solver):
    for beta in (5e-324, 1e-300, 1e300):
        found = solve(beta=beta, solver=solver)
        assert np.isfinite(found.image).all()
    for weights in ([1e-310] * 2, [1e300, 1.0], [1e-300, 1e300]):
        found = solve(weights=weights, solver=solver)
        assert np.isfinite(found.image).all()
        assert np.isfinite(found.residual_norm)


class TestInChunks:
    @pytest.fixture(autouse=True)
    def one_thread(self):
        pytest.importorskip("dask.array")
        dask = pytest.importorskip("dask")
        with dask.config.set(scheduler="sync"):
            yield

    def solve(self, **changes):
        import dask.array as da

        from dhop.dask import super_resolve

        given = {"frames": FRAMES, "psf": BLUR, "factor": 2, "beta": 0.1}
        given |= {name: value for name, value in changes.items() if name != "frames"}
        frames = changes.get("frames", FRAMES)
        given["frames"] = frames if frames is None else da.from_array(frames, chunks=3)
        return super_resolve(**given)

    @pytest.mark.parametrize("nonnegative", [False, True])
    @pytest.mark.parametrize(("changes", "error", "words"), REFUSED)
    def test_refusals(self, changes, error, words, nonnegative):
        with pytest.raises(error, match=words):
            self.solve(**changes, nonnegative=nonnegative)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_first_guesses_in_chunks(self, value):
        import dask.array as da

        for x0 in (da.full((12, 10), value), da.ones((3, 3)), 1j * da.ones((12, 10))):
            with pytest.raises(ValueError, match="x0 must be"):
                self.solve(x0=x0)

    @pytest.mark.parametrize(
        "chunks", [0, -5, 2.5, "many", (3, 3, 3), ((3, 3), (10,)), object(), (0, 0)]
    )
    def test_chunks_that_are_none(self, chunks):
        with pytest.raises(ValueError, match="chunks="):
            self.solve(chunks=chunks)

    def test_frames_of_unknown_size(self):
        import dask.array as da

        from dhop.dask import super_resolve

        frame = da.ones((6, 6), chunks=3)
        with pytest.raises(ValueError, match="frames must have the shape"):
            super_resolve(frame[frame[:, 0] > 0], BLUR, 2, beta=0.1)

    def test_a_regulariser_in_memory(self):
        with pytest.raises(TypeError, match="needs the whole image"):
            self.solve(regulariser=operator(lambda x: x))

    def test_nothing_to_solve_for(self):
        for changes in ({"psf": np.zeros((3, 3))}, {"frames": 0 * FRAMES}):
            found = self.solve(**changes, x0=np.ones((12, 10)))
            assert found.converged
            assert_array_equal(found.image.compute(), np.zeros((12, 10)))

    def test_images_that_float32_cannot_hold(self):
        frames = (3e38 * FRAMES).astype(np.float32)
        with pytest.raises(ValueError, match="too large for float32"):
            self.solve(frames=frames, beta=1e-9)
