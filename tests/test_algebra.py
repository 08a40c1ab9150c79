"""Every law of an operator, over every expression that operators are put together to."""

import pickle

import numpy as np
import oracle
import pytest
import scipy.linalg
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.linalg import aslinearoperator

from dhop import DHOperator, DiagonalOperator, FrameStack
from dhop.operators.channels import ChannelOperator
from dhop.operators.gram import GramOperator


def leaf(seed, dims=(4, 6), taps=(3, 2), factor=(2, 3), dtype=np.float64, **options):
    """A small operator and its dense matrix; all numbers are whole."""
    psf = oracle.integer_psf(np.random.default_rng(seed), taps, 1, dtype)
    expected = oracle.matrix(dims, psf, factor, **options)
    return DHOperator(dims, psf, factor, **options), expected


def leaves():
    complex_psf = {"dtype": np.complex128, "boundary": "wrap"}
    A, a = leaf(0, boundary="symmetric")
    B, b = leaf(1, taps=(2, 5), phase=(1, 0), factor=(2, 3), boundary="edge", decimation="sample")
    F, f = leaf(2, factor=1)
    C, c = leaf(3, **complex_psf)
    w = np.array([[1.0, 0.0], [3.0, -2.0]])
    v = np.arange(24.0).reshape(4, 6) % 5
    return (A, a), (B, b), (F, f), (C, c), (DiagonalOperator(w), w), (DiagonalOperator(v), v)


def expressions():
    """By name: an operator and its dense matrix."""
    (A, a), (B, b), (F, f), (C, c), (W, w), (V, v) = leaves()
    w, v = np.diag(w.ravel()), np.diag(v.ravel())
    roots = np.diag(np.repeat([1.0, 2.0], 4))
    stack = FrameStack([A, B], [1.0, 4.0])
    stacked = roots @ np.vstack([a, b])
    masks = np.array([4.0, 0.0, 1.0, 9.0])
    masked = FrameStack([A, 2 * C], [masks, 1.0])
    return {
        "A": (A, a),
        "C": (C, c),
        "W": (W, w),
        "A.H": (A.H, a.T),
        "C.H": (C.H, c.conj().T),
        "C.T": (C.T, c.T),
        "2 * A": (2 * A, 2 * a),
        "-A": (-A, -a),
        "A * array(2.0)": (A * np.array(2.0), 2 * a),
        "A / 0.5": (A / 0.5, 2 * a),
        "2j * C": (2j * C, 2j * c),
        "0 * A": (0 * A, 0 * a),
        "A + B": (A + B, a + b),
        "A - B": (A - B, a - b),
        "A + B - 3 * C": (A + B - 3 * C, a + b - 3 * c),
        "(A + C).H": ((A + C).H, (a + c).conj().T),
        "A @ F": (A @ F, a @ f),
        "A @ F.H": (A @ F.H, a @ f.T),
        "(2 * A) @ (1j * F)": ((2 * A) @ (1j * F), 2j * a @ f),
        "W @ A": (W @ A, w @ a),
        "A @ V": (A @ V, a @ v),
        "W @ C @ V": (W @ C @ V, w @ c @ v),
        "W @ W @ A": (W @ (W @ A), w @ w @ a),
        "V @ V": (V @ V, v @ v),
        "A.H @ A": (A.H @ A, a.T @ a),
        "C.H @ C": (C.H @ C, c.conj().T @ c),
        "C.T @ C": (C.T @ C, c.T @ c),
        "A.H @ W @ A": (A.H @ W @ A, a.T @ w @ a),
        "A.H @ B": (A.H @ B, a.T @ b),
        "(A + B).H @ (A + B)": ((A + B).gram(), (a + b).T @ (a + b)),
        "stack": (stack, stacked),
        "stack.H": (stack.H, stacked.T),
        "masked": (masked, np.vstack([np.diag(np.sqrt(masks)) @ a, 2 * c])),
        "masked.H": (masked.H, np.vstack([np.diag(np.sqrt(masks)) @ a, 2 * c]).conj().T),
        "stack of stack and sum": (
            FrameStack([stack, A + B, W @ A], [4.0, 1.0, 9.0]),
            np.vstack([2 * stacked, a + b, 3 * w @ a]),
        ),
        "zero and one": (
            FrameStack([FrameStack([A]), FrameStack([A])], [0.0, 1.0]), np.vstack([0 * a, a]),
        ),
        "channels": (ChannelOperator([A, B]), scipy.linalg.block_diag(a, b)),
        "channels.H": (ChannelOperator([A, B]).H, scipy.linalg.block_diag(a, b).T),
        "stack @ F": (stack @ F, stacked @ f),
        "gram of stack": (stack.gram(np.arange(8)), stacked.T @ np.diag(np.arange(8)) @ stacked),
    }  # fmt: skip


