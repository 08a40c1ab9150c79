"""Arithmetic of large arrays, number by number, and sums of it, without arrays in between.

NumPy makes a new array for each operation. Finding memory for it can take longer than that does.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from dhop.runtime import workspace
from dhop.runtime.parallel import row_blocks, run

Array: TypeAlias = Any

BLOCK = 2**16  # numbers, of which a few arrays fit into a processor's own caches
COST = 0.5  # nanoseconds of each number of each array


def elementwise(
    function: Callable[..., Array], *arrays: Array, dtype: DTypeLike | None = None
) -> Array:
    """A function of arrays, block by block on several threads.

    Parameters
    ----------
    function : callable
        Gives a new array, each of whose numbers depends on theirs at that place only.
    *arrays : array
        Of the shape of the result, C-contiguous; or, but for the first, of one number, which is for
        all places. Lazy ones are given to the function as they are.
    dtype : dtype, optional
        Of the result, by default that of the first array.

    Examples
    --------
    >>> import numpy as np
    >>> elementwise(lambda x, y: x + 2 * y, np.arange(3.0), np.ones(3))
    array([2., 3., 4.])
    """
    first = arrays[0]
    if not isinstance(first, np.ndarray):
        return function(*arrays)
    dtype = np.dtype(dtype or first.dtype)
    if first.size <= BLOCK:
        found = np.asarray(function(*(each.reshape(-1) for each in arrays)))
        return found.astype(dtype, copy=False).reshape(first.shape)
    out = workspace.empty(first.shape, dtype)
    flat = out.reshape(-1)

    def store(some: slice, *given: Array) -> None:
        flat[some] = function(*given)

    _each_block(store, arrays)
    return out


def total(function: Callable[..., Array], *arrays: Array) -> float:
    """The sum of what `elementwise` gives, in double precision, the same for any number of threads.

    Examples
    --------
    >>> total(lambda x, y: x + 2 * y, np.arange(3.0), np.ones(3))
    9.0
    """
    sums = np.zeros(-(-arrays[0].size // BLOCK))

    def add(some: slice, *given: Array) -> None:
        sums[some.start // BLOCK] = np.sum(function(*given), dtype=np.float64)

    _each_block(add, arrays)
    return float(sums.sum())


def _each_block(function: Callable[..., None], arrays: Sequence[Array]) -> None:
    """Call a function with the place of each block, and the blocks of the arrays there."""
    size = arrays[0].size
    whole = [each.reshape(-1) for each in arrays]
    errors = np.geterr()  # of the caller, which other threads do not inherit

    def part(first: int, end: int) -> None:
        with np.errstate(**errors):
            for k in range(first, end):
                some = slice(k * BLOCK, min((k + 1) * BLOCK, size))
                function(some, *(each[some] if each.size > 1 else each for each in whole))

    run(part, row_blocks(-(-size // BLOCK), COST * size * len(arrays)))
