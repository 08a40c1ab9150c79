"""A PSF that varies over the field, against ``sum_k A_k diag(w_k)`` of dense matrices."""

import pickle

import numpy as np
import oracle
import pytest
from scipy.sparse.linalg import cg

from dhop import DHOperator, FrameStack, plots, psf, singular_values, super_resolve

SEEDS = range(40)


def hats(positions, size):
    """The weight of each node at each pixel, by interpolation of ones and zeros."""
    return [np.interp(np.arange(size), positions, one) for one in np.eye(len(positions))]


def dense(dims, field, factor, axes=(-2, -1), **options):
    """The definition: the matrix of each PSF, its columns times the hat of its node."""
    total = 0
    rows, columns = (
        hats(place, dims[axis]) for place, axis in zip(field.positions, axes, strict=True)
    )
    for g, h in np.ndindex(field.stamps.shape[:2]):
        shape = np.ones((2, len(dims)), int)
        shape[0, axes[0]], shape[1, axes[1]] = dims[axes[0]], dims[axes[1]]
        weight = rows[g].reshape(shape[0]) * columns[h].reshape(shape[1])
        matrix = oracle.matrix(dims, field.stamps[g, h], factor, axes=axes, **options)
        total = total + matrix * np.broadcast_to(weight, dims).ravel()
    return total


def a_field(rng, grid, shape, dtype=np.float64, sparse=False):
    """Integers at nodes that are 1, 2, 4 or 8 pixels apart: every interpolation is exact."""
    stamps = oracle.integers(rng, (*grid, *shape), dtype, bound=3) * 64
    if sparse:
        stamps = stamps * (rng.random(shape) < 0.4)
    steps = [2 ** rng.integers(0, 4, size) for size in grid]
    return psf.Field(stamps, [np.cumsum(step) - rng.integers(0, 6) for step in steps])


