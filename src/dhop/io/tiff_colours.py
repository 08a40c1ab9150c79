"""Grey and colours from the samples of a TIFF (TIFF 6.0, sections 3 to 6, 18 and 23)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.io.errors import ContentError
from dhop.io.picture import white_of

Array = NDArray[Any]

UNSIGNED = 1  # kind of samples
ALPHA = (1, 2)  # kinds of extra samples
YCBCR_READ = ("JPEG", "OJPEG", "WEBP", "JPEG2000")  # whose decoders give RGB


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pixels that are grey, RGB or any number of bands."""

    pixels: Array
    axes: str
    white: int | None
    transparent: bool = False


def require_known(path: Path, page: Any) -> None:
    """Refuse colour spaces that are not decoded here, before anything is read."""
    kind = getattr(page.photometric, "name", page.photometric)
    if isinstance(page.bitspersample, tuple):
        raise ContentError(f"{path} has samples of {page.bitspersample} bits; convert it")
    if kind == "YCBCR" and page.compression.name not in YCBCR_READ:
        raise ContentError(f"{path} is YCBCR without JPEG; convert it to RGB")
    if kind not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "YCBCR"):
        raise ContentError(f"{path} is {kind}; convert it to grey or RGB")


def decoded(path: Path, page: Any, pixels: Array, axes: str) -> Decoded:
    """Samples as grey, RGB or bands; the colour space must be a known one.

    Parameters
    ----------
    path : Path
        For errors.
    page : tifffile.TiffPage
    pixels : ndarray
        As decoded by tifffile.
    axes : str
        Of `pixels`; C are samples or channels.
    """
    white, kind = _white(page, pixels.dtype), page.photometric.name
    if kind == "PALETTE":
        return _from_palette(path, page, pixels, axes)
    if kind == "MINISWHITE" and not _is_boolean(page):
        if white is None:
            raise ContentError(f"{path} is MINISWHITE of {pixels.dtype}; convert it to MINISBLACK")
        pixels = ~pixels if pixels.dtype == bool else pixels.dtype.type(white) - pixels
    return _without_alpha(page, pixels, axes, white)


def _is_boolean(page: Any) -> bool:
    """Whether pixels were a boolean array, which tifffile writes as MINISWHITE."""
    return page.bitspersample == 1 and str(page.software).startswith("tifffile")


def _white(page: Any, dtype: np.dtype[Any]) -> int | None:
    """The largest value of the bits in the file, which may be fewer than those of `dtype`."""
    bits = page.bitspersample
    if dtype.kind == "u" and page.sampleformat == UNSIGNED and bits < 8 * dtype.itemsize:
        return int(2**bits - 1) if bits <= 16 else None
    return white_of(dtype)


def _from_palette(path: Path, page: Any, pixels: Array, axes: str) -> Decoded:
    if axes != "YX" or page.colormap is None or pixels.dtype.kind not in "bu":
        raise ContentError(f"{path} has a palette for several pages; convert it to RGB")
    palette = np.asarray(page.colormap)
    if pixels.max(initial=0) >= palette.shape[1]:
        raise ContentError(f"{path} has colours that are not in its palette")
    if palette.max() < 256:  # as some programs wrote them
        palette = palette.astype(np.uint8)
    elif not (palette % 257).any():
        palette = (palette // 257).astype(np.uint8)
    elif not (palette % 256).any():
        palette = (palette // 256).astype(np.uint8)
    white = white_of(palette.dtype)
    index = pixels.astype(np.intp)
    if (palette == palette[0]).all():
        return Decoded(palette[0][index], axes, white)
    return Decoded(np.moveaxis(palette[:, index], 0, -1), axes + "C", white)


def _without_alpha(page: Any, pixels: Array, axes: str, white: int | None) -> Decoded:
    """Leave out the samples that the file marks as transparency."""
    first = page.samplesperpixel - len(page.extrasamples)
    alpha = [first + k for k, kind in enumerate(page.extrasamples) if kind in ALPHA]
    axis = axes.find("C")
    if not alpha or axis < 0 or pixels.shape[axis] != page.samplesperpixel:
        return Decoded(pixels, axes, white)
    shown = np.take(pixels, alpha, axis)
    transparent = bool((shown != (1 if white is None else white)).any())
    pixels = np.delete(pixels, alpha, axis)
    if pixels.shape[axis] == 1:
        pixels, axes = pixels.squeeze(axis), axes.replace("C", "")
    return Decoded(pixels, axes, white, transparent)
