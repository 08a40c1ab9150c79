"""Memory that is used again: what a product borrows, and the results that users let go of.

Fresh memory of a few megabytes can take longer to get than a product takes to compute in it.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KEPT = 2**29  # bytes, at most, that wait to be used again
LARGE = 2**25  # bytes; less is kept by the C library when it is freed, more goes back to the system
LINE = 64  # bytes, of the cache

# By their sizes. Without a lock, which a fork could copy while it is held: every operation here is
# atomic, and all that another thread could do in between is to lose a buffer.
_waiting: dict[int, list[Array]] = {}


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], least: int | None = None) -> Array:
    """As `numpy.empty`; memory of `least` bytes is used again once no array refers to it.

    By default that is `LARGE`. The C library keeps what the main thread frees, of other threads it
    keeps less.
    """
    size = prod(shape) * dtype.itemsize
    if size < (LARGE if least is None else least) or size > KEPT:
        return np.empty(shape, dtype)
    return np.asarray(_Loan(_take(_rounded(size)), size)).view(dtype).reshape(shape)


class _Loan:
    """What an array and all of its views keep alive, to give their memory back at the end."""

    def __init__(self, buffer: Array, size: int) -> None:
        self._buffer = buffer
        self.__array_interface__ = buffer[:size].__array_interface__

    def __del__(self) -> None:
        _give(self._buffer)


class Borrowed:
    """Uninitialised arrays, each from the beginning of a cache line on, for a ``with`` block."""

    def __init__(self, dtype: np.dtype[Any], *shapes: tuple[int, ...]) -> None:
        self._dtype = dtype
        self._shapes = shapes

    def __enter__(self) -> list[Array]:
        starts, size = [], 0
        for shape in self._shapes:
            starts.append(size)
            size += -(-prod(shape) * self._dtype.itemsize // LINE) * LINE
        buffer = self._buffer = _take(_rounded(size))
        return [
            np.ndarray(shape, self._dtype, buffer, start)
            for shape, start in zip(self._shapes, starts, strict=True)
        ]

    def __exit__(self, *error: object) -> None:
        _give(self._buffer)


def _take(size: int) -> Array:
    try:
        return _waiting[size].pop()
    except LookupError:
        return _aligned(size)


def _give(buffer: Array) -> None:
    size = total = buffer.size
    for each, buffers in list(_waiting.items()):
        total += each * len(buffers)
    if total > KEPT:
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
