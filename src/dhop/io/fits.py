"""FITS, by astropy: one image of a file, with its header and the extensions it refers to."""

import gzip
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dhop.io import fits_cards, fits_rescaling, fits_streams, fits_tables
from dhop.io.errors import ContentError, in_words, require_plausible
from dhop.io.fits_sections import MappedPixels, PackedPixels, scaled, taking_turns
from dhop.io.formats import Format, Options, Part
from dhop.io.picture import Metadatum, Original, Picture, Unkept
from dhop.runtime.extras import needed

HEADER = "FITS header"
NAMES = (".fits", ".fit", ".fts")
PACKED = (".gz", ".fz")  # the whole file by gzip, the image by tiles
NUMBERED = re.compile(r"(.+),(\d+)")  # a name with its version
TIMES = ("TIME", "UTC", "TAI", "TT", "TDB", "TCB", "TCG", "UT1")
# Patterns in units of surface brightness and of flux.
BRIGHTNESS = re.compile(r"(?i)(?<![a-z])(?:sr|steradian|beam|[am]?arcsec|arcmin|asec|deg\W*2)")
FLUX = re.compile(
    r"(?i)(?<![a-z])(?:e-|el|electrons?|adu|dn|counts?|cts?|ph|photons?|pix|pixel|[munM]?jy|erg|"
    r"nmgy|(?:nano)?maggy|w)s?(?![a-z])"
)
IMAGE = "SCI"  # the extension of an image that has others beside it
SHOWN = 4  # names in a message

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Header(Metadatum):
    """The header of an image, without cards about its values.

    Attributes
    ----------
    cards : astropy.io.fits.Header
    primary : astropy.io.fits.Header or None
        Of the file, if the image is in an extension.
    tables : tuple of HDUs
        Extensions that the header refers to.
    leading : tuple of int
        Lengths of the axes before rows and columns.
    """

    cards: Any
    primary: Any = None
    tables: tuple[Any, ...] = ()
    leading: tuple[int, ...] = ()

    @property
    def missed(self) -> bool:  # type: ignore[override]
        return any(fits_cards.has_content(each) for each in (self.cards, self.primary or ()))

    def resized(self, scales: Mapping[str, Fraction], *, sampled: bool = False) -> "Header":
        return replace(
            self,
            cards=fits_rescaling.resized(self.cards, tuple(scales.values()), sampled=sampled),
            tables=tuple(_resized_table(table, scales["X"], sampled) for table in self.tables),
        )


def read(path: Path, part: Part = None) -> Picture:
    """The image with a number, a name, or a name and version as in ``"SCI,2"``; or the first one.

    Lookup tables of distortions are no images, and images come before lines.
    """
    return _read(path, part, False)


def opened(path: Path, part: Part = None) -> Picture:
    """As `read`, but pixels stay in the file until sliced, unless gzip has packed all of it."""
    return _read(path, part, True)


def extension(path: Path, part: Part, name: str) -> Picture | None:
    """The extension `name` with the version and shape of an image; None if there is none."""
    return _read(path, part, True, name)


