"""PNG, of which Pillow would leave 8 bits of colours of 16."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from dhop.extras import needed
from dhop.io import photographs
from dhop.io.formats import Format, Options, Part
from dhop.io.picture import Original, Picture
from dhop.io.reading import in_words, require_plausible

START = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # of kinds of colours, the last of 2 or 4 being transparency


def read(path: Path, part: Part = None) -> Picture:
    with in_words(path):
        content = path.read_bytes()
        if not content.startswith(START) or content[24:25] != b"\x10":
            return photographs.read(path)
        columns, rows, _, kind = struct.unpack(">IIBB", content[16:26])
        require_plausible(path, 2 * rows * columns * CHANNELS.get(kind, 1))
        pixels = np.asarray(_library(path).png_decode(content))
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = pixels[..., :-1]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    return Picture(pixels, "YXC"[: pixels.ndim], Original(pixels.dtype, 65535))


def write(path: Path, picture: Picture, ending: str, options: Options) -> None:
    if picture.pixels.dtype.itemsize == 1:
        photographs.write(path, picture, ending, options)
        return
    pixels = np.ascontiguousarray(picture.arranged("YXC"[: picture.pixels.ndim]))
    path.write_bytes(_library(path).png_encode(pixels, strategy=photographs.RUNS))


def _library(path: Path) -> Any:
    return needed("imagecodecs", "cli", f"{path.name} with 16 bits")


PNG = Format(
    (".png",), ("u1", "u2"), frozenset({"colour profile", "resolution"}), read, write,
    photographs.require_colours,
)  # fmt: skip
