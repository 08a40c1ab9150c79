"""Solving in chunks against solving in memory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import nnls
from scipy.sparse.linalg import aslinearoperator

import dhop
from dhop import FrameStack, psf
from dhop.reconstruction.regularisers import regulariser_operator

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import super_resolve  # noqa: E402

RNG = np.random.default_rng(0)
BLUR = psf.gaussian(5, 1.0)


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="sync"):
        yield


def normal_matrix(solution, weights, beta, name="laplacian"):
    """The normal equations, from explicit matrices."""
    stack = FrameStack(solution.operator.operators, weights)
    S = regulariser_operator(name, stack.dims).matmat(np.eye(stack.shape[1]))
    B = stack.to_sparse().toarray()
    return B, B.T @ B + beta * S.T @ S, stack


def test_the_solution_is_that_of_the_normal_equations():
    frames = RNG.random((3, 8, 7))
    shifts = [[0, 0], [0.3, -0.2], [0.5, 0.5]]
    maps = [2.0, RNG.random((8, 7)), np.ones((8, 7))]
    frames[2, 4, 4], maps[2][4, 4] = np.nan, 0
    solution = super_resolve(
        da.from_array(frames, chunks=(1, 4, 7)), BLUR, 2, beta=0.05, shifts=shifts,
        weights=[maps[0], da.from_array(maps[1]), maps[2]], rtol=1e-8,
    )  # fmt: skip
    B, N, stack = normal_matrix(solution, maps, 0.05)
    expected = np.linalg.solve(N, B.T @ stack.data(frames))
    assert solution.converged
    assert solution.image.numblocks == (2, 1)
    assert_allclose(solution.image.compute().ravel(), expected, rtol=0, atol=1e-7)
    residuals = stack.data(frames) - B @ expected
    assert_allclose(solution.residuals().compute().ravel(), residuals, rtol=0, atol=1e-7)
    assert_allclose(solution.residual_norm, np.linalg.norm(residuals))


def test_it_is_what_super_resolve_finds_in_memory():
    frames = RNG.random((2, 3, 10, 8)).astype(np.float32)
    frames[1, 2, 3, 4] = np.inf
    given = {"beta": 0.01, "weights": "finite", "shifts": [[0, 0], [0.5, 0.25]]}
    expected = dhop.super_resolve(frames, BLUR, 2, rtol=1e-6, **given)
    found = dhop.super_resolve(
        da.from_array(frames, chunks=(1, 3, 10, 4)), BLUR, 2, rtol=1e-6, **given
    )
    assert found.image.dtype == np.float32
    assert_allclose(found.image.compute(), expected.image, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_psf_for_each_frame():
    frames, psfs = RNG.random((2, 8, 6)), [BLUR, psf.gaussian(7, 1.5)]
    found = super_resolve(da.from_array(frames, chunks=4), psfs, 2, beta=0.1, rtol=1e-9)
    expected = dhop.super_resolve(frames, psfs, 2, beta=0.1, rtol=1e-9)
    assert_allclose(found.image.compute(), expected.image, rtol=0, atol=1e-7)


def test_images_that_are_not_negative():
    frame = RNG.standard_normal((4, 3))
    solution = super_resolve(
        da.from_array(frame, chunks=(2, 3)), BLUR, 2, beta=0.1, regulariser="identity",
        nonnegative=True, rtol=1e-8,
    )  # fmt: skip
    B, _, _ = normal_matrix(solution, None, 0.1, "identity")
    stacked = np.vstack([B, np.sqrt(0.1) * np.eye(48)])
    expected = nnls(stacked, np.append(frame.ravel(), np.zeros(48)))[0]
    assert solution.converged
    assert_allclose(solution.image.compute().ravel(), expected, rtol=0, atol=1e-6)


def test_steps_and_progress_are_told():
    frame = da.from_array(RNG.random((8, 8)), chunks=4)
    steps, done = [], []
    solution = super_resolve(
        frame, BLUR, 2, beta=0.01, rtol=0, maxiter=4, x0=np.ones((16, 16)),
        callback=steps.append, progress=lambda *numbers: done.append(numbers),
    )  # fmt: skip
    assert done == [(k, 4) for k in range(1, 5)]
    assert not solution.converged
    assert [step.residual for step in steps] == [step.residual for step in solution.history]
    assert_array_equal(steps[-1].image.compute(), solution.image.compute())
    again = super_resolve(frame, BLUR, 2, beta=0.01, x0=solution.image, maxiter=1, rtol=0)
    assert again.history[0].residual < solution.history[0].residual


def test_zarr_arrays_by_their_path(tmp_path):
    pytest.importorskip("zarr")
    frame = RNG.random((9, 8))
    settings = {"beta": 0.1, "regulariser": "identity"}
    da.from_array(frame, chunks=(5, 8)).to_zarr(tmp_path / "frame.zarr")
    found = dhop.super_resolve(tmp_path / "frame.zarr", BLUR, 2, **settings, rtol=1e-8)
    expected = dhop.super_resolve(frame, BLUR, 2, **settings)
    assert_allclose(found.image.compute(), expected.image, rtol=0, atol=1e-6)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_vectors_in_files(tmp_path, nonnegative):
    """The same as in memory, and nothing is left of them but the image."""
    frame = da.from_array(RNG.standard_normal((9, 8)), chunks=(4, 8))
    settings = {"beta": 0.1, "maxiter": 6, "rtol": 0, "nonnegative": nonnegative}
    steps = []
    found = super_resolve(
        frame, BLUR, 2, **settings, scratch=tmp_path / "a" / "b",
        callback=lambda step: steps.append(step.image.compute()),
    )  # fmt: skip
    expected = super_resolve(frame, BLUR, 2, **settings)
    assert_array_equal(found.image.compute(), expected.image.compute())
    assert_array_equal(steps[-1], found.image.compute())
    assert found.image.chunks == expected.image.chunks
    assert found.residual_norm == expected.residual_norm
    assert [file.name for file in (tmp_path / "a" / "b").iterdir()] == ["image"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"beta": "automatic"}, "beta must be"),
        ({"regulariser": "tv", "beta": "gcv"}, "regularisers of squares"),
        ({"beta": -1.0}, "not negative"),
        ({"beta": 1.0, "maxiter": 0}, "maxiter"),
        ({"beta": 1.0, "shifts": [[0, 0], [1, 1]]}, "1 pairs"),
        ({"beta": 1.0, "shifts": "guess"}, "shifts must be"),
        ({"beta": 1.0, "psf": "guess"}, "psf must be"),
        ({"beta": 1.0, "loss": "poisson", "background": np.ones(3)}, "background must be a number"),
        ({"beta": 1.0, "loss": "poisson", "photometry": "gain"}, "photometry"),
        ({"beta": 1.0, "loss": "huber", "solver": "lsqr"}, "in memory"),
        ({"beta": 1.0, "bounds": (-2, -1), "nonnegative": True}, "no value"),
        ({"beta": 1.0, "weights": [1.0, 2.0]}, "1 frames, but 2"),
        ({"beta": 1.0, "weights": [-1.0]}, "not negative"),
        ({"beta": 1.0, "dims": (20, 20)}, "gives frames of"),
    ],
)
def test_arguments_that_make_no_sense(arguments, words):
    with pytest.raises(ValueError, match=words):
        super_resolve(da.ones((4, 4)), **{"psf": BLUR, "factor": 2} | arguments)


def test_frames_that_are_not_finite():
    frame = da.from_array(np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match="finite"):
        super_resolve(frame, BLUR, 2, beta=1.0)


@pytest.mark.parametrize(
    "given",
    [{"solver": "lsqr"}, {"denoiser": abs}, {"regulariser": aslinearoperator(np.eye(64))}],
)
def test_what_only_works_in_memory(given):
    """It is said what to do instead."""
    with pytest.raises((TypeError, ValueError), match=r"needs the whole image.*give"):
        dhop.super_resolve(da.ones((4, 4)), BLUR, 2, beta=1.0, **given)
