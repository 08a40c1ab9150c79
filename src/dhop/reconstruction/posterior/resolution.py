"""The resolution of an image: the widths of point sources."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[Any]

FINER = 16  # points a pixel that a response is interpolated at


class Resolution(NamedTuple):
    """Widths of point sources.

    Attributes
    ----------
    pixels : ndarray of int, shape (..., d)
        The sources, on a grid, as indices of the `d` image axes.
    widths : ndarray, shape (..., d), or (C, ..., d) of channels
        The full width at half maximum of each along each axis, in pixels of the image. NaN where
        the image does not respond to a source.
    """

    pixels: NDArray[np.intp]
    widths: Array


def places(shape: tuple[int, ...], grid: tuple[int, ...]) -> NDArray[np.intp]:
    """The middles of a grid of equal parts of an image, one more axis last."""
    middles = [
        ((2 * np.arange(g) + 1) * n // (2 * g)).astype(np.intp)
        for n, g in zip(shape, grid, strict=True)
    ]
    return np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1)


def widths(response: Array) -> list[float]:
    """The full width at half maximum of a response along each axis, through its maximum.

    NaN where nothing responds.
    """
    if not response.max() > 0:
        return [np.nan] * response.ndim
    top = np.unravel_index(int(response.argmax()), response.shape)
    found = []
    for axis, at in enumerate(top):
        line = np.moveaxis(response, axis, -1)[tuple(np.delete(top, axis))]
        found.append(_width(line.astype(np.float64), int(at)))
    return found


def _width(line: Array, at: int) -> float:
    """The width at half maximum, by trigonometric interpolation.

    Where the line ends above half its maximum the other side counts twice.
    """
    mirrored = np.concatenate([line, line[::-1]])
    fine = fft.irfft(fft.rfft(mirrored), FINER * mirrored.size) * FINER
    fine = fine[: FINER * (line.size - 1) + 1]
    near = slice(max(FINER * (at - 1), 0), FINER * (at + 1) + 1)
    top = near.start + int(fine[near].argmax())
    sides = [_half(fine[top::-1]), _half(fine[top:])]
    known = [side for side in sides if side is not None]
    return (2 * sum(known) / len(known)) / FINER if known else float(line.size)


def _half(side: Array) -> float | None:
    """The distance from the first value to half of it, None if that is not reached."""
    below = np.flatnonzero(side <= side[0] / 2)
    if not below.size:
        return None
    k = int(below[0])
    return k - float((side[0] / 2 - side[k]) / (side[k - 1] - side[k]))