def a_case(seed):
    rng = np.random.default_rng(seed)
    grid, shape, factor = (tuple(rng.integers(1, 4, 2).tolist()) for _ in range(3))
    dims = tuple(rng.integers(5, 14, 2).tolist())
    dtype = (np.float64, np.complex128, np.float32)[seed % 3]
    field = a_field(rng, grid, tuple(n + seed % 3 for n in shape), dtype, sparse=seed % 4 == 3)
    options = {
        "decimation": ("sum", "sample", "mean")[seed // 3 % 3],
        "boundary": tuple(rng.choice(oracle.BOUNDARIES, 2).tolist()),
        "phase": tuple(int(rng.integers(f)) for f in factor),
    }
    if seed % 5 == 0:
        options["center"] = tuple(rng.integers(-2, 5, 2).tolist())
    if options["decimation"] == "mean":
        factor = tuple(min(f, 2) for f in factor)
        options["phase"] = tuple(p % f for p, f in zip(options["phase"], factor, strict=True))
    if seed % 4 == 1:
        dims = (2, *dims)
    if seed % 8 == 5:
        options["axes"] = (2, 0)
        dims = dims[1], 3, dims[2]
    return dims, field, factor, options


@pytest.mark.parametrize("seed", SEEDS)
def test_is_the_sum_of_its_definition(seed):
    dims, field, factor, options = a_case(seed)
    A, rng = DHOperator(dims, field, factor, **options), np.random.default_rng(seed)
    expected = dense(dims, field, factor, **options)
    assert isinstance(A, DHOperator)
    assert A.shape == expected.shape
    X = oracle.integers(rng, (A.shape[1], 2), A.dtype)
    Y = oracle.integers(rng, (A.shape[0], 2), A.dtype)
    np.testing.assert_array_equal(A @ X, expected @ X)
    np.testing.assert_array_equal(A.H @ Y, expected.conj().T @ Y)
    for format in ("csr", "csc", "bsr", "coo"):
        matrix = A.to_sparse(format)
        matrix.tocsr().check_format()
        np.testing.assert_array_equal(matrix.toarray(), expected)
    some = rng.integers(0, A.shape[0], 5)
    np.testing.assert_array_equal(A.to_sparse(rows=some).toarray(), expected[some])


@pytest.mark.parametrize("seed", SEEDS)
def test_all_that_follows_from_the_matrix(seed):
    dims, field, factor, options = a_case(seed)
    A = DHOperator(dims, field, factor, **options)
    expected = dense(dims, field, factor, **options).astype(np.complex128)
    eps = np.finfo(A.dtype).eps
    close = {"rtol": 50 * eps, "atol": 50 * eps * np.abs(expected).max() ** 2}
    gram = expected.conj().T @ expected
    np.testing.assert_allclose(A.gram().to_sparse().toarray(), gram, **close)
    x = np.random.default_rng(seed).standard_normal(A.shape[1]).astype(A.dtype)
    np.testing.assert_allclose(A.gram() @ x, gram @ x, rtol=1e3 * eps, atol=1e3 * eps * gram.max())
    np.testing.assert_allclose(A.gram_diagonal(), gram.diagonal().real, **close)
    for ord in (1, np.inf, "fro"):
        np.testing.assert_allclose(A.norm(ord), np.linalg.norm(expected, ord), rtol=50 * eps)
    np.testing.assert_allclose(A.norm(), np.linalg.norm(expected, 2), rtol=1e4 * eps)
    columns, rows = A.bounds()
    assert columns >= np.linalg.norm(expected, 1) * (1 - eps)
    assert rows >= np.linalg.norm(expected, np.inf) * (1 - eps)


@pytest.mark.parametrize("seed", SEEDS)
def test_stores_what_the_union_of_all_psfs_reaches(seed):
    dims, field, factor, options = a_case(seed)
    union = field.stamps.any(axis=(0, 1)).astype(float)  # folds of it cancel nowhere
    stamps = np.where(field.stamps == 0, 0, np.abs(field.stamps) + 1)  # nor do those of these
    A = DHOperator(dims, psf.Field(stamps, field.positions), factor, **options)
    plain = DHOperator(dims, union, factor, **options)
    assert A.nnz == plain.nnz == A.to_sparse().nnz
    np.testing.assert_array_equal(A.to_sparse().indptr, plain.to_sparse().indptr)
    np.testing.assert_array_equal(A.to_sparse().indices, plain.to_sparse().indices)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("grid", [(1, 1), (1, 4), (3, 2), (4, 3)])
def test_every_source_keeps_its_flux(grid, factor):
    rng = np.random.default_rng(factor)
    stamps = rng.random((*grid, 5, 4))
    stamps /= stamps.sum(axis=(2, 3), keepdims=True)
    places = [np.sort(rng.uniform(-5, 50, size)) for size in grid]
    A = DHOperator((36, 30), psf.Field(stamps, places), factor, boundary="wrap")
    np.testing.assert_allclose(A.column_sums(), 1, rtol=1e-13)


def test_a_source_is_blurred_with_the_psf_of_its_place():
    rng = np.random.default_rng(0)
    field = psf.Field(rng.random((3, 4, 5, 3)), ([2, 9, 30], [0, 11, 17, 22]))
    A = DHOperator((32, 28), field, 1, boundary="wrap")
    for row, column in ((0, 0), (7, 13), (31, 27), (12, 11)):
        x = np.zeros((32, 28))
        x[row, column] = 1
        seen = np.roll(A.degrade(x), (2 - row, 1 - column), (0, 1))[:5, :3]
        np.testing.assert_allclose(seen, field.at(row, column), rtol=1e-14)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_rounding_is_that_of_as_many_products(boundary, dtype):
    rng = np.random.default_rng(1)
    stamps = rng.standard_normal((3, 3, 9, 8)).astype(dtype)
    field = psf.Field(stamps, ([3.3, 12.1, 25.7], [0.2, 18.6, 27.4]))
    A = DHOperator((28, 31), field, (2, 1), boundary=boundary)
    expected = dense((28, 31), field, (2, 1), boundary=boundary)
    x = rng.standard_normal(A.shape[1]).astype(dtype)
    bound = 9 * 10 * 2 * np.finfo(dtype).eps * (np.abs(expected) @ np.abs(x))
    assert (np.abs(A @ x - expected @ x) <= bound).all()
    y = rng.standard_normal(A.shape[0]).astype(dtype)
    bound = 9 * 10 * 2 * np.finfo(dtype).eps * (np.abs(expected).T @ np.abs(y))
    assert (np.abs(A.H @ y - expected.conj().T @ y) <= bound).all()


@pytest.mark.parametrize("factor", [1, 2])
def test_bits_do_not_depend_on_workers(factor):
    rng = np.random.default_rng(2)
    field = psf.Field(rng.random((4, 5, 9, 9), np.float32), (range(0, 400, 100), range(5)))
    x = rng.random((400, 300), np.float32)
    found = []
    for workers in (1, 2, 3, 7):
        A = DHOperator((400, 300), field, factor, workers=workers)
        y = A.degrade(x)
        found.append((y, A.backproject(y), A.to_sparse(rows=slice(0, 500)).data))
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_higher_precision_is_that_of_the_array():
    rng = np.random.default_rng(3)
    field = psf.Field(rng.random((2, 2, 5, 5), np.float32), ([0, 19], [0, 19]))
    A = DHOperator((20, 20), field, 1)
    x = rng.random(400)
    assert A.dtype == np.float32
    np.testing.assert_allclose(A @ x, dense((20, 20), field, 1) @ x, rtol=1e-13)


def test_a_field_of_one_psf_is_that_psf():
    rng = np.random.default_rng(4)
    stamp = oracle.integers(rng, (5, 4))
    A, plain = (DHOperator((17, 13), each, 2) for each in (psf.Field([[stamp]], ([3], [4])), stamp))
    x = oracle.integers(rng, (17, 13))
    np.testing.assert_array_equal(A.degrade(x), plain.degrade(x))
    np.testing.assert_array_equal(A.to_sparse().toarray(), plain.to_sparse().toarray())


def test_expressions_stacks_and_pickles():
    rng = np.random.default_rng(5)
    field = a_field(rng, (2, 3), (3, 3))
    A, B = (DHOperator((8, 8), field, 2, phase=phase) for phase in ((0, 0), (1, 0)))
    plain = DHOperator((8, 8), np.ones((3, 3)), 2)
    x = oracle.integers(rng, 64)
    a, b = A.to_sparse().toarray(), B.to_sparse().toarray()
    np.testing.assert_array_equal((A + 2 * plain).to_sparse().toarray(),
                                  a + 2 * plain.to_sparse().toarray())  # fmt: skip
    stack = FrameStack([A, B], [1, 4])
    np.testing.assert_array_equal(stack.to_sparse().toarray(), np.concatenate([a, 2 * b]))
    np.testing.assert_array_equal(stack @ x, np.concatenate([a, 2 * b]) @ x)
    for each in (A, A.H, stack):
        again = pickle.loads(pickle.dumps(each))
        np.testing.assert_array_equal(again.to_sparse().toarray(), each.to_sparse().toarray())
    assert not pickle.loads(pickle.dumps(A)).psf.stamps.flags.writeable
    np.testing.assert_allclose(
        singular_values(A), np.linalg.svd(a, compute_uv=False), atol=1e-12 * np.abs(a).sum()
    )
    np.testing.assert_array_equal(A.decimation_operator @ (A.blur_operator @ x), a @ x)


def test_closed_forms_are_near_not_exact():
    sigmas = np.linspace(0.8, 1.4, 3)
    stamps = [[psf.gaussian(9, (a + b) / 2) for a in sigmas] for b in sigmas]
    field = psf.Field(stamps, ([0, 16, 31], [0, 16, 31]))
    A = DHOperator((32, 32), field, 1, boundary="symmetric")
    M = A.preconditioner(1e-2)
    assert A.terms() is None
    matrix = A.to_sparse().toarray()
    normal = matrix.T @ matrix + 1e-2 * np.eye(1024)
    y = np.random.default_rng(6).random(1024)
    assert np.abs(M @ (normal @ y) - y).max() > 1e-3

    def iterations(M):
        taken = []
        x, info = cg(A.gram() + 1e-2 * DHOperator((32, 32), [[1.0]], 1), y, M=M, rtol=1e-10,
                     callback=taken.append)  # fmt: skip
        assert info == 0
        np.testing.assert_allclose(x, np.linalg.solve(normal, y), atol=1e-7)
        return len(taken)

    assert iterations(M) < iterations(None) / 2
    proximal = A.prox_l2(np.zeros((32, 32)), y.reshape(32, 32), 100.0, rtol=1e-12)
    np.testing.assert_allclose(proximal.ravel(), np.linalg.solve(normal, matrix.T @ y), atol=1e-7)


@pytest.mark.parametrize("axes", [(0, 1), (2, 1)])
def test_modes_are_the_sum_of_their_definition(axes):
    rng = np.random.default_rng(7)
    dims = (8, 7, 6)
    size = tuple(dims[axis] for axis in axes)
    modes = psf.Modes(oracle.integers(rng, (3, 3, 2)), oracle.integers(rng, (3, *size)))
    A = DHOperator(dims, modes, 2, axes=axes, boundary="reflect")
    expected = 0
    for stamp, weights in zip(modes.stamps, modes.weights, strict=True):
        shape = [dims[axis] if axis in axes else 1 for axis in range(3)]
        spread = np.broadcast_to(weights.transpose(np.argsort(axes)).reshape(shape), dims)
        matrix = oracle.matrix(dims, stamp, 2, axes=axes, boundary="reflect")
        expected = expected + matrix * spread.ravel()
    x, y = (oracle.integers(rng, n) for n in A.shape[::-1])
    np.testing.assert_array_equal(A @ x, expected @ x)
    np.testing.assert_array_equal(A.H @ y, expected.T @ y)
    np.testing.assert_array_equal(A.to_sparse().toarray(), expected)
    np.testing.assert_array_equal(A.gram().to_sparse().toarray(), expected.T @ expected)
    np.testing.assert_allclose(A.norm(1), np.linalg.norm(expected, 1))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(A)) @ x, expected @ x)


