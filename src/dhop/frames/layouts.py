"""Axes of arrays: which are frames, channels, rows and columns.

Inside the package frames come first, then channels, rows and columns; `channel_axis` is the axis of
the channels in arrays of the user.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.runtime import arguments

Array = NDArray[Any]

FEW = 4  # pixels of an image's axis, or fewer, are likely to be channels ...
MANY = 16  # ... beside as many as this on the other
MEANINGS = "(m0, m1), (F, m0, m1) or (F, C, m0, m1), or have a channel_axis"
VOLUMES = "of the psf's axes, with one more for frames and two for frames of channels"


def stacked(frames: Any, channel_axis: int | None = None, ndim: int = 2) -> Any:
    """Frames as (F, m0, m1) or (F, C, m0, m1) array of the precision to compute in.

    Volumes, whose `ndim` is 3, have another axis before these two.

    Parameters
    ----------
    frames : ndarray or dask.array.Array
        Without a `channel_axis` of shape (m0, m1), (F, m0, m1) or (F, C, m0, m1). With one, of the
        two or three other axes the last two are rows and columns, and another one is the frames.
    channel_axis : int, optional

    Raises
    ------
    ValueError
        If there are too many axes or too few, or no pixels, or images would be so narrow that
        channels must have been taken for pixels.
    TypeError
        If frames are no real numbers.
    """
    fits = ndim + (channel_axis is not None) <= frames.ndim <= ndim + 2
    if not (fits and frames.size > 0):  # Dask may not know the size
        said = "" if channel_axis is None else f" and channel_axis={channel_axis}"
        meanings = MEANINGS if ndim == 2 else VOLUMES
        raise ValueError(f"frames must have the shape {meanings}, got {frames.shape}{said}")
    if frames.dtype.kind not in "biuf":
        raise TypeError(f"frames must be real numbers, got dtype {frames.dtype}")
    given = frames.shape
    if channel_axis is not None:
        frames = np.moveaxis(frames, _axis(channel_axis, frames.ndim), -1 - ndim)
        frames = np.ascontiguousarray(frames) if isinstance(frames, np.ndarray) else frames
    if frames.ndim == ndim or (frames.ndim == ndim + 1 and channel_axis is not None):
        frames = frames[None]
    if ndim == 2:
        _refuse_narrow(frames.shape, given, channel_axis)
    dtype = np.float32 if frames.dtype.newbyteorder("=") == np.float32 else np.float64
    return frames.astype(dtype, copy=False)


def image_axis(channel_axis: int | None, frames: int, ndim: int = 2) -> int | None:
    """Where the image has its channels; None if it needs no move.

    Parameters
    ----------
    channel_axis : int or None
        Of the frames.
    frames, ndim : int
        Number of axes of the frames, and of an image without channels.
    """
    if channel_axis is None:
        return None
    axis = _axis(channel_axis, frames)
    return max(axis - 1, 0) if frames == ndim + 2 else axis


def inward(image: Any, axis: int | None) -> Any:
    """The image of a user with its channels first."""
    return image if axis is None else np.moveaxis(image, axis, 0)


def outward(image: Any, axis: int | None) -> Any:
    """An image whose channels come first as the user has them."""
    return image if axis is None else np.moveaxis(image, 0, axis)


def weight_maps(
    weights: Any, frames: tuple[int, ...], axis: int | None, ndim: int = 2
) -> list[Any]:
    """A number, or a map of an image's `ndim` axes with or without channels, for each frame.

    Parameters
    ----------
    weights : array_like or sequence of (float or array_like)
        One for each frame; a single frame's map may stand for itself.
    frames : tuple of int
        Shape of the stacked frames.
    axis : int or None
        Where maps that have channels have these.

    Raises
    ------
    ValueError
        If there are more or fewer, or one is neither a number nor such a map.
    """
    count, *frame = frames
    alone = [weights] if count == 1 and _is_map(weights, tuple(frame), axis, ndim) else weights
    given = arguments.sequence("weights", alone, "numbers or arrays")
    if len(given) != count:
        advice = f"; for one map of all frames give [map] * {count}" if _shape(weights) else ""
        raise ValueError(f"{count} frames, but {len(given)} weights{advice}")
    plane, whole = tuple(frame[-ndim:]), outward_shape(frame, axis)
    chosen = []
    for number, weight in enumerate(given):
        shape = _shape(weight)
        if shape not in ((), plane, whole):
            maps = f"{plane}" if len(frame) == ndim else f"{plane} or {whole}"
            raise ValueError(
                f"weights of shape {shape}, those of frame {number}, do not fit frames of {whole}; "
                f"give a number or a map of {maps}"
            )
        if len(shape) > ndim:
            weight = inward(weight if hasattr(weight, "shape") else np.asarray(weight), axis)
        chosen.append(weight)
    return chosen


def outward_shape(shape: Sequence[int], axis: int | None) -> tuple[int, ...]:
    """The shape of an image whose channels come first as the user has them."""
    first, *rest = shape
    return tuple(shape) if axis is None else (*rest[:axis], first, *rest[axis:])


def same_shape(frames: Any) -> None:
    """Refuse a list of images of different shapes."""
    if isinstance(frames, list | tuple):
        shapes = [frame.shape for frame in frames if hasattr(frame, "shape")]
        if len(shapes) == len(frames) and len(set(shapes)) > 1:
            first, other = sorted(set(shapes), key=shapes.index)[:2]
            raise ValueError(
                f"frames must all have one shape, frame 0 has {first}, frame "
                f"{shapes.index(other)} has {other}"
            )


def _axis(channel_axis: Any, ndim: int) -> int:
    axis = arguments.integer("channel_axis", channel_axis)
    if not -ndim <= axis < ndim:
        raise ValueError(f"channel_axis {axis} is no axis of frames with {ndim} dimensions")
    return axis % ndim


def _refuse_narrow(stack: Sequence[int], given: Sequence[int], channel_axis: int | None) -> None:
    """Refuse images of few columns and many rows, or the reverse, which look like channels.

    A single image may be a strip, and frames of one channel, whose axis is given.
    """
    m0, m1 = stack[-2:]
    narrow = (m1 <= FEW and m0 >= MANY) or (1 < m0 <= FEW and m1 >= MANY)
    if not narrow or len(given) == 2:
        return
    if channel_axis is not None and not stack[1] > min(m0, m1):
        return
    if m1 == 1 and stack[0] < MANY:  # lines, frame by frame
        return
    axis = -1 if m1 <= FEW else -2
    remedy = f"give channel_axis={axis}" if channel_axis != axis else "give the right channel_axis"
    raise ValueError(
        f"frames of shape {tuple(given)} would be {stack[0]} "
        f"image{'s' if stack[0] > 1 else ''} of {m0} x {m1} pixels; if {given[axis]} is the number "
        f"of channels, {remedy}; if they are strips, frames[:, None] with channel_axis=1"
    )


def _is_map(weights: Any, frame: tuple[int, ...], axis: int | None, ndim: int) -> bool:
    """Whether weights are the map of a single frame, not a sequence that holds it."""
    shape = _shape(weights)
    if ndim == 1 == len(shape):  # it may be the number of the only line
        return shape == frame[-1:]
    return len(shape) == ndim or shape == outward_shape(frame, axis)


def _shape(value: Any) -> tuple[int, ...]:
    """The shape, which of a ragged sequence is its length."""
    if hasattr(value, "shape"):
        return tuple(value.shape)
    try:
        return np.shape(value)
    except ValueError:
        return (len(value),)
