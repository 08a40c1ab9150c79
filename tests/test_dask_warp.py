"""Chunked warps against those of one piece, and against SciPy's splines."""

import pickle

import numpy as np
import oracle
import pytest
import warps
from numpy.testing import assert_allclose, assert_array_equal

from dhop import WarpOperator

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import DaskWarpOperator, operator  # noqa: E402

RNG = np.random.default_rng(0)
DIMS, SHAPE = (70, 61), (55, 83)


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="sync"):
        yield


def coordinates():
    turned = warps.turned(25.0, DIMS, SHAPE)
    tilted = warps.turned(-8.0, DIMS, SHAPE)
    tilted[2] = [2e-3, -1e-3, 1.0]
    away = np.eye(3)
    away[:2, 2] = -300.2, 77.7
    bent = warps.positions(turned, SHAPE) + RNG.uniform(-0.5, 0.5, (2, *SHAPE))
    pixels = np.array([[0.0, 1, 3], [-1, 0, 58], [0, 0, 1]])
    return {"turned": turned, "tilted": tilted, "away": away, "bent": bent, "pixels": pixels}


MAPS = coordinates()


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_both_products(monkeypatch, name, boundary):
    """Of both splines, which take turns, from chunks of others, whole or copies of their edges."""
    if name in ("turned", "pixels"):
        monkeypatch.setattr(operator, "SMALL", 0)
    turn = list(MAPS).index(name) + oracle.BOUNDARIES.index(boundary)
    order, conserve, dtype = ((3, "flux", np.float64), (1, "brightness", np.float32))[turn % 2]
    options = {"order": order, "boundary": boundary, "conserve": conserve, "dtype": dtype}
    W = DaskWarpOperator(DIMS, SHAPE, MAPS[name], chunks=(20, 35), chunksd=(17, 30), **options)
    plain = WarpOperator(DIMS, SHAPE, MAPS[name], **options)
    x, y = RNG.standard_normal(DIMS).astype(dtype), RNG.standard_normal(SHAPE).astype(dtype)
    tolerance = 50 * np.finfo(dtype).eps * np.abs(plain.warp.area).max()
    found, expected = W.degrade(da.from_array(x, chunks=13)), plain.degrade(x)
    assert (found.chunks, found.dtype) == (W.chunksd, expected.dtype)
    assert_allclose(found.compute(), expected, atol=tolerance)
    found, expected = W.backproject(da.from_array(y, chunks=13)), plain.backproject(y)
    assert (found.chunks, found.dtype) == (W.chunks, expected.dtype)
    assert_allclose(found.compute(), expected, atol=tolerance * np.abs(expected).max())


def test_flux_in_a_chunk_of_one_column():
    """Whose areas do not lie side by side in those of the whole."""
    options = {"conserve": "flux", "order": 1}
    W = DaskWarpOperator(DIMS, SHAPE, MAPS["bent"], chunksd=((55,), (82, 1)), **options)
    plain = WarpOperator(DIMS, SHAPE, MAPS["bent"], **options)
    x, y = RNG.standard_normal(DIMS), RNG.standard_normal(SHAPE)
    assert_allclose(W.degrade(x).compute(), plain.degrade(x), atol=1e-12)
    assert_allclose(W.backproject(y).compute(), plain.backproject(y), atol=1e-12)


@pytest.mark.parametrize("boundary", ["constant", "wrap"])
def test_the_dense_matrix(boundary):
    """Unit images in a batch, whose chunks are their own."""
    dims, shape = (9, 8), (7, 9)
    matrix = warps.affine(np.random.default_rng(1), dims, shape)
    expected = warps.matrix(dims, warps.positions(matrix, shape), 3, boundary)
    W = DaskWarpOperator(
        (72, *dims), (72, *shape), matrix, boundary=boundary, chunks=(30, 4, 5), chunksd=(1, 3, 6)
    )
    assert W.chunksd == ((30, 30, 12), (3, 3, 1), (6, 3))
    found = W.degrade(np.eye(72).reshape(72, *dims)).compute().reshape(72, -1).T
    assert_allclose(found, expected, atol=1e-9)
    W = DaskWarpOperator((63, *dims), (63, *shape), matrix, boundary=boundary, chunks=4, chunksd=3)
    found = W.backproject(np.eye(63).reshape(63, *shape)).compute().reshape(63, -1)
    assert_allclose(found, expected, atol=1e-9)


def test_signals_volumes_and_complex_numbers():
    volume = np.eye(4)
    volume[:3] = [[0.9, 0.2, 0, 1], [-0.2, 0.9, 0.1, 0.5], [0, -0.1, 1.1, -2]]
    for dims, shape, matrix in (
        ((40,), (53,), [[0.7, 2.3], [0, 1]]),
        ((40,), (53,), 0.7 * np.arange(53.0)[None]),
        ((12, 10, 14), (9, 13, 11), volume),
    ):
        W = DaskWarpOperator(dims, shape, matrix, boundary="reflect", chunks=8, chunksd=6)
        x = RNG.standard_normal(dims) + 1j * RNG.standard_normal(dims)
        expected = W.operator.degrade(x)
        assert_allclose(W.degrade(x).compute(), expected, atol=1e-13)
        assert_allclose(
            W.backproject(expected).compute(), W.operator.backproject(expected), atol=1e-12
        )


def test_only_what_is_near_is_read():
    """A chunk of the result needs the box of its positions and 34 pixels around it."""
    read = []

    def watched(block, block_info):
        read.append(block_info[0]["chunk-location"])
        return block

    ones = da.ones((400, 400), chunks=50)
    image = ones.map_blocks(watched, dtype=float, meta=np.empty((0, 0)))
    matrix = warps.turned(3.0, (400, 400), (400, 400))
    W = DaskWarpOperator((400, 400), (400, 400), matrix, chunks=50, chunksd=50)
    for product in W.degrade, W.backproject:
        read.clear()
        product(image)[150:200, 250:300].compute()
        assert {(3, 5), (2, 5), (3, 4)} < set(read)
        assert np.ptp(read, axis=0).max() <= 3
        assert len(read) == len(set(read)) <= 12


def test_the_same_bits_by_any_scheduler():
    W = DaskWarpOperator(DIMS, SHAPE, MAPS["bent"], boundary="wrap", chunks=30, chunksd=25)
    other = pickle.loads(pickle.dumps(W))
    x, y = RNG.standard_normal(DIMS), RNG.standard_normal(SHAPE)
    one, two = W.degrade(x).compute(), W.backproject(y).compute()
    for scheduler in "sync", "threads":
        assert_array_equal(other.degrade(x).compute(scheduler=scheduler), one)
        assert_array_equal(other.backproject(y).compute(scheduler=scheduler), two)


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"chunks": (3,)}, ValueError, "none of an array of shape"),
        ({"chunksd": "all"}, ValueError, "none of an array of shape"),
        ({"coordinates": np.eye(4)}, ValueError, "3 x 3 matrix"),
    ],
)
def test_refusals(changed, error, match):
    with pytest.raises(error, match=match):
        DaskWarpOperator(**{"dims": DIMS, "dimsd": SHAPE, "coordinates": np.eye(3)} | changed)


def test_refused_arrays():
    W = DaskWarpOperator(DIMS, SHAPE, np.eye(3))
    with pytest.raises(ValueError, match="expected an array of shape"):
        W.degrade(np.ones(SHAPE))
    with pytest.raises(TypeError, match="cast to float64"):
        W.backproject(da.zeros(SHAPE, dtype=np.longdouble))
