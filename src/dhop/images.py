"""Image files in and out, as floating-point arrays; needs the extra ``dhop[cli]``."""

from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
from numpy.typing import NDArray

from dhop.decoding import decode

Array = NDArray[Any]


def read(path: Path) -> Array:
    """Read an image as float64, integers scaled to [0, 1], transparency left out.

    Parameters
    ----------
    path : Path
        ``.npy``, FITS or any format that imageio reads.

    Returns
    -------
    ndarray, shape (rows, columns) or (rows, columns, channels)

    Raises
    ------
    OSError, ValueError
        If the file is missing, unreadable or not a single image.
    """
    array = decode(path)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * np.uint8(255)
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3) or array.size == 0 or channels > 4:
        raise ValueError(f"{path} holds {array.dtype} of shape {array.shape}, not a single image")
    if array.ndim == 3 and channels in (2, 4):
        array = array[..., :-1]
    if array.dtype.kind in "ui":
        return array / np.iinfo(array.dtype).max
    return array.astype(np.float64)


def write(path: Path, image: Array, bits: int = 8) -> None:
    """Write a float image: as it is to ``.npy``, as float32 to TIFF, else as integers.

    Parameters
    ----------
    path : Path
    image : ndarray, shape (rows, columns) or (rows, columns, channels)
        For integer formats, values outside [0, 1] are clipped.
    bits : {8, 16}
        Of the integers.

    Raises
    ------
    ValueError
        If the format does not hold as many bits.
    """
    check(path, bits)
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix.lower() in (".tif", ".tiff"):
        imageio.imwrite(path, image.astype(np.float32))
    else:
        kind = np.uint16 if bits == 16 else np.uint8
        scaled = np.rint(np.clip(image, 0, 1) * np.iinfo(kind).max)
        imageio.imwrite(path, scaled.astype(kind))


def check(path: Path, bits: int) -> None:
    """Refuse what `write` could not write, before the work that leads there."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is not a folder, cannot write {path.name} there")
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}")
    if bits == 16 and path.suffix.lower() not in (".png", ".tif", ".tiff", ".npy"):
        raise ValueError(f"{path.suffix} holds no 16 bits; write a .png, .tif or .npy")
