"""Several frames under each other."""

import pickle

import numpy as np
import oracle
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from dhop import DHOperator, FrameStack


def frames(dtypes=(np.float64, np.float64, np.float64)):
    """Three different views of one 5 x 6 image, and the dense matrix of all."""
    rng = np.random.default_rng(0)
    arguments = [
        (((5, 6), oracle.integer_psf(rng, (3, 3), 1, dtypes[0]), 2), {"phase": (1, 0)}),
        (((5, 6), oracle.integer_psf(rng, (2, 5), 1, dtypes[1]), (1, 3)), {"boundary": "wrap"}),
        (((5, 6), oracle.integer_psf(rng, (1, 1), 1, dtypes[2]), 2), {"decimation": "sample"}),
    ]
    operators = [DHOperator(*args, **options) for args, options in arguments]
    return operators, np.vstack([oracle.matrix(*args, **options) for args, options in arguments])


@pytest.mark.parametrize("dtype", oracle.DTYPES)
def test_is_the_stacked_matrix(dtype):
    operators, expected = frames((dtype,) * 3)
    stack = FrameStack(operators)
    assert isinstance(stack, LinearOperator)
    assert stack.shape == expected.shape
    assert stack.dtype == dtype
    assert_array_equal(stack @ np.eye(30, dtype=dtype), expected)
    assert_array_equal(stack.H @ np.eye(len(expected), dtype=dtype), expected.conj().T)
    assert_array_equal(stack.T @ np.eye(len(expected), dtype=dtype), expected.T)
    x = oracle.integers(np.random.default_rng(1), 30, dtype)
    assert_array_equal(stack @ x, expected @ x)
    assert_array_equal(stack.rmatvec(expected @ x), expected.conj().T @ (expected @ x))


def test_dtypes_are_promoted():
    operators, expected = frames((np.float32, np.float64, np.complex64))
    stack = FrameStack(operators)
    assert stack.dtype == np.complex128
    assert_array_equal(stack @ np.eye(30), expected)


def test_any_linear_operator_is_a_frame():
    operators, expected = frames()
    rng = np.random.default_rng(2)
    extra = oracle.integers(rng, (4, 30))
    stack = FrameStack([operators[0], aslinearoperator(extra), operators[1].H @ operators[1]])
    one, two = operators[0].shape[0], operators[1].shape[0]
    first, second = expected[:one], expected[one : one + two]
    expected = np.vstack([first, extra, second.T @ second])
    assert_array_equal(stack @ np.eye(30), expected)
    assert_array_equal(stack.H @ np.eye(len(expected)), expected.T)


def test_integer_matrices_are_frames():
    matrix = np.arange(6).reshape(2, 3)
    stack = FrameStack([aslinearoperator(matrix), aslinearoperator(matrix[::-1])])
    expected = np.vstack([matrix, matrix[::-1]])
    for dtype in (np.float64, np.complex64):
        assert_array_equal(stack @ np.eye(3, dtype=dtype), expected)
        assert_array_equal(stack.H @ np.eye(4, dtype=dtype), expected.T)


def test_one_frame_is_itself():
    (A, *_), expected = frames()
    assert_array_equal(FrameStack([A]) @ np.eye(30), expected[: A.shape[0]])


def test_pickle():
    operators, expected = frames()
    stack = pickle.loads(pickle.dumps(FrameStack(operators)))
    assert_array_equal(stack @ np.eye(30), expected)
    assert_array_equal(stack.H @ np.eye(len(expected)), expected.T)


def test_columns_must_agree():
    with pytest.raises(ValueError, match=r"30.*36|36.*30"):
        FrameStack([DHOperator((5, 6), [[1.0]], 2), DHOperator((6, 6), [[1.0]], 2)])


def test_no_frames():
    with pytest.raises(ValueError):
        FrameStack([])


def test_not_an_operator():
    with pytest.raises(TypeError):
        FrameStack(["A"])


