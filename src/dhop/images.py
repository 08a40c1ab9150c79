"""Images as floating-point arrays, from files and into them; needs the extra ``dhop[cli]``.

FITS needs ``dhop[fits]`` as well.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop import io
from dhop.cautions import MetadataWarning, warn
from dhop.io import SPACE, Options, Original, Picture

Array = NDArray[Any]
Reader: TypeAlias = Callable[..., Picture]  # takes a path, and perhaps a part of the file

BITS = {8: "u1", 16: "u2", 32: "f4"}
ORDER = f"F{SPACE}C"  # of axes
BLOCK = 2**20  # values that are rounded at a time
FLOATS = "write floating point: a .tif with 32 bits, a .npy or a .fits"


def imread(
    path: str | os.PathLike[str],
    *,
    hdu: int | str | None = None,
    frames_axis: int | None = None,
    channel_axis: int | None = None,
) -> Array:
    """Read an image, or several of one file, as float64.

    Orientation tags, as cameras write them, are applied, and transparency is left out.

    Parameters
    ----------
    path : path
        ``.npy``, FITS (needs ``dhop[fits]``), TIFF, PNG, JPEG, WebP or BMP (need ``dhop[cli]``).
    hdu : int or str, optional
        Number or name of the image in a FITS file, by default the first.
    frames_axis, channel_axis : int, optional
        Axes of the array in the file that count frames and channels. They are needed where the file
        does not say so: pages of a TIFF or an array may be one or the other.

    Returns
    -------
    ndarray, shape ([frames,] rows, columns[, channels])
        Unsigned integers of at most 16 bits are scaled so that their largest value is 1, which is
        white. All other numbers are not scaled. Pixels that the file marks as missing are NaN.

    Raises
    ------
    OSError
        If the file is missing or damaged.
    ValueError
        If it is not one image.
    ImportError
        If the package that reads the format is not installed.

    Examples
    --------
    >>> import dhop, tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "frames.npy"
    ...     np.save(path, np.full((5, 20, 30), 51, np.uint8))
    ...     frames = dhop.imread(path, frames_axis=0)
    >>> frames.shape, float(frames.max())
    ((5, 20, 30), 0.2)
    """
    return load(Path(path), hdu, frames_axis=frames_axis, channel_axis=channel_axis)[0]


def imwrite(
    path: str | os.PathLike[str],
    image: ArrayLike,
    *,
    bits: int | None = None,
    quality: int = 95,
    overwrite: bool = False,
) -> None:
    """Write an image on the scale of `imread`.

    Parameters
    ----------
    path : path
        ``.npy``, FITS, TIFF, PNG, JPEG, WebP or BMP.
    image : array_like, shape (rows, columns) or (rows, columns, channels)
        Integers are written without scaling. Other values beyond 0 to 1 are clipped if the format
        holds integers.
    bits : {8, 16, 32}, optional
        Of unsigned integers, on which 0 to 1 becomes their whole range, or 32 of floating-point
        numbers. By default the type of the array if the format holds it, else the one of its types
        that holds most.
    quality : int
        Of JPEG and WebP, 1 to 100.
    overwrite : bool
        Whether to replace an existing file, when the new one is complete.

    Raises
    ------
    FileExistsError
        If there is something at `path`, unless it is a file and `overwrite`.
    ValueError
        If the format does not hold as many bits or channels, or if it holds integers and values are
        far from 0 to 1, or not finite.

    Examples
    --------
    >>> import dhop, tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "image.tif"
    ...     dhop.imwrite(path, np.full((20, 30), 0.2), bits=8)
    ...     print(dhop.imread(path).max())
    0.2
    """
    if np.ma.is_masked(image):
        raise ValueError("image has masked values; give them one with `.filled(value)`")
    path, array = Path(path), np.asarray(image)
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3) or not array.size:
        raise ValueError(f"an array of {array.dtype} and shape {array.shape} is not an image")
    original = Original(array.dtype, io.white_of(array.dtype))
    options = Options(quality, overwrite)
    check(path, bits, original, array.shape)
    if bits is None and (array.dtype.kind in "iu" or io.ending(path) == ".npy"):
        io.write(path, _picture(array, original), options)
        return
    values = array / original.white if original.white else array
    check_finite(path, values, bits, original)
    check_range(path, values, bits, original)
    write(path, values, bits, original, options)


def load(
    path: Path,
    hdu: int | str | None = None,
    *,
    frames_axis: int | None = None,
    channel_axis: int | None = None,
    compact: bool = False,
    ndim: int = 2,
    reader: Reader = io.read,
) -> tuple[Array, Original]:
    """Read an image, a line or a volume, and its metadata; see `imread`.

    With `compact` the dtype is float32 if that holds the file's numbers without loss.
    """
    picture = io.interpreted(reader(path, hdu), path, frames_axis, channel_axis, ndim)
    return numbers(picture, path, compact), picture.original


def numbers(picture: Picture, path: Path, compact: bool = False) -> Any:
    """The pixels of a picture with interpreted axes, see `load`; a Dask array if they are one."""
    white = picture.original.white
    with np.errstate(invalid="ignore"):  # NaN of damaged files
        pixels = picture.values(ORDER).astype(computed(picture, path, compact))
    if isinstance(pixels, np.ndarray):
        pixels = np.ascontiguousarray(pixels)
    if white is not None:
        pixels /= pixels.dtype.type(white)
    return pixels


def computed(picture: Picture, path: Path, compact: bool = False) -> np.dtype[Any]:
    """The dtype to compute with."""
    kind = picture.original.dtype
    if picture.pixels.dtype.kind not in "buif":
        raise ValueError(f"{path} holds {kind}, not the numbers of an image")
    single = compact and kind.kind in "buif" and kind.itemsize <= 2
    return np.dtype("f4" if single else "f8")


def is_line(path: Path, hdu: int | str | None = None) -> bool:
    """Whether a file of numbers has a single axis."""
    numeric = io.FORMATS.get(io.ending(io.file_of(path))) in (io.FITS, io.NPY)
    return numeric and io.opened(path, hdu).pixels.ndim == 1


def load_mask(
    path: Path, frames_axis: int | None = None, ndim: int = 2, reader: Reader = io.read
) -> NDArray[np.bool_]:
    """Read where an image is not 0; it must be free of compression losses and transparency.

    Returns
    -------
    ndarray of bool, shape ([frames,] rows, columns)
        Where any channel is not 0.
    """
    picture = reader(path)
    if picture.lossy:
        raise ValueError(f"{path} may be compressed with losses, which blur a mask; take a PNG")
    if "transparency" in picture.original.kept:
        raise ValueError(f"{path} has transparent pixels, which a mask must not have")
    picture = _one_or_many(picture, path, frames_axis, ndim)
    marked = picture.arranged(ORDER) != 0
    return marked.any(axis=-1) if "C" in picture.axes else marked


def load_weights(
    path: Path, frames_axis: int | None = None, ndim: int = 2, reader: Reader = io.read
) -> Array:
    """Read the numbers of a grey image without scaling."""
    picture = _one_or_many(reader(path), path, frames_axis, ndim)
    if picture.pixels.dtype.kind not in "buif":
        raise ValueError(f"{path} holds {picture.pixels.dtype}, not weights")
    if "C" in picture.axes:
        count = picture.pixels.shape[picture.axes.index("C")]
        raise ValueError(f"{path} holds {count} channels, not weights")
    return picture.values(f"F{SPACE}").astype(np.float64)


def write(
    path: Path,
    image: Array,
    bits: int | None = None,
    original: Original | None = None,
    options: Options | None = None,
    axes: str = "",
) -> int:
    """Write a float image that passed `check`, with the dtype and metadata of another one.

    Without `bits` the dtype is that of `original`, or the largest of the format. Default `axes` are
    rows, columns and perhaps channels.

    Returns
    -------
    int
        Number of values that were clipped to the range of integers; not counted in chunks.
    """
    known = Original(image.dtype) if original is None else original
    kind = kind_of(path, bits, known)
    if kind.kind == "f":
        pixels, clipped = image.astype(kind, copy=False), 0
        pixels = np.ascontiguousarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    else:
        counts = known.white is None and known.dtype == kind
        pixels, clipped = _rounded(image, kind, 1 if counts else np.iinfo(kind).max)
    io.write(path, _picture(pixels, known, axes), options)
    return clipped


def check(
    path: Path,
    bits: int | None = None,
    original: Original | None = None,
    shape: tuple[int, ...] = (1, 1),
    axes: str = "",
) -> None:
    """Refuse what `write` cannot write, before the work, and warn of metadata that will be lost."""
    check_folder(path)
    known = Original(np.dtype("f8")) if original is None else original
    kind_of(path, bits, known)
    io.format_of(path).check(known, shape, axes or "YXC"[: len(shape)])
    if lost := io.unkept(path, known):
        message = f"{path.name} will not keep of the original: {', '.join(lost)}"
        warn(message, MetadataWarning)


def check_folder(path: Path) -> None:
    """Refuse a path whose folder does not exist."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is not a folder, cannot write {path.name} there")


