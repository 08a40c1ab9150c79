"""Image files in and out, as floating-point arrays; needs the extra ``dhop[cli]``.

FITS needs ``dhop[fits]`` as well.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.decoding import FITS, TIFF, decode
from dhop.extras import needed
from dhop.headers import enlarged_fits, enlarged_tiff, fits_header, tiff_header

Array = NDArray[Any]

# Types that files hold; what is of another type is written as the last of them.
HELD = (
    dict.fromkeys((".jpg", ".jpeg"), ("u1",))
    | {".png": ("u1", "u2"), ".npy": ("f4", "f8")}
    | dict.fromkeys(TIFF, ("u1", "i1", "u2", "i2", "u4", "i4", "f8", "f4"))
    | dict.fromkeys(FITS, ("f8", "f4"))
)
DEEP_COLOURS = (b"\x10\x02", b"\x10\x04", b"\x10\x06")  # 16 bits and kinds of colours in a PNG
BITS = {8: "u1", 16: "u2", 32: "f4"}
# Of zlib, to look for runs alone: photographs have no other repetitions, and become as small in a
# fifth of the time.
RUNS = 3
BLOCK = 2**20  # values that are rounded at a time


@dataclass(frozen=True, eq=False)
class Original:
    """What a file says besides its pixels, to be said again of what is made from them.

    Attributes
    ----------
    dtype : dtype
        Of the pixels in the file; of FITS, floating point in any case.
    fits : astropy.io.fits.Header or None
    tiff : dict
        Arguments of `tifffile.imwrite`.
    """

    dtype: np.dtype[Any]
    fits: Any = None
    tiff: dict[str, Any] = field(default_factory=dict)

    def enlarged(self, factor: int, *, sampled: bool = False) -> "Original":
        """The same for pixels a `factor` smaller, see `dhop.headers.enlarged_fits`."""
        fits = None if self.fits is None else enlarged_fits(self.fits, factor, sampled=sampled)
        return replace(self, fits=fits, tiff=enlarged_tiff(self.tiff, factor))


def read(path: Path) -> Array:
    """Read an image as float64, see `load`."""
    return load(path)[0]


def load(path: Path) -> tuple[Array, Original]:
    """Read an image as float64, transparency left out.

    Parameters
    ----------
    path : Path
        ``.npy``, FITS (the first image in it), TIFF or any other format that imageio reads.
        An orientation tag, as cameras write it, is applied.

    Returns
    -------
    pixels : ndarray, shape (rows, columns) or (rows, columns, channels)
        Integers are scaled so that the largest of their type is 1; floating-point numbers and FITS
        are left as they are.
    original : Original

    Raises
    ------
    OSError, ValueError
        If the file is missing, unreadable or not a single image.
    ImportError
        If it is FITS and astropy is not installed.
    """
    ending = _ending(path)
    array = _decode_png(path) if ending == ".png" else decode(path)
    fits = fits_header(path) if ending in FITS else None
    tiff = tiff_header(path) if ending in TIFF else {}
    if array.ndim == 3 and (ending in FITS or "photometric" in tiff):
        array = np.moveaxis(array, 0, -1)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * np.uint8(255)
    any_number = ending in FITS or tiff.get("photometric") == "minisblack"
    colours = 1 if array.ndim < 3 or any_number else array.shape[2]
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3) or not array.size or colours > 4:
        raise ValueError(f"{path} holds {array.dtype} of shape {array.shape}, not a single image")
    if colours in (2, 4):
        array = array[..., :-1]
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    dtype = array.dtype.newbyteorder("=")
    if ending in FITS:
        # What is made of counts are fractions of counts.
        return array.astype(np.float64), Original(np.dtype("f8" if dtype == "f8" else "f4"), fits)
    most = np.iinfo(dtype).max if dtype.kind in "ui" else 1
    return array.astype(np.float64) / most, Original(dtype, tiff=tiff)


def write(
    path: Path, image: Array, bits: int | None = None, original: Original | None = None
) -> None:
    """Write a float image.

    Parameters
    ----------
    path : Path
        PNG, JPEG, TIFF, ``.npy`` or FITS. Without `bits` and `original`, ``.npy`` is as it is.
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
    ending = _ending(path)
    if ending == ".npy" and bits is None and original is None:
        np.save(path, image)
        return
    kind = _kind(path, bits, original)
    image = image.astype(kind, order="C") if kind.kind == "f" else _rounded(image, kind)
    if ending == ".npy":
        np.save(path, image)
    elif ending in TIFF:
        _write_tiff(path, image, {} if original is None else original.tiff)
    elif ending in FITS:
        _write_fits(path, image, None if original is None else original.fits)
    elif image.ndim == 3 and image.shape[-1] != 3:
        raise ValueError(f"{ending} holds no {image.shape[-1]} channels; write a .tif, .npy, .fits")
    elif image.ndim == 3 and kind.itemsize == 2:
        path.write_bytes(_imagecodecs(path).png_encode(image, strategy=RUNS))
    else:
        options = {"compress_type": RUNS} if ending == ".png" else {}
        needed("imageio.v3", "cli", f"writing {path.name}").imwrite(path, image, **options)


