"""Kernels called from several threads."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.methods import Multiply
from dhop.model.relations import Index
from dhop.runtime.parallel import share

Array = NDArray[Any]


def threaded(
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
    """One direction of a plan, by a kernel that takes shares of the rows of a result.

    Parameters
    ----------
    kernel : callable
        ``kernel(images, table, weights, workspace, shares, own, status, results)`` returns whether
        the results can be relied on; see `dhop.kernels.work_sharing`.
    table : ndarray of int64
        A packed NamedTuple, see `dhop.kernels.flat.pack`.
    weights : ndarray, of the plan's dtype
    work : int
        Numbers in the workspace of a thread.
    size : int
        Numbers in an image.
    rows : int
        Rows of a result, or pairs or groups of them.
    cost : float
        Nanoseconds of an image.
    clear : bool
        Whether the workspace has to be zeros.
    """
    new = np.zeros if clear else np.empty

    def multiply(x: Array, out: Array, workers: int | None) -> bool:
        images = x.size // size

        def part(shares: Index, own: int, status: Index) -> bool:
            return kernel(x, table, weights, new(work, x.dtype), shares, own, status, out)

        return share(part, images * rows, images * cost, workers)

    return multiply