EXPRESSIONS = expressions()
each = pytest.mark.parametrize("name", EXPRESSIONS)


@each
def test_products(name):
    A, expected = EXPRESSIONS[name]
    assert_array_equal(A @ np.eye(A.shape[1]), expected)
    assert_array_equal(A.H @ np.eye(A.shape[0]), expected.conj().T)
    assert_array_equal(A.T @ np.eye(A.shape[0]), expected.T)
    assert (A @ np.eye(A.shape[1])).dtype == A.dtype
    x = np.arange(A.shape[1]) % 3 + 1j
    assert_array_equal(A @ x, expected @ x)


@each
def test_arrays(name):
    A, expected = EXPRESSIONS[name]
    x, y = np.arange(A.shape[1]) % 3.0, np.arange(A.shape[0]) % 4.0
    assert_array_equal(A.degrade(x.reshape(A.dims)), (expected @ x).reshape(A.dimsd))
    back = expected.conj().T @ y
    assert_array_equal(A.backproject(y.reshape(A.dimsd)), back.reshape(A.dims))


@each
@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
def test_matrix(name, format):
    A, expected = EXPRESSIONS[name]
    S = A.to_sparse(format)
    assert S.format == format
    assert S.dtype == A.dtype
    assert_array_equal(S.toarray(), expected)
    assert S.tocsr().has_canonical_format
    assert A.nnz == A.to_sparse().nnz
    assert A.sparse_nbytes() == sum(x.nbytes for x in _arrays(A.to_sparse()))
    rows = [A.shape[0] - 1, 0]
    assert_array_equal(A.to_sparse(format, rows=rows).toarray(), expected[rows])
    assert_array_equal(A.to_sparse(format, rows=slice(1, 1)).toarray(), expected[1:1])


def _arrays(matrix):
    return matrix.data, matrix.indices, matrix.indptr


