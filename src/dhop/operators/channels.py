"""Images of several channels, each with an operator of its own."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from dhop.matrix import merging
from dhop.matrix.sparse import Rows
from dhop.operators.base import ArrayOperator
from dhop.operators.normal import NormalOperator

Array = NDArray[Any]


class ChannelOperator(NormalOperator):
    """Operators of single images, of which the `c`-th is applied to channel `c` of an array.

    Parameters
    ----------
    operators : sequence of ArrayOperator
        With the same `dims`, `dimsd` and dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator
    >>> A = ChannelOperator([DHOperator((2, 2), [[k]], 2) for k in (1.0, 3.0)])
    >>> A.degrade(np.ones((2, 2, 2))).ravel()
    array([ 4., 12.])
    """

    def __init__(self, operators: Sequence[ArrayOperator]) -> None:
        self.operators = tuple(operators)
        self.args = (self.operators,)
        first, count = self.operators[0], len(self.operators)
        super().__init__(first.dtype, (count, *first.dims), (count, *first.dimsd))

    def _description(self) -> str:
        return f"ChannelOperator of {len(self.operators)}, the first {self.operators[0]!r}"

    def rows(self) -> Rows:
        return merging.diagonal_of([operator.rows() for operator in self.operators], self.dtype)

    def columns(self) -> Rows:
        return merging.diagonal_of([operator.columns() for operator in self.operators], self.dtype)

    def bounds(self) -> tuple[float, float]:
        columns, rows = zip(*(operator.bounds() for operator in self.operators), strict=True)
        return max(columns), max(rows)

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        count = len(self.operators)
        images = x.reshape(-1, count, self.shape[0 if adjoint else 1] // count)
        results = out.reshape(len(images), count, -1)
        for number, operator in enumerate(self.operators):
            result = results[:, number]
            result[:] = operator.multiply(images[:, number], result.shape, adjoint)
