"""`super_resolve` against dense least squares, and against interpolation."""

import dataclasses

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose
from scipy import ndimage

from dhop import DHOperator, Solution, psf, super_resolve

STENCILS = {
    "laplacian": np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    "identity": np.ones((1, 1)),
}
BLUR = psf.gaussian((3, 5), (0.8, 1.1))


def dense_solution(frames, blur, factor, dims, regulariser, beta, boundary, decimation):
    """The minimiser of `sum |A x - y_i|^2 + beta |S x|^2`, by NumPy on the stacked matrix."""
    A = oracle.matrix(dims, blur, factor, boundary=boundary, decimation=decimation)
    S = oracle.matrix(dims, STENCILS[regulariser], 1, boundary=boundary)
    stacked = np.vstack([A] * len(frames) + [np.sqrt(beta) * S])
    data = np.append(np.ravel(frames), np.zeros(len(S)))
    return np.linalg.lstsq(stacked, data)[0].reshape(dims), A


@pytest.mark.parametrize("regulariser", STENCILS)
@pytest.mark.parametrize("boundary", [*oracle.BOUNDARIES, ("wrap", "edge")])
@pytest.mark.parametrize("count", [None, 1, 3])
def test_is_the_least_squares_solution(count, boundary, regulariser):
    rng = np.random.default_rng(0)
    for decimation, factor, dims in [
        ("mean", 2, (8, 6)),
        ("sum", (2, 3), (9, 10)),
        ("sample", 2, (7, 6)),
    ]:
        shape = DHOperator(dims, BLUR, factor, decimation=decimation).dimsd
        frames = rng.standard_normal(shape if count is None else (count, *shape))
        options = {"regulariser": regulariser, "beta": 0.1, "boundary": boundary}
        solution = super_resolve(
            frames,
            BLUR,
            factor,
            dims=dims,
            decimation=decimation,
            maxiter=2000,
            rtol=1e-13,
            **options,
        )
        stack = frames.reshape(-1, *shape)
        expected, A = dense_solution(stack, BLUR, factor, dims, decimation=decimation, **options)
        assert solution.converged
        assert_allclose(solution.image, expected, rtol=0, atol=1e-8 * abs(expected).max())
        residual = np.linalg.norm(A @ expected.ravel() - stack.reshape(len(stack), -1))
        assert_allclose(solution.residual_norm, residual, rtol=1e-8)


def test_defaults():
    """A Laplacian, symmetric borders, means; as large as the factor says."""
    frames = np.random.default_rng(1).standard_normal((4, 3))
    solution = super_resolve(frames, BLUR, (2, 3), beta=0.5, maxiter=2000, rtol=1e-13)
    expected, _ = dense_solution(
        [frames], BLUR, (2, 3), (8, 9), "laplacian", 0.5, "symmetric", "mean"
    )
    assert solution.image.shape == (8, 9)
    assert_allclose(solution.image, expected, rtol=0, atol=1e-8 * abs(expected).max())


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
        return super_resolve(frame, BLUR, 2, beta=0.01, **options)

    def test_fields(self):
        solution = self.solve()
        assert isinstance(solution, Solution)
        assert solution.converged is True
        assert isinstance(solution.iterations, int)
        assert solution.iterations > 1
        assert isinstance(solution.residual_norm, float)
        assert "lsqr" in solution.solver

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
        assert len(calls) == solution.iterations
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
        ({"frames": np.ones((1, 2, 3, 4))}, ValueError),
        ({"frames": np.ones((0, 4, 4))}, ValueError),
        ({"frames": [[1.0, np.nan]]}, ValueError),
        ({"frames": "frames"}, (TypeError, ValueError)),
        ({"frames": None}, (TypeError, ValueError)),
        ({"frames": np.ma.masked_less([[1.0, 2.0]], 2)}, (TypeError, ValueError)),
        ({"dims": (9, 9)}, ValueError),
        ({"dims": (8,)}, ValueError),
        ({"beta": -1}, ValueError),
        ({"beta": np.nan}, ValueError),
        ({"regulariser": "total variation"}, ValueError),
        ({"boundary": "zeros"}, ValueError),
        ({"factor": 0}, ValueError),
        ({"factor": 1.5}, TypeError),
        ({"psf": np.ones(3)}, ValueError),
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
    ],
)
def test_senseless_arguments_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        super_resolve(np.ones((4, 3)), np.ones((3, 3)), 2, **options)
