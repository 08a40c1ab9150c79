"""Interpretation of the axes of an array: frames, channels, planes, rows, columns."""

from collections.abc import Sequence
from dataclasses import replace

from dhop.io.errors import ContentError
from dhop.io.picture import SPACE, Picture
from dhop.runtime.arguments import integer

MOST_CHANNELS = 4  # on the last axis of an array of which nothing is known
PAGES = "PI"  # axes that may be the planes of a volume
WHOLE = {1: "line", 2: "image", 3: "volume"}


def interpreted(
    picture: Picture,
    name: object,
    frames_axis: int | None = None,
    channel_axis: int | None = None,
    ndim: int = 2,
) -> Picture:
    """The picture with its axes named: all those of space, and at most one of F and one of C.

    Axes of length one are dropped, unless they are chosen, or rows or columns. Where the file does
    not name its axes, the last ones are planes, rows and columns; a last axis of at most four, one
    more than these, is channels. Pages are the planes of a volume if nothing else is.

    Parameters
    ----------
    picture : Picture
    name : object
        Of the file, for errors.
    frames_axis, channel_axis : int, optional
        Axes of the pixels that are frames and channels, whatever the file calls them.
    ndim : int
        1 for lines of columns, 2 for images, 3 for volumes.

    Raises
    ------
    ContentError
        If an axis may be one or the other.
    """
    shape, letters, space = picture.pixels.shape, list(picture.axes), SPACE[-ndim:]
    for letter, axis in (("F", frames_axis), ("C", channel_axis)):
        if axis is None:
            continue
        axis = integer("an axis of frames or channels", axis)
        if not -len(shape) <= axis < len(shape):
            raise ContentError(f"{name} holds an array of shape {shape}, without axis {axis}")
        if letters[axis] == "F":
            raise ContentError(f"axis {axis} of {name} cannot count frames and channels at once")
        letters = ["I" if each == letter else each for each in letters]
        letters[axis] = letter
    letters = _planes(_named(letters, shape, space), shape, space)
    kept = [k for k, letter in enumerate(letters) if letter in f"F{space}" or shape[k] != 1]
    axes = "".join(letters[k] for k in kept)
    if sorted(axes.replace("F", "").replace("C", "")) != sorted(space) or len({*axes}) < len(axes):
        raise ContentError(
            f"{name} holds an array of shape {shape}, not a single {WHOLE[ndim]}; "
            "name the axis of frames, where there may be several, or of channels"
        )
    if 0 in shape:
        raise ContentError(f"{name} holds no pixels, its shape is {shape}")
    return replace(picture, pixels=picture.pixels.reshape([shape[k] for k in kept]), axes=axes)


def dimensions(picture: Picture) -> int:
    """Number of spatial axes of a picture of one frame: not channels, nor axes of length one.

    Rows and columns always count.
    """
    shape = picture.pixels.shape
    if {*picture.axes} == {"?"}:
        leading = next((k for k, length in enumerate(shape[:-2]) if length != 1), len(shape) - 2)
        return len(shape) - max(leading, 0)
    return sum(
        letter in "YX" or (letter != "C" and length != 1)
        for letter, length in zip(picture.axes, shape, strict=True)
    )


def _named(letters: Sequence[str], shape: Sequence[int], space: str) -> list[str]:
    """The letters, with unknown axes (``?``) named after `space`, and perhaps channels."""
    named, count = list(letters), len(space)
    unknown = [k for k, letter in enumerate(letters) if letter == "?"]
    while len(unknown) > count and shape[unknown[0]] == 1:
        del unknown[0]
    more = len(unknown) == count + 1 and count > 1 and "C" not in letters
    names = space + "C" if more and shape[unknown[-1]] <= MOST_CHANNELS else space
    if len(unknown) == len(names):
        for k, letter in zip(unknown, names, strict=True):
            named[k] = letter
    return named


def _planes(letters: list[str], shape: Sequence[int], space: str) -> list[str]:
    """The letters, with pages named as planes of a volume or as channels of an image."""
    if "Z" in space and "Z" not in letters:
        pages = [k for k, letter in enumerate(letters) if letter in PAGES]
        pages = [k for k in pages if shape[k] != 1] or pages[:1]
        if len(pages) == 1:
            return ["Z" if k == pages[0] else letter for k, letter in enumerate(letters)]
    return ["C" if letter == "P" else letter for letter in letters]
