"""What frames, weights and first guesses are given as, made into Dask arrays."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.dask import ome
from dhop.dask.frame_operators import ChunkedOperator, centres_on_scene
from dhop.dask.operator import DaskArray, as_dask, da, dask
from dhop.frames import layouts, motions, observations
from dhop.model.decimation import Decimation
from dhop.operators.base import dense
from dhop.reconstruction import solvers
from dhop.reconstruction.requests import background_map
from dhop.registration import MODELS
from dhop.runtime import arguments


def opened(frames: Any) -> DaskArray:
    """Frames as they are, those of a path as the Zarr array there."""
    if isinstance(frames, str | os.PathLike):
        return ome.opened(os.fspath(frames))
    if isinstance(frames, da.Array):
        return frames
    return da.from_array(frames if hasattr(frames, "shape") else dense(frames, "frames"))


def frame_weights(
    weights: Any, stack: DaskArray, axis: int | None, ndim: int
) -> tuple[list[Any], list[float]]:
    """A number or a map for each frame, and the largest number of each."""
    if weights is None:
        return [1.0] * len(stack), [1.0] * len(stack)
    if isinstance(weights, str):
        arguments.choice("weights", weights, ("finite",))
        return list(da.isfinite(stack).astype(stack.dtype)), [1.0] * len(stack)
    maps = layouts.weight_maps(weights, stack.shape, axis, ndim)
    given = [_weight(weight, stack) for weight in maps]
    least, largest = dask.compute([w.min() for w in given], [w.max() for w in given])
    if not all(0 <= low <= high < np.inf for low, high in zip(least, largest, strict=True)):
        raise ValueError("weights must be finite and not negative")
    return [w if w.ndim else float(w) for w in given], [float(high) for high in largest]


def _weight(weight: Any, stack: DaskArray) -> Any:
    weight = weight if isinstance(weight, da.Array) else dense(weight, "each of weights")
    if weight.dtype.kind not in "biuf":
        raise TypeError(f"weights must be real numbers, got dtype {weight.dtype}")
    if weight.ndim == 0:
        return weight
    return da.broadcast_to(da.asarray(weight), stack.shape[1:])


def given_shifts(shifts: Any, count: int, ndim: int) -> tuple[Any, NDArray[np.float64]]:
    """How shifts are to be found, or an array of them or None; and what is known of them."""
    if isinstance(shifts, str):
        return shifts, np.zeros((count, ndim))
    if isinstance(shifts, tuple) and len(shifts) == 2 and isinstance(shifts[0], str):
        return shifts, observations.checked_shifts(shifts[1], count, ndim)
    known = observations.checked_shifts(shifts, count, ndim)
    return (None if shifts is None else known), known


def given_motion(motion: Any, shifts: Any, count: int, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Shifts as far as they are asked for; and motions that are more, their model, or None."""
    if motion is None:
        return shifts, None
    if shifts is not None:
        raise ValueError("give either shifts or motion, not both")
    if isinstance(motion, str):
        arguments.choice("motion", motion, MODELS)
        if len(shape) != 2:
            raise ValueError("only the motion of images can be estimated; give matrices")
        return ("estimate", None) if motion == "shift" else (None, motion)
    given = motions.checked_motions(motion, count, shape)
    found, alone = motions.as_shifts(given, shape)
    return found, None if alone else given


def on_scene(
    weights: Sequence[Any],
    motion: Sequence[Any],
    stack: DaskArray,
    scene: tuple[int, ...],
    factor: tuple[float, ...],
    decimation: Decimation,
) -> list[Any]:
    """Weights without pixels of frames that have moved whose centres do not lie on the scene."""
    ndim = len(factor)
    shape, chunks = stack.shape[-ndim:], stack.chunks[-ndim:]
    grid = motions.Grid.build(shape, factor, (1,) * ndim, (0,) * ndim, decimation)
    found = []
    for weight, each in zip(weights, motion, strict=True):
        seen = centres_on_scene(each, grid, scene, chunks)
        own = weight if seen is True else da.broadcast_to(weight * seen, stack.shape[1:])
        found.append(own)
    return found


def background_of(given: Any, stack: DaskArray, axis: int | None) -> DaskArray:
    """What each pixel of the frames shows of no scene: a number, one map, or one for each frame."""
    array = given if isinstance(given, da.Array) else da.from_array(dense(given, "background"))
    return background_map(array, stack.shape, axis).rechunk(stack.chunks)


class Survey(NamedTuple):
    """What one look at all frames tells.

    Attributes
    ----------
    low, high : float
        Least and largest value of the pixels that have a weight.
    """

    low: float
    high: float

    @classmethod
    def of(cls, stack: DaskArray, weights: Sequence[Any]) -> "Survey":
        """Refuse frames that are not finite where they have a weight, or have none."""
        seen = [da.asarray(w) > 0 for w in weights]
        low = [da.where(on, y, np.inf).min() for on, y in zip(seen, stack, strict=True)]
        high = [da.where(on, y, -np.inf).max() for on, y in zip(seen, stack, strict=True)]
        finite = [(da.isfinite(y) | ~on).all() for on, y in zip(seen, stack, strict=True)]
        lows, highs, finites = dask.compute(low, high, finite)
        if not all(finites):
            raise ValueError(observations.NOT_FINITE)
        if not min(lows) <= max(highs):
            raise ValueError(observations.NOTHING_SEEN)
        return cls(float(min(lows)), float(max(highs)))


def extremes(image: DaskArray) -> NDArray[Any]:
    """The least and the largest value."""
    return np.array(dask.compute(image.min(), image.max()))


def first_guess(x0: Any, A: ChunkedOperator, dtype: np.dtype[Any], axis: int | None) -> DaskArray:
    """The image that iterations begin with."""
    if not hasattr(x0, "shape"):
        x0 = arguments.numbers("x0", x0)
    if x0.ndim == len(A.dims):
        x0 = layouts.inward(x0, axis)
    if x0.shape != A.dims or np.dtype(x0.dtype).kind not in "biuf":
        shape = layouts.outward_shape(A.dims, axis)
        raise ValueError(f"x0 must be real, finite and of shape {shape}")
    array = as_dask(x0, A.chunks)
    if not float(abs(array).max()) <= solvers.LARGEST * float(np.finfo(dtype).max):
        raise ValueError(f"x0 must be finite, and not too large for {dtype}")
    return array.astype(dtype).rechunk(A.chunks)
