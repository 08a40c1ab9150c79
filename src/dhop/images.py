"""Images as floating-point arrays, from files and into them; needs the extra ``dhop[cli]``.

FITS needs ``dhop[fits]`` as well.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop import io
from dhop.io import Original, Picture

Array = NDArray[Any]

BITS = {8: "u1", 16: "u2", 32: "f4"}
BLOCK = 2**20  # values that are rounded at a time


def read(path: Path) -> Array:
    """Read an image as float64, see `load`."""
    return load(path)[0]


def load(path: Path, hdu: int | str | None = None) -> tuple[Array, Original]:
    """Read an image as float64, transparency left out.

    Parameters
    ----------
    path : Path
        ``.npy``, FITS (the first image in it), TIFF, PNG, JPEG, WebP, BMP.
        An orientation tag, as cameras write it, is applied.

    Returns
    -------
    pixels : ndarray, shape (rows, columns) or (rows, columns, channels)
        Unsigned integers of up to 16 bits are scaled so that the largest is 1; all other numbers
        are left as they are.
    original : Original

    Raises
    ------
    OSError, ValueError
        If the file is missing, unreadable or not a single image.
    ImportError
        If it is FITS and astropy is not installed.
    """
    picture = io.read(path, hdu)
    if sorted(picture.axes) not in (["X", "Y"], ["C", "X", "Y"]) or not picture.pixels.size:
        raise ValueError(
            f"{path} holds {picture.pixels.dtype} of shape {picture.pixels.shape}, "
            "not a single image"
        )
    if picture.pixels.dtype.kind not in "buif":
        raise ValueError(f"{path} holds {picture.pixels.dtype}, not an image")
    pixels = picture.arranged("YXC"[: picture.pixels.ndim]).astype(np.float64)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if picture.original.white is not None:
        pixels /= picture.original.white
    return pixels, picture.original


def write(
    path: Path, image: Array, bits: int | None = None, original: Original | None = None
) -> None:
    """Write a float image.

    Parameters
    ----------
    path : Path
        PNG, JPEG, WebP, BMP, TIFF, ``.npy`` or FITS. Without `bits` and `original`, ``.npy`` is as
        it is.
    image : ndarray, shape (rows, columns) or (rows, columns, channels)
        On the scale of `load`; values that integers cannot hold are clipped.
    bits : {8, 16, 32}, optional
        Of unsigned integers, or 32 of floating-point numbers. By default the type of `original`, or
        where the format does not hold that, the one of its types that holds most.
    original : Original, optional
        Where type and header come from.

    Raises
    ------
    ValueError
        If the format does not hold as many bits.
    """
    check(path, bits)
    known = Original(image.dtype) if original is None else original
    if io.ending(path) == ".npy" and bits is None and original is None:
        kind = image.dtype
    else:
        kind = _kind(path, bits, original)
    pixels = image.astype(kind, order="C") if kind.kind in "fc" else _rounded(image, kind, known)
    io.write(path, Picture(pixels, "YXC"[: image.ndim], known))


def check(path: Path, bits: int | None = None) -> None:
    """Refuse what `write` could not write, before the work that leads there."""
    check_folder(path)
    format = io.format_of(path)
    if bits is not None and bits not in BITS:
        raise ValueError(f"bits must be 8 or 16, or 32 for floating point, got {bits}")
    if bits is not None and BITS[bits] not in format.types:
        able = [ending for ending, each in io.FORMATS.items() if BITS[bits] in each.types]
        raise ValueError(f"{io.ending(path)} holds no {bits} bits; write a {' or '.join(able)}")
    format.check(Original(np.dtype("f8")), (1, 1), "YX")


def check_folder(path: Path) -> None:
    """Refuse to write any file where no folder is."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is not a folder, cannot write {path.name} there")


def check_range(path: Path, values: Array, bits: int | None, original: Original) -> None:
    """Refuse to write integers that stand for [0, 1] from numbers on another scale."""
    kind = _kind(path, bits, original)
    if kind.kind == "f" or original.white is not None or kind == original.dtype:
        return
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
    if not 1 / np.iinfo(kind).max < largest <= 2:
        raise ValueError(
            f"values up to {largest:g} do not fit integers, which stand for 0 to 1; "
            "write floating point: a .tif with 32 bits, a .npy or a .fits"
        )


def _kind(path: Path, bits: int | None, original: Original | None) -> np.dtype[Any]:
    """The type to write."""
    types = io.format_of(path).types
    if bits is not None:
        return np.dtype(BITS[bits])
    wanted = None if original is None else original.dtype.str[1:]
    return np.dtype(wanted if wanted in types else types[-1])


def _rounded(image: Array, kind: np.dtype[Any], original: Original) -> Array:
    """Integers, in little memory besides: of the full range of their type, or as they are."""
    least, most = np.iinfo(kind).min, np.iinfo(kind).max
    plain = original.white is None and original.dtype == kind
    rounded = np.empty(image.shape, kind)
    step = max(1, BLOCK * len(image) // image.size) if image.size else 1
    for start in range(0, len(image), step):
        part = image[start : start + step].astype(np.float64)
        part *= 1 if plain else most
        np.rint(part.clip(least, most, out=part), out=part)
        rounded[start : start + step] = part
    return rounded
