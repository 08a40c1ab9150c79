"""The matrix of normal equations in chunks against explicit matrices."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dhop.model.boundary import BOUNDARIES

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import DaskDHOperator, halo, operator  # noqa: E402
from dhop.dask.normal_equations import NormalMatrix  # noqa: E402

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="sync"):
        yield


def integers(*shape):
    """Few and small, so that all sums are exact."""
    return RNG.integers(-4, 5, shape).astype(float)


def check(operators, weights):
    """The product with an image in chunks that are not those of the operators."""
    x = integers(*operators[0].dims)
    normal = NormalMatrix(operators, weights, x.dtype)
    expected = np.zeros(x.size)
    for A, weight in zip(operators, weights, strict=True):
        S = A.operator.to_sparse()
        W = np.broadcast_to(np.asarray(weight), A.dimsd).ravel()
        expected += S.T @ (W * (S @ x.ravel()))
    # Copies of edges, together and one by one, and whole chunks of neighbours.
    for small, apart in ((0, halo.APART), (0, 3), (2**20, 3)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(operator, "SMALL", small)
            patch.setattr(halo, "APART", apart)
            product = normal(da.from_array(x, chunks=5))
        assert product.chunks == operators[0].chunks
        assert_array_equal(product.compute().ravel(), expected)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_sum_of_several(boundary):
    """With a number for a weight, and a map in chunks of its own."""
    common = {"boundary": boundary, "method": "direct"}
    A = DaskDHOperator((22, 17), integers(3, 1) @ integers(1, 4), 2, chunks=8, **common)
    B = DaskDHOperator((22, 17), integers(5, 1) @ integers(1, 3), 2, chunks=8, center=3, **common)
    S = DaskDHOperator(A.dims, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], 1, chunks=A.chunks, **common)
    check([A, B, S], [2.0, da.from_array(integers(*A.dimsd), chunks=3), 0.5])


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_psfs_larger_than_chunks_and_image(boundary):
    for center in ((-3, 9), (20, 2)):
        A = DaskDHOperator(
            (13, 9), integers(15, 21), 2, chunks=4, center=center, boundary=boundary,
            method="direct",
        )  # fmt: skip
        check([A], [1.0])


def test_batch_axes():
    A = DaskDHOperator((2, 12, 3, 10), integers(3, 3), 2, axes=(3, 1), chunks=(1, 6, 3, 4))
    check([A], [da.from_array(integers(*A.dimsd), chunks=(2, 3, 1, 5))])


def test_a_chunk_is_one_task():
    A = DaskDHOperator((64, 64), np.ones((3, 3)), 2, chunks=8)
    S = DaskDHOperator((64, 64), np.ones((3, 3)), 1, chunks=A.chunks)
    x = da.ones((64, 64), chunks=8)
    graph = NormalMatrix([A, S], [1.0, 0.1], x.dtype)(x).__dask_graph__()
    assert len(graph) <= 64 * 3 + 1  # the image, its edges and the product; the cuts


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("guess", [False, True], ids=["of zeros", "of an image"])
def test_the_residual(boundary, guess):
    """Of frames in chunks of their own and in single precision, which may be NaN without weight."""
    common = {"boundary": boundary, "method": "direct"}
    A = DaskDHOperator((22, 17), integers(3, 4), 2, chunks=8, **common)
    B = DaskDHOperator((22, 17), integers(5, 3), 2, chunks=8, **common)
    S = DaskDHOperator(A.dims, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], 1, chunks=A.chunks, **common)
    weight = np.abs(integers(*A.dimsd))
    frames = [integers(*A.dimsd).astype("f4") for _ in range(2)]
    x = integers(*A.dims) * guess
    left = sum(
        each.operator.backproject(w * (y - each.operator.degrade(x)))
        for each, w, y in ((A, weight, frames[0]), (B, 2.0, frames[1]), (S, 0.5, 0.0))
    )
    frames[0][weight == 0] = np.nan
    normal = NormalMatrix([A, B, S], [da.from_array(weight, chunks=3), 2.0, 0.5], x.dtype)
    given = [da.from_array(frames[0], chunks=5), da.from_array(frames[1], chunks=4), None]
    image = da.from_array(x.astype("f4"), chunks=5) if guess else None
    for small in (0, 2**20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(operator, "SMALL", small)
            found = normal.residual(given, image)
        assert (found.chunks, found.dtype) == (A.chunks, x.dtype)
        assert_array_equal(found.compute(), left)


def test_the_residual_of_a_frame_without_weight():
    A = DaskDHOperator((12, 10), integers(3, 3), 2, chunks=8)
    frames = [da.from_array(integers(*A.dimsd)), da.full(A.dimsd, np.nan)]
    found = NormalMatrix([A, A], [1.0, 0.0], np.dtype(float)).residual(frames, None)
    assert_array_equal(found.compute(), A.operator.backproject(frames[0].compute()))
