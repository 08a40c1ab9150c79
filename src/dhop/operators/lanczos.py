"""The largest or smallest few singular values of an operator of any size, by Lanczos iteration."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, splu

from dhop.operators.normal import NormalOperator

Array = NDArray[Any]
Values = NDArray[np.float64]

FACTORED = 5_000_000  # most entries of a Gram matrix that is factored, in about a gigabyte
SHIFT = 1e-15  # of the largest eigenvalue, added before factoring a matrix that may be singular
SAME = 1e-10  # relative difference by which another eigenvalue is larger
MOST = 300  # restarts
ENOUGH = 1e-12  # tolerance of the iteration; the error of measured values is its square


def extreme_values(A: NormalOperator, k: int, smallest: bool) -> Values:
    """The `k` largest or smallest of the ``min(M, N)`` singular values, the largest first.

    They belong to the eigenvectors of the smaller of the two Gram matrices, multiplied by its
    inverse if small ones are looked for and it can be factored, and are measured on the operator
    itself, so that they are not squared.

    Raises
    ------
    RuntimeError
        If the iteration does not converge.
    """
    inner, outer = (A, A.H) if A.shape[1] <= A.shape[0] else (A.H, A)
    wide = np.result_type(A.dtype, np.float64)

    def gram(x: Array) -> Array:
        return np.asarray(outer.matvec(inner.matvec(x.reshape(-1).astype(wide, copy=False))))

    operator = LinearOperator((inner.shape[1],) * 2, gram, dtype=wide)
    try:
        if smallest:
            top = float(_leading(operator, 1)[0][0])
            operator = _inverted(A, inner, operator, top)
        vectors = _leading(operator, k)[1]
    except ArpackNoConvergence:
        kind = "smallest" if smallest else "largest"
        raise RuntimeError(
            f"the {kind} singular values are too near to each other to be told apart by iteration; "
            "take fewer of them, or a smaller image, which changes them little"
        ) from None
    seen = np.stack([inner.matvec(vector) for vector in vectors.T], axis=1)
    return np.asarray(linalg.svdvals(seen))


def _inverted(A: NormalOperator, inner: Any, gram: LinearOperator, top: float) -> LinearOperator:
    """An operator with the same eigenvectors, in which the smallest eigenvalues are the largest."""
    size = gram.shape[0]
    matrix = _explicit(A, inner)
    if matrix is None:
        return LinearOperator(gram.shape, lambda x: top * x.reshape(-1) - gram(x), dtype=gram.dtype)
    shifted = matrix + max(SHIFT * size * top, np.finfo(float).tiny) * sparse.eye_array(size)
    factors = splu(shifted.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    return LinearOperator(gram.shape, lambda x: factors.solve(x.reshape(-1)), dtype=gram.dtype)


def _explicit(A: NormalOperator, inner: Any) -> Any:
    """The Gram matrix, if it can be factored."""
    if A.nnz > FACTORED:
        return None
    S = A.to_sparse().astype(np.result_type(A.dtype, np.float64))
    S = S if inner is A else S.conj().T
    found = S.conj().T @ S
    return found if found.nnz <= FACTORED else None


def _leading(operator: LinearOperator, k: int) -> tuple[Values, Array]:
    """The largest eigenvalues of a Hermitian operator and their vectors.

    Lanczos iteration from one vector finds one of several equal eigenvalues. So it is repeated in
    the orthogonal complement of the vectors found, until that has no larger eigenvalue.
    """
    rng = np.random.default_rng(0)
    size = operator.shape[0]
    values, vectors = _iterated(operator, k, rng)
    while vectors.shape[1] < size - 1:
        known = vectors

        def deflated(x: Array, known: Array = known) -> Array:
            x = x.reshape(-1)
            x = x - known @ (known.conj().T @ x)
            y = operator.matvec(x)
            return np.asarray(y - known @ (known.conj().T @ y))

        rest = LinearOperator(operator.shape, deflated, dtype=operator.dtype)
        more, others = _iterated(rest, 1, rng)
        if not more[0] > np.sort(values)[-k] + SAME * abs(values).max():
            break
        values, vectors = np.append(values, more), np.hstack([vectors, others])
    order = np.argsort(-values)[:k]
    return values[order], vectors[:, order]


def _iterated(operator: LinearOperator, k: int, rng: np.random.Generator) -> tuple[Values, Array]:
    size = operator.shape[0]
    if k >= size - 1:
        dense = np.stack([operator.matvec(unit) for unit in np.eye(size)], axis=1)
        values, vectors = linalg.eigh((dense + dense.conj().T) / 2)
        return values[-k:], vectors[:, -k:]
    start = rng.standard_normal(size).astype(operator.dtype)
    if not operator.matvec(start).any():
        return np.zeros(k), linalg.qr(rng.standard_normal((size, k)), mode="economic")[0]
    held = min(size, max(4 * k + 1, 40))
    found = eigsh(operator, k=k, which="LA", v0=start, ncv=held, maxiter=MOST, tol=ENOUGH)
    return found[0], found[1]