def check(path: Path, bits: int | None = None) -> None:
    """Refuse what `write` could not write, before the work that leads there."""
    check_folder(path)
    ending = _ending(path)
    if ending not in HELD:
        raise ValueError(f"cannot write {path.name}: its ending is none of {', '.join(HELD)}")
    if bits is not None and bits not in BITS:
        raise ValueError(f"bits must be 8 or 16, or 32 for floating point, got {bits}")
    if bits is not None and BITS[bits] not in HELD[ending]:
        able = [other for other, kinds in HELD.items() if BITS[bits] in kinds]
        raise ValueError(f"{ending} holds no {bits} bits; write a {' or '.join(able)}")
    if ending in FITS:
        needed("astropy.io.fits", "fits", f"writing {path.name}")


def check_folder(path: Path) -> None:
    """Refuse to write any file where no folder is."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is not a folder, cannot write {path.name} there")


def check_range(path: Path, values: Array, bits: int | None, original: Original) -> None:
    """Refuse to write integers that stand for [0, 1] from numbers on another scale."""
    kind = _kind(path, bits, original)
    if kind.kind == "f" or original.dtype.kind != "f":
        return
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
    if not 1 / np.iinfo(kind).max < largest <= 2:
        raise ValueError(
            f"values up to {largest:g} do not fit integers, which stand for 0 to 1; "
            "write floating point: a .tif with 32 bits, a .npy or a .fits"
        )


def _ending(path: Path) -> str:
    name = path.name.lower()
    return next((ending for ending in HELD if name.endswith(ending)), path.suffix.lower())


def _kind(path: Path, bits: int | None, original: Original | None) -> np.dtype[Any]:
    held = HELD[_ending(path)]
    if bits is not None:
        return np.dtype(BITS[bits])
    wanted = None if original is None else original.dtype.str[1:]
    return np.dtype(wanted if wanted in held else held[-1])


def _rounded(image: Array, kind: np.dtype[Any]) -> Array:
    """Integers of the full range of their type, in little memory besides."""
    least, most = np.iinfo(kind).min, np.iinfo(kind).max
    rounded = np.empty(image.shape, kind)
    step = max(1, BLOCK * len(image) // image.size) if image.size else 1
    for start in range(0, len(image), step):
        part = image[start : start + step].astype(np.float64)
        part *= most
        np.rint(part.clip(least, most, out=part), out=part)
        rounded[start : start + step] = part
    return rounded


def _decode_png(path: Path) -> Array:
    content = path.read_bytes() if path.is_file() else b""
    if not content.startswith(b"\x89PNG") or content[24:26] not in DEEP_COLOURS:
        return decode(path)
    # imageio's Pillow would leave 8 bits of the 16.
    try:
        return np.asarray(_imagecodecs(path).png_decode(content))
    except RuntimeError as error:
        raise OSError(f"cannot read {path}: {error}") from error


def _write_tiff(path: Path, image: Array, tags: dict[str, Any]) -> None:
    colours = image.ndim == 3 and image.shape[-1] == 3
    options = {"photometric": "rgb" if colours else "minisblack", "software": "dhop"} | tags
    imwrite = needed("tifffile", "cli", f"writing {path.name}").imwrite
    if image.ndim == 2 or options["photometric"] == "rgb":
        imwrite(path, image, metadata=None, **options)
    else:
        metadata = None if "description" in tags else {"axes": "CYX"}
        imwrite(path, np.moveaxis(image, -1, 0), metadata=metadata, **options)


def _write_fits(path: Path, image: Array, header: Any) -> None:
    planes = np.moveaxis(image, -1, 0) if image.ndim == 3 else image
    if header is not None:
        axes = [header[f"NAXIS{number}"] for number in range(header["NAXIS"], 2, -1)]
        planes = planes.reshape(*axes, *planes.shape[-2:])
    fits = needed("astropy.io.fits", "fits", f"writing {path.name}")
    fits.PrimaryHDU(planes, header).writeto(path, overwrite=True)


def _imagecodecs(path: Path) -> Any:
    return needed("imagecodecs", "cli", f"{path.name} with colours of 16 bits")
