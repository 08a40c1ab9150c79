"""Image files in and out, as floating-point arrays; needs the extra ``dhop[cli]``."""

from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def read(path: Path) -> Array:
    """Read an image as float64, integers scaled to [0, 1].

    Parameters
    ----------
    path : Path
        ``.npy`` or any format that imageio reads.

    Returns
    -------
    ndarray, shape (rows, columns) or (rows, columns, channels)

    Raises
    ------
    OSError, ValueError
        If the file is missing, unreadable or not a single image.
    """
    array = np.load(path) if path.suffix == ".npy" else np.asarray(imageio.imread(path))
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"{path} holds {array.dtype} of shape {array.shape}, not an image")
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
        Of the integers; PNG holds both.
    """
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix.lower() in (".tif", ".tiff"):
        imageio.imwrite(path, image.astype(np.float32))
    else:
        kind = np.uint16 if bits == 16 else np.uint8
        scaled = np.rint(np.clip(image, 0, 1) * np.iinfo(kind).max)
        imageio.imwrite(path, scaled.astype(kind))
