"""Bounds of an image, and the gradient without what they hold."""

from math import isfinite, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.steps import norm
from dhop.runtime.parallel import row_blocks, run

Array = NDArray[Any]
Box: TypeAlias = tuple[float, float]

EVERYTHING: Box = (-np.inf, np.inf)
COST = 0.5  # nanoseconds a pixel


def free_norm(r: Array, x: Array, strength: float, box: Box) -> float:
    """The norm of minus half a gradient `r` at an image, without components that bounds hold.

    Near a bound that is the way to it, times the `strength` of the Hessian matrix. Arrays may be
    lazy.

    Examples
    --------
    >>> import numpy as np
    >>> free_norm(np.array([-5.0, 3.0, 4.0]), np.array([0.0, 1.0, 7.0]), 1.0, (0.0, np.inf))
    5.0
    """
    if box == EVERYTHING:
        return norm(r)
    if isinstance(r, np.ndarray):
        square, info = _free_square(r, x, strength, box), np.finfo(np.float64)
        if info.tiny**0.5 < square < info.max**0.5:
            return sqrt(square)
    low, high = box
    x = x.astype(r.dtype, copy=False)
    if isfinite(low):
        r = np.maximum(r, strength * (low - x))
    if isfinite(high):
        r = np.minimum(r, strength * (high - x))
    return norm(r)


def _free_square(r: Array, x: Array, strength: float, box: Box) -> float:
    # Imported here, since it loads Numba.
    from dhop.kernels import bounds

    r, x = np.ascontiguousarray(r), np.ascontiguousarray(x)
    sums = np.empty(-(-r.size // bounds.BLOCK))

    def part(start: int, stop: int) -> None:
        bounds.free_squares(r, x, strength, *box, start, stop, sums)

    run(part, row_blocks(sums.size, COST * r.size))
    return float(sums.sum())
