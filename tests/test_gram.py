"""The explicit matrix of the normal equations."""

import itertools

import numpy as np
import oracle
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse.linalg import aslinearoperator

from dhop import DHOperator, FrameStack

RNG = np.random.default_rng(5)


def cases():
    """Whole numbers: every sum is exact."""
    for boundary, decimation, factor in itertools.product(
        oracle.BOUNDARIES, ("sum", "sample"), (1, 2, (2, 3))
    ):
        for shape, dims, dtype in itertools.product(
            ((3, 3), (2, 5), (9, 9)), ((7, 5), (6, 8)), ("float64", "complex128")
        ):
            psf = RNG.integers(-3, 4, shape).astype(dtype)
            if dtype == "complex128":
                psf = psf + 1j * RNG.integers(-3, 4, shape)
            options = {"boundary": boundary, "decimation": decimation}
            yield dims, psf, factor, options


def test_is_the_oracles():
    for dims, psf, factor, options in cases():
        A = DHOperator(dims, psf, factor, dtype=psf.dtype, **options)
        dense = oracle.matrix(dims, psf, factor, **options)
        seen = oracle.terms(dims, psf, factor, **options) > 0
        for weights in (None, RNG.integers(0, 4, A.shape[0])):
            diagonal = np.ones(A.shape[0]) if weights is None else weights
            expected = dense.conj().T @ (diagonal[:, None] * dense)
            found = A.gram(weights).to_sparse()
            found.check_format(full_check=True)
            assert found.has_canonical_format
            assert_array_equal(found.toarray(), expected)
            stored = np.zeros(found.shape, bool)
            stored[found.tocoo().coords] = True
            assert_array_equal(stored, seen.T.astype(int) @ seen > 0)


@pytest.mark.parametrize("name", ["csr", "csc", "coo"])
def test_formats_and_batches(name):
    psf = RNG.integers(-3, 4, (3, 4)) + 1j * RNG.integers(-3, 4, (3, 4))
    A = DHOperator((2, 6, 3, 5), psf, 2, axes=(1, 3), boundary="wrap")
    weights = RNG.integers(1, 3, A.dimsd)
    dense = A.to_sparse().toarray()
    for given in (None, weights):
        diagonal = np.ones(A.shape[0]) if given is None else given.reshape(-1)
        found = A.gram(given).to_sparse(name)
        assert found.format == name
        assert_array_equal(found.toarray(), dense.conj().T @ (diagonal[:, None] * dense))


def test_part():
    gram = DHOperator((6, 7), np.ones((3, 3)), 2).gram()
    rows = [4, 0, -1]
    assert_array_equal(gram.to_sparse(rows=rows).toarray(), gram.to_sparse().toarray()[rows])
    assert_array_equal(gram.to_sparse("csc", rows=rows).toarray(), gram.to_sparse().toarray()[rows])


def test_zero_taps_are_not_stored():
    psf = np.zeros((5, 5))
    psf[0, 0] = psf[4, 4] = 1
    gram = DHOperator((20, 20), psf, 1, decimation="sample").gram()
    assert gram.to_sparse().nnz < 3 * 400


def test_rounding():
    A = DHOperator((30, 28), RNG.standard_normal((7, 6)), 2, dtype="float32", boundary="symmetric")
    S = A.to_sparse().astype(np.float64)
    exact = (S.T @ S).toarray()
    bound = 4 * np.finfo(np.float32).eps * (abs(S).T @ abs(S)).toarray()
    assert (np.abs(A.gram().to_sparse().toarray() - exact) <= bound).all()


def test_only_of_dhoperators():
    A = DHOperator((4, 4), np.ones((3, 3)), 2)
    with pytest.raises(TypeError, match="DHOperator"):
        FrameStack([A, aslinearoperator(np.eye(16))]).gram().to_sparse()
