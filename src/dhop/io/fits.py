"""FITS, by astropy, and what its header says of the sky when pixels change their size."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from dhop.extras import needed
from dhop.io.formats import Format, Options, Part
from dhop.io.picture import Metadatum, Original, Picture
from dhop.io.reading import ContentError, in_words

HEADER = "FITS header"
# These tell of the pixels that were there before.
STALE = ("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM")

AXIS = re.compile(r"(?:CTYPE|CRPIX|CRVAL|CDELT)[12]([A-Z]?)|CD\d_[12]([A-Z]?)")
MATRIX = re.compile(r"CD\d_[12][A-Z]?")
DISTORTION = re.compile(r"[AB]P?_(\d)_(\d)")


@dataclass(frozen=True, eq=False)
class Header(Metadatum):
    """The header of an image, without what is true only of its numbers."""

    cards: Any  # an astropy.io.fits.Header

    def resized(self, scale: Fraction, *, sampled: bool = False) -> "Header":
        return replace(self, cards=resized(self.cards, scale, sampled=sampled))


def read(path: Path, part: Part = None) -> Picture:
    """The image with a number or a name, or the first in the file."""
    with in_words(path):
        fits = needed("astropy.io.fits", "fits", f"reading {path.name}")
        with fits.open(path, memmap=False) as units:
            images = {k: unit for k, unit in enumerate(units) if unit.is_image and unit.size}
            names = ", ".join(f"{k} {unit.name!r}" for k, unit in images.items())
            chosen = [k for k, unit in images.items() if part in (None, k) or _same(part, unit)]
            if not chosen:
                wanted = "" if part is None else f" in part {part!r}"
                raise ContentError(
                    f"{path} holds no image{wanted}; its images are: {names or 'none'}"
                )
            unit = images[chosen[0]]
            pixels, cards = np.asarray(unit.data), unit.header.copy()
    for key in STALE:
        cards.remove(key, ignore_missing=True)
    while pixels.ndim > 2 and len(pixels) == 1:  # a cube of one plane
        pixels = pixels[0]
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.ndim not in (2, 3):
        raise ContentError(
            f"{path} holds {pixels.dtype} of shape {pixels.shape}, not a single image"
        )
    # What is made of counts are fractions of counts.
    dtype = np.dtype("f8" if pixels.dtype == "f8" else "f4")
    return Picture(pixels, "CYX"[-pixels.ndim :], Original(dtype, None, {HEADER: Header(cards)}))


def write(path: Path, picture: Picture, ending: str, options: Options) -> None:
    fits = needed("astropy.io.fits", "fits", f"writing {path.name}")
    planes = picture.arranged("CYX"[-picture.pixels.ndim :])
    header = picture.original.kept.get(HEADER)
    cards = header.cards if isinstance(header, Header) else None
    if cards is not None:
        axes = [cards[f"NAXIS{number}"] for number in range(cards["NAXIS"], 2, -1)]
        planes = planes.reshape(*axes, *planes.shape[-2:])
    fits.PrimaryHDU(planes, cards).writeto(path, overwrite=True)


def check(original: Original, shape: tuple[int, ...], axes: str) -> None:
    needed("astropy.io.fits", "fits", "writing FITS")


def _same(part: Part, unit: Any) -> bool:
    return isinstance(part, str) and part.upper() == unit.name.upper()


def resized(header: Any, scale: Fraction | int, *, sampled: bool = False) -> Any:
    r"""A FITS header for `scale` times as many pixels on axes 1 and 2.

    The sky stays where it is: a pixel becomes a block of them, so a position `p`, counted from 1 in
    the middle of the first pixel, becomes :math:`(p - 1/2) f + 1/2`. Scaled are CRPIX, CDELT or CD
    and the polynomials of SIP (https://fits.gsfc.nasa.gov/registry/sip.html), each for the primary
    and for alternate coordinates.

    Parameters
    ----------
    header : astropy.io.fits.Header
    scale : Fraction or int
    sampled : bool
        Whether the first of `scale` pixels stands where the pixel was, as for the decimation
        ``"sample"``, so that `p` becomes :math:`(p - 1) f + 1`.

    Returns
    -------
    astropy.io.fits.Header
        A copy.
    """
    new = header.copy()
    fixed = 1.0 if sampled else 0.5
    found = [AXIS.fullmatch(key) for key in header]
    for version in sorted({match[1] or match[2] or "" for match in found if match}):
        matrix = any(f"CD{i}_{j}{version}" in header for i in (1, 2) for j in (1, 2))
        for axis in (1, 2):
            pixel, step = f"CRPIX{axis}{version}", f"CDELT{axis}{version}"
            new[pixel] = (header.get(pixel, 0.0) - fixed) * float(scale) + fixed
            if step in header or not matrix:
                new[step] = header.get(step, 1.0) / float(scale)
    for key in header:
        if MATRIX.fullmatch(key):
            new[key] = header[key] / float(scale)
        elif powers := DISTORTION.fullmatch(key):
            new[key] = header[key] * float(scale) ** (1 - int(powers[1]) - int(powers[2]))
    what = f"enlarged by the factor {scale}" if scale >= 1 else f"reduced by the factor {1 / scale}"
    new.add_history(f"{what} by dhop")
    return new


FITS = Format(
    (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz"), ("f8", "f4"), frozenset({HEADER}),
    read, write, check,
)  # fmt: skip