def check_range(path: Path, values: Array, bits: int | None, original: Original) -> None:
    """Refuse to write values on another scale than [0, 1] as integers."""
    kind = kind_of(path, bits, original)
    if kind.kind == "f" or original.white is not None or kind == original.dtype:
        return
    largest = float(np.abs(np.where(np.isfinite(values), values, 0)).max())
    if largest and not 1 / np.iinfo(kind).max < largest <= 2:
        raise ValueError(
            f"values up to {largest:g} do not fit integers, which stand for 0 to 1; {FLOATS}"
        )


def check_finite(path: Path, values: Array, bits: int | None, original: Original) -> None:
    """Refuse to write NaN or infinite values as integers."""
    if kind_of(path, bits, original).kind != "f" and not np.isfinite(values).all():
        raise ValueError(f"values that are NaN or infinite do not fit integers; {FLOATS}")


def _one_or_many(picture: Picture, path: Path, frames_axis: int | None, ndim: int) -> Picture:
    """The picture as one image for each frame, or else as one for all frames."""
    try:
        return io.interpreted(picture, path, frames_axis, ndim=ndim)
    except ValueError:
        if len(picture.axes) > ndim and picture.axes != "YXC":
            raise
        return io.interpreted(picture, path, ndim=ndim)


def _picture(pixels: Array, original: Original, axes: str = "") -> Picture:
    return Picture(pixels, axes or "YXC"[: pixels.ndim], original)


