"""Files in and out: one module for each format, and one table of them."""

import re
from dataclasses import replace
from pathlib import Path

from dhop.cautions import MetadataWarning, warn
from dhop.io import fits
from dhop.io.axes import dimensions, interpreted
from dhop.io.fits import FITS, coordinates, unit_note
from dhop.io.formats import Format, Options, Part
from dhop.io.npy import NPY
from dhop.io.photographs import BMP, JPEG, WEBP
from dhop.io.photographs import read as read_photograph
from dhop.io.picture import SPACE, Original, Picture, Unkept, white_of
from dhop.io.png import PNG
from dhop.io.replacement import replacing, require_replaceable
from dhop.io.stores import ZARR
from dhop.io.tiff import OME_TIFF, TIFF

FORMATS = {
    ending: format
    for format in (JPEG, WEBP, BMP, PNG, NPY, TIFF, OME_TIFF, FITS, ZARR)
    for ending in format.endings
}

BRACKETS = re.compile(r"(.+)\[([^\[\]]+)\]")

__all__ = [
    "FITS",
    "FORMATS",
    "NPY",
    "SPACE",
    "Options",
    "Original",
    "Picture",
    "coordinates",
    "dimensions",
    "ending",
    "file_of",
    "format_of",
    "interpreted",
    "opened",
    "read",
    "unit_note",
    "unkept",
    "white_of",
    "write",
]


def ending(path: Path) -> str:
    """The ending that tells the format, in lower case: one suffix, or two as in `.fits.gz`."""
    name = path.name.lower()
    known = [each for each in FORMATS if name.endswith(each)]
    return max(known, key=len, default=path.suffix.lower())


def _split_brackets(path: Path) -> tuple[Path, Part]:
    """File and part of a path such as ``night.fits[SCI,2]``; the part is None without brackets."""
    match = BRACKETS.fullmatch(path.name)
    if match is None or path.exists() or FORMATS.get(ending(Path(match[1]))) is not FITS:
        return path, None
    return path.with_name(match[1]), match[2]


def file_of(path: Path) -> Path:
    """The path without a part in brackets."""
    return _split_brackets(path)[0]


def read(path: Path, part: Part = None) -> Picture:
    """Read an image with the values and axes of the file.

    Parameters
    ----------
    path : Path
        A format of the table by its ending, or else what Pillow knows by its content.
    part : int or str, optional
        Number, name, or name and version of an image in a FITS file, by default the first. It may
        also stand in brackets at the end of the path.

    Raises
    ------
    OSError
        If the file is missing or damaged.
    ValueError
        If it is not one image of numbers, or has no such part.
    ImportError
        If the package that reads the format is not installed.
    """
    path, part, format = _resolved(path, part)
    return read_photograph(path) if format is None else format.read(path, part)


def opened(path: Path, part: Part = None) -> Picture:
    """As `read`, but the pixels may stay in the file until they are sliced."""
    path, part, format = _resolved(path, part)
    if format is None or format.opened is None:
        return read(path, part)
    return format.opened(path, part)


def extension(path: Path, part: Part, name: str) -> Picture | None:
    """The FITS extension `name` that belongs to an image, such as ERR; None without one."""
    path, part, format = _resolved(path, part)
    return fits.extension(path, part, name) if format is FITS else None


def _resolved(path: Path, part: Part) -> tuple[Path, Part, Format | None]:
    path, own = _split_brackets(path)
    part = part if own is None else own
    format = FORMATS.get(ending(path))
    if part is not None and format is not FITS:
        raise ValueError(f"hdu is for FITS files, and {path.name} is none by its ending")
    return path, part, format


def format_of(path: Path) -> Format:
    """The format that a file is to be written in."""
    if ending(path) not in FORMATS:
        known = ", ".join(format.endings[0] for format in dict.fromkeys(FORMATS.values()))
        raise ValueError(f"cannot write {path}: its ending is none of {known} or their like")
    return FORMATS[ending(path)]


def unkept(path: Path, original: Original) -> list[str]:
    """Names of metadata that a file of this name cannot keep."""
    keeps = format_of(path).keeps
    return [
        name
        for name, each in original.kept.items()
        if isinstance(each, Unkept) or (each.missed and name not in keeps)
    ]


def write(path: Path, picture: Picture, options: Options | None = None) -> None:
    """Write an image, whose dtype must be one of the format's.

    If anything fails, a file that was there stays. Metadata that a library cannot write are left
    out with a warning: they never cost a result that took hours.
    """
    options = options or Options()
    require_replaceable(path, options.overwrite)
    format = format_of(path)
    kind = picture.pixels.dtype
    if kind.str[1:] not in format.types and format is not NPY:
        raise ValueError(f"{ending(path)} holds no {kind}; write a .npy or a .tif, or give bits")
    with replacing(path, options.overwrite) as part:
        try:
            format.write(part, picture, ending(path), options)
        except (OSError, MemoryError, ImportError):
            raise
        except Exception as error:  # libraries raise anything
            bare = replace(picture, original=replace(picture.original, kept={}))
            format.write(part, bare, ending(path), options)
            why = " ".join(str(error).split())
            message = f"{path.name} has no metadata, they cannot be written: {why}"
            warn(message, MetadataWarning)
