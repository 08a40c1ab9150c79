"""Chunked products against those of one piece, bit for bit."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator
from dhop.model.boundary import BOUNDARIES

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import DaskDHOperator, halo, operator  # noqa: E402
from dhop.dask.blocks import cut  # noqa: E402

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="sync"):
        yield


def numbers(shape, dtype):
    values = RNG.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * RNG.standard_normal(shape)
    return values.astype(dtype)


COPIES, WHOLE = 0, 2**20  # of `SMALL`: blocks read copies of edges, or whole neighbours


def check(dims, psf, factor, chunks, seen=None, equal=assert_array_equal, **settings):
    """Both products, from chunks that are not those of the operator, and from those."""
    A = DHOperator(dims, psf, factor, **settings)
    B = DaskDHOperator(dims, psf, factor, chunks=chunks, **settings)
    x, y = (numbers(shape, seen or A.dtype) for shape in (A.dims, A.dimsd))
    for product, plain, array, own, sizes in (
        (B.degrade, A.degrade, x, B.chunks, B.chunksd),
        (B.backproject, A.backproject, y, B.chunksd, B.chunks),
    ):
        expected = plain(array)
        for given, small, apart in ((7, COPIES, 6), (own, WHOLE, 6), (own, COPIES, halo.APART)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(operator, "SMALL", small)
                patch.setattr(halo, "APART", apart)
                result = product(da.from_array(array, chunks=given))
            assert (result.shape, result.dtype, result.chunks) == (
                expected.shape,
                expected.dtype,
                sizes,
            )
            equal(result.compute(), expected)


METHODS = pytest.mark.parametrize("method", ["direct", "separable"])


@METHODS
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    ("factor", "decimation", "shape", "phase"),
    [
        (1, "sample", (5, 6), 0),
        (2, "sum", (17, 3), 1),
        (3, "mean", (2, 9), 1),
        (4, "sample", (3, 2), 3),
    ],
)
def test_bits_do_not_depend_on_chunks(method, boundary, factor, decimation, shape, phase):
    check(
        (41, 38), RNG.standard_normal(shape), factor, 14,
        boundary=boundary, decimation=decimation, phase=phase, method=method,
    )  # fmt: skip


@METHODS
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_psfs_larger_than_chunks_and_image(method, boundary):
    for center in ((-3, 60), (200, 5)):
        check((23, 19), RNG.random((31, 45)), 2, 8, boundary=boundary, center=center, method=method)


@METHODS
def test_chunks_of_which_one_reads_both_ends(method):
    for factor, rows in ((1, 9), (2, 10), (4, 29)):
        check((60, 12), RNG.random((rows, 3)), (factor, 2), (4, 12), boundary="wrap", method=method)


def test_products_that_differ_have_names_that_differ():
    A, B = (DaskDHOperator((8, 8), np.full((3, 3), value), 2, chunks=4) for value in (1.0, 2.0))
    x = da.ones((8, 8))
    assert_array_equal((2 * A.degrade(x) - B.degrade(x)).compute(), np.zeros((4, 4)))
    assert A.degrade(x).name == A.degrade(x).name
    assert len({A.degrade(x).name, A.degrade(x + 1).name, B.degrade(x).name}) == 3


@METHODS
def test_sparse_psfs(method):
    psf = np.zeros((13, 9))
    psf[0, 2] = psf[5, 5] = psf[12, 8] = 1.5
    for boundary in ("wrap", "reflect"):
        check((40, 33), psf, (3, 2), 16, boundary=boundary, method=method)


@METHODS
@pytest.mark.parametrize(
    ("own", "other"),
    [("f4", "f8"), ("f4", "c8"), ("c16", "f8"), ("f8", "i4")],
)
def test_dtypes(method, own, other):
    check((30, 21), numbers((5, 4), own), 2, 12, seen=other, method=method)


@METHODS
def test_batch_axes_and_their_order(method):
    psf = RNG.random((3, 5))
    check((3, 20, 2, 18), psf, (2, 3), (2, 8, 1, 9), axes=(1, 3), method=method)
    check((20, 2, 18), psf, (2, 3), (8, 2, 9), axes=(2, 0), method=method)


def test_fft_agrees_up_to_rounding():
    def close(one, other):
        assert_allclose(one, other, rtol=0, atol=1e-12)

    for boundary in BOUNDARIES:
        check((40, 40), RNG.random((9, 9)), 2, 16, equal=close, boundary=boundary, method="fft")


def test_the_method_is_that_of_the_whole():
    psf = np.outer(np.hanning(23), np.hanning(23))
    A = DaskDHOperator((300, 300), psf, 2, chunks=100)
    assert A.operator.method == "separable"
    x = RNG.random((300, 300))
    assert_array_equal(A.degrade(x).compute(), A.operator.degrade(x))


def test_what_is_not_finite_stays_within_reach_of_its_taps():
    psf = np.outer(np.hanning(23), np.hanning(23))
    A = DaskDHOperator((300, 300), psf, 2, chunks=100)
    x = RNG.random((300, 300))
    x[150, 20] = np.nan
    result, expected = A.degrade(x).compute(), A.operator.degrade(x)
    assert_array_equal(np.isnan(result), np.isnan(expected))
    assert_allclose(result, expected, rtol=1e-12)


def test_chunks_are_multiples_of_the_factor():
    A = DaskDHOperator((100, 101), np.ones((3, 3)), (3, 2), phase=(2, 1), chunks=(25, 40))
    assert A.chunksd == ((8, 8, 8, 8), (20, 20, 10))
    assert A.chunks == ((24, 24, 24, 28), (40, 40, 21))
    assert DaskDHOperator((90, 90), np.ones((3, 3)), 3, chunks=25).chunksd[0] == (8, 8, 8, 6)
    A = DaskDHOperator((100, 90), np.ones((3, 3)), 2, chunks=((13, 50, 37), 52))
    assert (A.chunks, A.chunksd) == (((12, 52, 36), (52, 38)), ((6, 26, 18), (26, 19)))
    A = DaskDHOperator((500, 500), np.ones((3, 3)), 2, phase=1, chunks=(250, (150, 200, 150)))
    assert (A.chunks, A.chunksd) == (((250, 250), (150, 200, 150)), ((125, 124), (75, 100, 74)))
    assert DaskDHOperator((5, 5), np.ones((3, 3)), 2, chunks=1).chunks == ((2, 3), (2, 3))


def test_what_travels_does_not_grow_with_the_image():
    sizes = []
    for size in (640, 6400):
        model = DHOperator((size, size), np.ones((3, 3)), 2).model
        model.columns.by_output  # noqa: B018 - tables that a choice of method leaves behind
        ranges = [[(start, start + 32) for start in range(0, size // 2, 32)]] * 2
        _, blocks = cut(model, "auto", {np.dtype(float): "separable"}, False, ranges)
        sizes.append(len(pickle.dumps(blocks)))
    assert sizes[1] - sizes[0] < 10 * (200 - 20) * 2


@pytest.mark.parametrize(
    ("image", "error"),
    [(np.ones((4, 5)), ValueError), (np.array([["a"] * 4] * 4), TypeError)],
)
def test_images_that_do_not_fit(image, error):
    A = DaskDHOperator((4, 4), np.ones((1, 1)), 2)
    with pytest.raises(error):
        A.degrade(image)
    with pytest.raises(error):
        A.degrade(da.from_array(image))


def test_small_chunks_of_one_process_take_one_task_each(monkeypatch):
    A = DaskDHOperator((64, 64), np.ones((3, 3)), 1, chunks=16)
    x = da.ones((64, 64), chunks=16).persist()
    counts = []
    for small in (16 * 16, 16 * 16 - 1):
        monkeypatch.setattr(operator, "SMALL", small)
        counts.append(len(A.degrade(x).__dask_graph__()))
    blocks = 16 + 16 + 1  # chunks of the image, of the result, and what these are computed with
    assert counts == [blocks, blocks + 16]  # which have edges, too


def test_faces_travel_to_the_chunk_beside_them_alone(monkeypatch):
    """Of the 26 neighbours in a volume all but two need no more than a few lines."""
    monkeypatch.setattr(operator, "SMALL", COPIES)
    read = []
    for apart in (2**17, 64 * 64):
        monkeypatch.setattr(halo, "APART", apart)
        A = DaskDHOperator((24, 192, 192), np.ones((5, 3, 3)), 1, chunks=(8, 64, 64))
        product = A.degrade(da.ones(A.dims, chunks=A.chunks))
        graph = product.__dask_graph__()
        needed = graph[product.name, 1, 1, 1].dependencies
        edges = [key for key in needed if key[0].endswith("-edges")]
        copies = dask.get(graph, edges)
        assert len(edges) == 26
        read.append(sum(patch.size for copy in copies for patch in copy.values()))
    assert read[0] > 26 * 2 * 64 * 64
    assert read[1] < read[0] / 4


@METHODS
def test_a_chunk_is_read_where_it_lies(method, monkeypatch):
    """Only the lines about its edges are put together; none of it if nothing reaches beyond."""
    joined = []

    def watched(patches, counts):
        whole = join(patches, counts)
        joined.append(whole.size if len(patches) > 1 else 0)
        return whole

    join = halo.join
    monkeypatch.setattr(halo, "join", watched)
    for shape, most in (((5, 7), 0.4), ((1, 1), 0)):
        A = DaskDHOperator((240, 320), RNG.random(shape), 1, chunks=80, method=method)
        for product, chunks in ((A.degrade, A.chunks), (A.backproject, A.chunksd)):
            joined.clear()
            product(da.ones((240, 320), chunks=chunks)).compute()
            assert max(joined) <= most * 80**2
            assert sum(joined) <= most * 240 * 320
