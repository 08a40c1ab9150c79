"""JPEG, WebP, BMP and PNG of 8 bits, by Pillow."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.extras import needed
from dhop.io.formats import Format, Options, Part
from dhop.io.picture import Constant, Metadatum, Original, Picture, Resolution
from dhop.io.reading import ContentError, in_words, require_plausible

Array = NDArray[Any]

# How Pillow names kinds of pixels, and what they become.
MODES = {"1": "L", "L": "L", "LA": "LA", "P": "P", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
KINDS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "GIF", "PPM")
WRITTEN = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".png": "PNG"}
# Of zlib, to look for runs alone: photographs have no other repetitions, and become as small in a
# fifth of the time.
RUNS = 3
INCH = 2.54  # centimetres


def read(path: Path, part: Part = None) -> Picture:
    """Any photograph that Pillow knows by its content."""
    with in_words(path):
        library = needed("PIL.Image", "cli", f"reading {path.name}")
        turn = needed("PIL.ImageOps", "cli", f"reading {path.name}").exif_transpose
        with path.open("rb") as file:
            image = library.open(file, formats=KINDS)
            require_plausible(path, image.width * image.height * len(image.getbands()))
            if image.mode not in MODES:
                raise ContentError(
                    f"{path} has pixels of kind {image.mode}; convert it to grey or RGB"
                )
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                raise ContentError(f"{path} holds {image.n_frames} images, not one")
            kept = _kept(image)
            pixels = _pixels(turn(image))
    return Picture(pixels, "YXC"[: pixels.ndim], Original(pixels.dtype, 255, kept))


def write(path: Path, picture: Picture, ending: str, options: Options) -> None:
    library = needed("PIL.Image", "cli", f"writing {path.name}")
    pixels = np.ascontiguousarray(picture.arranged("YXC"[: picture.pixels.ndim]))
    kind = WRITTEN[ending]
    more: dict[str, Any] = {"quality": options.quality}
    if kind == "PNG":
        more = {"compress_type": RUNS}
    for name, each in picture.original.kept.items():
        if name == "colour profile" and isinstance(each, Constant):
            more["icc_profile"] = each.value
        elif isinstance(each, Resolution) and each.unit != "none":
            per_inch = 1.0 if each.unit == "inch" else INCH
            more["dpi"] = (each.across * per_inch, each.down * per_inch)
    library.fromarray(pixels).save(path, kind, **more)


def require_colours(original: Original, shape: tuple[int, ...], axes: str) -> None:
    channels = shape[axes.index("C")] if "C" in axes else 1
    if "C" in axes and channels != 3:
        raise ValueError(f"it holds no {channels} channels; write a .tif, .npy, .fits")


def _pixels(image: Any) -> Array:
    """Grey or three colours, transparency left out."""
    if image.mode == "P":
        image = image.convert("RGB")
    elif image.mode in ("1", "PA"):
        image = image.convert(MODES[image.mode])
    array = np.asarray(image)
    if image.mode == "LA":
        return array[..., 0]
    return array[..., :3] if image.mode == "RGBA" else array


def _kept(image: Any) -> dict[str, Metadatum]:
    kept: dict[str, Metadatum] = {}
    if profile := image.info.get("icc_profile"):
        kept["colour profile"] = Constant(profile)
    if dpi := image.info.get("dpi"):
        kept["resolution"] = Resolution(float(dpi[0]), float(dpi[1]), "inch")
    return kept


EIGHT_BITS = ("u1",)
JPEG = Format(
    (".jpg", ".jpeg"), EIGHT_BITS, frozenset({"colour profile", "resolution"}), read, write,
    require_colours,
)  # fmt: skip
WEBP = Format((".webp",), EIGHT_BITS, frozenset({"colour profile"}), read, write, require_colours)
BMP = Format((".bmp",), EIGHT_BITS, frozenset({"resolution"}), read, write, require_colours)
