"""Faults 16 - 18: NaN, infinities, and numbers at the ends of the range."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_array_equal
from small import DIMS, FACTOR, build, vectors

from dhop import DHOperator


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
class TestFault16And17:
    """What is not finite reaches the outputs that have a tap on it, and no others."""

    def build(self, boundary, dtype=np.float64):
        rng = np.random.default_rng(5)
        args = DIMS, oracle.sparse_psf(rng, (4, 5), 1, dtype), FACTOR
        return DHOperator(*args, boundary=boundary), oracle.terms(*args, boundary=boundary) > 0

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_fault_16_one_nan(self, boundary, dtype):
        A, pattern = self.build(boundary, dtype)
        for (product, x), touched in zip(vectors(A), (pattern, pattern.T), strict=True):
            finite = product(x)
            for pixel in range(0, len(x), 3):
                dirty = x.copy()
                dirty[pixel] = np.nan
                result = product(dirty)
                assert_array_equal(np.isnan(result), touched[:, pixel])
                clean = ~touched[:, pixel]
                assert_array_equal(result[clean], finite[clean])

    def test_fault_16_one_nan_in_the_explicit_matrix(self, boundary):
        A, pattern = self.build(boundary)
        matrix = A.to_sparse()
        for explicit, touched in ((matrix, pattern), (matrix.conj().T, pattern.T)):
            x = np.ones(touched.shape[1])
            finite = explicit @ x
            for pixel in range(0, len(x), 3):
                x[pixel] = np.nan
                assert_array_equal(np.isnan(explicit @ x), touched[:, pixel])
                clean = ~touched[:, pixel]
                assert_array_equal((explicit @ x)[clean], finite[clean])
                x[pixel] = 1

    def test_fault_17_infinities(self, boundary):
        """The same set as the explicit matrix has; the same values where taps do not meet.

        (Two taps of opposite signs on one infinite pixel make NaN; their sum may not.)
        """
        A, _ = self.build(boundary)
        matrix = A.to_sparse()
        terms = oracle.terms(DIMS, A.psf, FACTOR, boundary=boundary)
        dirts = [{5: np.inf}, {0: -np.inf}, {2: np.inf, 3: -np.inf}, {1: np.inf, 4: np.nan}]
        for (product, x), reference, counts in zip(
            vectors(A), (matrix, matrix.T), (terms, terms.T), strict=True
        ):
            for dirt in dirts:
                dirty = x.copy()
                dirty[list(dirt)] = list(dirt.values())
                expected = reference @ dirty
                alone = (counts[:, list(dirt)] <= 1).all(axis=1)
                assert alone.any()
                assert_array_equal(product(dirty)[alone], expected[alone])
                assert_array_equal(np.isfinite(product(dirty)), np.isfinite(expected))


class TestFault18:
    def test_fault_18_overflow_is_infinity(self):
        A = DHOperator((4, 6), [[10.0, 1.0, 1.0]], 2)
        result = A @ np.full(24, 1e308)
        assert np.isinf(result).all()
        assert np.isinf(A.H @ np.full(6, 1e308)).any()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_fault_18_subnormals_are_kept(self, dtype):
        tiny = np.finfo(dtype).smallest_subnormal
        A = build(dtype)
        matrix = oracle.matrix(DIMS, A.psf, FACTOR, boundary="symmetric")
        for (product, x), reference in zip(vectors(A), (matrix, matrix.T), strict=True):
            expected = (reference @ x).astype(dtype) * tiny
            assert_array_equal(product(x * tiny), expected)
