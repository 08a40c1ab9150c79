"""Files as layers of napari."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from dhop import io
from dhop.io import SPACE, Picture

Layer: TypeAlias = tuple[Any, dict[str, Any], str]
Paths: TypeAlias = str | Sequence[str]

COLOURS = 3  # channels that are shown as one layer; any others are layers of their own


def reader(path: Paths) -> Callable[[Paths], list[Layer]] | None:
    """What reads a file or a list of files, or None if dhop does not know an ending.

    napari gives the argument by its name.
    """
    return read if all(io.ending(each) in io.FORMATS for each in _paths(path)) else None


def read(paths: Paths) -> list[Layer]:
    """One image, of a file or of several as a stack, with the numbers that files hold.

    Raises
    ------
    OSError
        If a file is missing or damaged.
    ValueError
        If a file holds neither an image nor a volume, or those of a stack differ in shape.
    ImportError
        If the package that reads the format is not installed.
    """
    names = _paths(paths)
    pictures = [_picture(path) for path in names]
    arrays = [picture.values(f"F{SPACE}C") for picture in pictures]
    pixels = arrays[0] if isinstance(paths, str) else np.stack(arrays)
    meta: dict[str, Any] = {"name": names[0].stem}
    if "C" in pictures[0].axes:
        meta |= {"rgb": True} if pixels.shape[-1] == COLOURS else {"channel_axis": pixels.ndim - 1}
    return [(pixels, meta, "image")]


def _picture(path: Path) -> Picture:
    """The image or the volume of a file."""
    picture = io.read(path)
    try:
        return io.interpreted(picture, path)
    except ValueError:
        return io.interpreted(picture, path, ndim=3)


def _paths(paths: Paths) -> list[Path]:
    return [Path(path) for path in ([paths] if isinstance(paths, str) else paths)]
