"""JPEG, WebP, BMP, and PNG of 8 bits, by Pillow."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dhop.io import exif, orientation
from dhop.io.errors import ContentError, in_words, require_plausible
from dhop.io.formats import Check, Format, Options, Part, flat
from dhop.io.picture import Constant, Metadatum, Original, Picture, Resolution, Unkept
from dhop.io.replacement import open_whole
from dhop.runtime.extras import needed

Array = NDArray[Any]

KINDS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "PPM")
LOSSY = ("JPEG", "MPO", "WEBP")
WRITTEN = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".png": "PNG"}
# Modes of Pillow, and those they are converted to: grey or RGB, with transparency (A) or without.
MODES = {
    "1": "L", "L": "L", "LA": "LA", "La": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB",
    "RGBA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB",
}  # fmt: skip
# Strategy of zlib, run lengths only: photographs get as small as with the others in a fifth of the
# time.
RUNS = 3
INCH = 2.54  # centimetres
USUAL_GAMMA = (0.45, 0.46)


def read(path: Path, part: Part = None) -> Picture:
    """Any photograph that Pillow recognises by its content, turned upright after its EXIF."""
    with in_words(path), path.open("rb") as file:
        image = opened(path, file)
        if image.mode not in MODES:
            raise ContentError(f"{path} is {image.mode}; convert it to grey or RGB of 8 bits")
        pixels, transparent = _pixels(image)
        tag, kept = metadata_of(image)
        lossy = image.format in LOSSY
    if transparent:
        kept["transparency"] = Unkept()
    axes = "YXC"[: pixels.ndim]
    pixels = orientation.upright(pixels, axes, tag)
    return Picture(pixels, axes, Original(pixels.dtype, 255, kept), lossy)


def write(path: Path, picture: Picture, ending: str, options: Options) -> None:
    pixels = np.ascontiguousarray(picture.arranged("YXC"))
    with open_whole(path) as file:
        encode(file, pixels, WRITTEN[ending], picture.original, options)


def encode(file: BinaryIO, pixels: Array, kind: str, original: Original, options: Options) -> None:
    """Write pixels of 8 bits with their metadata."""
    library = needed("PIL.Image", "cli", f"writing {kind}")
    more: dict[str, Any] = {}
    if kind == "PNG":
        more["compress_type"] = RUNS
    elif kind in LOSSY:
        more["quality"] = options.quality
    if kind == "JPEG":
        more["subsampling"] = 0  # as many pixels for colours as for grey
    for name, each in original.kept.items():
        if name == "colour profile" and isinstance(each, Constant):
            more["icc_profile"] = each.value
        elif isinstance(each, exif.Exif):
            more["exif"] = each.data
        elif name == "comment" and kind == "PNG" and isinstance(each, Constant):
            more["pnginfo"] = _texts(each.value)
        elif isinstance(each, Resolution) and each.unit != "none":
            per_inch = 1.0 if each.unit == "inch" else INCH
            more["dpi"] = (each.across * per_inch, each.down * per_inch)
    library.fromarray(pixels).save(file, kind, **more)


def opened(path: Path, file: BinaryIO) -> Any:
    """An image of Pillow whose pixels are not read yet."""
    library = needed("PIL.Image", "cli", f"reading {path.name}")
    try:
        image = library.open(file, formats=KINDS)
    except library.UnidentifiedImageError:  # its message does not name the file
        raise ValueError("Pillow recognises no image") from None
    values = image.width * image.height * len(image.getbands())
    require_plausible(path, values // 8 if image.mode == "1" else values, values)
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":  # whose other images are previews
        raise ContentError(f"{path} holds {count} images, not one")
    return image


def metadata_of(image: Any) -> tuple[Any, dict[str, Metadatum]]:
    """The orientation tag of an image of Pillow, and its metadata once it is upright."""
    kept: dict[str, Metadatum] = {}
    info = image.info
    if profile := info.get("icc_profile"):
        kept["colour profile"] = Constant(profile)
    tag, camera = exif.read(image)
    if "dpi" in info:
        across, down = reversed(info["dpi"]) if tag in orientation.SWAPPED else info["dpi"]
        if across > 0 and down > 0:
            kept["resolution"] = Resolution(float(across), float(down), "inch")
    if camera is not None:
        kept["EXIF"] = camera
    if image.format != "PNG" and "comment" in info:
        kept["comment"] = Unkept()
    if "xmp" in info:
        kept["XMP"] = Unkept()
    if image.format == "PNG" and (texts := dict(image.text)):
        texts.pop("XML:com.adobe.xmp", None)
        if texts:
            kept["comment"] = Constant(texts)
        low, high = USUAL_GAMMA
        if not low < info.get("gamma", low + 0.001) < high:
            kept["gamma"] = Unkept()
    return tag, kept


def limited(most: int, exif_bytes: int = 2**32) -> Check:
    """A check for a format with limits on the pixels of a side and on the bytes of EXIF."""

    def check(original: Original, shape: tuple[int, ...], axes: str) -> None:
        flat(original, shape, axes)
        channels = shape[axes.index("C")] if "C" in axes else 3
        if channels != 3:
            raise ValueError(f"photographs hold no {channels} channels; write a .tif, .npy, .fits")
        if max(shape) > most:
            raise ValueError(f"an image of {shape} is too large for its format; write a .tif, .npy")
        camera = original.kept.get("EXIF")
        if isinstance(camera, exif.Exif) and len(camera.data) > exif_bytes:
            raise ValueError(f"a .jpg holds no EXIF of {len(camera.data):,} bytes; write a .png")

    return check


def _pixels(image: Any) -> tuple[Array, bool]:
    """Grey or RGB pixels, and whether some were transparent."""
    mode = MODES[image.mode]
    if "transparency" in image.info:
        mode = {"L": "LA", "RGB": "RGBA"}.get(mode, mode)
    array = np.asarray(image if image.mode == mode else image.convert(mode))
    transparent = False
    if mode in ("LA", "RGBA"):
        transparent = bool((array[..., -1] != 255).any())
        array = array[..., :-1]
    grey = array.ndim == 3 and array.shape[2] == 3 and image.mode in ("P", "PA")
    if mode == "LA" or (grey and (array == array[..., :1]).all()):
        array = array[..., 0]
    return array, transparent


def _texts(texts: dict[str, str]) -> Any:
    info = needed("PIL.PngImagePlugin", "cli", "writing PNG").PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    return info


EIGHT_BITS = ("u1",)
KEPT = frozenset({"colour profile", "resolution", "EXIF"})
JPEG = Format((".jpg", ".jpeg"), EIGHT_BITS, KEPT, read, write, limited(65500, 65500))
WEBP = Format((".webp",), EIGHT_BITS, KEPT - {"resolution"}, read, write, limited(16383))
BMP = Format((".bmp",), EIGHT_BITS, frozenset({"resolution"}), read, write, limited(2**31 - 1))
