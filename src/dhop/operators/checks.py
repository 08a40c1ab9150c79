"""Checks of operators and weights that users give."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from dhop.operators.base import dense
from dhop.runtime.arguments import sequence
from dhop.runtime.elementwise import elementwise

Array = NDArray[Any]


def linear_operators(given: Any) -> tuple[LinearOperator, ...]:
    """The given operators, each as SciPy's `aslinearoperator` takes it.

    Raises
    ------
    TypeError
        If it does not take one.
    """
    operators = [
        dense(each, "each of operators") if isinstance(each, np.ndarray) else each
        for each in sequence("operators", given, "LinearOperators")
    ]
    try:
        return tuple(aslinearoperator(each) for each in operators)
    except (TypeError, ValueError) as error:
        message = f"operators must be LinearOperators or what scipy makes one of: {error}"
        raise TypeError(message) from None


def frame_weight(given: Any, number: int) -> Array:
    """The weights of the pixels of frame `number`, or one number for all, if they are valid."""
    array = dense(given, "each of weights")
    real = array.dtype.kind != "c"
    if not (real and array.min(initial=0) >= 0 and array.max(initial=0) < np.inf):
        raise ValueError(f"weights must be real, finite and not negative: frame {number}")
    return array


def checked_roots(weights: Any, operators: Sequence[LinearOperator]) -> list[Array] | None:
    """Square roots of the weights of each operator's outputs; None for None.

    They have double precision, or single precision if the weights have.

    Raises
    ------
    ValueError, TypeError
        If they do not fit, or one is negative or not finite.
    """
    if weights is None:
        return None
    given = sequence("weights", weights, "numbers or arrays")
    if len(given) != len(operators):
        raise ValueError(f"{len(operators)} operators, but {len(given)} weights")
    found = []
    for number, (each, operator) in enumerate(zip(given, operators, strict=True)):
        array = frame_weight(each, number)
        if array.ndim and array.size != operator.shape[0]:
            raise ValueError(
                f"frame {number} has {operator.shape[0]} pixels, but {array.size} weights"
            )
        flat = array.reshape(-1 if array.ndim else ())
        kind = np.dtype(np.float32 if array.dtype == np.float32 else np.float64)
        found.append(elementwise(partial(np.sqrt, dtype=kind), flat, dtype=kind))
    return found
