"""Fields in tiles, by every method, against ``sum_k A_k diag(w_k)`` of dense matrices."""

import pickle

import fields
import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator, psf
from dhop.methods import cost, prepare_field
from dhop.model.tiling import Tiling

METHODS = ("direct", "separable", "fft")


def products(A, method, dtype):
    """Both products in tiles, also where the direct method would not use them."""
    from dhop.methods.tiles import TilesPlan

    plan = TilesPlan(A.tabulated, dtype, method)

    def apply(product, size, x):
        out = np.empty(size, dtype)
        given = x.astype(dtype)
        given.flags.writeable = False
        assert product(given, out, None)
        return out

    M, N = A.shape
    return (lambda x: apply(plan.forward, M, x)), (lambda y: apply(plan.adjoint, N, y))


@pytest.mark.parametrize("numbers", [2**22, 40])
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_tiles_add_up_to_the_definition(seed, ndim, numbers, monkeypatch):
    """Exactly, with whole numbers; also of tiles that are cut, which are of the size of the PSF."""
    monkeypatch.setattr(cost, "LARGEST", numbers)
    dims, field, factor, options = fields.case(ndim, seed, batch=False)
    A = DHOperator(dims, field, factor, **options)
    expected = fields.dense(dims, field, factor, **options)
    forward, adjoint = products(A, "direct", A.dtype)
    rng = np.random.default_rng(seed)
    x, y = oracle.integers(rng, A.shape[1], A.dtype), oracle.integers(rng, A.shape[0], A.dtype)
    assert_array_equal(forward(x), expected @ x)
    assert_array_equal(adjoint(y), expected.conj().T @ y)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_every_method_is_the_matrix(seed, ndim, method):
    dims, field, factor, options = fields.case(ndim, seed)
    A = DHOperator(dims, field, factor, method=method, **options)
    assert A.method == method
    expected = fields.dense(dims, field, factor, **options)
    rng = np.random.default_rng(seed)
    X, Y = (oracle.integers(rng, (n, 2), A.dtype) for n in A.shape[::-1])
    # Norms, not numbers: transforms spread their rounding.
    bound = 100 * np.finfo(A.dtype).eps * np.linalg.norm(expected)
    assert_allclose(A @ X, expected @ X, rtol=0, atol=bound * np.linalg.norm(X))
    assert_allclose(A.H @ Y, expected.conj().T @ Y, rtol=0, atol=bound * np.linalg.norm(Y))
    gram = expected.conj().T @ (expected @ X)
    size = np.linalg.norm(expected) * np.linalg.norm(X)
    assert_allclose(A.gram() @ X, gram, rtol=0, atol=2 * bound * size)
    assert_array_equal(A.to_sparse().toarray(), expected)
    assert_array_equal(pickle.loads(pickle.dumps(A)) @ X, A @ X)


@pytest.mark.parametrize("method", METHODS)
def test_is_the_operator_of_pylops(method):
    """Which has PSFs of odd sizes at even steps, zeros outside, and no decimation."""
    nonstationary = pytest.importorskip("pylops.signalprocessing").NonStationaryConvolve2D
    rng = np.random.default_rng(8)
    stamps, places = rng.random((3, 4, 5, 7)), ([2, 10, 18], [1, 7, 13, 19])
    A = DHOperator((24, 22), psf.Field(stamps, places), 1, method=method)
    other = nonstationary((24, 22), stamps, *places)
    x, y = rng.random((2, 24 * 22))
    assert_allclose(A @ x, other @ x, rtol=1e-12)
    assert_allclose(A.H @ y, other.H @ y, rtol=1e-12)


