"""The folded PSF as a sum of products."""

import numpy as np
import pytest

from dhop import psf
from dhop.model.separation import TOLERANCE, separate


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("rank", [0, 1, 2, 5])
@pytest.mark.parametrize("shape", [(5, 5), (12, 7), (40, 61)])
def test_the_bound_holds_at_the_true_rank(shape, rank, dtype):
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((shape[0], rank)), rng.standard_normal((rank, shape[1]))
    if np.issubdtype(dtype, np.complexfloating):
        left = left + 1j * rng.standard_normal(left.shape)
    weights = left @ right
    a, b = separate(weights, np.dtype(dtype))
    # in double precision the rounding of the decomposition itself may cost a term
    assert (
        min(max(rank, 1), *shape)
        <= len(a)
        == len(b)
        <= max(rank, 1) + (np.finfo(dtype).eps < 1e-15)
    )
    bound = TOLERANCE * np.finfo(dtype).eps * np.linalg.norm(weights)
    assert np.linalg.norm(weights - a.T @ b) <= bound


def test_a_sum_of_full_rank_is_as_near():
    """Least squares of ill-conditioned factors leave five times as much."""
    weights = psf.gaussian(15, (2, 1), angle=30)
    a, b = separate(weights, np.dtype(float))
    assert np.linalg.norm(weights - a.T @ b) <= 4 * np.finfo(float).eps * np.linalg.norm(weights)


@pytest.mark.parametrize("size", [3, 9, 21, 99, 201])
def test_a_gaussian_has_rank_one_in_double_precision(size):
    a, _ = separate(psf.gaussian(size, size / 6), np.dtype(float))
    assert len(a) == 1


def test_zero_rows_and_columns_stay_zero():
    weights = np.zeros((8, 9))
    weights[2:5, 3:8] = np.random.default_rng(1).random((3, 5))
    a, b = separate(weights, np.dtype(float))
    assert not a[:, [0, 1, 5, 6, 7]].any()
    assert not b[:, [0, 1, 2, 8]].any()


def test_whole_numbers_have_whole_factors():
    weights = np.outer([6, 10, 0, 15], [4, 0, 14.0]) / 4
    a, b = separate(weights, np.dtype(float))
    np.testing.assert_array_equal(np.outer(a, b), weights)
    assert (a * 2**20 == np.rint(a * 2**20)).all()
    assert (b == np.rint(b)).all()
