"""Grey and colours of the samples of a TIFF (TIFF 6.0, sections 3 to 6, 18 and 23)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.io.picture import white_of
from dhop.io.reading import ContentError

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
    """Refuse kinds of colours that are not decoded here, before anything is."""
    kind = getattr(page.photometric, "name", page.photometric)
    if isinstance(page.bitspersample, tuple):
        raise ContentError(f"{path} has samples of {page.bitspersample} bits; convert it")
    if kind == "YCBCR" and page.compression.name not in YCBCR_READ:
        raise ContentError(f"{path} is YCBCR without JPEG; convert it to RGB")
    if kind not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "YCBCR"):
        raise ContentError(f"{path} is {kind}; convert it to grey or RGB")


def decoded(path: Path, page: Any, pixels: Array, axes: str) -> Decoded:
    """What samples mean, of a kind of colours that is known.

    Parameters
    ----------
    path : Path
        For errors.
    page : tifffile.TiffPage
    pixels : ndarray
        As tifffile decodes them.
    axes : str
        Of which C are samples or channels.
    """
    white, kind = _white(page, pixels.dtype), page.photometric.name
    if kind == "PALETTE":
        return _from_palette(path, page, pixels, axes)
    if kind == "MINISWHITE" and not _flags(page):
        if white is None:
            raise ContentError(f"{path} is MINISWHITE of {pixels.dtype}; convert it to MINISBLACK")
        pixels = ~pixels if pixels.dtype == bool else pixels.dtype.type(white) - pixels
    return _without_alpha(page, pixels, axes, white)


def _flags(page: Any) -> bool:
    """Whether they were an array of True and False, which tifffile writes as black and white."""
    return page.bitspersample == 1 and str(page.software).startswith("tifffile")


def _white(page: Any, dtype: np.dtype[Any]) -> int | None:
    """The largest of as many bits as the file has, of which arrays may have more."""
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
    """Samples that the file calls transparency are left out, and no others."""
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
