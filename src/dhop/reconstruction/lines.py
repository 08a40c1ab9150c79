"""Lines, such as spectra, as images of one row."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.frames import layouts, motions, observations
from dhop.model.boundary import BOUNDARIES, BOUNDARY_NAMES, BOUNDARY_NOTE
from dhop.psf.field import Field
from dhop.reconstruction.history import Step
from dhop.runtime import arguments

Array = NDArray[Any]


def as_images(frames: Array, channel_axis: int | None, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `dhop.super_resolve` for lines as those for images of one row."""
    stack = layouts.stacked(frames, channel_axis, 1).shape
    axis = layouts.image_axis(channel_axis, frames.ndim, 1)
    if channel_axis is not None:
        frames = np.moveaxis(frames, channel_axis, -2)
    rule = arguments.choices(
        "boundary", given["boundary"], 1, BOUNDARIES, BOUNDARY_NAMES, BOUNDARY_NOTE
    )
    target = given["target"]
    center, dims, x0, background = (given[key] for key in ("center", "dims", "x0", "background"))
    return given | {
        "frames": _row(frames),
        "psf": _blur(given["psf"]),
        "factor": (1, *arguments.integers("factor", given["factor"], 1)),
        "channel_axis": None if axis is None else -3,
        "center": None if center is None else (0, *arguments.integers("center", center, 1)),
        "shifts": _shifts(given["shifts"], stack[0]),
        "motion": _motion(given["motion"], stack[0], stack[-1:]),
        "weights": _weights(given["weights"], stack, axis),
        "regulariser": _regulariser(given["regulariser"]),
        "boundary": ("symmetric", *rule),  # the rows beyond are copies of the row
        "dims": None if dims is None else (1, *arguments.integers("dims", dims, 1)),
        "background": _background(background, stack, axis),
        "target": None if target is None else _row(arguments.psf_array(target, "target", most=3)),
        "x0": None if x0 is None else _row(layouts.inward(np.asarray(x0), axis)),
        "callback": _callback(given["callback"], axis),
        "denoiser": _denoiser(given["denoiser"], axis),
    }


def as_line(image: Array, axis: int | None) -> Array:
    """The image of one row as a line, with its channels on the user's axis."""
    return np.asarray(layouts.outward(image[..., 0, :], axis))


def _row(lines: Array) -> Array:
    return lines[..., None, :]


def _blur(psf: Any) -> Array | Field:
    if isinstance(psf, Field):
        return Field(psf.stamps[None, :, None], ([0], *psf.positions))
    return _row(np.asarray(psf))


def _shifts(shifts: Any, count: int) -> Any:
    if isinstance(shifts, str | tuple):
        raise ValueError("shifts of lines cannot be estimated; give a number for each frame")
    if shifts is None:
        return None
    given = np.shape(shifts)
    if len(given) > 1 and given[1:] != (1,):
        raise ValueError(
            "shifts must be one number for each frame, as the psf has one axis and frames are "
            f"lines; got the shape {given}"
        )
    moves = observations.checked_shifts(np.reshape(shifts, (-1, 1)), count, 1)
    return np.column_stack([np.zeros(len(moves)), moves])


def _motion(motion: Any, count: int, shape: tuple[int, ...]) -> list[Any] | None:
    if isinstance(motion, str):
        raise ValueError("the motion of lines cannot be estimated; give 2 x 2 matrices")
    if motion is None:
        return None
    checked = motions.checked_motions(motion, count, shape)
    return [_row_motion(each) for each in checked]


def _row_motion(motion: Any) -> Any:
    """The motion of a line as that of a row."""
    if callable(motion):
        return lambda rows, columns: (rows, motions.positions(motion, columns)[0])
    if not motions.is_matrix(motion):
        return np.stack([np.where(np.isnan(motion), np.nan, 0), motion])
    matrix = np.eye(3)
    matrix[1:, 1:] = motion
    return matrix


def _weights(weights: Any, stack: tuple[int, ...], axis: int | None) -> Any:
    if weights is None or isinstance(weights, str):
        return weights
    maps = layouts.weight_maps(weights, stack, axis, 1)
    return [_row(np.asarray(w)) if np.ndim(w) else w for w in maps]


def _regulariser(regulariser: Any) -> Any:
    """A PSF of one axis as one of a row."""
    return _row(np.asarray(regulariser)) if np.ndim(regulariser) == 1 else regulariser


def _background(background: Any, stack: tuple[int, ...], axis: int | None) -> Any:
    if not np.ndim(background):
        return background
    array = np.asarray(background)
    if axis is not None and array.shape[-2:] == layouts.outward_shape(stack[1:], axis):
        array = np.moveaxis(array, axis - 2, -2)
    return _row(array)


def _callback(callback: Any, axis: int | None) -> Any:
    """The callback, given lines."""
    if not callable(callback):
        return callback

    def called(step: Step) -> Any:
        image = None if step.image is None else as_line(step.image, axis)
        return callback(replace(step, image=image))

    return called


def _denoiser(denoiser: Any, axis: int | None) -> Any:
    """The denoiser of lines as one of images of one row."""
    if not callable(denoiser):
        return denoiser

    def called(image: Array, level: float) -> Array:
        return _row(layouts.inward(np.asarray(denoiser(as_line(image, axis), level)), axis))

    return called
