"""Memory that a product borrows and gives back for the next one.

Fresh memory of a few megabytes can take longer to get than a product takes to compute in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KEPT = 2**28  # bytes, at most, that wait for the next product
LINE = 64  # bytes, of the cache

# By their sizes. Without a lock, which a fork could copy while it is held: every operation here is
# atomic, and all that another thread could do in between is to lose a buffer.
_waiting: dict[int, list[Array]] = {}


@contextmanager
def borrowed(dtype: np.dtype[Any], *shapes: tuple[int, ...]) -> Iterator[list[Array]]:
    """Uninitialised arrays, each from the beginning of a cache line on, for a ``with`` block."""
    starts = [0]
    for shape in shapes:
        starts.append(starts[-1] + -(-prod(shape) * dtype.itemsize // LINE) * LINE)
    size = _rounded(starts[-1])
    try:
        buffer = _waiting[size].pop()
    except LookupError:
        buffer = _aligned(size)
    try:
        yield [np.ndarray(*each) for each in zip(shapes, repeat(dtype), repeat(buffer), starts)]
    finally:
        if size + sum(each * len(buffers) for each, buffers in list(_waiting.items())) > KEPT:
            _waiting.clear()
        if size <= KEPT:
            _waiting.setdefault(size, []).append(buffer)


def _rounded(size: int) -> int:
    """Up to an eighth more, so that there are few sizes and one that is large enough waits."""
    step = 1 << max(size.bit_length() - 4, 6)
    return -(-size // step) * step


def _aligned(size: int) -> Array:
    buffer = np.empty(size + LINE, np.uint8)
    start = -buffer.ctypes.data % LINE
    return buffer[start : start + size]
