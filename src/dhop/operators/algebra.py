"""Expressions: transposes, multiples, sums and products of operators.

Each defines the methods of `ArrayOperator` by those of its operands. So every expression has what
an operator has: an explicit matrix, exports, normal equations. Operators of other packages (scipy,
PyLops) combine with these through scipy, for products only.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.closed.terms import Term
from dhop.matrix import merging
from dhop.matrix.merging import WeightedRows
from dhop.matrix.sparse import Rows
from dhop.operators.base import ArrayOperator, native
from dhop.operators.diagonal import DiagonalOperator
from dhop.operators.gram import GramOperator
from dhop.operators.normal import NormalOperator
from dhop.runtime import workspace
from dhop.runtime.arguments import DTYPES

Array = NDArray[Any]


class _OfOne(NormalOperator):
    """An expression of one operator, whose settings, picture and entries it has."""

    operator: ArrayOperator

    def _facts(self) -> dict[str, str]:
        return self.operator._facts()

    def _picture(self) -> Array | None:
        return self.operator._picture()

    def _known_entries(self) -> int | None:
        return self.operator._known_entries()


class Transpose(_OfOne):
    """The adjoint of an operator, or its plain transpose."""

    def __init__(self, operator: ArrayOperator, conjugate: bool) -> None:
        super().__init__(operator.dtype, operator.dimsd, operator.dims)
        self.operator = operator
        self.conjugate = conjugate
        self.workers = operator.workers
        self.args = (operator, conjugate)

    def _description(self) -> str:
        return f"{'adjoint' if self.conjugate else 'transpose'} of {self.operator!r}"

    def rows(self) -> Rows:
        return self._conjugated(self.operator.columns())

    def columns(self) -> Rows:
        return self._conjugated(self.operator.rows())

    def bounds(self) -> tuple[float, float]:
        return self.operator.bounds()[::-1]

    def _conjugated(self, rows: Rows) -> Rows:
        if self.conjugate and self.dtype.kind == "c":
            return WeightedRows(rows, 1, self.dtype, conjugate=True)
        return rows

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        if self.conjugate:
            self.operator.apply(x, not adjoint, out)
        else:
            self.operator.apply(native(x.conj(), x.dtype), not adjoint, out)
            np.conj(out, out=out)

    def _adjoint(self) -> Any:
        return self.operator if self.conjugate else super()._adjoint()

    def _transpose(self) -> Any:
        plain = not self.conjugate or self.dtype.kind != "c"
        return self.operator if plain else super()._transpose()


class Scaled(_OfOne):
    """A multiple of an operator.

    Unlike scipy's it has `dims`, and its pickle is read by other versions of scipy.
    """

    def __init__(self, operator: ArrayOperator, scale: Any) -> None:
        dtype = np.result_type(operator.dtype, scale)
        if dtype not in DTYPES:
            raise TypeError(f"a multiple of dtype {dtype} is not supported; cast {scale!r} first")
        super().__init__(dtype, operator.dims, operator.dimsd)
        self.operator = operator
        self.scale = scale
        self.workers = operator.workers
        self.args = (operator, scale)

    def _description(self) -> str:
        return f"{self.scale} times {self.operator!r}"

    def rows(self) -> Rows:
        return WeightedRows(self.operator.rows(), self.scale, self.dtype)

    def columns(self) -> Rows:
        return WeightedRows(self.operator.columns(), self.scale, self.dtype)

    def terms(self, weights: Array | None = None) -> list[Term] | None:
        return self.operator.terms(self._squared(weights))

    def similar(self, weights: Array | None = None) -> list[Term] | None:
        return self.operator.similar(self._squared(weights))

    def _squared(self, weights: Array | None) -> Array:
        """Weights times the square of the scale."""
        square = abs(self.scale) ** 2
        return np.full(self.shape[0], square) if weights is None else square * weights

    def bounds(self) -> tuple[float, float]:
        columns, rows = self.operator.bounds()
        return abs(self.scale) * columns, abs(self.scale) * rows

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        self.operator.multiply(x, out.shape, adjoint, out)
        out *= self.scale.conjugate() if adjoint else self.scale


class Sum(NormalOperator):
    """The sum of operators between arrays of the same sizes."""

    def __init__(self, *operators: ArrayOperator) -> None:
        first = operators[0]
        dtype = np.result_type(*(operator.dtype for operator in operators))
        super().__init__(dtype, first.dims, first.dimsd)
        self.operators = operators
        self.args = operators

    def _description(self) -> str:
        return "sum of " + " and ".join(map(repr, self.operators))

    def rows(self) -> Rows:
        return merging.sum_of([operator.rows() for operator in self.operators], self.dtype)

    def columns(self) -> Rows:
        return merging.sum_of([operator.columns() for operator in self.operators], self.dtype)

    def bounds(self) -> tuple[float, float]:
        columns, rows = zip(*(operator.bounds() for operator in self.operators), strict=True)
        return sum(columns), sum(rows)

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        first, *others = self.operators
        first.multiply(x, out.shape, adjoint, out)
        for operator in others:
            out += operator.multiply(x, out.shape, adjoint)


class Product(NormalOperator):
    """The product of two operators."""

    def __init__(self, left: ArrayOperator, right: ArrayOperator) -> None:
        super().__init__(np.result_type(left.dtype, right.dtype), right.dims, left.dimsd)
        self.left, self.right = left, right
        self.args = (left, right)

    def _description(self) -> str:
        return f"product of {self.left!r} and {self.right!r}"

    def rows(self) -> Rows:
        if isinstance(self.left, DiagonalOperator):
            return WeightedRows(self.right.rows(), self.left.diagonal, self.dtype)
        return merging.product_of(self.left.rows(), self.right.rows(), self.dtype)

    def columns(self) -> Rows:
        if isinstance(self.right, DiagonalOperator):
            return WeightedRows(self.left.columns(), self.right.diagonal, self.dtype)
        return merging.product_of(self.right.columns(), self.left.columns(), self.dtype)

    def terms(self, weights: Array | None = None) -> list[Term] | None:
        """The terms of the right operator, if the left one is diagonal."""
        if not isinstance(self.left, DiagonalOperator):
            return None
        return self.right.terms(self._squared(self.left, weights))

    def similar(self, weights: Array | None = None) -> list[Term] | None:
        if not isinstance(self.left, DiagonalOperator):
            return None
        return self.right.similar(self._squared(self.left, weights))

    @staticmethod
    def _squared(diagonal: DiagonalOperator, weights: Array | None) -> Array:
        """Weights times the squares of a diagonal."""
        squares: Array = np.abs(diagonal.diagonal.astype(np.complex128)) ** 2
        return squares if weights is None else squares * weights

    def bounds(self) -> tuple[float, float]:
        (c0, r0), (c1, r1) = self.left.bounds(), self.right.bounds()
        return c0 * c1, r0 * r1

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        first, second = (self.left, self.right) if adjoint else (self.right, self.left)
        vectors = x.size // self.shape[0 if adjoint else 1]
        between = workspace.empty((vectors * self.left.shape[1],), x.dtype)
        first.multiply(x, between.shape, adjoint, between)
        second.multiply(between, out.shape, adjoint, out)


def multiple(operator: ArrayOperator, scale: Any) -> ArrayOperator:
    """The operator times a number; nested multiples are merged."""
    if isinstance(operator, Scaled):
        return Scaled(operator.operator, operator.scale * scale)
    return Scaled(operator, scale)


def total(first: ArrayOperator, second: ArrayOperator) -> Sum:
    """The sum of two operators; nested sums are merged."""
    if first.shape != second.shape:
        raise ValueError(f"operators of shapes {first.shape} and {second.shape} cannot be added")
    parts = [each.operators if isinstance(each, Sum) else (each,) for each in (first, second)]
    return Sum(*parts[0], *parts[1])


def product(left: ArrayOperator, right: ArrayOperator) -> ArrayOperator:
    """The product of two operators, simplified.

    Numbers go to the front, adjacent diagonals are merged, a diagonal that weights outputs stays on
    the left, and ``A.H @ A`` and ``A.H @ diagonal @ A`` become Gram operators.
    """
    if left.shape[1] != right.shape[0]:
        raise ValueError(f"operators of shapes {left.shape} and {right.shape} cannot be multiplied")
    if isinstance(left, Scaled):
        return multiple(product(left.operator, right), left.scale)
    if isinstance(right, Scaled):
        return multiple(product(left, right.operator), right.scale)
    if isinstance(left, Product):
        return product(left.left, product(left.right, right))
    weights, inner = _weighted(right)
    if _is_adjoint(left, inner):
        if weights is None:
            return GramOperator(inner)
        if np.result_type(weights.dtype, inner.dtype) == inner.dtype and weights.dtype.kind != "c":
            return GramOperator(inner, weights.diagonal)
    if isinstance(left, DiagonalOperator):
        if isinstance(right, DiagonalOperator):
            return DiagonalOperator(left.diagonal * right.diagonal, right.dims)
        if weights is not None:
            return Product(DiagonalOperator(left.diagonal * weights.diagonal, weights.dims), inner)
    return Product(left, right)


def _weighted(operator: ArrayOperator) -> tuple[DiagonalOperator | None, ArrayOperator]:
    """The diagonal that weights the outputs of an operator, if there is one, and the operator."""
    if isinstance(operator, Product) and isinstance(operator.left, DiagonalOperator):
        return operator.left, operator.right
    return None, operator


def _is_adjoint(left: ArrayOperator, right: ArrayOperator) -> bool:
    if not isinstance(left, Transpose) or left.operator is not right:
        return False
    return left.conjugate or left.dtype.kind != "c"
