"""Memory that a product borrows and gives back for the next one.

Fresh memory of a few megabytes can take longer to get than a product takes to compute in it.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from math import prod
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KEPT = 2**28  # bytes, at most, that wait for the next product
LINE = 64  # bytes, of the cache

_waiting: dict[int, list[Array]] = defaultdict(list)  # by their sizes
_lock = Lock()


@contextmanager
def borrowed(dtype: np.dtype[Any], *shapes: tuple[int, ...]) -> Iterator[list[Array]]:
    """Uninitialised arrays, each from the beginning of a cache line on, for a ``with`` block."""
    starts = [0]
    for shape in shapes:
        starts.append(starts[-1] + -(-prod(shape) * dtype.itemsize // LINE) * LINE)
    size = 1 << starts[-1].bit_length()  # few sizes, so that one of them waits
    with _lock:
        buffer = _waiting[size].pop() if _waiting[size] else None
    if buffer is None:
        buffer = _aligned(size)
    try:
        yield [np.ndarray(*each) for each in zip(shapes, repeat(dtype), repeat(buffer), starts)]
    finally:
        with _lock:
            if size + sum(each * len(buffers) for each, buffers in _waiting.items()) <= KEPT:
                _waiting[size].append(buffer)


def _aligned(size: int) -> Array:
    buffer = np.empty(size + LINE, np.uint8)
    start = -buffer.ctypes.data % LINE
    return buffer[start : start + size]
