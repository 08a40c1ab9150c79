"""What image files say besides their pixels, and how it changes when pixels become smaller."""

import re
from pathlib import Path
from typing import Any

from dhop.extras import needed

# These tell of the pixels that were there before.
STALE = ("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM")

AXIS = re.compile(r"(?:CTYPE|CRPIX|CRVAL|CDELT)[12]([A-Z]?)|CD\d_[12]([A-Z]?)")
MATRIX = re.compile(r"CD\d_[12][A-Z]?")
DISTORTION = re.compile(r"[AB]P?_(\d)_(\d)")


def fits_header(path: Path) -> Any:
    """The header of the first image in a FITS file, without what is true only of its numbers."""
    fits = needed("astropy.io.fits", "fits", f"reading {path.name}")
    with fits.open(path, memmap=False) as parts:
        header = next(part.header for part in parts if part.is_image and part.size).copy()
    for key in STALE:
        header.remove(key, ignore_missing=True)
    return header


def enlarged_fits(header: Any, factor: int, *, sampled: bool = False) -> Any:
    r"""A FITS header for `factor` times as many pixels on axes 1 and 2.

    The sky stays where it is: a pixel becomes a block of them, so a position `p`, counted from 1 in
    the middle of the first pixel, becomes :math:`(p - 1/2) f + 1/2`. Scaled are CRPIX, CDELT or CD
    and the polynomials of SIP (https://fits.gsfc.nasa.gov/registry/sip.html), each for the primary
    and for alternate coordinates.

    Parameters
    ----------
    header : astropy.io.fits.Header
    factor : int
    sampled : bool
        Whether the first of `factor` pixels stands where the pixel was, as for the decimation
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
            new[pixel] = (header.get(pixel, 0.0) - fixed) * factor + fixed
            if step in header or not matrix:
                new[step] = header.get(step, 1.0) / factor
    for key in header:
        if MATRIX.fullmatch(key):
            new[key] = header[key] / factor
        elif powers := DISTORTION.fullmatch(key):
            new[key] = header[key] * float(factor) ** (1 - int(powers[1]) - int(powers[2]))
    new.add_history(f"enlarged by the factor {factor} by dhop")
    return new


def tiff_header(path: Path) -> dict[str, Any]:
    """What is kept of a TIFF, as arguments of `tifffile.imwrite`.

    Resolution, colour profile and description; not descriptions by OME or tifffile itself, for
    those tell the number of pixels. The photometric interpretation
    if channels are the first axis.

    Raises
    ------
    ValueError
        If it holds more than an image, or colours by number.
    """
    with needed("tifffile", "cli", f"reading {path.name}").TiffFile(path) as file:
        axes, page = file.series[0].axes, file.pages[0]
        if axes not in ("YX", "YXS", "SYX", "CYX"):
            raise ValueError(f"{path} holds axes {axes}, not a single image")
        if page.photometric.name not in ("MINISBLACK", "RGB"):
            raise ValueError(f"{path} is {page.photometric.name}; convert it to grey or RGB")
        kept, colours = _kept(file, page), page.photometric.name == "RGB"
    if axes in ("YX", "YXS"):
        return kept
    return kept | {"photometric": "rgb" if axes == "SYX" and colours else "minisblack"}


def _kept(file: Any, page: Any) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if "XResolution" in page.tags and "YResolution" in page.tags:
        across, down = page.get_resolution()
        turned = page.tags.valueof("Orientation", default=1) > 4
        kept["resolution"] = (down, across) if turned else (across, down)
        kept["resolutionunit"] = int(page.resolutionunit)
    if page.iccprofile:
        kept["iccprofile"] = page.iccprofile
    if page.description and not (file.is_ome or file.is_shaped):
        kept["description"] = page.description.encode()
    return kept


def enlarged_tiff(kept: dict[str, Any], factor: int) -> dict[str, Any]:
    """The same with `factor` times as many pixels for each inch or centimetre."""
    if "resolution" not in kept:
        return kept
    return kept | {"resolution": tuple(number * factor for number in kept["resolution"])}
