"""TIFF, by tifffile."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.extras import needed
from dhop.io.formats import Format, Options, Part
from dhop.io.picture import Constant, Metadatum, Original, Picture, Resolution
from dhop.io.reading import ContentError, in_words, require_plausible

Array = NDArray[Any]

COLOURS = ("MINISBLACK", "RGB")
WHITE = {"u1": 255, "u2": 65535}
TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "f8", "f4")


def read(path: Path, part: Part = None) -> Picture:
    with in_words(path):
        library = needed("tifffile", "cli", f"reading {path.name}")
        with library.TiffFile(path) as file:
            series, page = file.series[0], file.pages[0]
            require_plausible(path, series.nbytes)
            if page.photometric.name not in COLOURS:
                kind = page.photometric.name
                raise ContentError(f"{path} is {kind}; convert it to grey or RGB")
            kept = _kept(file, page)
            axes = series.axes.replace("S", "C")
            tag = page.tags.valueof("Orientation", default=1)
            pixels = _turned(np.asarray(series.asarray()), axes, tag)
    if pixels.dtype.kind == "b":
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if axes == "YXC" and pixels.shape[2] in (2, 4):
        pixels = pixels[..., :-1]
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    original = Original(pixels.dtype, WHITE.get(pixels.dtype.str[1:]), kept)
    return Picture(pixels, axes, original)


def write(path: Path, picture: Picture, ending: str, options: Options) -> None:
    imwrite = needed("tifffile", "cli", f"writing {path.name}").imwrite
    kept = picture.original.kept
    colours = picture.axes != "YX" and picture.pixels.shape[picture.axes.index("C")] == 3
    more: dict[str, Any] = {"photometric": "rgb" if colours else "minisblack", "software": "dhop"}
    for name, each in kept.items():
        if isinstance(each, Resolution):
            more["resolution"] = each.across, each.down
            more["resolutionunit"] = each.unit.upper()
        elif isinstance(each, Constant):
            more[{"colour profile": "iccprofile", "description": "description"}[name]] = each.value
    if colours or picture.axes == "YX":
        imwrite(path, picture.arranged("YXC"[: picture.pixels.ndim]), metadata=None, **more)
    else:
        metadata = None if "description" in more else {"axes": "CYX"}
        imwrite(path, picture.arranged("CYX"), metadata=metadata, **more)


def _turned(array: Array, axes: str, tag: int) -> Array:
    """The pixels as their orientation tag wants them shown.

    TIFF 6.0, page 36. tifffile's `reorient` confuses two of the eight.
    """
    rows = axes.find("YX")
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


def _kept(file: Any, page: Any) -> dict[str, Metadatum]:
    kept: dict[str, Metadatum] = {}
    if "XResolution" in page.tags and "YResolution" in page.tags:
        across, down = page.get_resolution()
        if page.tags.valueof("Orientation", default=1) > 4:
            across, down = down, across
        kept["resolution"] = Resolution(across, down, page.resolutionunit.name.lower())
    if page.iccprofile:
        kept["colour profile"] = Constant(page.iccprofile)
    if page.description and not (file.is_ome or file.is_shaped):
        kept["description"] = Constant(page.description.encode())
    return kept


TIFF = Format(
    (".tif", ".tiff"), TYPES, frozenset({"resolution", "colour profile", "description"}), read,
    write,
)  # fmt: skip
