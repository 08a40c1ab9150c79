"""The folded PSF as a short sum of products of a column and a row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TOLERANCE = 4  # times the dtype's precision: below the rounding of a sum of eight products


def separate(weights: Array, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    r"""Factors of the shortest sum :math:`\sum_r a_r b_r^T` that is `weights` up to rounding.

    A single product of whole numbers, or of multiples of 2**-20, is factorised into such, so that
    products of whole numbers stay exact. Otherwise the sum is the truncated singular value
    decomposition, cut where the Frobenius norm of what it leaves of `weights` is at most
    `TOLERANCE` times the precision of `dtype` times that of `weights`. It is measured on the
    remainder, not on the singular values, which have rounding errors of their own. Rows and columns
    of zeros stay exactly zero.

    Parameters
    ----------
    weights : ndarray of float64 or complex128, shape (T0, T1)
    dtype : dtype
        Of the products.

    Returns
    -------
    a, b : ndarray, shapes (rank, T0) and (rank, T1)
        At least one term, of zeros if need be.
    """
    if not weights.any():
        return np.zeros((1, weights.shape[0])), np.zeros((1, weights.shape[1]))
    whole = _whole_product(weights)
    if whole is not None:
        return whole
    rows, columns = weights.any(axis=1), weights.any(axis=0)
    exponent = np.frexp(np.abs(weights).max())[1]
    block = _times_power(weights[np.ix_(rows, columns)], -exponent)  # squares stay in range
    _, values, right = np.linalg.svd(block, full_matrices=False)
    rest = np.sqrt(np.cumsum(values[::-1] ** 2))[::-1]  # norm of what is left from each term on
    bound = TOLERANCE * np.finfo(dtype).eps * np.linalg.norm(block)
    # Values below the rounding of the decomposition itself say nothing.
    rank = int(np.count_nonzero(rest > bound + np.finfo(rest.dtype).eps * rest[0] * len(rest)))
    while True:
        left = block @ right[:rank].conj().T
        # The second is mostly nearer, but has errors of its own where `left` is ill-conditioned.
        fits = right[:rank], np.linalg.lstsq(left, block)[0]
        errors = [np.linalg.norm(block - left @ fit) for fit in fits]
        if rank == len(values) or min(errors) <= bound:
            break
        rank += 1
    a = np.zeros((rank, rows.size), weights.dtype)
    b = np.zeros((rank, columns.size), weights.dtype)
    a[:, rows] = left.T
    b[:, columns] = _times_power(fits[int(np.argmin(errors))], exponent)
    return a, b


def one_product(box: Array) -> list[Array] | None:
    """One factor for each axis, if `box` is their product to double precision."""
    factors = []
    rest = box
    while rest.ndim > 1:
        first, others = separate(rest.reshape(len(rest), -1), np.dtype(np.float64))
        if len(first) > 1:
            return None
        factors.append(first[0])
        rest = others[0].reshape(rest.shape[1:])
    return [*factors, rest]


def _times_power(array: Array, exponent: int) -> Array:
    """``array * 2**exponent`` in two steps, so that neither power overflows."""
    return array * 2.0 ** (exponent // 2) * 2.0 ** (exponent - exponent // 2)


def _whole_product(weights: Array) -> tuple[Array, Array] | None:
    """Rank-one factors of `weights` in multiples of 2**-20 and whole numbers, if there are any."""
    with np.errstate(over="ignore"):
        scaled = weights.real * 2.0**20
    if (
        np.iscomplexobj(weights)
        or (scaled != np.rint(scaled)).any()
        or np.abs(scaled).max() > 2**53
    ):
        return None
    i, j = np.unravel_index(np.argmax(np.abs(scaled)), scaled.shape)
    b = scaled[i] / max(np.gcd.reduce(scaled[i].astype(np.int64)), 1)
    a = weights[:, j] / (b[j] or 1)
    return (a[None], b[None]) if np.array_equal(np.outer(a, b), weights) else None
