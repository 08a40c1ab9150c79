"""Several operators on one unknown, their outputs under each other."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from dhop.linear import DTYPES, ArrayOperator


class FrameStack(ArrayOperator):
    """Frames of one scene as one operator: ``[A_0; A_1; ...]``.

    Parameters
    ----------
    operators : iterable of LinearOperator
        With the same number of columns and, where they have them, the same `dims`. Anything that
        `scipy.sparse.linalg.aslinearoperator` takes.

    Raises
    ------
    ValueError
        If there is no operator or they do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator, FrameStack
    >>> A = DHOperator((4, 4), np.ones((3, 3)), 2)
    >>> FrameStack([A, A]).shape
    (8, 16)
    """

    def __init__(self, operators: Iterable[LinearOperator]) -> None:
        self.operators = tuple(aslinearoperator(operator) for operator in operators)
        if not self.operators:
            raise ValueError("a stack needs at least one operator")
        columns = {operator.shape[1] for operator in self.operators}
        if len(columns) > 1:
            raise ValueError(f"operators must have the same number of columns, got {columns}")
        shapes = [each.dims for each in self.operators if hasattr(each, "dims")]
        if len(set(shapes)) > 1:
            raise ValueError(f"operators must have the same dims, got {sorted(set(shapes))}")
        dtype = np.result_type(np.float32, *(operator.dtype for operator in self.operators))
        if dtype not in DTYPES:
            raise TypeError(f"operators of dtype {dtype} are not supported")
        rows = sum(operator.shape[0] for operator in self.operators)
        super().__init__(
            dtype,
            shapes[0] if shapes else (columns.pop(),),
            (rows,),
        )
        self.args = self.operators

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return FrameStack, (self.operators,)

    def split(self, y: NDArray[Any]) -> list[NDArray[Any]]:
        """Views of the frames in the last axis of `y`."""
        edges = np.cumsum([operator.shape[0] for operator in self.operators])
        return np.split(y, edges[:-1], axis=-1)

    def _apply(self, x: NDArray[Any], adjoint: bool, out: NDArray[Any]) -> None:
        if adjoint:
            out[:] = 0
            for operator, y in zip(self.operators, self.split(x), strict=True):
                out += operator.rmatmat(y.T).T
        else:
            for operator, frame in zip(self.operators, self.split(out), strict=True):
                frame[:] = operator.matmat(x.T).T
