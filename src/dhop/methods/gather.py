"""Products whose rows threads gather, each a few at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.geometry import Index
from dhop.parallel import share

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Gather:
    """One direction of a plan, by a kernel that takes shares of rows of the result.

    Attributes
    ----------
    kernel : callable
        Takes images, `table`, `weights`, workspace, what it is told of shares, and results; returns
        whether these can be relied on.
    table : ndarray of int64
        What it has to know, see `dhop.kernels.flat.bundle`.
    weights : ndarray, of the plan's dtype
    work : int
        Numbers in the workspace of a thread.
    size : int
        Numbers in an image that it is given.
    rows : int
        Of a result; or pairs of rows, or groups.
    cost : float
        Nanoseconds of an image.
    """

    kernel: Callable[..., bool]
    table: Index
    weights: Array
    work: int
    size: int
    rows: int
    cost: float

    def __call__(self, x: Array, out: Array, workers: int | None) -> bool:
        """As `Plan.forward`."""
        images = x.size // self.size

        def part(shares: Index, own: int, board: Index) -> bool:
            work = np.empty(self.work, x.dtype)
            return self.kernel(x, self.table, self.weights, work, shares, own, board, out)

        return share(part, images * self.rows, images * self.cost, workers)
