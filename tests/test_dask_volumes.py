"""Chunked lines and volumes against those of one piece, and against dense matrices."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dhop
from dhop import DHOperator
from dhop.model.boundary import BOUNDARIES

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import DaskDHOperator, super_resolve  # noqa: E402
from dhop.dask.normal_equations import NormalMatrix  # noqa: E402

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="sync"):
        yield


def check(dims, psf, factor, chunks, **settings):
    """Both products, from chunks that are not those of the operator, up to rounding."""
    A = DHOperator(dims, psf, factor, **settings)
    B = DaskDHOperator(dims, psf, factor, chunks=chunks, **settings)
    x, y = (RNG.standard_normal(shape) for shape in (A.dims, A.dimsd))
    scale = 1e-13 * np.linalg.norm(psf)
    for product, plain, array, sizes in (
        (B.degrade, A.degrade, x, B.chunksd),
        (B.backproject, A.backproject, y, B.chunks),
    ):
        result = product(da.from_array(array, chunks=5))
        assert result.chunks == sizes
        assert max(result.numblocks) > 1
        assert_allclose(result.compute(), plain(array), 0, scale * np.linalg.norm(array))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["direct", "separable", "fft"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_volumes(method, boundary):
    settings = {"boundary": boundary, "method": method, "decimation": "mean"}
    check((13, 14, 15), RNG.random((3, 4, 5)), (1, 2, 2), (4, 6, 5), **settings)
    check((12, 9, 10), RNG.random((5, 2, 3)), (2, 3, 1), (5, 4, 10), phase=(1, 2, 0), **settings)
    check((7, 6, 9), RNG.random((9, 13, 2)), 1, 3, center=(-2, 9, 1), **settings)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["direct", "separable", "fft"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_lines(method, boundary):
    settings = {"boundary": boundary, "method": method}
    for size, factor, center in ((5, 2, None), (70, 3, 100)):
        check((3, 61), RNG.random(size), factor, (2, 16), center=center, **settings)
        check((61, 3), RNG.random(size), factor, (16, 2), center=center, axes=0, **settings)


def test_mixed_boundaries_and_batches_of_volumes():
    psf = RNG.random((3, 2, 4))
    for axes in ((0, 2, 3), (3, 0, 2)):
        check((8, 2, 9, 10), psf, (1, 2, 2), (3, 1, 4, 5), axes=axes,
              boundary=("edge", "symmetric", "wrap"))  # fmt: skip


@pytest.mark.parametrize(
    ("dims", "shape", "factor"), [((40,), (5,), 2), ((6, 7, 8), (3, 2, 4), (1, 2, 2))]
)
@pytest.mark.parametrize("boundary", ["wrap", "reflect", "constant"])
def test_whole_numbers_are_exact(dims, shape, factor, boundary):
    psf = RNG.integers(-4, 5, shape).astype(float)
    A = DaskDHOperator(dims, psf, factor, chunks=4, boundary=boundary, method="direct")
    dense = oracle.matrix(dims, psf, factor, boundary=boundary)
    x, y = (RNG.integers(-9, 10, shape).astype(float) for shape in (A.dims, A.dimsd))
    assert_array_equal(A.degrade(x).compute().ravel(), dense @ x.ravel())
    assert_array_equal(A.backproject(y).compute().ravel(), dense.T @ y.ravel())


@pytest.mark.parametrize(
    ("dims", "shape", "factor"), [((40,), (5,), 2), ((8, 6, 9), (5, 2, 3), (2, 1, 3))]
)
@pytest.mark.parametrize("boundary", ["wrap", "symmetric"])
def test_normal_equations(dims, shape, factor, boundary):
    psf = RNG.random(shape)
    A = DaskDHOperator(dims, psf, factor, chunks=4, boundary=boundary)
    weight = RNG.random(A.dimsd)
    x = RNG.standard_normal(dims)
    dense = oracle.matrix(dims, psf, factor, boundary=boundary)
    for given, diagonal in ((da.from_array(weight, chunks=3), weight.ravel()), (0.5, 0.5)):
        found = NormalMatrix([A], [given], np.dtype(float))(da.from_array(x, chunks=5))
        expected = dense.T @ (diagonal * (dense @ x.ravel()))
        assert_allclose(found.compute().ravel(), expected, 1e-12, 1e-12)


@pytest.mark.slow
def test_a_volume_is_solved_as_in_memory():
    blur = np.einsum("i,j,k->ijk", *[[0.25, 0.5, 0.25]] * 3)
    frames = RNG.random((2, 5, 4, 6))
    given = {"beta": 0.1, "shifts": [[0, 0, 0], [0, 0.5, 0.25]], "rtol": 1e-6}
    given |= {"boundary": ("edge", "symmetric", "wrap")}
    given |= {"weights": [np.ones((5, 4, 6)), RNG.random((5, 4, 6))]}
    expected = dhop.super_resolve(frames, blur, (1, 2, 2), **given).image
    found = super_resolve(da.from_array(frames, chunks=(1, 3, 4, 3)), blur, (1, 2, 2), **given)
    assert found.converged
    assert_allclose(found.image.compute(), expected, 0, 1e-5)


def test_spectra_are_solved_as_in_memory():
    line = np.array([1.0, 2.0, 4.0, 2.0, 1.0]) / 10
    spectra = RNG.random((3, 30))
    given = {"beta": 0.05, "channel_axis": 0, "decimation": "sum", "rtol": 1e-9}
    expected = dhop.super_resolve(spectra, line, 2, **given).image
    found = dhop.super_resolve(da.from_array(spectra, chunks=(2, 10)), line, 2, **given)
    assert_allclose(found.image.compute(), expected, 0, 1e-6)


@pytest.mark.parametrize("chosen", [{}, {"beta": 1.0, "loss": "huber"}, {"shifts": "estimate"}])
def test_nothing_is_chosen_from_spectra(chosen):
    with pytest.raises(ValueError, match="take them into memory"):
        dhop.dask.super_resolve(da.ones((2, 30)), [0.25, 0.5, 0.25], 2, **chosen)
