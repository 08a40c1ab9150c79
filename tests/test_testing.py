"""`dhop.testing` accepts right operators and rejects operators with one wrong number."""

import numpy as np
import oracle
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from dhop import DHOperator
from dhop.testing import assert_matches, dottest


class Wrong(LinearOperator):
    """A matrix whose adjoint is that of another."""

    def __init__(self, matrix, other):
        super().__init__(matrix.dtype, matrix.shape)
        self.matrix, self.other = matrix, other

    def _matvec(self, x):
        return self.matrix @ x.reshape(-1)

    def _rmatvec(self, y):
        return self.other.conj().T @ y.reshape(-1)

    def _matmat(self, X):
        return self.matrix @ X

    def _rmatmat(self, Y):
        return self.other.conj().T @ Y


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_right_operators_pass(boundary, dtype):
    rng = np.random.default_rng(0)
    args = (7, 10), rng.standard_normal((4, 3)).astype(dtype), (2, 3)
    A = DHOperator(*args, boundary=boundary)
    for operator in (A, A.H, A.T, A.gram(), aslinearoperator(A.to_sparse())):
        dottest(operator)
    assert_matches(A, A.to_sparse())
    assert_matches(A, A.to_sparse().toarray())
    assert_matches(A.H, A.to_sparse().conj().T)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
def test_one_wrong_entry_of_the_adjoint_is_found(dtype):
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((6, 9)).astype(dtype)
    other = matrix.copy()
    other[2, 5] += 0.5
    dottest(Wrong(matrix, matrix))
    with pytest.raises(AssertionError):
        dottest(Wrong(matrix, other))
    with pytest.raises(AssertionError):
        assert_matches(Wrong(matrix, other), matrix)


def test_forgotten_conjugate_is_found():
    rng = np.random.default_rng(2)
    matrix = rng.standard_normal((6, 9)) + 1j * rng.standard_normal((6, 9))
    with pytest.raises(AssertionError):
        dottest(Wrong(matrix, matrix.conj()))


@pytest.mark.parametrize("entry", [(0, 0), (2, 3), (-1, -1)])
def test_one_wrong_entry_of_the_matrix_is_found(entry):
    A = DHOperator((5, 4), np.ones((3, 3)), 2)
    matrix = A.to_sparse().toarray()
    matrix[entry] += 1e-3
    with pytest.raises(AssertionError):
        assert_matches(A, matrix)


def test_wrong_shape_is_found():
    A = DHOperator((5, 4), np.ones((3, 3)), 2)
    with pytest.raises(AssertionError):
        assert_matches(A, A.to_sparse()[:-1])


def test_empty_psf_passes():
    A = DHOperator((5, 4), np.zeros((3, 3)), 2)
    dottest(A)
    assert_matches(A, np.zeros(A.shape))


def test_integer_operators_pass():
    matrix = np.arange(6).reshape(2, 3)
    dottest(aslinearoperator(matrix))
    assert_matches(aslinearoperator(matrix), matrix)