def test_wrong_length_names_both():
    operators, _ = frames()
    stack = FrameStack(operators)
    with pytest.raises(ValueError, match=r"(?s)30.*31|31.*30"):
        stack @ np.ones(31)


def test_dims_must_agree():
    A, B = (DHOperator(dims, np.ones((1, 1)), 1) for dims in [(4, 6), (6, 4)])
    with pytest.raises(ValueError, match="same dims"):
        FrameStack([A, B])


def weighted():
    """A stack with one weight, a map with zeros and a frame left out; its dense matrix."""
    operators, matrix = frames()
    rng = np.random.default_rng(3)
    whole = rng.integers(0, 3, operators[1].dimsd) ** 2
    roots = [np.full(operators[0].shape[0], 2), np.sqrt(whole).ravel(), np.zeros(9)]
    stack = FrameStack(operators, [4.0, whole, 0])
    return stack, np.concatenate(roots)[:, None] * matrix


def test_weights_are_within():
    stack, expected = weighted()
    assert_array_equal(stack @ np.eye(30), expected)
    assert_array_equal(stack.H @ np.eye(len(expected)), expected.T)
    again = pickle.loads(pickle.dumps(stack))
    assert_array_equal(again @ np.eye(30), expected)


@pytest.mark.parametrize("name", ["csr", "csc", "coo"])
def test_explicit_matrix(name):
    for stack, expected in (weighted(), (FrameStack(frames()[0]), frames()[1])):
        found = stack.to_sparse(name)
        assert found.format == name
        assert_array_equal(found.toarray(), expected)
        assert found.nnz == stack.nnz == np.count_nonzero(expected)
        rows = [14, 0, 3, 15, 2]
        assert_array_equal(stack.to_sparse(name, rows=rows).toarray(), expected[rows])


def test_explicit_matrix_of_several_dtypes():
    operators, _ = frames((np.float32, np.float64, np.complex64))
    stack = FrameStack(operators, [1.0, 4.0, 9.0])
    assert_array_equal(stack.to_sparse().toarray(), stack @ np.eye(30))


def test_row_blocks_and_export(tmp_path):
    stack, expected = weighted()
    for block, part in stack.row_blocks(max_nbytes=1000):
        assert_array_equal(part.toarray(), expected[block])
    assert_array_equal(scipy.sparse.load_npz(stack.export(tmp_path / "m.npz")).toarray(), expected)


def test_gram():
    stack, matrix = weighted()
    more = np.random.default_rng(4).integers(0, 3, len(matrix))
    for weights in (None, more):
        diagonal = np.ones(len(matrix)) if weights is None else weights
        expected = matrix.T @ (diagonal[:, None] * matrix)
        assert_array_equal(stack.gram(weights) @ np.eye(30), expected)
        assert_array_equal(stack.gram(weights).to_sparse().toarray(), expected)


def test_no_blocks_in_common():
    with pytest.raises(ValueError, match="csr"):
        weighted()[0].to_sparse("bsr")


def test_data():
    stack, matrix = weighted()
    x = np.arange(30.0)
    plain = [operator @ x for operator in stack.operators]
    plain[2][:] = np.nan  # of weight zero
    assert_array_equal(stack.data(plain), matrix @ x)
    with pytest.raises(ValueError, match="frames"):
        stack.data(plain[:2])


@pytest.mark.parametrize("weights", [[1, 2], [1, 2, -1], [1, np.nan, 1], [1, np.ones(3), 1]])
def test_weights_out_of_range(weights):
    with pytest.raises(ValueError, match=r"weights|pixels"):
        FrameStack(frames()[0], weights)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_any_number_of_frames(count):
    A = DHOperator((300, 200), np.ones((3, 3)), 2)
    y = np.random.default_rng(count).integers(0, 9, (count, *A.dimsd)).astype(float)
    stack = FrameStack([A] * count)
    assert_array_equal(stack.backproject(y.ravel()), sum(A.backproject(frame) for frame in y))
