"""PSFs of simple shapes: Gaussian, box, disk and line."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from scipy.special import ndtr, owens_t

from dhop.psf.arrays import normalise
from dhop.psf.pixels import (
    Image,
    affordable,
    corner_difference,
    covered,
    edges,
    positive_number,
    sizes_of,
)
from dhop.runtime.arguments import each, real

WIDEST = 1e4  # pixels; the differences of a distribution function lose their digits beyond


def gaussian(
    size: int | Sequence[int], sigma: float | Sequence[float], *, angle: float = 0.0
) -> Image:
    r"""Gaussian, round or elliptic, integrated over each pixel.

    Per axis, with `i` the distance of a pixel from the middle of the array and :math:`\Phi` the
    standard normal distribution function,

    .. math::

        g_i = \Phi\left(\frac{i + 1/2}{\sigma}\right) - \Phi\left(\frac{i - 1/2}{\sigma}\right),

    that is, differences of `scipy.stats.norm.cdf`. The product of all axes is divided by its sum.
    Of a turned ellipse, each pixel holds the difference of the bivariate distribution function at
    its corners, which is computed from Owen's T function [1]_.

    Parameters
    ----------
    size : int or sequence of int
        Number of pixels, of an image if it is one number; ``(n,)`` of a line, three of a volume. An
        even size has its middle between two pixels.
    sigma : float or sequence of float
        Standard deviation in pixels, along the rows' and the columns' axis before the turn, or
        along each axis; at most 10,000.
    angle : float
        In degrees, counter-clockwise as displayed, of an image.

    Returns
    -------
    ndarray of float64, shape `size`

    Raises
    ------
    ValueError, TypeError
        If a size is not a positive integer, a sigma out of range or the angle not finite.

    References
    ----------
    .. [1] D. B. Owen, "Tables for computing bivariate normal probabilities", Ann. Math. Statist. 27
       (1956) 1075-1090, https://doi.org/10.1214/aoms/1177728074.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.gaussian(3, 0.5).round(4)
    array([[0.0249, 0.108 , 0.0249],
           [0.108 , 0.4686, 0.108 ],
           [0.0249, 0.108 , 0.0249]])
    >>> psf.gaussian(3, (1.0, 0.3), angle=45).round(4)
    array([[0.1541, 0.0772, 0.0008],
           [0.0772, 0.3813, 0.0772],
           [0.0008, 0.0772, 0.1541]])
    """
    sizes = sizes_of(size)
    if len(sizes) != 2:
        if real("angle", angle) != 0:
            raise ValueError(f"angle is that of an image, of two axes, and size is {size!r}")
        widths = each(f"sigma, for size {sizes},", sigma, len(sizes), _width)
        lines = [_normal_line(n, width) for n, width in zip(sizes, widths, strict=True)]
        return normalise(reduce(np.multiply.outer, lines))
    shape = sizes[0], sizes[1]
    down, along = each("sigma", sigma, 2, _width)
    sine, cosine = _direction(angle)
    if cosine == 0:
        down, along = along, down
    if sine == 0 or cosine == 0 or down == along:
        return normalise(np.outer(_normal_line(shape[0], down), _normal_line(shape[1], along)))
    rows = np.hypot(down * cosine, along * sine)
    columns = np.hypot(down * sine, along * cosine)
    correlation = (down - along) * (down + along) * sine * cosine / (rows * columns)
    corners = _bivariate_normal(
        edges(shape[0])[:, None] / rows, edges(shape[1]) / columns, correlation
    )
    return normalise(np.maximum(corner_difference(corners), 0))


def _width(name: str, value: float) -> float:
    width = positive_number(name, value)
    if width > WIDEST:
        raise ValueError(f"{name} must be at most {WIDEST:g} pixels, got {value!r}; take a `box`")
    return width


def box(size: int | Sequence[int]) -> Image:
    """Uniform over `size` pixels.

    Parameters
    ----------
    size : int or sequence of int
        Of an image if it is one number; ``(n,)`` of a line, three of a volume.

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
    return normalise(np.ones(sizes_of(size)))