def test_owns_its_numbers():
    stamps, rows = np.ones((2, 1, 3, 3)), np.array([0.0, 5.0])
    field = psf.Field(stamps, (rows, [0]))
    stamps[:], rows[:] = 7, 9
    assert field.stamps.max() == 1
    assert field.positions[0].tolist() == [0, 5]
    with pytest.raises(ValueError, match="read-only"):
        field.stamps[0] = 2


def test_modes_in_chunks_are_refused_by_name():
    dask = pytest.importorskip("dhop.dask")
    modes = psf.Modes(np.ones((1, 3, 3)), np.ones((1, 8, 8)))
    with pytest.raises(TypeError, match="in memory only"):
        dask.DaskDHOperator((8, 8), modes, 2)


def test_channels_are_solved_with_the_field():
    rng = np.random.default_rng(11)
    sigmas = [0.7, 1.3]
    field = psf.Field([[psf.gaussian(5, s) for s in sigmas]], ([0], [0, 23]))
    frames = rng.random((12, 12, 3))
    given = {"beta": 0.1, "rtol": 1e-10}
    together = super_resolve(frames, field, 2, channel_axis=-1, **given)
    for channel in range(3):
        alone = super_resolve(frames[..., channel], field, 2, **given)
        np.testing.assert_allclose(together.image[..., channel], alone.image, atol=1e-6)


