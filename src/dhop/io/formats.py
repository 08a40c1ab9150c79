"""The interface of image file formats."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from dhop.io.picture import Original, Picture
from dhop.runtime.arguments import integer

Part: TypeAlias = int | str | None  # number or name of an image in a file of several
Check: TypeAlias = Callable[[Original, tuple[int, ...], str], None]


def anything(original: Original, shape: tuple[int, ...], axes: str) -> None:
    """Accept every image."""


def flat(original: Original, shape: tuple[int, ...], axes: str) -> None:
    """Refuse lines and volumes."""
    if "Z" in axes or "Y" not in axes:
        what = "volume; write a .tif, .npy or .fits" if "Z" in axes else "line; write a .npy, .fits"
        raise ValueError(f"its format holds no {what}")


def flat_or_deep(original: Original, shape: tuple[int, ...], axes: str) -> None:
    """Refuse lines."""
    flat(original, shape, axes.replace("Z", ""))


@dataclass(frozen=True)
class Options:
    """A user's options for a file to be written.

    Attributes
    ----------
    quality : int
        Of lossy compression, 1 to 100.
    overwrite : bool
        Whether to replace a file.
    """

    quality: int = 95
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 1 <= integer("quality", self.quality) <= 100:
            raise ValueError(f"quality must be 1 to 100, got {self.quality}")


@dataclass(frozen=True)
class Format:
    """A format of image files.

    Attributes
    ----------
    endings : tuple of str
        Of file names, in lower case.
    types : tuple of str
        Dtypes that it holds; others are written as the last of them.
    keeps : frozenset of str
        Names of the metadata that it can hold.
    read : callable(path, part)
        Its errors are one sentence on what is wrong with the file.
    write : callable(path, picture, ending, options)
        The path may have any name; `ending` is that of the file's final name.
    check : callable(original, shape, axes)
        Refuses what `write` could not write, before the pixels are computed.
    opened : callable(path, part), optional
        As `read`, but the pixels may stay in the file until they are sliced.
    chunks : tuple of str
        Endings for which `write` takes Dask arrays and writes them part by part.
    """

    endings: tuple[str, ...]
    types: tuple[str, ...]
    keeps: frozenset[str]
    read: Callable[[Path, Part], Picture]
    write: Callable[[Path, Picture, str, Options], None]
    check: Check = anything
    opened: Callable[[Path, Part], Picture] | None = None
    chunks: tuple[str, ...] = ()
