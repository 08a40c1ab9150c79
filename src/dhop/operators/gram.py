"""The normal-equations operator ``A^H W A``."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.matrix import merging
from dhop.matrix.gram import GramRows
from dhop.matrix.sparse import Rows
from dhop.operators.base import ArrayOperator, dense
from dhop.operators.normal import NormalOperator


class GramOperator(NormalOperator):
    """``A^H W A`` with a diagonal of real weights `W`, Hermitian.

    Parameters
    ----------
    operator : ArrayOperator
        `A`, of shape (M, N).
    weights : array_like, optional
        M real numbers, or an array of shape ``operator.dimsd``; one per observed pixel. None for
        the identity.
    """

    def __init__(self, operator: ArrayOperator, weights: ArrayLike | None = None) -> None:
        super().__init__(operator.dtype, operator.dims, operator.dims)
        self.operator = operator
        self.workers = operator.workers
        self.weights = None if weights is None else _weights(weights, operator)
        self.args = (operator, self.weights)

    def _description(self) -> str:
        kind = "Gram operator" if self.weights is None else "weighted Gram operator"
        return f"{kind} of {self.operator!r}"

    def rows(self) -> Rows:
        """The rows, each summed in float64 and rounded once for each frame of a stack.

        Entries are stored where some output sees both pixels through non-zero taps, whatever its
        weight.
        """
        terms = self.operator.terms(self.weights)
        if terms is None:
            right = self.operator.rows()
            if self.weights is not None:
                right = merging.WeightedRows(right, self.weights, self.dtype)
            left = merging.WeightedRows(self.operator.columns(), 1, self.dtype, conjugate=True)
            return merging.product_of(left, right, self.dtype)
        found = [GramRows(term.model, term.weights, self.workers) for term in terms]
        return found[0] if len(found) == 1 else merging.sum_of(found, self.dtype)

    def columns(self) -> Rows:
        """The conjugated rows, as the matrix is Hermitian."""
        return merging.WeightedRows(self.rows(), 1, self.dtype, conjugate=True)

    def bounds(self) -> tuple[float, float]:
        columns, rows = self.operator.bounds()
        most = 1.0 if self.weights is None else float(np.abs(self.weights).max(initial=0))
        return columns * rows * most, columns * rows * most

    def apply(self, x: NDArray[Any], adjoint: bool, out: NDArray[Any]) -> None:
        self.operator.apply_gram(x, self.weights, out)

    def _adjoint(self) -> ArrayOperator:
        return self


def _weights(weights: ArrayLike, operator: ArrayOperator) -> NDArray[Any]:
    array = dense(weights, "weights")
    if array.dtype.kind == "c":
        raise TypeError("weights must be real")
    if array.shape not in (operator.dimsd, operator.shape[:1]):
        raise ValueError(
            f"weights must have shape {operator.dimsd} or {operator.shape[:1]}, got {array.shape}"
        )
    array = np.array(array, dtype=np.float64).reshape(-1)
    if not np.isfinite(array).all():
        raise ValueError("weights must be finite")
    array.flags.writeable = False
    return array
