"""Frames, masks, weights and shifts of ``dhop superres``, from files."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop import images, io
from dhop.cli.terminal import Bar
from dhop.io import npy
from dhop.io.reading import require_file

Array = NDArray[Any]


def read_frames(
    paths: list[Path],
    bar: Bar,
    frames_axis: int | None = None,
    channel_axis: int | None = None,
    hdu: str | None = None,
    ndim: int = 2,
) -> tuple[Array, list[io.Original]]:
    """Frames of shape (F, rows, columns) or (F, channels, rows, columns), one or more of a file.

    Lines and volumes have an axis less or more.

    What float32 holds without loss is computed with in float32, in half the memory. And what each
    file says besides.
    """
    found: list[Array] = []
    originals: list[io.Original] = []
    for number, path in enumerate(paths, 1):
        pixels, original = images.load(
            path,
            hdu,
            frames_axis=frames_axis,
            channel_axis=channel_axis,
            compact=True,
            ndim=ndim,
        )
        frames = pixels if frames_axis is not None else pixels[np.newaxis]
        if found and frames.shape[1:] != found[0].shape[1:]:
            raise ValueError(
                f"{path} is {frames.shape[1:]}, but {paths[0]} is {found[0].shape[1:]}"
            )
        found.append(frames)
        originals.append(original)
        bar(number, len(paths))
    scaled = [original.white is not None for original in originals]
    if len({*scaled}) > 1:
        raise ValueError(
            f"{paths[scaled.index(True)]} has a white, which is 1, and "
            f"{paths[scaled.index(False)]} has numbers without one; take frames of one kind"
        )
    stack = found[0] if len(found) == 1 else np.concatenate(found)
    return np.moveaxis(stack, -1, 1) if stack.ndim == ndim + 2 else stack, originals


def read_truth(
    path: Path,
    stack: Array,
    factors: Sequence[int],
    channel_axis: int | None = None,
    hdu: str | None = None,
) -> Array:
    """The image to compare with, of the shape of the result; its file is read as the frames are."""
    part = hdu if io.FORMATS.get(io.ending(io.file_of(path))) is io.FITS else None
    ndim = len(factors)
    pixels, _ = images.load(path, part, channel_axis=channel_axis, ndim=ndim)
    image = np.moveaxis(pixels, -1, 0) if pixels.ndim == ndim + 1 else pixels
    sizes = [size * each for size, each in zip(stack.shape[-ndim:], factors, strict=True)]
    shape = *stack.shape[1:-ndim], *sizes
    if image.shape != shape:
        raise ValueError(f"{path} is {image.shape}, but the result will be {shape}")
    return image


def read_background(
    path: Path,
    stack: Array,
    frames_axis: int | None = None,
    channel_axis: int | None = None,
    ndim: int = 2,
) -> Array:
    """The numbers of an image, for all frames or one for each, of the shape of the frames."""
    axes = [frames_axis] if frames_axis is None else [frames_axis, None]
    for axis in axes:
        try:
            pixels, original = images.load(
                path, frames_axis=axis, channel_axis=channel_axis, ndim=ndim
            )
            break
        except ValueError:  # of one image for all frames, if it has no axis of frames
            if axis is axes[-1]:
                raise
    spare = pixels.ndim - ndim - (axis is not None)
    array = np.moveaxis(pixels, -1, -ndim - 1) if spare else pixels
    if array.shape[-ndim:] != stack.shape[-ndim:]:
        raise ValueError(f"{path} is {array.shape[-ndim:]}, but a frame is {stack.shape[-ndim:]}")
    if stack.ndim == ndim + 2 and not spare:  # all channels alike
        array = np.expand_dims(array, -ndim - 1)
    try:
        whole = np.broadcast_to(array, stack.shape)
    except ValueError:
        raise ValueError(
            f"{path} is of shape {array.shape}, which is that of no background of frames of shape "
            f"{stack.shape}"
        ) from None
    return np.asarray(whole * (original.white or 1))


def read_weights(
    texts: list[str], masks: list[str], stack: Array, frames_axis: int | None = None, ndim: int = 2
) -> list[Any] | None:
    """A number or a map for each frame, zero where a mask is set; None if there is neither."""
    weights = _weights(texts, stack, frames_axis, ndim)
    good = _good(masks, stack, frames_axis, ndim)
    if good is None:
        return weights
    return [
        frame * weight for frame, weight in zip(good, weights or [1.0] * len(good), strict=True)
    ]


def read_shifts(path: Path, ndim: int = 2) -> Array:
    """A table of a column for each axis, as text or .npy."""
    numbers = ("one number", "two numbers", "three numbers")[ndim - 1]
    if path.suffix.lower() == ".npy":
        return npy.load(path)
    require_file(path)
    try:
        lines = path.read_text().replace(",", " ").splitlines()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return np.loadtxt(lines, ndmin=2)
    except UserWarning:  # of NumPy, that there is nothing in it
        raise ValueError(f"{path} has no shifts, which are {numbers} a line") from None
    except ValueError as error:
        raise ValueError(f"{path} must have {numbers} a line: {error}") from None


def _names_a_file(path: Path) -> bool:
    """Whether a text names a file: one that is there, or would be read if it were."""
    return io.file_of(path).is_file() or io.ending(io.file_of(path)) in io.FORMATS


def _weights(
    texts: list[str], stack: Array, frames_axis: int | None, ndim: int
) -> list[Any] | None:
    if not texts:
        return None
    paths = [Path(text) for text in texts]
    if any(_names_a_file(path) for path in paths):
        found = [images.load_weights(path, frames_axis, ndim) for path in paths]
        maps = _for_each_frame("weights", paths, found, stack, ndim)
        # A map is of the shape of its frame, all channels alike.
        return [np.broadcast_to(weight, stack.shape[1:]) for weight in maps]
    try:
        numbers = [float(part) for text in texts for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"cannot read the weights {','.join(texts)!r}; write them as 1,0.5,2, or name images"
        ) from None
    if len(numbers) != len(stack):
        raise ValueError(f"{len(stack)} frames, but {len(numbers)} weights")
    return numbers


def _good(masks: list[str], stack: Array, frames_axis: int | None, ndim: int) -> Array | None:
    """Where no mask is set; None if there is none."""
    finite = np.isfinite(stack)
    paths = [Path(name) for name in masks if name != "finite"]
    good = finite if len(paths) < len(masks) else np.ones(stack.shape, bool)
    if paths:
        marked = [images.load_mask(path, frames_axis, ndim) for path in paths]
        maps = _for_each_frame("masks", paths, marked, stack, ndim)
        for frame, bad in zip(good, maps, strict=True):
            frame &= ~bad
    if not good.any():
        raise ValueError("the masks leave no pixel of any frame")
    if (good & ~finite).any():
        raise ValueError("frames have NaN or infinite pixels; --mask finite leaves those out")
    return good if masks else None


def _for_each_frame(
    what: str, paths: list[Path], maps: list[Array], stack: Array, ndim: int
) -> list[Array]:
    """A map for each frame, of as many files, of one for all, or of one with all."""
    size = stack.shape[-ndim:]
    count = sum(math.prod(each.shape[:-ndim]) for each in maps)
    if count not in (1, len(stack)):
        raise ValueError(f"{len(stack)} frames, but {count} {what}; give one, or one for each")
    for path, each in zip(paths, maps, strict=True):
        if each.shape[-ndim:] != size:
            raise ValueError(f"{path} is {each.shape[-ndim:]}, but a frame is {size}")
    found = [one for each in maps for one in each.reshape(-1, *size)]
    return found * len(stack) if count == 1 else found
