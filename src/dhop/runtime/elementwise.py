"""Arithmetic of large arrays, number by number, without arrays in between.

NumPy makes a new array for each operation. Finding memory for it can take longer than that does.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from dhop.runtime import workspace
from dhop.runtime.parallel import row_blocks, run

Array: TypeAlias = Any

BLOCK = 2**15  # numbers, of which a few arrays fit into the nearest caches
COST = 0.5  # nanoseconds of each number of each array


def elementwise(function: Callable[..., Array], *arrays: Array) -> Array:
    """A function of arrays, block by block on several threads.

    Parameters
    ----------
    function : callable
        Gives an array, each of whose numbers depends on theirs at that place only.
    *arrays : array
        Of the shape and, the first, of the dtype of the result, C-contiguous; or of one number,
        which is for all places. Lazy ones are given to the function as they are.

    Examples
    --------
    >>> import numpy as np
    >>> elementwise(lambda x, y: x + 2 * y, np.arange(3.0), np.ones(3))
    array([2., 3., 4.])
    """
    first = arrays[0]
    if not isinstance(first, np.ndarray):
        return function(*arrays)
    out = workspace.empty(first.shape, first.dtype)
    whole = [out.reshape(-1), *(each.reshape(-1) for each in arrays)]

    errors = np.geterr()  # of the caller, which other threads do not inherit

    def part(start: int, stop: int) -> None:
        with np.errstate(**errors):
            for k in range(start, stop, BLOCK):
                some = slice(k, min(k + BLOCK, stop))
                target, *given = (each[some] if each.size > 1 else each for each in whole)
                target[:] = function(*given)

    run(part, row_blocks(first.size, COST * first.size * len(arrays)))
    return out
