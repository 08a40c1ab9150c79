"""Operations on point spread functions: scale, rotate, resample, measure."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from dhop.psf.pixels import LARGEST, Image, affordable, covered, positive_number
from dhop.runtime.arguments import each, integer, numbers, psf_array, real

Array = NDArray[Any]


def normalise(psf: ArrayLike) -> Array:
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
    ValueError, TypeError
        If the sum is zero or not finite, values are masked or no numbers.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.normalise([[1, 2, 1]])
    array([[0.25, 0.5 , 0.25]])
    """
    if np.ma.is_masked(psf):
        raise ValueError("the psf has masked values; give them one with `.filled(value)`")
    array = numbers("psf", psf)
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()
    if not np.isfinite(total) or total == 0:
        raise ValueError(f"a psf with the sum {total} cannot be normalised")
    return np.asarray(array / total)


def rotate(psf: ArrayLike, angle: float, *, order: int = 3) -> Array:
    """Turn a PSF about the middle of its array, a volume plane by plane.

    Between pixels, values are interpolated by splines (`scipy.ndimage.affine_transform`, zeros
    outside) and the sum is kept. Quarter turns only move the pixels.

    Parameters
    ----------
    psf : array_like, shape (K0, K1) or (planes, K0, K1)
    angle : float
        In degrees, counter-clockwise as displayed.
    order : int
        Of the splines, 0 to 5. Order 1 keeps values positive and blurs a little; order 3 follows a
        smooth PSF closely and overshoots at the edges of a sharp one.

    Returns
    -------
    ndarray of float64 or complex128
        With room for the turned array, and an odd number of pixels on an axis where `psf` has one.

    Raises
    ------
    ValueError, TypeError
        If the PSF is not a finite array of two or three axes, its sum is zero, `angle` is not
        finite or `order` is out of range.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.rotate([[0.5, 0.3, 0.2]], 90)
    array([[0.2],
           [0.3],
           [0.5]])
    >>> psf.rotate(psf.gaussian((5, 9), (1, 2)), 30).shape
    (9, 11)
    """
    array = double(psf)
    if array.ndim == 1:
        raise ValueError("a psf of one axis cannot be turned, it has to have 2 or 3 dimensions")
    angle = real("angle", angle)
    if not 0 <= integer("order", order) <= 5:
        raise ValueError(f"order must be from 0 to 5, got {order!r}")
    if angle % 90 == 0:
        return np.ascontiguousarray(np.rot90(array, int(angle // 90) % 4, (-2, -1)))
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    back = np.array([[cosine, sine], [-sine, cosine]])  # from a pixel to where its value was
    size = np.array(array.shape[-2:])
    added = np.ceil((np.abs(back) @ size - size) / 2).astype(int)
    shape = np.maximum(size + 2 * added, 1)
    offset = (size - 1) / 2 - back @ ((shape - 1) / 2)
    turned = np.empty((*array.shape[:-2], *shape), array.dtype)
    for plane in np.ndindex(array.shape[:-2]):
        turned[plane] = scipy.ndimage.affine_transform(
            array[plane], back, offset, tuple(shape), order=order, mode="grid-constant"
        )
    return normalise(turned) * array.sum()


def resample(
    psf: ArrayLike,
    pixel: float | Sequence[float],
    new_pixel: float | Sequence[float],
    *,
    center: float | Sequence[float] | None = None,
) -> Array:
    """Bring a PSF to pixels of another size.

    The values are taken as what each pixel collects, spread evenly over it; a new pixel collects
    what falls on it. This keeps the sum and the origin. For an oversampled PSF, as telescopes and
    microscopes publish it, it is the integral over the larger pixels; to smaller pixels it adds no
    detail.

    Parameters
    ----------
    psf : array_like, of one to three axes
    pixel, new_pixel : float or sequence of float
        Size of a pixel of `psf` and of the result, in any one unit; of voxels along each axis.
    center : float or sequence of float, optional
        Index of the PSF's origin, by default the middle of the array, ``(K - 1) / 2``.

    Returns
    -------
    ndarray of float64 or complex128
        With an odd number of pixels per axis; the origin is the middle of the middle pixel.

    Raises
    ------
    ValueError, TypeError
        If the PSF is not a finite array of one to three axes or a size is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import psf
    >>> psf.resample(np.full((1, 6), 1 / 6), (1, 0.5), 1)
    array([[0.33333333, 0.33333333, 0.33333333]])
    >>> psf.resample([0.1, 0.2, 0.4, 0.2, 0.1], 1, 3)
    array([0.1, 0.8, 0.1])
    """
    array = double(psf)
    old = each("pixel", pixel, array.ndim, positive_number)
    new = each("new_pixel", new_pixel, array.ndim, positive_number)
    middle = [(size - 1) / 2 for size in array.shape]
    if center is not None:
        middle = list(each("center", center, array.ndim, real))
    parts = [
        _overlaps(array.shape[axis], new[axis] / old[axis], middle[axis])
        for axis in range(array.ndim)
    ]
    affordable("new_pixel", prod(len(part) for part in parts[:-1]), len(parts[-1]))
    if array.ndim > 2:
        array = np.tensordot(parts[0], array, 1)
    if array.ndim > 1:
        array = parts[-2] @ array
    return np.asarray(array @ parts[-1].T)


def encircled_energy(
    psf: ArrayLike, radius: ArrayLike, *, center: float | Sequence[float] | None = None
) -> Image:
    """Fraction of an image's PSF, of its sum, within circles about its origin.

    A pixel that a circle cuts counts by the part of its area that is inside.

    Parameters
    ----------
    psf : array_like, shape (K0, K1), real
    radius : array_like
        Radii in pixels, not negative.
    center : float or (float, float), optional
        Index of the origin, by default the middle of the array, ``(K - 1) / 2``.

    Returns
    -------
    ndarray of float64, of the shape of `radius`

    Raises
    ------
    ValueError, TypeError
        If the PSF is not a finite two-dimensional array, or a radius is negative.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.encircled_energy(psf.disk(4.0), [2.0, 4.0]).round(3)
    array([0.25 , 0.909])
    """
    array = normalise(psf_array(psf))
    radii = numbers("radius", radius)
    if radii.dtype.kind == "c" or not (radii >= 0).all():
        raise ValueError(f"radius must be real and not negative, got {radius!r}")
    if center is not None:
        center = each("center", center, 2, real)
        if max(map(abs, center)) > LARGEST:
            raise ValueError(f"center must be within {LARGEST:g} pixels, got {center}")
    return np.reshape(
        [np.vdot(covered(array.shape, r, center), array) if r else 0.0 for r in radii.ravel()],
        radii.shape,
    )


def estimate_support(psf: ArrayLike, energy: float = 0.99) -> tuple[int, ...]:
    """Size of the window about the PSF's origin that keeps nearly all of it.

    Each axis leaves out at most an equal share of what may be lost, so that the window as a whole
    keeps the fraction `energy` of the sum of absolute values, and a long thin PSF gets a long thin
    window.

    Parameters
    ----------
    psf : array_like, of one to three axes
        Its origin is the operator's default, ``(K - 1) // 2``.
    energy : float
        Fraction to keep, ``0 < energy <= 1``.

    Returns
    -------
    tuple of int
        Odd numbers of pixels along each axis.

    Raises
    ------
    ValueError, TypeError
        If the PSF is not a finite array of one to three axes or zero, or `energy` is out of range.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.estimate_support(psf.gaussian(99, (2.0, 1.0)), 0.99)
    (13, 7)
    """
    array = np.abs(double(psf))
    if not 0 < real("energy", energy) <= 1:
        raise ValueError(f"energy must be in (0, 1], got {energy!r}")
    if not array.any():
        raise ValueError("a psf that is zero everywhere has no support")
    array = array / array.max()  # whose sum does not overflow
    array /= array.sum()
    axes = range(array.ndim)
    lines = [array.sum(axis=tuple(other for other in axes if other != axis)) for axis in axes]
    return tuple(_support(line, (1 - energy) / array.ndim) for line in lines)


def double(psf: ArrayLike, most: int = 3) -> Array:
    """The PSF as float64 or complex128, of two axes, or of one to three if `most` is 3."""
    array = psf_array(psf, most=most)
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def window(psf: Array, center: Sequence[int], half: Sequence[int]) -> Array:
    """The part from ``center - half`` to ``center + half`` of each axis, zeros outside."""
    pads = [
        (max(h - c, 0), max(c + h + 1 - size, 0))
        for c, h, size in zip(center, half, psf.shape, strict=True)
    ]
    starts = [c - h + before for c, h, (before, _) in zip(center, half, pads, strict=True)]
    parts = tuple(slice(start, start + 2 * h + 1) for start, h in zip(starts, half, strict=True))
    return np.ascontiguousarray(np.pad(psf, pads)[parts])


def _overlaps(count: int, ratio: float, middle: float) -> Image:
    """Fraction of each of `count` pixels (columns) within each new one (rows), `ratio` as large."""
    ratio = positive_number("new_pixel / pixel", ratio)
    reach = max(middle + 0.5, count - 0.5 - middle) / ratio
    half = max(int(np.ceil(real("pixel / new_pixel", reach) - 0.5 - 1e-9)), 0)
    affordable("new_pixel", 2 * half + 1, count)
    edge = (np.arange(2 * half + 2) - half - 0.5) * ratio + middle + 0.5
    pixel = np.arange(count)
    begin = np.maximum(edge[:-1, None], pixel)
    end = np.minimum(edge[1:, None], pixel + 1)
    return np.maximum(end - begin, 0)


def _support(line: Image, lost: float) -> int:
    origin = (line.size - 1) // 2
    by_distance = np.bincount(np.abs(np.arange(line.size) - origin), line)
    beyond = np.append(np.cumsum(by_distance[:0:-1])[::-1], 0)
    return 2 * int(np.argmax(beyond <= lost)) + 1
