"""Shifts by fractions of a pixel, folded into the PSF."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from dhop.runtime.arguments import integers, numbers, psf_array

MARGIN = 8  # pixels on either side for the spread of a band-limited shift
NEGLIGIBLE = 1e-7  # of the sum of absolute values, which may be cut off on each side


def shift(
    psf: ArrayLike, shift: Sequence[float], center: int | Sequence[int] | None = None
) -> tuple[NDArray[Any], tuple[int, ...]]:
    r"""Move a point spread function, so that it moves what it blurs.

    Whole pixels go into the centre. The rest, at most half a pixel, multiplies the discrete
    Fourier transform of the PSF by :math:`e^{-2 \pi i f s}`, which is exact for a PSF that is
    band-limited, as smooth ones nearly are. Others, a box or a single pixel, get ripples; the sum
    is kept in any case.

    Parameters
    ----------
    psf : array_like, of one to three axes
    shift : sequence of float
        Pixels along each axis: of an image down and to the right.
    center : int or sequence of int, optional
        Index of the PSF's origin, ``(K - 1) // 2`` by default.

    Returns
    -------
    psf : ndarray of float64 or complex128
        Larger by a margin on the axes that move by a fraction of a pixel.
    center : tuple of int
        Its origin, to be given to `DHOperator`; it may lie outside.

    Raises
    ------
    ValueError, TypeError
        If the shift is not as many finite numbers, or as for the PSF of `DHOperator`.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator
    >>> from dhop.model.shifting import shift
    >>> moved, center = shift(np.ones((1, 1)), (0, 2))
    >>> DHOperator((1, 5), moved, 1, center=center).degrade([[1.0, 2.0, 3.0, 4.0, 5.0]])
    array([[0., 0., 1., 2., 3.]])
    """
    array = psf_array(psf, most=3)
    distance = numbers("shift", shift)
    fits = distance.shape == (array.ndim,) and distance.dtype.kind != "c"
    if not (fits and np.isfinite(distance).all()):
        what = f"a finite real number for each axis of the psf, {array.ndim}"
        raise ValueError(f"shift must be {what}, got {shift!r}")
    origin = [(K - 1) // 2 for K in array.shape]
    if center is not None:
        origin = list(integers("center", center, array.ndim))
    return shift_all(array, distance.astype(np.float64).tolist(), origin)


def shift_all(
    psfs: NDArray[Any], distance: Sequence[float], origin: Sequence[int]
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """As `shift`, for all PSFs in the last axes of an array, which keep one shape."""
    moved = psfs.astype(np.complex128 if psfs.dtype.kind == "c" else np.float64)
    first = psfs.ndim - len(distance)
    center = list(origin)
    for k, amount in enumerate(distance):
        whole = round(amount)
        center[k] -= whole
        if amount != whole:
            moved, before = _moved(moved, amount - whole, first + k)
            center[k] += before
    return moved, tuple(center)


def _moved(psf: NDArray[Any], amount: float, axis: int) -> tuple[NDArray[Any], int]:
    """`psf` moved along an axis, and how many pixels it has grown at the beginning."""
    lines = np.moveaxis(psf, axis, -1)
    # An odd length has no Nyquist frequency, whose phase would be ambiguous.
    odd = 1 - lines.shape[-1] % 2
    others = [(0, 0)] * (lines.ndim - 1)
    lines = np.pad(lines, [*others, (MARGIN, MARGIN + odd)])
    ramp = np.exp(-2j * np.pi * amount * fft.fftfreq(lines.shape[-1]))
    lines = fft.ifft(fft.fft(lines) * ramp)
    if psf.dtype.kind != "c":
        lines = lines.real
    size = np.cumsum(np.abs(lines).reshape(-1, lines.shape[-1]).sum(axis=0))
    first = int(np.searchsorted(size, NEGLIGIBLE * size[-1]))
    last = int(np.searchsorted(size, (1 - NEGLIGIBLE) * size[-1])) + 1
    return np.moveaxis(lines[..., first:last], -1, axis), MARGIN - first
