"""A PSF that varies, in chunks, against the explicit matrix."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dhop
from dhop import DHOperator, psf
from dhop.model.boundary import BOUNDARIES

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import DaskDHOperator, super_resolve  # noqa: E402
from dhop.dask.normal_equations import NormalMatrix  # noqa: E402

RNG = np.random.default_rng(0)
FIELD = psf.Field(RNG.random((3, 2, 5, 4)), ([2, 9.5, 15], [4, 14]))


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="sync"):
        yield


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_both_products_and_the_normal_matrix(boundary, factor):
    given = {"boundary": boundary, "decimation": "mean"}
    matrix = DHOperator((21, 18), FIELD, factor, **given).to_sparse()
    A = DaskDHOperator((21, 18), FIELD, factor, chunks=7, **given)
    x, y = RNG.random(A.dims), RNG.random(A.dimsd)
    assert A.degrade(x).npartitions > 4
    assert_allclose(A.degrade(x).compute().ravel(), matrix @ x.ravel(), rtol=1e-12)
    assert_allclose(A.backproject(y).compute().ravel(), matrix.T @ y.ravel(), rtol=1e-12)
    normal = NormalMatrix([A], [da.from_array(y)], x.dtype)(da.from_array(x))
    expected = matrix.T @ (y.ravel() * (matrix @ x.ravel()))
    assert_allclose(normal.compute().ravel(), expected, rtol=1e-12)


@pytest.mark.parametrize("method", ["direct", "separable", "fft"])
def test_every_method_of_lines_images_and_volumes(method):
    line = psf.Field(RNG.random((3, 4)), ([2, 9, 20],))
    stamps = RNG.random((3, 1, 2, 3, 2, 3))
    volume = psf.Field(stamps, ([1, 5, 9], [0], [3, 8]))
    for field, dims in ((line, (3, 31)), (FIELD, (21, 18)), (volume, (10, 12, 11))):
        given = {"boundary": "reflect", "method": method}
        matrix = DHOperator(dims, field, 2, **given).to_sparse()
        A = DaskDHOperator(dims, field, 2, chunks=6, **given)
        x, y = RNG.random(A.dims), RNG.random(A.dimsd)
        assert A.degrade(x).npartitions > 3
        assert_allclose(A.degrade(x).compute().ravel(), matrix @ x.ravel(), rtol=1e-12)
        assert_allclose(A.backproject(y).compute().ravel(), matrix.T @ y.ravel(), rtol=1e-12)


def test_tiles_are_for_those_who_ask():
    """All chunks together would hold the spectra of the whole scene."""
    stamps = RNG.random((9, 9, 41, 41))
    field = psf.Field(stamps, (127 * np.arange(9), 127 * np.arange(9)))
    assert DHOperator((1024, 1024), field, 1).method == "fft"
    assert DaskDHOperator((1024, 1024), field, 1).operator.method == "direct"
    assert DaskDHOperator((1024, 1024), field, 1, method="fft").operator.method == "fft"


@pytest.mark.slow
def test_solving_is_what_it_is_in_memory():
    """The field stays with the camera where the scene is shifted."""
    frames = RNG.random((2, 12, 10))
    stamps = [[psf.gaussian(5, sigma) for sigma in (0.7, 1.3)]]
    field = psf.Field(stamps, ([12], [3, 15]))
    given = {"beta": 0.5, "shifts": [[0, 0], [0.4, -0.3]], "rtol": 1e-9}
    found = super_resolve(da.from_array(frames, chunks=(2, 6, 5)), field, 2, **given)
    expected = dhop.super_resolve(frames, field, 2, **given)
    assert_allclose(found.image.compute(), expected.image, rtol=0, atol=1e-6)
