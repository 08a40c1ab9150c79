"""Decimation: the number of outputs, and how it folds into the point spread function."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Decimation: TypeAlias = Literal["sum", "mean", "sample"]

# Names in other packages.
DECIMATION_NAMES: dict[str, Decimation] = {
    "average": "mean",
    "subsample": "sample",
    "stride": "sample",
}

LARGEST_CENTER = 2**60  # so that positions do not overflow


def fold(
    psf: NDArray[np.number], factor: tuple[int, ...], decimation: Decimation
) -> NDArray[np.number]:
    """The folded PSF: `psf` convolved with the block that the decimation sums or averages.

    Returns
    -------
    ndarray of float64 or complex128
        Of shape ``K + factor - 1`` per axis for ``"sum"`` and ``"mean"``, `psf` for ``"sample"``.
    """
    folded = psf.astype(np.complex128 if psf.dtype.kind == "c" else np.float64)
    if decimation == "sample":
        return folded
    for axis, width in enumerate(factor):
        lines = np.moveaxis(folded, axis, 0)
        summed = np.zeros((len(lines) + width - 1, *lines.shape[1:]), lines.dtype)
        for r in range(width):
            summed[r : r + len(lines)] += lines
        folded = np.moveaxis(summed, 0, axis)
    folded = np.ascontiguousarray(folded)
    if decimation == "mean":
        parts = folded.view(np.float64)  # NumPy's complex division rounds more than once
        parts /= np.prod(factor)
    return folded


def low_resolution(
    dims: tuple[int, ...],
    axes: tuple[int, ...],
    factor: tuple[int, ...],
    phase: tuple[int, ...],
    center: tuple[int, ...],
    decimation: Decimation,
) -> tuple[int, ...]:
    """Shape of the decimated array; a ValueError if it would be empty."""
    dimsd = list(dims)
    for axis, width, start, origin in zip(axes, factor, phase, center, strict=True):
        size = dims[axis]
        if width < 1:
            raise ValueError(f"factor must be positive, got {width} for axis {axis}")
        if abs(origin) > LARGEST_CENTER:
            raise ValueError(f"center must be within {LARGEST_CENTER}, got {origin}")
        if not 0 <= start < width:
            raise ValueError(f"phase must be in [0, {width}) on axis {axis}, got {start}")
        dimsd[axis] = output_size(size, width, start, decimation)
        if dimsd[axis] < 1 and decimation == "sample":
            raise ValueError(f"no sample is left on axis {axis}: phase {start} is past its {size}")
        if dimsd[axis] < 1:
            raise ValueError(
                f"no output is left on axis {axis}: its {size} pixels hold no whole block of "
                f"{width} from phase {start} on"
            )
    return tuple(dimsd)


def output_size(size: int, factor: int, phase: int, decimation: Decimation) -> int:
    """Number of whole blocks, or of samples, from `phase` on."""
    if decimation == "sample":
        return -(-(size - phase) // factor)
    return (size - phase) // factor
