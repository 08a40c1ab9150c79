"""Which axes of an array are frames, channels, rows and columns."""

from collections.abc import Sequence
from dataclasses import replace

from dhop.io.picture import Picture
from dhop.io.reading import ContentError

MOST_CHANNELS = 4  # on the last axis of an array of which nothing is known


def interpreted(
    picture: Picture,
    name: object,
    frames_axis: int | None = None,
    channel_axis: int | None = None,
) -> Picture:
    """The picture with axes F, C, Y and X, none of them twice, the last two always there.

    Axes of length one are dropped, unless they are chosen, or rows or columns. Of axes that the
    file does not explain the last two are rows and columns, or those before a last one of four at
    most, which are channels.

    Parameters
    ----------
    picture : Picture
    name : object
        Of the file, for errors.
    frames_axis, channel_axis : int, optional
        Axes of the pixels that are frames and channels, whatever the file calls them.

    Raises
    ------
    ContentError
        If an axis may be one or the other.
    """
    shape, letters = picture.pixels.shape, list(picture.axes)
    for letter, axis in (("F", frames_axis), ("C", channel_axis)):
        if axis is None:
            continue
        if not -len(shape) <= axis < len(shape):
            raise ContentError(f"{name} holds an array of shape {shape}, without axis {axis}")
        if letters[axis] == "F":
            raise ContentError(f"axis {axis} of {name} cannot count frames and channels at once")
        letters = ["I" if each == letter else each for each in letters]
        letters[axis] = letter
    letters = _named(letters, shape)
    kept = [k for k, letter in enumerate(letters) if letter in "FYX" or shape[k] != 1]
    axes = "".join(letters[k] for k in kept)
    if sorted(axes.replace("F", "").replace("C", "")) != ["X", "Y"] or len({*axes}) < len(axes):
        raise ContentError(
            f"{name} holds an array of shape {shape}, not a single image; "
            "name the axis of frames, where there may be several, or of channels"
        )
    if 0 in shape:
        raise ContentError(f"{name} holds no pixels, its shape is {shape}")
    return replace(picture, pixels=picture.pixels.reshape([shape[k] for k in kept]), axes=axes)


def _named(letters: Sequence[str], shape: Sequence[int]) -> list[str]:
    """Rows, columns and perhaps channels for axes of which nothing is known."""
    named = list(letters)
    unknown = [k for k, letter in enumerate(letters) if letter == "?"]
    while len(unknown) > 2 and shape[unknown[0]] == 1:
        del unknown[0]
    pixel_last = len(unknown) == 3 and "C" not in letters and shape[unknown[2]] <= MOST_CHANNELS
    names = "YXC" if pixel_last else "YX"
    if len(unknown) == len(names):
        for k, letter in zip(unknown, names, strict=True):
            named[k] = letter
    return named