def kind_of(path: Path, bits: int | None, original: Original) -> np.dtype[Any]:
    """The dtype to write."""
    types = io.format_of(path).types
    if bits is None:
        wanted = original.dtype.str[1:].replace("b1", "u1")
        return np.dtype(wanted if wanted in types else types[-1])
    if bits not in BITS:
        raise ValueError(f"bits must be 8 or 16, or 32 for floating point, got {bits}")
    if BITS[bits] not in types:
        formats = dict.fromkeys(io.FORMATS.values())
        able = " or ".join(each.endings[0] for each in formats if BITS[bits] in each.types)
        raise ValueError(f"{io.ending(path)} holds no {bits} bits; write a {able}")
    return np.dtype(BITS[bits])


def _rounded(image: Array, kind: np.dtype[Any], one: int) -> tuple[Array, int]:
    """The image as integers in which `one` stands for 1, and how many values were clipped."""
    least, most = np.iinfo(kind).min, np.iinfo(kind).max
    if not isinstance(image, np.ndarray):
        return np.rint(image.astype(np.float64) * one).clip(least, most).astype(kind), 0
    rounded, clipped = np.empty(image.shape, kind), 0
    step = max(1, BLOCK * len(image) // image.size) if image.size else 1
    for start in range(0, len(image), step):
        part = image[start : start + step].astype(np.float64)
        part *= one
        np.rint(part, out=part)
        clipped += int(np.count_nonzero((part < least) | (part > most)))
        rounded[start : start + step] = part.clip(least, most, out=part)
    return rounded, clipped
