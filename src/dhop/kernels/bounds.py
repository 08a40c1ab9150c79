"""Squares of a gradient where bounds let it be, block by block; each has a sum of its own."""

import numpy as np

from dhop.kernels.compile import kernel
from dhop.kernels.flat import flat, skip

BLOCK = 4096  # pixels


@kernel
def free_squares(residual, x, strength, low, high, start, stop, sums):
    """Sums of the squares of `dhop.reconstruction.bounds.free_norm`.

    Parameters
    ----------
    residual, x : (n,) arrays
    strength, low, high : float
    start, stop : int
        Range of the blocks.
    sums : (blocks,) float64 array
    """
    for block in range(start, stop):
        first = block * BLOCK
        r, now = skip(flat(residual), first), skip(flat(x), first)
        total = 0.0
        for i in range(min(BLOCK, x.size - first)):
            free = np.float64(r[i])
            least, most = strength * (low - now[i]), strength * (high - now[i])
            free = least if free < least else free  # or NaN
            free = most if free > most else free
            total += free * free
        sums[block] = total
