"""Products whose rows threads gather, each a few at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.methods import Multiply
from dhop.model.relations import Index
from dhop.runtime.parallel import share

Array = NDArray[Any]


def gather(
    kernel: Callable[..., bool],
    table: Index,
    weights: Array,
    *,
    work: int,
    size: int,
    rows: int,
    cost: float,
    clear: bool = False,
) -> Multiply:
    """One direction of a plan, by a kernel that takes shares of rows of the result.

    Parameters
    ----------
    kernel : callable
        Takes images, `table`, `weights`, workspace, what it is told of shares, and results; returns
        whether these can be relied on.
    table : ndarray of int64
        What it has to know, see `dhop.kernels.flat.pack`.
    weights : ndarray, of the plan's dtype
    work : int
        Numbers in the workspace of a thread.
    size : int
        Numbers in an image that it is given.
    rows : int
        Of a result; or pairs of rows, or groups.
    cost : float
        Nanoseconds of an image.
    clear : bool
        Whether the workspace has to be zeros.
    """
    new = np.zeros if clear else np.empty

    def multiply(x: Array, out: Array, workers: int | None) -> bool:
        images = x.size // size

        def part(shares: Index, own: int, board: Index) -> bool:
            workspace = new(work, x.dtype)
            return kernel(x, table, weights, workspace, shares, own, board, out)

        return share(part, images * rows, images * cost, workers)

    return multiply
