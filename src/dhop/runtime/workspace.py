"""A cache of buffers: temporary arrays of products, and results that users have dropped.

Allocating a few megabytes of fresh memory can take longer than a product in it.
"""

from contextlib import suppress
from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.runtime import memory

Array = NDArray[Any]

KEPT = 2**29  # most bytes in the cache
SHARE = 16  # and no more than one in so many bytes of memory that were free at first
LARGE = 2**25  # bytes; the C library keeps smaller ones itself when they are freed
LINE = 64  # bytes, of the cache

# Free buffers by size. There is no lock, which a fork could copy while it is held: every operation
# is atomic, and the worst that other threads do in between is to lose a buffer.
_waiting: dict[int, list[Array]] = {}


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], least: int | None = None) -> Array:
    """As `numpy.empty`; from `least` bytes (`LARGE`) on, memory is reused when it is released.

    A smaller `least` is for threads other than the main one, of which the C library keeps less.
    """
    size = prod(shape) * dtype.itemsize
    if size < (LARGE if least is None else least) or size > _most():
        return np.empty(shape, dtype)
    return np.asarray(_Loan(_take(_rounded(size)), size)).view(dtype).reshape(shape)


class _Loan:
    """Owner of an array's memory, which returns it to the cache with the last view."""

    def __init__(self, buffer: Array, size: int) -> None:
        self._buffer = buffer
        self.__array_interface__ = buffer[:size].__array_interface__

    def __del__(self) -> None:
        _give(self._buffer)


class Borrowed:
    """Uninitialised arrays, aligned to cache lines, for a ``with`` block."""

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


def _most() -> int:
    """Most bytes in the cache: fewer where memory is short."""
    free = _free_at_first()
    return KEPT if free is None else min(KEPT, free // SHARE)


@cache
def _free_at_first() -> int | None:
    return memory.available()


def _take(size: int) -> Array:
    try:
        return _waiting[size].pop()
    except LookupError:
        return _aligned(size)


def _give(buffer: Array) -> None:
    size, most = buffer.size, _most()
    if size > most:
        return
    total = size
    for each, buffers in list(_waiting.items()):
        total += each * len(buffers)
    if total > most:
        _make_room(total - most, size)
    _waiting.setdefault(size, []).append(buffer)


def _make_room(needed: int, size: int) -> None:
    """Let go of buffers of so many bytes, those of a size last."""
    for each in sorted(_waiting, key=size.__eq__):
        with suppress(IndexError):  # until none waits
            while needed > 0:
                _waiting[each].pop()
                needed -= each


def _rounded(size: int) -> int:
    """Rounded up by at most an eighth, so that there are few sizes to reuse."""
    step = 1 << max(size.bit_length() - 4, 6)
    return -(-size // step) * step


def _aligned(size: int) -> Array:
    buffer = np.empty(size + LINE, np.uint8)
    start = -buffer.ctypes.data % LINE
    return buffer[start : start + size]
