"""What is solved in chunks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from math import prod
from operator import add
from typing import Any

import numpy as np

from dhop.dask.normal_equations import NormalMatrix
from dhop.dask.operator import DaskArray, DaskDHOperator, da, dask
from dhop.operators.stack import FrameStack

WIDE = np.dtype(np.float64)


@dataclass(frozen=True, eq=False)
class Problem:
    r"""The normal equations of :math:`\sum_i w_i \|A_i x - y_i\|^2 + \beta \|S x\|^2`.

    Attributes
    ----------
    operators : sequence of (DaskDHOperator, DaskMovedOperator or DaskChannelOperator)
        The frames `A_i`.
    penalties : sequence of DaskDHOperator
        What the regulariser puts under each other.
    frames : dask.array.Array, shape (F, ...)
    weights : sequence of (float or dask.array.Array)
        Of the pixels of each frame.
    largest : sequence of float
        The largest weight of each frame.
    beta : float
    """

    operators: Sequence[Any]
    penalties: Sequence[DaskDHOperator]
    frames: DaskArray
    weights: Sequence[Any]
    largest: Sequence[float]
    beta: float

    @property
    def operator(self) -> FrameStack:
        """The frames' operators in memory, without weights."""
        return FrameStack([A.operator for A in self.operators])

    def divided(self, square: float) -> "Problem":
        """The problem of the same solution, its terms divided by a number."""
        return replace(
            self,
            weights=[weight / square for weight in self.weights],
            largest=[weight / square for weight in self.largest],
            beta=self.beta / square,
        )

    @cached_property
    def matrices(self) -> dict[np.dtype[Any], NormalMatrix | None]:
        """Of all that a chunk is computed from in one task, by the precision of the images."""
        return {dtype: self._matrix(dtype) for dtype in {self.frames.dtype, WIDE}}

    def _matrix(self, dtype: np.dtype[Any]) -> NormalMatrix | None:
        pairs = [(A, w) for A, w in zip(self.operators, self.weights, strict=True) if _blurs(A)]
        weights = [w.astype(dtype) if isinstance(w, da.Array) else w for _, w in pairs]
        operators = [*(A for A, _ in pairs), *self.penalties]
        if not operators:
            return None
        return NormalMatrix(operators, [*weights, *[self.beta] * len(self.penalties)], dtype)

    def normal(self, x: DaskArray) -> DaskArray:
        """The product with the matrix."""
        matrix = self.matrices[x.dtype]
        parts = [] if matrix is None else [matrix(x)]
        for A, weight in zip(self.operators, self.weights, strict=True):
            if not _blurs(A):
                own = weight.astype(x.dtype) if isinstance(weight, da.Array) else weight
                parts.append(A.backproject(own * A.degrade(x)))
        return reduce(add, parts)

    def data(self, x: DaskArray) -> DaskArray:
        """That of the frames alone."""
        return replace(self, penalties=[], beta=0.0).normal(x)

    def residual(self, x: DaskArray | None) -> DaskArray:
        """The right-hand side less the product with `x`, in double precision; None is zeros."""
        parts, blurs = [], []
        for A, y, weight in zip(self.operators, self.frames, self.weights, strict=True):
            if _blurs(A):
                blurs.append(y)
            else:
                y = y.astype(WIDE) if x is None else y - A.degrade(x.astype(WIDE))
                parts.append(A.backproject(weighted(y, weight)))
        matrix = self.matrices[WIDE]
        if matrix is not None and (blurs or x is not None):
            parts.append(matrix.residual([*blurs, *[None] * len(self.penalties)], x))
        return reduce(add, parts)

    def typical(self) -> list[float]:
        """About the weight of each pixel of `near`, frame by frame: the mean."""
        means = [w.mean() if isinstance(w, da.Array) else w for w in self.weights]
        pairs = zip(self.operators, dask.compute(*means), strict=True)
        return [A.crowd * float(each) for A, each in pairs]

    def scales(self) -> list[float]:
        """About the largest eigenvalue of each term."""
        return [
            factor * sum(A.operator.strengths())
            for A, factor in zip(self._all, self._factors, strict=True)
        ]

    def bound(self) -> float:
        """No less than the largest eigenvalue: from the largest sums of rows and columns."""
        return sum(
            factor * prod(A.operator.bounds())
            for A, factor in zip(self._all, self._factors, strict=True)
        )

    @property
    def _all(self) -> list[Any]:
        return [*self.operators, *self.penalties]

    @property
    def _factors(self) -> list[float]:
        return [*self.largest, *[self.beta] * len(self.penalties)]

    def residuals(self, x: DaskArray) -> list[DaskArray]:
        """The frames ``sqrt(w_i) (y_i - A_i x)``, in double precision."""
        return [
            weighted(y.astype(WIDE), np.sqrt(w)) - np.sqrt(w) * A.degrade(x.astype(WIDE))
            for A, y, w in zip(self.operators, self.frames, self.weights, strict=True)
        ]


def _blurs(A: Any) -> bool:
    """Whether an operator is a blur alone, whose normal equations need nothing between."""
    return isinstance(A, DaskDHOperator)


def weighted(frame: DaskArray, weight: Any) -> DaskArray:
    """The product, zero where the weight is, whatever the frame holds there."""
    return weight * da.where(weight == 0, 0, frame)