@pytest.mark.parametrize(
    ("stamps", "positions", "match"),
    [
        (np.ones((3, 3)), ([0], [0]), "stamps must have the shape"),
        (np.full((1, 1, 3, 3), np.nan), ([0], [0]), "finite"),
        (np.ones((2, 1, 3, 3)), ([0], [0]), "2 rows"),
        (np.ones((2, 1, 3, 3)), ([3, 3], [0]), "ascend"),
        (np.ones((2, 1, 3, 3)), ([0, np.inf], [0]), "finite"),
        (np.ones((2, 1, 3, 3)), [0], "two sequences"),
    ],
)
def test_fields_that_are_none_are_refused(stamps, positions, match):
    with pytest.raises(ValueError, match=match):
        psf.Field(stamps, positions)


def test_what_a_field_has_not_is_refused_by_name():
    field = psf.Field(np.ones((1, 1, 3, 3)), ([0], [0]))
    with pytest.raises(ValueError, match="axes"):
        DHOperator((8,), field, 2)
    with pytest.raises(TypeError, match="at each place"):
        plots.frequency_response(DHOperator((8, 8), field, 2))
    modes = psf.Modes(np.ones((1, 3, 3)), np.ones((1, 4, 4)))
    with pytest.raises(TypeError, match="not Modes"):
        super_resolve(np.ones((2, 2)), modes, 2)
    with pytest.raises(ValueError, match="size of the scene"):
        DHOperator((8, 8), modes, 2)
    with pytest.raises(ValueError, match="weights must have the shape"):
        psf.Modes(np.ones((2, 3, 3)), np.ones((1, 4, 4)))
    with pytest.raises(ValueError, match="real and finite"):
        psf.Modes(np.ones((1, 3, 3)), np.full((1, 4, 4), 1j))


