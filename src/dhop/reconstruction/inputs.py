"""Frames, weights and first guesses as arrays."""

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.frames import layouts, observations
from dhop.frames.masks import each_weight
from dhop.operators.base import dense
from dhop.operators.checks import frame_weight
from dhop.runtime import arguments

Array = NDArray[Any]
Path: TypeAlias = str | os.PathLike[str]
Frames: TypeAlias = ArrayLike | Sequence[ArrayLike] | Path | Sequence[Path]
Moves: TypeAlias = Literal["estimate", "refine"]
Weights: TypeAlias = ArrayLike | Sequence[ArrayLike] | Literal["finite"]


def is_chunked(frames: Any) -> bool:
    """Whether frames are a Dask array, or in a Zarr store: a folder, an archive or elsewhere."""
    if not isinstance(frames, str | os.PathLike):
        return hasattr(frames, "__dask_graph__")
    path = os.fspath(frames)
    return "://" in path or path.lower().endswith((".zarr", ".zip")) or os.path.isdir(path)


def read(frames: Any, channel_axis: int | None) -> tuple[Array, int | None]:
    """Frames, or the images of paths, as an array; and the axis of the channels."""
    paths = [frames] if isinstance(frames, str | os.PathLike) else frames
    if not isinstance(paths, list | tuple) or not any(
        isinstance(path, str | os.PathLike) for path in paths
    ):
        layouts.same_shape(frames)
        return np.asarray(dense(frames, "frames")), channel_axis
    if not all(isinstance(path, str | os.PathLike) for path in paths):
        raise TypeError("frames must be arrays or paths, not some of both")
    from dhop import images, io  # not needed for arrays

    missing = [path for path in map(pathlib.Path, paths) if not io.file_of(path).is_file()]
    if missing:
        raise FileNotFoundError(f"frames: there is no file {str(missing[0])!r}")
    pixels = [images.imread(path) for path in paths]
    layouts.same_shape(pixels)
    array = pixels[0] if paths is not frames else np.stack(pixels)
    colours = pixels[0].ndim == 3
    if channel_axis not in ((None, -1, array.ndim - 1) if colours else (None,)):
        raise ValueError(
            f"channel_axis must be -1 or left out for images that are read, whose colours come "
            f"last, got {channel_axis}"
        )
    return array, -1 if colours else None


def weight_arrays(
    weights: Weights | None, stack: Array, axis: int | None, ndim: int
) -> list[Array] | None:
    """A number or a map of the shape of a frame, for each."""
    if weights is None:
        return None
    if isinstance(weights, str):
        arguments.choice("weights", weights, ("finite",))
        return list(np.isfinite(stack).astype(np.float64))
    given = [
        frame_weight(each, number)
        for number, each in enumerate(layouts.weight_maps(weights, stack.shape, axis, ndim))
    ]
    return [w if w.ndim == 0 else np.broadcast_to(w, stack.shape[1:]) for w in given]


def finite_where_weighted(stack: Array, weights: list[Array] | None) -> Iterator[bool]:
    for frame, weight in zip(stack, each_weight(weights, len(stack)), strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            quickly = np.isfinite(frame.sum())  # a finite sum is one of finite numbers
        yield bool(quickly or (np.isfinite(frame) | (weight == 0)).all())


def first_guess(x0: ArrayLike, A: Any, axis: int | None) -> Array:
    given = dense(x0, "x0")
    image = layouts.inward(given, axis) if given.ndim == len(A.dims) else given
    if image.shape != A.dims or image.dtype.kind == "c" or not np.isfinite(image).all():
        shape = layouts.outward_shape(A.dims, axis)
        raise ValueError(f"x0 must be real, finite and of shape {shape}")
    return image.reshape(-1)


def asked_shifts(shifts: Any, count: int, ndim: int) -> tuple[Any, bool]:
    """The shifts, or "estimate", and whether they are to be refined."""
    if isinstance(shifts, str):
        kind = arguments.choice("shifts", shifts, get_args(Moves))
        return ("estimate" if kind == "estimate" else np.zeros((count, ndim))), True
    if isinstance(shifts, tuple) and len(shifts) == 2 and isinstance(shifts[0], str):
        arguments.choice("shifts[0]", shifts[0], ("refine",))
        return observations.checked_shifts(shifts[1], count, ndim), True
    return observations.checked_shifts(shifts, count, ndim), False