def disk(radius: float) -> Image:
    """Uniform disk, the geometric image of a point out of focus.

    Each pixel holds the area of it that the disk covers, over the area of the disk: integrals of
    the circle ``sqrt(radius**2 - t**2)`` in closed form.

    Parameters
    ----------
    radius : float
        In pixels: half of ``defocus * aperture / focal length``.

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
    >>> psf.disk(1.0).round(4)
    array([[0.0251, 0.1453, 0.0251],
           [0.1453, 0.3183, 0.1453],
           [0.0251, 0.1453, 0.0251]])
    """
    radius = positive_number("radius", radius)
    size = 2 * int(np.ceil(radius - 0.5)) + 1
    if size == 1:
        return np.ones((1, 1))
    return normalise(covered(affordable("radius", size, size), radius))


def motion(length: float, angle: float = 0.0) -> Image:
    """Uniform motion along a straight line.

    Each pixel holds the part of the line's length that lies in it, the integral over the pixel of
    an infinitely thin line.

    Parameters
    ----------
    length : float
        Distance travelled, in pixels.
    angle : float
        In degrees, counter-clockwise from the direction of growing column numbers as the array is
        displayed, its first row at the top.

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
    >>> psf.motion(3, 45).round(4)
    array([[0.    , 0.    , 0.2643],
           [0.    , 0.4714, 0.    ],
           [0.2643, 0.    , 0.    ]])
    """
    length = positive_number("length", length)
    sine, cosine = _direction(angle)
    step = np.array([-sine, cosine]) * length  # (rows, columns) from end to end
    size = [2 * int(np.ceil(abs(s) / 2)) + 1 for s in step]
    affordable("length", *size)
    # Cut where the line, from -1/2 to 1/2, passes from one pixel into the next.
    with np.errstate(over="ignore"):  # beyond the ends of a line that is nearly along an axis
        crossings = [edges(count) / s for count, s in zip(size, step, strict=True) if s]
    cuts = np.unique(np.clip(np.concatenate(crossings), -0.5, 0.5))
    cuts = cuts[np.diff(cuts, prepend=-1) > 1e-12]  # at a corner, both axes cut, up to rounding
    row, column = np.rint(np.outer(step, (cuts[1:] + cuts[:-1]) / 2)).astype(int)
    below, right = np.abs(row).max(), np.abs(column).max()
    psf = np.zeros((2 * below + 1, 2 * right + 1))
    np.add.at(psf, (row + below, column + right), np.diff(cuts))
    return normalise(psf)


def _direction(angle: float) -> tuple[float, float]:
    """Sine and cosine of degrees, exact for quarter turns."""
    quarters, rest = divmod(real("angle", angle), 90)
    sine, cosine = np.sin(np.deg2rad(rest)), np.cos(np.deg2rad(rest))
    for _ in range(int(quarters) % 4):
        sine, cosine = cosine, -sine
    return float(sine), float(cosine)


def _normal_line(length: int, sigma: float) -> Image:
    edge = edges(length)
    # Upper tails, symmetric about the middle, keep their relative accuracy.
    tail = ndtr(-np.abs(edge) / sigma)
    line = np.abs(np.diff(tail))
    if length % 2:
        line[length // 2] = 1 - tail[length // 2] - tail[length // 2 + 1]
    return np.asarray(line)


def _bivariate_normal(h: Image, k: Image, correlation: float) -> Image:
    """Probability of ``X <= h`` and ``Y <= k`` for standard normal variables."""
    root = np.sqrt((1 - correlation) * (1 + correlation))
    h, k = np.broadcast_arrays(h, k)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        first = owens_t(h, (k / h - correlation) / root)
        second = owens_t(k, (h / k - correlation) / root)
    below = ((h * k < 0) | ((h * k == 0) & (h + k < 0))) / 2
    probability = (ndtr(h) + ndtr(k)) / 2 - first - second - below
    at_mean = 0.25 + np.arcsin(correlation) / (2 * np.pi)
    return np.where((h == 0) & (k == 0), at_mean, probability)