@pytest.mark.parametrize("distance", [(3, -2), (0.5, 0), (-1.25, 2.5)])
def test_a_moved_field_stays_in_the_camera(distance):
    rng = np.random.default_rng(8)
    sigmas = np.linspace(1, 2, 3)
    field = psf.Field(
        [[psf.gaussian(13, (a + b) / 2) for a in sigmas] for b in sigmas],
        ([4, 20, 40], [0, 25, 50]),
    )
    moved, center = field.moved(distance)
    A = DHOperator((48, 48), moved, 1, center=center)
    B = DHOperator((48, 48), field, 1)
    for row, column in rng.integers(16, 32, (4, 2)):
        x = np.zeros((48, 48))
        x[row, column] = 1
        there = row + distance[0], column + distance[1]
        whole = [round(place) for place in there]
        rest = np.subtract(there, whole)
        seen = A.degrade(x)
        if not rest.any():
            x = np.roll(x, np.subtract(whole, (row, column)), (0, 1))
            np.testing.assert_allclose(seen, B.degrade(x), atol=1e-12)
            continue
        stamp, origin = psf.shift(field.at(*there), np.subtract(there, (row, column)))
        plain = DHOperator((48, 48), stamp, 1, center=origin).degrade(x)
        np.testing.assert_allclose(seen, plain, atol=1e-6)


def test_super_resolution_solves_with_the_field():
    rng = np.random.default_rng(9)
    stamps = rng.random((2, 2, 3, 3))
    stamps /= stamps.sum(axis=(2, 3), keepdims=True)
    fields = [psf.Field(3 * stamps[::k, ::k], ([0, 15], [2, 13])) for k in (1, -1)]
    frames = rng.random((3, 8, 8))
    shifts = [(0, 0), (0.5, 0), (0, 0)]
    options = {"boundary": "reflect", "decimation": "mean"}
    given = [fields[0], fields[0], fields[1]]
    solution = super_resolve(
        frames, given, 2, shifts=shifts, beta=0.01, regulariser="identity", rtol=1e-11, **options
    )
    known = [psf.Field(each.stamps / 3, each.positions) for each in given]
    known[1] = psf.Field(known[1].stamps, ([-1, 14], [2, 13]))
    centers = [(1, 1), (0, 1), (1, 1)]
    matrix = np.concatenate([
        dense((16, 16), field, 2, center=center, **options)
        for field, center in zip(known, centers, strict=True)
    ])  # fmt: skip
    normal = matrix.T @ matrix + 0.01 * np.eye(256)
    expected = np.linalg.solve(normal, matrix.T @ frames.ravel())
    np.testing.assert_allclose(solution.image.ravel(), expected, atol=1e-8)
    assert solution.converged


def test_super_resolution_with_a_field_of_one_psf_is_that_with_the_psf():
    rng = np.random.default_rng(10)
    stamp = psf.gaussian(7, 1.1)
    frames = DHOperator((48, 48), stamp, 2, decimation="mean").degrade(rng.random((48, 48)))
    frames += 0.01 * rng.standard_normal(frames.shape)
    field = psf.Field([[2 * stamp]], ([0], [0]))
    one, other = (super_resolve(frames, each, 2, rtol=1e-10) for each in (stamp, field))
    assert one.beta == pytest.approx(other.beta, rel=1e-3)
    np.testing.assert_allclose(one.image, other.image, atol=1e-2 * np.ptp(one.image))
    with pytest.raises(ValueError, match="give no center"):
        super_resolve(frames, field, 2, center=(3, 3))
    with pytest.raises(ValueError, match="cannot be made one"):
        super_resolve(frames, psf.Field([[0 * stamp]], ([0], [0])), 2)
