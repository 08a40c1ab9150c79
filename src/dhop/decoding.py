"""Arrays from image files, whatever their format, with errors in words."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.extras import needed

Array = NDArray[Any]

FITS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz")
TIFF = (".tif", ".tiff")
PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".webp")  # whose EXIF imageio understands


def decode(path: Path, hdu: int | str | None = None) -> Array:
    """The numbers in a file as they are: .npy, FITS (by astropy), or what imageio reads.

    Photographs and TIFF are turned as their orientation tag (EXIF) says that they are looked at.

    Parameters
    ----------
    path : Path
    hdu : int or str, optional
        Number or name of the part of a FITS file, by default the first that holds an image.

    Raises
    ------
    OSError
        If the file is missing or cannot be read.
    ValueError
        If it has no such part.
    ImportError
        If the package that reads the format is not installed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    name = path.name.lower()
    if name.endswith(FITS):
        return _fits(path, hdu)
    if hdu is not None:
        raise ValueError(f"hdu is for FITS files, and {path.name} is none by its ending")
    if name.endswith(".npy"):
        try:
            return np.asarray(np.load(path, allow_pickle=False))
        except (OSError, EOFError, ValueError) as error:
            raise _unreadable(path, error) from error
    imageio = needed("imageio.v3", "cli", f"reading {path.name}")
    content = path.read_bytes()  # imageio leaves a file open that it cannot read
    turn = {"rotate": True} if name.endswith(PHOTOGRAPHS) else {}
    try:
        array = np.asarray(imageio.imread(content, extension=path.suffix or None, **turn))
        return _turned(path, array) if name.endswith(TIFF) else array
    except Exception as error:  # decoders of broken files raise anything
        raise _unreadable(path, error) from error


def _turned(path: Path, array: Array) -> Array:
    """The pixels of a TIFF as its orientation tag wants them shown.

    TIFF 6.0, page 36. tifffile's `reorient` confuses two of the eight.
    """
    with needed("tifffile", "cli", f"reading {path.name}").TiffFile(path) as file:
        tag = file.pages[0].tags.valueof("Orientation", default=1)
        rows = file.series[0].axes.find("YX")
    if tag not in range(2, 9) or rows < 0:
        return array
    columns = rows + 1
    if tag > 4:
        array = np.swapaxes(array, rows, columns)
    if tag in (3, 4, 7, 8):
        array = np.flip(array, rows)
    if tag in (2, 3, 6, 7):
        array = np.flip(array, columns)
    return array


def _fits(path: Path, hdu: int | str | None) -> Array:
    fits = needed("astropy.io.fits", "fits", f"reading {path.name}")
    try:
        with fits.open(path, memmap=False) as parts:
            images = {k: part for k, part in enumerate(parts) if part.is_image and part.size}
            names = ", ".join(f"{k} {part.name!r}" for k, part in images.items())
            chosen = [k for k, part in images.items() if hdu in (None, k) or _same(hdu, part.name)]
            array = np.asarray(images[chosen[0]].data) if chosen else None
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from error
    if array is None:
        wanted = "" if hdu is None else f" in part {hdu!r}"
        raise ValueError(f"{path} holds no image{wanted}; its images are: {names or 'none'}")
    while array.ndim > 2 and len(array) == 1:  # a cube of one plane
        array = array[0]
    return array


def _same(hdu: int | str | None, name: str) -> bool:
    return isinstance(hdu, str) and hdu.upper() == name.upper()


def _unreadable(path: Path, error: Exception) -> OSError:
    # imageio speaks of the bytes that it was given, not of the file.
    why = "no reader knows its content" if "<bytes>" in str(error) else error
    return OSError(f"cannot read {path}, it is broken or of another format: {why}")
