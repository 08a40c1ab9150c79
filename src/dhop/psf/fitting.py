"""A point spread function fitted to frames and a known image."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from dhop.frames import layouts, observations
from dhop.psf.arrays import double, normalise
from dhop.runtime.arguments import choice, each, numbers, positive, real

Array = NDArray[Any]

MOST = 20_000  # pixels of a frame that are used


def refine(
    psf: ArrayLike,
    image: ArrayLike,
    frames: ArrayLike,
    factor: int | Sequence[int],
    *,
    shifts: ArrayLike | None = None,
    weights: Any = None,
    strength: float = 1e-3,
    decimation: Literal["mean", "sum", "sample"] = "mean",
) -> Array:
    r"""Improve all values of a PSF from frames of a known image.

    Frames are linear in the PSF too, so it is found by least squares,

    .. math:: \min_h \sum_i w_i \|D_i X h - y_i\|^2 + \lambda \|h - h_0\|^2

    over pixels that see nothing beyond the image, with `X` the convolution with the image and `D_i`
    shift and decimation. The image must be known better than the frames are: that of a calibration
    target, of another camera, or, with care, a solution. A solution that was made with a wrong PSF
    explains the frames with that PSF, and little will change.

    Parameters
    ----------
    psf : array_like, shape (K0, K1)
        First guess :math:`h_0`, real; its shape is that of the result.
    image : array_like, shape (n0, n1)
        High-resolution.
    frames : array_like, shape (m0, m1) or (F, m0, m1)
        With ``n = factor * m``.
    factor : int or (int, int)
    shifts, weights
        As for `dhop.super_resolve`.
    strength : float
        :math:`\lambda` relative to the mean of the diagonal of the equations.
    decimation : {"mean", "sum", "sample"}

    Returns
    -------
    ndarray, shape (K0, K1), of sum one

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, or the image is too small for the PSF.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator, psf
    >>> image = np.random.default_rng(0).random((60, 60))
    >>> true = psf.gaussian(5, (1.0, 0.6))
    >>> frame = DHOperator(image.shape, true, 2, decimation="mean").degrade(image)
    >>> found = psf.refine(psf.gaussian(5, 1.0), image, frame, 2, strength=1e-9)
    >>> bool(abs(found - true).max() < 1e-4)
    True
    """
    start = normalise(double(psf, most=2))
    scene = numbers("image", image).astype(np.float64)
    stack = layouts.stacked(numbers("frames", frames)).astype(np.float64)
    steps = each("factor", factor, 2, positive, "integer")
    expected = tuple(m * f for m, f in zip(stack.shape[-2:], steps, strict=True))
    if stack.ndim != 3 or scene.shape != expected or start.dtype.kind == "c":
        raise ValueError(
            f"image and psf must be real, the image of shape {expected} for frames of "
            f"{stack.shape}, got {scene.shape}"
        )
    if not np.isfinite(scene).all():
        raise ValueError("image must be finite")
    if real("strength", strength) < 0:
        raise ValueError(f"strength must not be negative, got {strength!r}")
    choice("decimation", decimation, ("mean", "sum", "sample"))
    moves = observations.checked_shifts(shifts, len(stack))
    given: Any = [1.0] * len(stack) if weights is None else weights
    maps = layouts.weight_maps(given, stack.shape, None)
    gram = np.zeros((start.size, start.size))
    rhs = np.zeros(start.size)
    for frame, move, weight in zip(stack, moves, maps, strict=True):
        columns, rows = _columns(scene, start.shape, move * steps, steps, decimation)
        w = np.broadcast_to(weight, frame.shape).ravel()[rows]
        y = np.where(w > 0, frame.ravel()[rows], 0)
        if not np.isfinite(y).all():
            raise ValueError("frames must be finite where they have a weight")
        gram += (columns * w[:, None]).T @ columns
        rhs += columns.T @ (w * y)
    level = strength * np.trace(gram) / start.size
    if not np.trace(gram) > 0:
        raise ValueError("image or weights are zero where frames see nothing beyond the image")
    equations = gram + level * np.eye(start.size)
    found = np.linalg.lstsq(equations, rhs + level * start.ravel())[0]
    return normalise(found.reshape(start.shape))


def _columns(
    scene: Array, shape: tuple[int, ...], move: Array, factor: tuple[int, ...], decimation: str
) -> tuple[Array, Array]:
    """The matrix from the PSF to some pixels of a frame, and the numbers of these pixels."""
    moved = fft.ifft2(scipy.ndimage.fourier_shift(fft.fft2(scene), move)).real
    if decimation != "sample":
        # The block that begins at each pixel.
        begin = [-(f // 2) for f in factor]
        moved = scipy.ndimage.uniform_filter(moved, factor, origin=begin, mode="wrap")
        if decimation == "sum":
            moved *= np.prod(factor)
    reach = [K + int(np.ceil(abs(s))) for K, s in zip(shape, move, strict=True)]
    lines = []
    for n, f, r in zip(scene.shape, factor, reach, strict=True):
        pixel = np.arange(n // f)
        lines.append(pixel[(pixel * f >= r) & (pixel * f + f + r <= n)])
    rows = (lines[0][:, None] * (scene.shape[1] // factor[1]) + lines[1]).ravel()
    if not rows.size:
        raise ValueError(f"the image is too small for a psf of {shape}")
    if rows.size > MOST:
        rows = np.random.default_rng(0).choice(rows, MOST, replace=False)
    first, second = np.divmod(rows, scene.shape[1] // factor[1])
    columns = np.empty((rows.size, shape[0] * shape[1]))
    for k, (i, j) in enumerate(np.ndindex(*shape)):
        down, along = i - (shape[0] - 1) // 2, j - (shape[1] - 1) // 2
        columns[:, k] = moved[first * factor[0] - down, second * factor[1] - along]
    return columns, rows