def _read(path: Path, part: Part, mapped: bool, name: str | None = None) -> Any:
    with in_words(path):
        fits = needed("astropy.io.fits", "fits", f"reading {path.name}")
        with (
            _unpacked(path) as file,
            fits.open(file, memmap=False, do_not_scale_image_data=True) as units,
        ):
            number = _image_index(path, units, part)
            if name is not None:
                others = _extensions(units, units[number], name)
                if not others:
                    return None
                number = others[0]
            unit = units[number]
            require_plausible(path, prod(unit.shape) * abs(unit.header["BITPIX"]) // 8)
            if not mapped or isinstance(file, io.BytesIO):
                with taking_turns(unit):
                    pixels: Any = scaled(np.asarray(unit.data), unit.header)
            elif isinstance(unit, fits.CompImageHDU):
                pixels = PackedPixels(path, number, unit.header, unit.shape, unit.tile_shape)
            else:
                pixels = MappedPixels.of(path, unit)
            letters = _axes(unit.header, pixels.shape)
            kept = _metadata(fits, units, number)
    # Results made from counts are not whole numbers.
    dtype = np.dtype("f8" if unit.header["BITPIX"] == -64 else "f4")
    return Picture(pixels, letters, Original(dtype, None, kept))


def write(path: Path, picture: Picture, ending: str, options: Options) -> None:
    fits = needed("astropy.io.fits", "fits", f"writing {path.name}")
    planes = picture.arranged("CZYX")
    images = [planes, *picture.others.values()]
    whole = all(isinstance(each, np.ndarray) for each in images)
    shown = images if whole else [fits_streams.outline(each) for each in images]
    units = _hdus(
        fits, picture.original, shown[0], packed=ending.endswith(".fz"),
        others=dict(zip(picture.others, shown[1:], strict=True)),
    )  # fmt: skip
    with (
        open(path, "wb") as target,
        gzip.GzipFile("", "wb", fileobj=target) if ending.endswith(".gz") else target as file,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of cards that are repaired
        if whole:
            units.writeto(file, output_verify="silentfix")
        else:
            fits_streams.write(fits, file, units, images)


def check(original: Original, shape: tuple[int, ...], axes: str) -> None:
    """Try to write an image of one pixel with the header of the large one."""
    fits = needed("astropy.io.fits", "fits", "writing FITS")
    leading = [n for n, axis in zip(shape, axes, strict=True) if axis in "CZ"]
    planes = np.zeros([*leading, *(1 for axis in axes if axis in "YX")])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _hdus(fits, original, planes).writeto(io.BytesIO(), output_verify="silentfix")
    except Exception as error:  # an invalid header raises anything
        raise ValueError(f"cannot write the FITS header: {' '.join(str(error).split())}") from error


@contextmanager
def _unpacked(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file; a gzipped one is unpacked as a whole, which verifies its checksum."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        yield io.BytesIO(gzip.decompress(file.read())) if packed else file


def _image_index(path: Path, units: Any, part: Part) -> int:
    """The number of the HDU that is the image."""
    images = {
        k: unit
        for k, unit in enumerate(units)
        if unit.is_image and unit.size and "GROUPS" not in unit.header
    }
    chosen = [k for k, unit in images.items() if _matches(part, k, unit)]
    if part is None:
        chosen.sort(key=lambda k: len(images[k].shape) == 1)
    if not chosen:
        wanted = "" if part is None else f" in part {part!r}"
        names = ", ".join(f"{k} {unit.name!r}" for k, unit in images.items())
        raise ContentError(f"{path} holds no image{wanted}; its images are: {names or 'none'}")
    return chosen[0]


def _extensions(units: Any, image: Any, name: str) -> list[int]:
    known = name, image.ver, image.shape
    return [
        k for k, unit in enumerate(units)
        if unit.is_image and (unit.name, unit.ver, unit.shape) == known
    ]  # fmt: skip


def _matches(part: Part, number: int, unit: Any) -> bool:
    if part is None:
        return unit.name not in fits_tables.LOOKUPS
    text = str(part).strip().upper()
    if text.isdecimal():
        return int(text) == number
    name = unit.name.upper()
    versioned = NUMBERED.fullmatch(text)
    if versioned and versioned[1] == name:
        return int(versioned[2]) == unit.ver
    return bool(text == name)


def coordinates(original: Original) -> Any:
    """The sky coordinates, as an ``astropy.wcs.WCS`` with its distortion tables."""
    header = original.kept.get(HEADER)
    if not isinstance(header, Header):
        raise ValueError("coordinates of the sky are in FITS files only")
    fits, wcs = (needed(f"astropy.{name}", "fits", "--motion wcs") for name in ("io.fits", "wcs"))
    tables = fits.HDUList([fits.PrimaryHDU(), *header.tables])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cards that are repaired
        return wcs.WCS(header.cards, tables)


def unit_note(original: Original, decimation: str) -> str | None:
    """A warning if decimated values are not in the unit that BUNIT names, else None."""
    header = original.kept.get(HEADER)
    text = str(header.cards.get("BUNIT", "")).strip() if isinstance(header, Header) else ""
    brightness = BRIGHTNESS.search(text)
    if decimation == "sum" and brightness:
        return (
            f"BUNIT {text!r} is light in a solid angle, which --decimation sum does not keep; "
            "--decimation mean does"
        )
    if decimation != "sum" and FLUX.search(text) and not brightness:
        return (
            f"BUNIT {text!r} is light in a pixel, but --decimation {decimation} gives pixels of "
            "all sizes like values; --decimation sum keeps fluxes"
        )
    return None


def _axes(header: Any, shape: Sequence[int]) -> str:
    """A letter for each axis: those before rows and columns are planes, or times."""
    letters = ""
    for axis, length in zip(range(len(shape), 2, -1), shape, strict=False):
        name = str(header.get(f"CTYPE{axis}", "")).partition("-")[0].strip()
        letters += "I" if length == 1 else "T" if name in TIMES else "P"
    return (letters + "YX")[-len(shape) :]


def _metadata(fits: Any, units: Any, number: int) -> dict[str, Metadatum]:
    """Header and tables of an HDU, and `Unkept` for all that will not be written."""
    unit = units[number]
    header, wrong = fits_cards.copied(unit.header)
    if header.get("EXTNAME") == "COMPRESSED_IMAGE":
        del header["EXTNAME"]
    extensions, gone = fits_tables.linked(units, header)
    primary = None
    known = {id(unit)} | {id(units[key]) for key in fits_tables.references(header)[0]}
    if number:
        primary, more = fits_cards.copied(units[0].header)
        wrong = more + wrong
    if not units[0].size:
        known.add(id(units[0]))
    others = [each.name or str(k) for k, each in enumerate(units) if id(each) not in known]
    lost = {"FITS cards": wrong, "distortions": gone, "FITS extensions": others}
    whole = Header(
        header, primary, tuple(_readable(fits, each) for each in extensions), unit.shape[:-2]
    )
    return {HEADER: whole} | {
        f"{what} {_listed(names)}": Unkept() for what, names in lost.items() if names
    }


def _readable(fits: Any, table: Any) -> Any:
    """A distortion table with its values scaled; other tables unchanged."""
    if not table.is_image:
        return table
    # astropy evaluates tables of single precision alone.
    kind = np.float64 if table.header["BITPIX"] == -64 else np.float32
    pixels = scaled(np.asarray(table.data), table.header)
    return fits.ImageHDU(pixels.astype(kind), fits_cards.copied(table.header)[0])


def _resized_table(table: Any, scale: Fraction, sampled: bool) -> Any:
    if not table.is_image:
        return table
    header = fits_rescaling.resized_lookup(table.header, scale, sampled=sampled)
    return type(table)(table.data * table.data.dtype.type(scale), header)


def _hdus(
    fits: Any,
    original: Original,
    planes: Array,
    packed: bool = False,
    others: Mapping[str, Array] = MappingProxyType({}),
) -> Any:
    """The HDUs of a file: the image, after a primary header or not; companions; tables."""
    header = original.kept.get(HEADER)
    if not isinstance(header, Header):
        header = Header(None)
    planes = planes.reshape(*_leading(header.leading, planes.shape[:-2]), *planes.shape[-2:])
    image: list[Any]
    if packed:
        # Lossless compression, byte by byte for floating-point numbers.
        unit = fits.CompImageHDU(
            planes, header.cards, compression_type="GZIP_2", quantize_level=0.0
        )
        image = [fits.PrimaryHDU(None, header.primary), unit]
    elif header.primary is None:
        image = [fits.PrimaryHDU(planes, header.cards)]
    else:
        image = [fits.PrimaryHDU(None, header.primary), fits.ImageHDU(planes, header.cards)]
    if others:
        image[-1].name = IMAGE
    for name, values in others.items():
        known = fits.Header() if header.cards is None else header.cards.copy()
        if values.dtype.kind != "f":
            known.remove("BUNIT", ignore_missing=True)
        image.append(fits.ImageHDU(values.reshape(planes.shape), known, name=name))
    return fits.HDUList([*image, *(table.copy() for table in header.tables)])


def _leading(lengths: Sequence[int], planes: Sequence[int]) -> Sequence[int]:
    """Lengths of the axes before rows and columns: as in the file, with an axis of frames now 1.

    The planes of a volume may have become more or fewer.
    """
    count = prod(planes)
    alone = [[*lengths[:k], 1, *lengths[k + 1 :]] for k in range(len(lengths))]
    for each in (lengths, *alone, [1] * len(lengths)):
        if prod(each) == count:
            return each
    if len(planes) == 1 and lengths:
        deep = max(range(len(lengths)), key=lambda k: lengths[k])
        return [count if k == deep else 1 for k in range(len(lengths))]
    return planes


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


FITS = Format(
    tuple(name + packed for packed in ("", *PACKED) for name in NAMES), ("f8", "f4"),
    frozenset({HEADER}), read, write, check, opened,
    chunks=(*NAMES, *(f"{name}.gz" for name in NAMES)),
)  # fmt: skip
