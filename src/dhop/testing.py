"""Checks that users' own operators deserve too."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

__all__ = ["assert_matches", "dottest"]


def dottest(A: LinearOperator, *, trials: int = 3, seed: int = 0) -> None:
    r"""Assert that ``A.rmatvec`` is the adjoint of ``A.matvec``.

    For random `u`, `v` the two sides of :math:`\langle A u, v \rangle = \langle u, A^H v \rangle`
    may differ by rounding only: by ``100 eps sqrt(M + N)`` times ``|A u| |v| + |u| |A^H v|``.
    A dot test is blind to small errors in few entries; `assert_matches` is not.

    Parameters
    ----------
    A : LinearOperator, shape (M, N)
    trials : int
        Number of random pairs.
    seed : int
        Of the random numbers.

    Raises
    ------
    AssertionError
        With the two sides.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator, testing
    >>> psf = np.arange(6.0).reshape(2, 3)
    >>> testing.dottest(DHOperator((7, 9), psf, 2, boundary="reflect"))

    A volume:

    >>> testing.dottest(DHOperator((5, 7, 9), psf[None], (1, 2, 2), boundary="edge"))
    """
    rng = np.random.default_rng(seed)
    M, N = A.shape
    dtype = np.result_type(A.dtype, np.float32)
    for _ in range(trials):
        u, v = _random(rng, N, dtype), _random(rng, M, dtype)
        Au, AHv = A.matvec(u), A.rmatvec(v)
        left, right = np.vdot(v, Au), np.vdot(AHv, u)
        scale = np.linalg.norm(Au) * np.linalg.norm(v) + np.linalg.norm(u) * np.linalg.norm(AHv)
        bound = 100 * np.finfo(dtype).eps * np.sqrt(M + N) * scale
        if not abs(left - right) <= bound:
            raise AssertionError(f"<A u, v> = {left} but <u, A^H v> = {right}")


def assert_matches(A: LinearOperator, matrix: Any, *, rtol: float | None = None) -> None:
    """Assert that all four products of `A` are those of `matrix`, column by column.

    Parameters
    ----------
    A : LinearOperator, shape (M, N)
        Small: it is multiplied with both identity matrices.
    matrix : array_like or sparse array, shape (M, N)
    rtol : float, optional
        Largest difference of an entry, relative to the largest entry of `matrix`. By default 100
        roundings of the operator's dtype; 0 for equality.

    Raises
    ------
    AssertionError
        With the product and the first entry that differs.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator, testing
    >>> A = DHOperator((5, 4), np.arange(9.0).reshape(3, 3), 2)
    >>> testing.assert_matches(A, A.to_sparse(), rtol=0)
    """
    expected = matrix.toarray() if issparse(matrix) else np.asarray(matrix)
    if A.shape != expected.shape:
        raise AssertionError(f"the operator has shape {A.shape}, the matrix {expected.shape}")
    M, N = A.shape
    dtype = np.result_type(A.dtype, np.float32)
    if rtol is None:
        rtol = 100 * float(np.finfo(dtype).eps)
    identities = np.eye(N, dtype=dtype), np.eye(M, dtype=dtype)
    products = {
        "matmat": A.matmat(identities[0]),
        "rmatmat": A.rmatmat(identities[1]).conj().T,
        "matvec": np.stack([A.matvec(e) for e in identities[0]], axis=1),
        "rmatvec": np.stack([A.rmatvec(e) for e in identities[1]]).conj(),
    }
    bound = rtol * np.abs(expected).max()
    for name, product in products.items():
        wrong = np.argwhere(~(np.abs(product - expected) <= bound))
        if wrong.size:
            i, j = wrong[0]
            raise AssertionError(
                f"{name}: entry ({i}, {j}) is {product[i, j]}, expected {expected[i, j]} "
                f"({len(wrong)} of {expected.size} entries differ)"
            )


def _random(rng: np.random.Generator, size: int, dtype: np.dtype[Any]) -> Any:
    values = rng.standard_normal(size)
    if dtype.kind == "c":
        values = values + 1j * rng.standard_normal(size)
    return values.astype(dtype)
