"""What a format of image files offers to the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from dhop.io.picture import Original, Picture

Part: TypeAlias = int | str | None  # number or name of an image in a file of several
Check: TypeAlias = Callable[[Original, tuple[int, ...], str], None]


def anything(original: Original, shape: tuple[int, ...], axes: str) -> None:
    """No objection to an image of a shape with such axes and metadata."""


def flat(original: Original, shape: tuple[int, ...], axes: str) -> None:
    """Refuse what is not an image of rows and columns."""
    if "Z" in axes or "Y" not in axes:
        what = "volume; write a .tif, .npy or .fits" if "Z" in axes else "line; write a .npy, .fits"
        raise ValueError(f"its format holds no {what}")


def flat_or_deep(original: Original, shape: tuple[int, ...], axes: str) -> None:
    """Refuse lines."""
    flat(original, shape, axes.replace("Z", ""))


@dataclass(frozen=True)
class Options:
    """What a user may ask of a file that is written.

    Attributes
    ----------
    quality : int
        Of what is compressed with losses, 1 to 100.
    overwrite : bool
        Whether to take the place of a file.
    """

    quality: int = 95
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be 1 to 100, got {self.quality}")


@dataclass(frozen=True)
class Format:
    """A format of image files.

    Attributes
    ----------
    endings : tuple of str
        Of the names of its files, in small letters.
    types : tuple of str
        Of numbers that it holds; what is of another type is written as the last of them.
    keeps : frozenset of str
        Names of the metadata that it can hold.
    read : callable(path, part)
        What is wrong with a file it says in one sentence.
    write : callable(path, picture, ending, options)
        The path may be of any name; `ending` is that of the name that the file will have.
    check : callable(original, shape, axes)
        Refuses what `write` could not write, from what is known before the pixels are.
    opened : callable(path, part), optional
        As `read`, but pixels are anything that slices to them: they stay in the file till then.
    chunks : tuple of str
        Those of the endings for which `write` takes Dask arrays, and writes them part by part.
    """

    endings: tuple[str, ...]
    types: tuple[str, ...]
    keeps: frozenset[str]
    read: Callable[[Path, Part], Picture]
    write: Callable[[Path, Picture, str, Options], None]
    check: Check = anything
    opened: Callable[[Path, Part], Picture] | None = None
    chunks: tuple[str, ...] = ()
