"""Fourier transforms of lines side by side, by `dhop.kernels` or by a backend of `scipy.fft`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.kernels import transform
from dhop.kernels.vectors import BYTES

Array = NDArray[Any]

NEAR = 2**14  # bytes of a line that stay in the L1 cache

_PROBE = np.zeros(1)


class Transform:
    """Transforms of one length, in place, with frequencies in digit-reversed order.

    Parameters
    ----------
    length : int
        A product of twos, threes and fives.
    real : dtype
        Of the parts of the numbers.

    Attributes
    ----------
    frequencies : ndarray of intp, shape (length,)
        Frequency at each place of a transformed line.
    places : ndarray of intp, shape (length,)
        Place of each frequency.
    """

    def __init__(self, length: int, real: np.dtype[Any]) -> None:
        self.length = length
        radices = _radices(length)
        self.frequencies = np.zeros(1, np.intp)
        for radix in reversed(radices):
            self.frequencies = np.add.outer(np.arange(radix), radix * self.frequencies).ravel()
        self.places = np.argsort(self.frequencies)
        tables, stages, start, whole = [np.zeros(0)], [], 0, length
        for radix in radices:
            part = whole // radix
            turns = np.outer(np.arange(part), np.arange(1, radix)) / whole
            tables.append(np.exp(-2j * np.pi * turns).ravel().view(np.float64))
            stages.append((radix, part, start))
            start, whole = start + tables[-1].size, part
        self._twiddles = np.concatenate(tables).astype(real)
        self._stages = _schedule(length, stages)

    def forward(self, lines: Array, backend: bool = False) -> None:
        """Transform ``(n, length, 2, lanes)``, with `backend` by `scipy.fft`."""
        if backend:
            numbers = fft.fft(_complex(lines), axis=-2)
            _put(numbers[..., self.frequencies, :], lines)
        else:
            transform.transform(lines, self._stages, self._twiddles, False)

    def inverse(self, lines: Array, backend: bool = False) -> None:
        """Transform back, times the length."""
        if backend:
            numbers = fft.ifft(_complex(lines)[..., self.places, :], axis=-2, norm="forward")
            _put(numbers, lines)
        else:
            transform.transform(lines, self._stages, self._twiddles, True)


def _schedule(length: int, stages: list[tuple[int, int, int]]) -> Array:
    """Stages of the whole line, then for each part that fits the L1 cache all the others."""
    far = sum(radix * part * 2 * BYTES > NEAR for radix, part, _ in stages[:-1])
    near = length if far == 0 else stages[far - 1][1]
    rows = [(*stage, 0, length) for stage in stages[:far]]
    for begin in range(0, length, near):
        rows += [(*stage, begin, begin + near) for stage in stages[far:]]
    return np.array(rows, np.intp).reshape(-1, 5)


def backend_is_set() -> bool:
    """Whether the user has set a backend of `scipy.fft` other than its own."""
    with fft.skip_backend("scipy"):
        try:
            fft.fft(_PROBE)
        except NotImplementedError:
            return False
        except RecursionError:  # it calls scipy's, which is skipped, and so itself
            return True
    return True


def _radices(length: int) -> list[int]:
    """Radices of the fewest stages, the largest first."""
    radices = []
    for radix in transform.RADICES:
        while length % radix == 0:
            radices.append(radix)
            length //= radix
    if radices[:1] == [8] and radices[-1] == 2:  # a stage of 2 costs as much memory as one of 4
        radices = sorted([*radices[1:-1], 4, 4], reverse=True)
    return radices


def _complex(lines: Array) -> Array:
    return np.asarray(lines[..., 0, :] + 1j * lines[..., 1, :])


def _put(numbers: Array, lines: Array) -> None:
    lines[..., 0, :], lines[..., 1, :] = numbers.real, numbers.imag
