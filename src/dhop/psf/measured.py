"""Measured and published point spread functions: reading and preparing them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop import io
from dhop.psf.arrays import double, estimate_support, normalise, window
from dhop.psf.origin import centroid, peak
from dhop.runtime.arguments import choice, integers, real

Array = NDArray[Any]
Origin: TypeAlias = Literal["peak", "centroid"] | Sequence[int]


def from_array(
    array: ArrayLike,
    *,
    background: float | Literal["border"] = 0.0,
    center: Origin | None = None,
    energy: float | None = None,
) -> Array:
    """Make a PSF from an image of a point: subtract the background, centre, crop, normalise.

    Parameters
    ----------
    array : array_like, of one to three axes
    background : float or "border"
        Value to subtract; ``"border"`` for the median of the outermost pixels, on all
        sides of a volume. Values that become negative are kept: noise about zero cancels, what is
        left of it after clipping does not.
    center : {"peak", "centroid"} or sequence of int, optional
        Pixel that becomes the middle of the result, which zeros make symmetric about it: the
        largest value, or the middle of the largest patch of such values, as a clipped star has
        them; the centre of mass rounded to a pixel, negative values counting as such; or an index.
        By default nothing is moved.
    energy : float, optional
        Crop to the window of `estimate_support` that keeps this fraction; by default not at all.

    Returns
    -------
    ndarray
        Of sum one, and with an odd number of pixels per axis if it was centred or cropped.

    Raises
    ------
    ValueError, TypeError
        If the array is not a finite one of one to three axes, its sum is zero, or an argument is
        out of range.

    Examples
    --------
    >>> from dhop import psf
    >>> star = [[1, 1, 1, 1], [1, 3, 5, 3], [1, 1, 3, 1], [1, 1, 1, 1]]
    >>> psf.from_array(star, background="border", center="peak", energy=0.8)
    array([[0. , 0. , 0. ],
           [0.2, 0.4, 0.2],
           [0. , 0.2, 0. ]])
    """
    psf = double(array)
    psf = psf - _background(psf, background)
    if center is not None:
        origin = _origin(psf, center)
        reach = [max(c, size - 1 - c) for c, size in zip(origin, psf.shape, strict=True)]
        psf = window(psf, origin, reach)
    if energy is not None:
        middle = [(size - 1) // 2 for size in psf.shape]
        psf = window(psf, middle, [size // 2 for size in estimate_support(psf, energy)])
    return normalise(psf)


def from_file(
    path: str | os.PathLike[str],
    *,
    hdu: int | str | None = None,
    background: float | Literal["border"] = 0.0,
    center: Origin | None = None,
    energy: float | None = None,
) -> Array:
    """Read a PSF from a file and prepare it: `load`, then `from_array`.

    Parameters
    ----------
    path : path
    hdu : int or str, optional
        As in `load`.
    background, center, energy
        As in `from_array`.

    Returns
    -------
    ndarray of sum one

    Raises
    ------
    OSError, ValueError, TypeError, ImportError
        As `load` and `from_array` do.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> from dhop import psf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "star.npy"
    ...     np.save(path, [[0, 1, 0], [1, 4, 1], [0, 1, 0]])
    ...     star = psf.from_file(path)
    >>> star
    array([[0.   , 0.125, 0.   ],
           [0.125, 0.5  , 0.125],
           [0.   , 0.125, 0.   ]])
    """
    return from_array(load(path, hdu=hdu), background=background, center=center, energy=energy)


def load(path: str | os.PathLike[str], *, hdu: int | str | None = None) -> Array:
    """Read the values of an image file without scaling, for a PSF.

    Parameters
    ----------
    path : path
        ``.npy``, FITS (needs the extra ``dhop[fits]``), or TIFF, PNG, BMP, WebP and JPEG (need
        ``dhop[cli]``). Colours are averaged and transparency is left out; integers are not scaled,
        and values are taken as proportional to light.
    hdu : int or str, optional
        Number or name of the part of a FITS file, by default the first that holds an image.

    Returns
    -------
    ndarray, shape (rows, columns), (columns,) or (planes, rows, columns)
        Float64, or complex128 if the file is complex. Pages and planes of a cube are those of a
        volume.

    Raises
    ------
    OSError
        If the file is missing or cannot be read.
    ValueError
        If it does not hold one line, image or volume.
    ImportError
        If the package that reads the format is not installed.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> from dhop import psf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "line.npy"
    ...     np.save(path, [[1, 2, 1]])
    ...     print(psf.load(path))
    [[1. 2. 1.]]
    """
    picture = io.read(Path(path), hdu)
    held = f"{path} holds {picture.pixels.dtype} of shape {picture.pixels.shape}, not one image"
    try:
        shown = io.interpreted(picture, path, ndim=io.dimensions(picture))
    except (KeyError, ValueError):
        raise ValueError(held) from None
    array, coloured = shown.values(f"{io.SPACE}C"), "C" in shown.axes
    if coloured and array.shape[-1] != 3:
        raise ValueError(held)
    with np.errstate(invalid="ignore"):  # NaN of damaged files
        array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    return array.mean(axis=-1) if coloured else array


def _background(psf: Array, value: Any) -> Any:
    if not isinstance(value, str):
        return real("background", value)
    choice("background", value, ["border"])
    border = np.ones(psf.shape, bool)
    border[(slice(1, -1),) * psf.ndim] = False
    return np.median(psf[border])


def _origin(psf: Array, center: Origin) -> tuple[int, ...]:
    if isinstance(center, str):
        kind = choice("center", center, ["peak", "centroid"])
        place = peak(psf) if kind == "peak" else centroid(psf)
        index = tuple(map(int, np.ceil(np.subtract(place, 0.5))))  # of two pixels the first
    else:
        index = integers("center", center, psf.ndim)
    if not all(0 <= k < size for k, size in zip(index, psf.shape, strict=True)):
        raise ValueError(f"center {index} is not a pixel of an array of {psf.shape}")
    return index
