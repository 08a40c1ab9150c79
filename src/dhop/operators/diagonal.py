"""Diagonal operators: weights, masks and gains of pixels."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.matrix.merging import WeightedRows
from dhop.matrix.sparse import Rows
from dhop.model.relations import Index
from dhop.operators.base import dense
from dhop.operators.normal import NormalOperator
from dhop.runtime import arguments, notebook
from dhop.runtime.arguments import DTYPES

Array = NDArray[Any]


class DiagonalOperator(NormalOperator):
    """The diagonal matrix of an array: weights, masks, gains.

    ``DiagonalOperator(w) @ A`` weights what `A` observes, ``A @ DiagonalOperator(w)`` what it sees.

    Parameters
    ----------
    diagonal : array_like
        The numbers, of the shape of the arrays that they multiply. Zeros are not stored in the
        explicit matrix.
    dims : sequence of int, optional
        That shape, if `diagonal` is a vector.

    Raises
    ------
    ValueError
        If the sizes do not fit or a number is not finite.
    TypeError
        If they are no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator, DiagonalOperator
    >>> A = DHOperator((1, 4), np.ones((1, 1)), (1, 2))
    >>> (DiagonalOperator([[2.0, 3.0]]) @ A).to_sparse().toarray()
    array([[2., 2., 0., 0.],
           [0., 0., 3., 3.]])
    """

    def __init__(self, diagonal: ArrayLike, dims: Sequence[int] | None = None) -> None:
        array = dense(diagonal, "diagonal")
        dtype = np.result_type(array.dtype, np.float32)
        if dtype not in DTYPES:
            raise TypeError(f"a diagonal of dtype {array.dtype} is not supported")
        if not np.isfinite(array).all():
            raise ValueError("diagonal must be finite")
        shape = array.shape if dims is None else arguments.shape("dims", dims)
        if prod(shape) != array.size or not array.size:
            raise ValueError(f"dims {shape} do not fit a diagonal of shape {array.shape}")
        super().__init__(dtype, shape, shape)
        self.diagonal = array.astype(dtype).reshape(-1)  # a copy
        self.diagonal.flags.writeable = False
        self.args = (self.diagonal, shape)

    def _facts(self) -> dict[str, str]:
        return {}

    def _picture(self) -> Array | None:
        return notebook.plane(self.diagonal.reshape(self.dims)) if len(self.dims) > 1 else None

    def _known_entries(self) -> int | None:
        return self.shape[0]

    def rows(self) -> Rows:
        return WeightedRows(IdentityRows(self.shape[0], self.dtype), self.diagonal, self.dtype)

    def columns(self) -> Rows:
        return self.rows()

    def bounds(self) -> tuple[float, float]:
        most = float(np.abs(self.diagonal).max())
        return most, most

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        vectors = x.reshape(-1, self.shape[0])
        factors = self.diagonal.conj() if adjoint else self.diagonal
        np.multiply(vectors, factors, out=out.reshape(vectors.shape))


class IdentityRows:
    """Rows of the identity; see `dhop.matrix.sparse.Rows`."""

    width = 1

    def __init__(self, size: int, dtype: np.dtype[Any]) -> None:
        self.shape = size, size
        self.dtype = dtype

    def total(self) -> int:
        return self.shape[0]

    def counts(self, rows: Index) -> Index:
        return np.ones(rows.size, np.intp)

    def fill(self, rows: Index, pointer: Array, indices: Array, data: Array) -> None:
        span = slice(int(pointer[0]), int(pointer[-1]))
        indices[span] = rows
        data[span] = 1