@each
def test_blocks_and_files(name, tmp_path):
    A, expected = EXPRESSIONS[name]
    largest = max(A.sparse_nbytes() // 2, 400)
    blocks = list(A.row_blocks(largest))
    assert blocks[-1][0].stop == A.shape[0]
    for block, part in blocks:
        assert_array_equal(part.toarray(), expected[block])
    S = scipy.sparse.load_npz(A.export(tmp_path / "matrix.npz"))
    assert_array_equal(S.toarray(), expected)


@each
def test_gram(name):
    A, expected = EXPRESSIONS[name]
    weights = np.arange(A.shape[0]) % 3.0
    for given, diagonal in ((None, np.ones(A.shape[0])), (weights, weights)):
        gram = expected.conj().T @ (diagonal[:, None] * expected)
        assert_array_equal(A.gram(given) @ np.eye(A.shape[1]), gram)
        assert_array_equal(A.gram(given).to_sparse().toarray(), gram)
    assert_array_equal(A.gram_diagonal(), np.diag(expected.conj().T @ expected).real)


@each
def test_sums_and_norms(name):
    A, expected = EXPRESSIONS[name]
    assert_array_equal(A.row_sums(), expected.sum(axis=1))
    assert_array_equal(A.column_sums(), expected.sum(axis=0))
    for ord in (1, np.inf, "fro"):
        assert_allclose(A.norm(ord), np.linalg.norm(expected, ord), rtol=1e-14)
    assert_allclose(A.norm(), np.linalg.norm(expected, 2), rtol=1e-7, atol=1e-12)
    columns, rows = A.bounds()
    assert columns >= np.linalg.norm(expected, 1) * (1 - 1e-14)
    assert rows >= np.linalg.norm(expected, np.inf) * (1 - 1e-14)


@each
@pytest.mark.parametrize("gamma", [0.01, 10.0])
def test_proximal_operator(name, gamma):
    A, expected = EXPRESSIONS[name]
    rng = np.random.default_rng(5)
    z, y = rng.standard_normal(A.dims), rng.standard_normal(A.dimsd)
    if A.dtype.kind == "c":
        z, y = z + 1j * rng.standard_normal(A.dims), y + 1j * rng.standard_normal(A.dimsd)
    found = A.prox_l2(z, y, gamma, rtol=1e-11)
    normal = gamma * expected.conj().T @ expected + np.eye(A.shape[1])
    rhs = gamma * expected.conj().T @ y.ravel() + z.ravel()
    assert_allclose(found.ravel(), np.linalg.solve(normal, rhs), atol=1e-9 * np.abs(rhs).max())


@each
def test_pickles(name):
    A, expected = EXPRESSIONS[name]
    again = pickle.loads(pickle.dumps(A))
    assert type(again) is type(A)
    assert_array_equal(again @ np.eye(A.shape[1]), expected)


@pytest.mark.parametrize("boundary", ["wrap", "symmetric"])
@pytest.mark.parametrize("psf", [np.ones((3, 3)), np.array([[2.0]])])
def test_frames_along_different_axes(boundary, psf):
    """They look alike one by one: each has its closed form, but not both together."""
    dims, options = (6, 6, 6), {"boundary": boundary}
    pair = [DHOperator(dims, psf, 2, axes=axes, **options) for axes in ((0, 1), (1, 2))]
    stack = FrameStack(pair)
    rng = np.random.default_rng(6)
    z, y = rng.standard_normal(dims), rng.standard_normal(stack.shape[0])
    matrix = stack @ np.eye(216)
    expected = np.linalg.solve(matrix.T @ matrix + np.eye(216), matrix.T @ y + z.ravel())
    assert_allclose(stack.prox_l2(z, y, 1.0, rtol=1e-10).ravel(), expected, atol=1e-8)
    with pytest.raises(ValueError, match="far from any operator"):
        stack.preconditioner(0.1)


def test_a_weighted_operator_keeps_its_closed_form():
    A = DHOperator((16, 16), np.ones((3, 3)), 2, boundary="wrap")
    for weighted, square in ((3 * A, 9.0), (DiagonalOperator(np.full((8, 8), 2.0)) @ A, 4.0)):
        M = weighted.preconditioner(0.1)
        x = np.random.default_rng(7).standard_normal(256)
        assert_allclose(M @ (square * (A.H @ (A @ x)) + 0.1 * x), x, atol=1e-10)


def test_what_is_known_of_expressions():
    (A, _), (B, _), (F, _), (C, _), (W, _), _ = leaves()
    assert isinstance(A.H @ A, GramOperator)
    assert isinstance(A.T @ A, GramOperator)
    assert not isinstance(C.T @ C, GramOperator)
    assert isinstance(A.H @ W @ A, GramOperator)
    assert isinstance(A.H @ (W @ A), GramOperator)
    assert (2 * (3 * A)).scale == 6
    assert ((2 * A) @ (3 * F)).scale == 6
    assert len((A + B + C).operators) == 3
    assert (A.H).H is A


def test_what_does_not_fit_is_refused():
    (A, _), _, (F, _), *_ = leaves()
    with pytest.raises(ValueError, match="added"):
        A + F
    with pytest.raises(ValueError, match="multiplied"):
        F @ A
    with pytest.raises(ValueError, match="finite"):
        DiagonalOperator([1.0, np.nan])
    with pytest.raises(ValueError, match="do not fit"):
        DiagonalOperator([1.0, 2.0], (3,))
    for dims in ((-1, -2), (1, 2.0), 2):  # of which some have the right product
        with pytest.raises((ValueError, TypeError), match="dims must be"):
            DiagonalOperator([1.0, 2.0], dims)
    with pytest.raises(ValueError, match="no common blocks"):
        (A + A).to_sparse("bsr")
    with pytest.raises(TypeError, match="not supported"):
        DiagonalOperator(np.ones(2, np.longdouble))


def test_operators_of_others_are_multiplied_with_only():
    (A, a), _, (F, _), *_ = leaves()
    other = aslinearoperator(np.arange(16.0).reshape(4, 4))
    assert_array_equal((other @ A) @ np.eye(24), np.arange(16.0).reshape(4, 4) @ a)
    stack = FrameStack([A, aslinearoperator(np.eye(24))])
    assert_array_equal(stack @ np.eye(24), np.vstack([a, np.eye(24)]))
    assert_array_equal(stack.gram() @ np.eye(24), a.T @ a + np.eye(24))
    for ask in (stack.to_sparse, stack.gram().to_sparse, lambda: stack.nnz, (stack @ F).to_sparse):
        with pytest.raises(TypeError, match="DHOperators, it holds"):
            ask()


def test_a_product_never_makes_a_whole_intermediate_matrix(monkeypatch):
    from dhop.matrix import merging

    built = []
    build = merging.built
    monkeypatch.setattr(merging, "built", lambda a, k: built.append(k.size) or build(a, k))
    monkeypatch.setattr(merging, "ENTRIES", 1000)
    A, F = (DHOperator((60, 60), np.ones((3, 3)), factor) for factor in (2, 1))
    (A @ F).to_sparse()
    assert max(built) < 800


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("workers", [1, 3, 7])
def test_any_number_of_threads_gives_the_same(workers):
    import dhop

    (A, _), (B, _), *_ = leaves()
    with dhop.workers(workers):
        assert_array_equal((A + B).to_sparse().toarray(), EXPRESSIONS["A + B"][1])
