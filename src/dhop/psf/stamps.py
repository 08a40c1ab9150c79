"""Checks of the arrays of fields and modes: PSFs and their positions."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.runtime.arguments import numbers

Array = NDArray[Any]


def checked_stamps(given: ArrayLike, shape: str, ndims: tuple[int, ...]) -> Array:
    """The PSFs as a read-only copy, or an error that names the required shape."""
    array = np.array(numbers("stamps", given), order="C", subok=False)
    if array.ndim not in ndims or array.size == 0:
        raise ValueError(f"stamps must have the shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("stamps must be finite, they contain NaN or Inf")
    return frozen(array.astype(array.dtype.newbyteorder("="), copy=False))


def ascending(name: str, given: ArrayLike, count: int) -> NDArray[np.float64]:
    """`count` ascending positions along an axis as a read-only copy, or an error."""
    array = numbers(f"the {name} of positions", given)
    if array.shape != (count,):
        raise ValueError(
            f"positions must have {count} {name}, as stamps have, got an array of {array.shape}"
        )
    if array.dtype.kind == "c" or not np.isfinite(array).all() or (np.diff(array) <= 0).any():
        raise ValueError(f"the {name} of positions must be real, finite and ascend, got {given!r}")
    return frozen(array.astype(np.float64))


def frozen(array: Array) -> Array:
    """The array, read-only."""
    array.flags.writeable = False
    return array
