"""The normal-equations operator ``A^H W A``."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.linear import ArrayOperator, dense


class GramOperator(ArrayOperator):
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
        self.args = (operator, weights)
        self.weights = None if weights is None else _weights(weights, operator)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return GramOperator, (self.operator, self.weights)

    def _apply(self, x: NDArray[Any], adjoint: bool, out: NDArray[Any]) -> None:
        y = np.empty((len(x), self.operator.shape[0]), x.dtype)
        self.operator._apply(x, False, y)
        if self.weights is not None:
            y *= self.weights.astype(y.real.dtype, copy=False)
        y.flags.writeable = False
        self.operator._apply(y, True, out)

    def _adjoint(self) -> "GramOperator":
        return self


def _weights(weights: ArrayLike, operator: ArrayOperator) -> NDArray[Any]:
    array = dense(weights)
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