@pytest.mark.parametrize("method", ["separable", "fft", "direct"])
@pytest.mark.parametrize(("dims", "grid"), [((90, 70), (12, 11)), ((12, 30, 25), (3, 2, 1))])
def test_bits_do_not_depend_on_workers(dims, grid, method, monkeypatch):
    """Many tiles are shared out, few are computed together."""
    monkeypatch.setattr(cost, "TILE", 1e7)  # worth threads
    rng = np.random.default_rng(2)
    shape = (3, 4, 5)[-len(dims) :]
    places = [np.linspace(0, n - 1, size) for n, size in zip(dims, grid, strict=True)]
    field = psf.Field(rng.random((*grid, *shape), np.float32), places)
    x = rng.random(dims, np.float32)
    found = []
    for workers in (1, 2, 5):
        A = DHOperator(dims, field, 2, method=method, boundary="wrap", workers=workers)
        y = A.degrade(x)
        found.append((y, A.backproject(y)))
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert_array_equal(one, other)


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_groups_do_not_overlap(boundary):
    """What threads write at the same time; and every pixel's hats are all there."""
    rng = np.random.default_rng(3)
    field = psf.Field(rng.random((4, 3, 9, 7)), ([2, 9, 15, 30], [-3, 8.5, 19]))
    A = DHOperator((33, 21), field, 2, boundary=boundary)
    tiles = Tiling(A.tabulated, A.dtype, 300)
    assert len(tiles.tiles) > len(Tiling(A.tabulated, A.dtype, 2**20).tiles)
    for model in tiles.models.values():  # no longer than a PSF, and what begins a step earlier
        assert all(axis.size <= axis.taps + 1 for axis in model.axes)
    for groups, what in ((tiles.by_outputs, "outputs"), (tiles.by_pixels, "support")):
        assert sum(map(len, groups)) == len(tiles.tiles)
        for group in groups:
            times = np.zeros((33, 21), int)
            for tile in group:
                times[tuple(getattr(piece, what) for piece in tile.pieces)] += 1
            assert times.max() == 1


def test_what_is_not_finite_stays_where_its_psf_reaches():
    rng = np.random.default_rng(4)
    field = psf.Field(rng.random((3, 3, 5, 5)), ([0, 9, 19], [0, 9, 19]))
    x = rng.random((20, 20))
    x[7, 12] = np.nan
    expected = DHOperator((20, 20), field, 1, method="direct").degrade(x)
    assert np.isnan(expected).sum() == 25
    for method in ("separable", "auto"):
        A = DHOperator((20, 20), field, 1, method=method)
        if method == "auto":
            A.products._chosen[A.dtype] = "fft"
        assert_array_equal(np.isnan(A.degrade(x)), np.isnan(expected))
        assert_allclose(A.degrade(x), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="not finite"):
        DHOperator((20, 20), field, 1, method="fft").degrade(x)


def test_higher_precision_is_that_of_the_array():
    rng = np.random.default_rng(5)
    field = psf.Field(rng.random((2, 2, 5, 5), np.float32), ([0, 19], [0, 19]))
    x = rng.random(400)
    for method in METHODS:
        A = DHOperator((20, 20), field, 1, method=method)
        expected = fields.dense((20, 20), field, 1, axes=(0, 1)) @ x
        assert_allclose(A @ x, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_the_fastest_method_is_chosen():
    """Gaussians down columns and along rows, large PSFs by transforms, small ones tap by tap."""
    rng = np.random.default_rng(6)
    places = np.linspace(0, 1023, 4)

    def chosen(stamps, dims=(1024, 1024), nodes=(places, places)):
        return DHOperator(dims, psf.Field(stamps, nodes), 1, dtype=np.float32).method

    widths = [[psf.gaussian(31, a + b) for a in (2, 2.5, 3, 4)] for b in (0, 0.1, 0.5, 1)]
    assert chosen(widths) == "separable"
    assert chosen(rng.random((4, 4, 81, 81))) == "fft"
    assert chosen(rng.random((4, 4, 5, 5))) == "direct"
    deep = np.reshape([psf.gaussian(9, s) for s in (0.6, 1.0, 1.4)], (3, 1, 1, 1, 9, 9))
    assert chosen(deep, (64, 256, 256), ([0, 30, 63], [0], [0])) == "separable"


def test_a_volume_costs_a_few_products_whatever_the_number_of_nodes():
    """Counted in numbers of tiles: each pixel is in two along an axis."""
    rng = np.random.default_rng(7)
    dims, sizes = (32, 24, 24), []
    for count in (2, 5, 9):
        places = [np.linspace(0, n - 1, count) for n in dims]
        field = psf.Field(rng.random((count,) * 3 + (1, 1, 1)), places)
        A = DHOperator(dims, field, 1)
        tiles = Tiling(A.tabulated, A.dtype, 2**22)
        sizes.append(sum(tiles.models[tile.node].pixels for tile in tiles.tiles))
    assert max(sizes) <= 8 * 32 * 24 * 24


def test_plans_are_by_name():
    field = psf.Field(np.ones((1, 1, 3, 3)), ([0], [0]))
    A = DHOperator((8, 8), field, 1)
    given = A.tabulated, "direct", A.tabulated.model, A.dtype
    assert type(prepare_field(*given)).__name__ == "FieldPlan"
    assert type(prepare_field(given[0], "fft", *given[2:])).__name__ == "TilesPlan"
