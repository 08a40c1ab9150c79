"""Point spread functions, sampled on pixels and normalised to the sum one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from dhop.arguments import pair

__all__ = ["box", "disk", "gaussian", "motion", "normalise"]
Image = NDArray[np.float64]


def normalise(psf: ArrayLike) -> NDArray[Any]:
    """Scale `psf` to the sum one, so that a blur keeps the brightness.

    Parameters
    ----------
    psf : array_like

    Returns
    -------
    ndarray
        Of the dtype of `psf`, float64 for integers.

    Raises
    ------
    ValueError
        If the sum is zero or not finite, or values are masked.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.normalise([[1, 2, 1]])
    array([[0.25, 0.5 , 0.25]])
    """
    if np.ma.is_masked(psf):
        raise ValueError("the psf has masked values; give them one with `.filled(value)`")
    array = np.asarray(psf)
    total = array.sum()
    if not np.isfinite(total) or total == 0:
        raise ValueError(f"a psf with the sum {total} cannot be normalised")
    return np.asarray(array / total)


def gaussian(size: int | Sequence[int], sigma: float | Sequence[float]) -> Image:
    r"""Gaussian, integrated over each pixel.

    Per axis, with `i` the distance of a pixel from the middle of the array and :math:`\Phi` the
    standard normal distribution function,

    .. math::

        g_i = \Phi\left(\frac{i + 1/2}{\sigma}\right) - \Phi\left(\frac{i - 1/2}{\sigma}\right),

    that is, differences of `scipy.stats.norm.cdf`. The product of both axes is divided by its sum.

    Parameters
    ----------
    size : int or (int, int)
        Number of pixels. An even size has its middle between two pixels.
    sigma : float or (float, float)
        Standard deviation in pixels.

    Returns
    -------
    ndarray of float64, shape `size`

    Raises
    ------
    ValueError, TypeError
        If a size is not a positive integer or a sigma not positive.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.gaussian(3, 0.5).round(4)
    array([[0.0249, 0.108 , 0.0249],
           [0.108 , 0.4686, 0.108 ],
           [0.0249, 0.108 , 0.0249]])
    """
    lines = [
        _normal_line(length, width)
        for length, width in zip(_shape(size), _pair("sigma", sigma), strict=True)
    ]
    return normalise(np.outer(*lines))


def box(size: int | Sequence[int]) -> Image:
    """Uniform over `size` pixels.

    Parameters
    ----------
    size : int or (int, int)

    Returns
    -------
    ndarray of float64, shape `size`

    Raises
    ------
    ValueError, TypeError
        If a size is not a positive integer.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.box((1, 4))
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    return normalise(np.ones(_shape(size)))


def disk(radius: float, *, oversampling: int = 64) -> Image:
    """Uniform disk, the geometric image of a point out of focus.

    Each pixel holds the part of it that the disk covers, counted on `oversampling` by
    `oversampling` points.

    Parameters
    ----------
    radius : float
        In pixels.
    oversampling : int
        Points per pixel and axis.

    Returns
    -------
    ndarray of float64, shape (K, K), K odd

    Raises
    ------
    ValueError
        If the radius is not positive.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.disk(1.2).shape
    (3, 3)
    """
    radius = _positive("radius", radius)
    half = int(np.ceil(radius - 0.5))
    edge = np.arange(-half, half + 1)[:, None]
    point = (edge + (np.arange(oversampling) + 0.5) / oversampling - 0.5).ravel()
    inside = point[:, None] ** 2 + point**2 <= radius**2
    size = 2 * half + 1
    return normalise(inside.reshape(size, oversampling, size, oversampling).sum(axis=(1, 3)))


def motion(length: float, angle: float = 0.0, *, oversampling: int = 64) -> Image:
    """Uniform motion along a straight line, anti-aliased.

    The line is cut into points of equal weight, each shared among its four nearest pixels
    (bilinearly).

    Parameters
    ----------
    length : float
        Distance travelled, in pixels.
    angle : float
        In degrees, counter-clockwise from the direction of growing column numbers as the array is
        displayed, its first row at the top.
    oversampling : int
        Points per pixel of length.

    Returns
    -------
    ndarray of float64, odd number of pixels per axis

    Raises
    ------
    ValueError
        If the length is not positive or the angle not finite.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.motion(2, 0)
    array([[0.25, 0.5 , 0.25]])
    """
    length = _positive("length", length)
    if not np.isfinite(angle):
        raise ValueError(f"angle must be finite, got {angle!r}")
    count = max(1, int(np.ceil(length * oversampling)))
    along = ((np.arange(count) + 0.5) / count - 0.5) * length
    direction = np.deg2rad(angle)
    step = -np.sin(direction).round(15), np.cos(direction).round(15)
    half = [int(np.ceil(abs(s) * length / 2)) for s in step]
    psf = np.zeros([2 * h + 1 for h in half])
    y, x = (s * along + h for s, h in zip(step, half, strict=True))
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    below, right = y - row, x - column
    padded = np.zeros((psf.shape[0] + 1, psf.shape[1] + 1))
    np.add.at(padded, (row, column), (1 - below) * (1 - right))
    np.add.at(padded, (row, column + 1), (1 - below) * right)
    np.add.at(padded, (row + 1, column), below * (1 - right))
    np.add.at(padded, (row + 1, column + 1), below * right)
    return normalise(padded[:-1, :-1])


def _normal_line(length: int, sigma: float) -> Image:
    edge = np.arange(length + 1) - length / 2
    # Upper tails, symmetric about the middle, keep their relative accuracy.
    tail = ndtr(-np.abs(edge) / sigma)
    line = np.abs(np.diff(tail))
    if length % 2:
        line[length // 2] = 1 - tail[length // 2] - tail[length // 2 + 1]
    return line


def _shape(size: int | Sequence[int]) -> tuple[int, int]:
    rows, columns = pair("size", size)
    if rows < 1 or columns < 1:
        raise ValueError(f"size must be positive, got {size!r}")
    return rows, columns


def _pair(name: str, value: float | Sequence[float]) -> tuple[float, float]:
    first, second = (value, value) if np.ndim(value) == 0 else value  # type: ignore[misc]
    return _positive(name, first), _positive(name, second)


def _positive(name: str, value: Any) -> float:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive, got {value!r}")
    return float(value)
