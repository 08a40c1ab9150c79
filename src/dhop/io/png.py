"""PNG, also of 16-bit colours, of which Pillow would keep 8 bits only."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from dhop.io import orientation, photographs
from dhop.io.errors import in_words, require_plausible
from dhop.io.formats import Format, Options, Part
from dhop.io.picture import Original, Picture, Unkept
from dhop.runtime.extras import needed

START = b"\x89PNG\r\n\x1a\n"
DEEP = b"\x10"  # byte of the header that says 16 bits a value
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type; the last of 2 or 4 is transparency
PIXELS = (b"IHDR", b"IDAT", b"IEND")  # chunks; others are metadata


def read(path: Path, part: Part = None) -> Picture:
    with in_words(path):
        content = path.read_bytes()
    if not content.startswith(START) or content[24:25] != DEEP:
        return photographs.read(path)
    with in_words(path):
        image = photographs.opened(path, BytesIO(content))
        channels = CHANNELS[content[25]]
        require_plausible(path, 2 * image.width * image.height * channels)
        tag, kept = photographs.metadata_of(image)
        array = np.asarray(_library(path).png_decode(content))
    pixels = array.reshape(*array.shape[:2], -1)
    if channels in (2, 4):
        if (pixels[..., -1] != 65535).any():
            kept["transparency"] = Unkept()
        pixels = pixels[..., :-1]
    if "transparency" in image.info:
        kept["transparency"] = Unkept()
    if channels < 3:
        pixels = pixels[..., 0]
    axes = "YXC"[: pixels.ndim]
    pixels = orientation.upright(pixels, axes, tag)
    return Picture(pixels, axes, Original(pixels.dtype, 65535, kept))


def write(path: Path, picture: Picture, ending: str, options: Options) -> None:
    if picture.pixels.dtype.itemsize == 1:
        photographs.write(path, picture, ending, options)
        return
    pixels = np.ascontiguousarray(picture.arranged("YXC"))
    content = _library(path).png_encode(pixels, strategy=photographs.RUNS)
    first = BytesIO()
    small = pixels[:1, :1].astype(np.uint8)
    photographs.encode(first, small, "PNG", picture.original, options)
    more = [chunk for kind, chunk in _chunks(first.getvalue()) if kind not in PIXELS]
    header, *others = (chunk for _, chunk in _chunks(content))
    path.write_bytes(b"".join([START, header, *more, *others]))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and bytes of the parts of a PNG that was written here."""
    place = len(START)
    while place < len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4])
        yield content[place + 4 : place + 8], content[place:end]
        place = end


def _library(path: Path) -> Any:
    return needed("imagecodecs", "cli", f"{path.name} with 16 bits")


PNG = Format(
    (".png",), ("u1", "u2"), photographs.KEPT | {"comment"}, read, write,
    photographs.limited(2**31 - 1),
)  # fmt: skip
