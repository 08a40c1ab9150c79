"""Numbers about the matrix, told without building it."""

import tracemalloc

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator

SIZES = ((1, 5), (3, 2), (7, 5))
ORDERS = (2, 1, np.inf, "fro")
DOUBLE = (np.float64, np.complex128)  # in which sums of squares of small integers are exact


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("psf", oracle.PSFS)
class TestEveryCase:
    def cases(self, psf, boundary, decimation, sizes=SIZES, dtypes=oracle.DTYPES):
        factors = (1, (2, 3))
        for args, options in oracle.grid(
            psf,
            boundary=boundary,
            decimation=decimation,
            sizes=sizes,
            factors=factors,
            dtypes=dtypes,
        ):
            yield DHOperator(*args, **options), oracle.matrix(*args, **options)

    def test_sums(self, psf, boundary, decimation):
        """Entries are counted once: taps that meet on a pixel as their sum."""
        for A, matrix in self.cases(psf, boundary, decimation):
            assert_array_equal(A.row_sums(), matrix.sum(axis=1), repr(A))
            assert_array_equal(A.column_sums(), matrix.sum(axis=0), repr(A))

    def test_gram_diagonal(self, psf, boundary, decimation):
        """Sums of squares of entries: taps that meet are added first."""
        for A, matrix in self.cases(psf, boundary, decimation, dtypes=DOUBLE):
            diagonal = (abs(matrix.real) ** 2 + abs(matrix.imag) ** 2).sum(axis=0)
            assert_array_equal(A.gram_diagonal(), diagonal, repr(A))

    def test_norm(self, psf, boundary, decimation):
        for A, matrix in self.cases(psf, boundary, decimation, sizes=((3, 2), (7, 5))):
            for order in ORDERS:
                rtol = 1e-6 if order == 2 else sum(A.shape) * np.finfo(A.dtype).eps
                expected = np.linalg.norm(matrix, order)
                assert_allclose(A.norm(order), expected, rtol, err_msg=f"{A!r}, {order}")

    def test_gram(self, psf, boundary, decimation):
        """`A.H W A`, exactly, for weights of either shape."""
        rng = np.random.default_rng(0)
        for A, matrix in self.cases(psf, boundary, decimation, ((3, 2), (5, 4)), DOUBLE):
            identity = np.eye(A.shape[1])
            weights = rng.integers(0, 5, A.dimsd).astype(float)
            adjoint = matrix.conj().T
            expected = adjoint @ (weights.ravel()[:, None] * matrix)
            assert_array_equal(A.gram() @ identity, adjoint @ matrix)
            assert_array_equal(A.gram(weights) @ identity, expected)
            assert_array_equal(A.gram(weights.ravel()) @ identity, expected)
            assert_array_equal(A.gram(weights).H @ identity, expected)


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_batch_axes(boundary):
    """Facts of a batch are those of one image, repeated in the order of the ravels."""
    psf = oracle.integer_psf(np.random.default_rng(1), (3, 4))
    options = {"axes": (2, 0), "boundary": boundary, "phase": (1, 0)}
    A = DHOperator((4, 3, 7), psf, (2, 1), **options)
    matrix = oracle.matrix((4, 3, 7), psf, (2, 1), **options)
    assert A.nnz == np.count_nonzero(oracle.terms((4, 3, 7), psf, (2, 1), **options))
    assert_array_equal(A.row_sums(), matrix.sum(axis=1))
    assert_array_equal(A.column_sums(), matrix.sum(axis=0))
    assert_array_equal(A.gram_diagonal(), (matrix**2).sum(axis=0))
    for order in ORDERS:
        assert_allclose(A.norm(order), np.linalg.norm(matrix, order), 1e-6 if order == 2 else 1e-14)


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_all_zero_psf(boundary):
    A = DHOperator((5, 4), np.zeros((3, 2)), 2, boundary=boundary)
    assert A.nnz == 0
    assert A.to_sparse().nnz == 0
    for order in ORDERS:
        assert A.norm(order) == 0
    for fact in (A.row_sums(), A.column_sums(), A.gram_diagonal(), A @ np.ones(20)):
        assert_array_equal(fact, 0)


@pytest.mark.parametrize("dims", [(30, 40), (32, 32)])
@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
def test_largest_singular_value_of_a_blur(dims, decimation):
    """Clustered singular values, as blurs have them: still to 1e-6."""
    rng = np.random.default_rng(2)
    for psf in (np.full((5, 5), 1 / 25), rng.standard_normal((7, 4))):
        A = DHOperator(dims, psf, 2, decimation=decimation, boundary="symmetric")
        expected = np.linalg.norm(A.to_sparse().toarray(), 2)
        assert_allclose(A.norm(), expected, rtol=1e-6)


def test_nnz_beyond_int32():
    """Told in closed form, exactly, in less memory than one byte for each row of the matrix."""
    tracemalloc.start()
    try:
        A = DHOperator((4000, 5000), np.ones((31, 31)), 1, boundary="wrap")
        assert A.nnz == 4000 * 5000 * 31 * 31
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < A.shape[0]


def test_weights_of_a_wrong_shape():
    A = DHOperator((6, 4), np.ones((3, 3)), 2)
    for shape in [(7,), (2, 3), (6, 1), (6, 4)]:
        with pytest.raises(ValueError):
            A.gram(np.ones(shape))


def test_unknown_norm():
    with pytest.raises(ValueError, match="ord"):
        DHOperator((6, 4), np.ones((3, 3)), 2).norm("nuc")
    with pytest.raises(ValueError, match="ord must be"):
        DHOperator((6, 4), np.ones((3, 3)), 2).norm(np.ones(2))
