"""The preconditioner of chunked images: symmetric, near the inverse, and worth it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from skimage import data

from dhop import psf, super_resolve

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import operator, super_resolution, tiled  # noqa: E402
from dhop.dask import super_resolve as in_chunks  # noqa: E402
from dhop.dask.operator import DaskDHOperator  # noqa: E402
from dhop.dask.problem import Problem  # noqa: E402
from dhop.dask.tiled import TiledInverse  # noqa: E402

BLUR = psf.gaussian(5, 1.0)


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def problem(dims, factor, chunks, blur=BLUR, beta=0.01, count=1, **settings):
    """Frames of weights 1, 2, ... and the Laplacian as the penalty."""
    A = DaskDHOperator(dims, blur, factor, chunks=chunks, decimation="mean", **settings)
    stencil = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
    options = {"chunks": A.chunks, "boundary": settings["boundary"], "dtype": A.dtype}
    penalties = [DaskDHOperator(dims, stencil, 1, **options)]
    frames = da.zeros((count, *A.dimsd), chunks=(1, *A.chunksd), dtype=A.dtype)
    weights = [1.0 + k for k in range(count)]
    return Problem([A] * count, penalties, frames, weights, weights, beta)


def matrix_of(product, dims, dtype):
    columns = np.eye(int(np.prod(dims)), dtype=dtype).reshape(-1, *dims)
    return np.stack([np.asarray(product(da.from_array(each))).ravel() for each in columns], axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dims", "factor", "chunks", "boundary"),
    [
        ((16, 8), 2, (8, 8), "symmetric"),
        ((13, 9), 1, (5, 9), "constant"),
        ((12, 12), (3, 2), (6, 4), "wrap"),
    ],
)
def test_symmetric_positive_and_near(monkeypatch, dims, factor, chunks, boundary):
    """Of dense matrices: its eigenvalues with the normal equations are in a narrow range."""
    if factor == 2:
        monkeypatch.setattr(operator, "SMALL", 0)  # copies of edges
        monkeypatch.setitem(tiled.MOST, 2, 4)  # four tiles in a chunk
    given = problem(dims, factor, chunks, boundary=boundary, count=2)
    inverse = TiledInverse.of(given, "laplacian", boundary)
    found = matrix_of(inverse, dims, np.float64)
    assert_allclose(found, found.T, rtol=0, atol=1e-10 * np.abs(found).max())
    assert np.linalg.eigvalsh(found).min() > 0
    N = matrix_of(given.normal, dims, np.float64)
    values = np.linalg.eigvals(found @ N).real
    alone = np.linalg.eigvalsh(N)
    assert values.max() / values.min() < 0.3 * alone[-1] / alone[0]


def test_one_tile_is_the_closed_form():
    given = problem((12, 14), 2, (12, 14), boundary="symmetric")
    inverse = TiledInverse.of(given, "laplacian", "symmetric")
    found = matrix_of(inverse, (12, 14), np.float64)
    N = matrix_of(given.normal, (12, 14), np.float64)
    assert_allclose(found @ N, np.eye(len(N)), rtol=0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("factor", "blur", "shifts"),
    [(2, psf.disk(2.5), None), (3, BLUR, [(0, 0), (0.3, 0.4)])],
)
def test_fewer_iterations_to_the_same_image(monkeypatch, factor, blur, shifts):
    frame = data.camera()[100:132, 100:132] / 255
    frames = np.stack([frame] * (1 if shifts is None else 2))
    given = da.from_array(frames, chunks=(1, 16, 16))
    options = {"beta": 1e-3, "shifts": shifts}
    found = in_chunks(given, blur, factor, **options)
    expected = super_resolve(frames, blur, factor, rtol=1e-9, **options)
    assert found.converged
    assert_allclose(found.image, expected.image, rtol=0, atol=5e-3)
    monkeypatch.setattr(super_resolution.TiledInverse, "of", lambda *_: None)
    without = in_chunks(given, blur, factor, **options)
    assert found.iterations < 0.6 * without.iterations


@pytest.mark.parametrize(
    ("chunks", "beta"),
    [((1, 12), 0.1), ((6, 6), 0.0)],
)
def test_where_there_is_none(chunks, beta):
    """Tiles of no overlap, and no regulariser."""
    given = problem((12, 12), 1, chunks, boundary="symmetric", beta=beta)
    assert TiledInverse.of(given, "laplacian", "symmetric") is None


def test_channels_and_volumes():
    """Axes that are no image's are solved one by one."""
    frames = np.random.default_rng(0).random((2, 3, 12, 12))
    shifts = [(0, 0), (0.5, 0.5)]
    given = da.from_array(frames, chunks=(1, 2, 6, 6))
    found = in_chunks(given, BLUR, 2, beta=0.01, shifts=shifts, rtol=1e-8)
    for channel in range(3):
        one = super_resolve(frames[:, channel], BLUR, 2, beta=0.01, shifts=shifts, rtol=1e-9)
        assert_allclose(found.image[channel], one.image, rtol=0, atol=1e-5)
    stack = np.random.default_rng(1).random((8, 8, 8))
    blur = np.multiply.outer(psf.gaussian(3, 0.8).sum(0), BLUR)
    found = in_chunks(da.from_array(stack, chunks=4), blur, (1, 2, 2), beta=0.01, rtol=1e-8)
    expected = super_resolve(stack, blur, (1, 2, 2), beta=0.01, rtol=1e-9)
    assert_allclose(found.image, expected.image, rtol=0, atol=1e-5)
