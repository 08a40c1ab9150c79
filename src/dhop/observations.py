"""Arguments of super-resolution that frames in memory and frames in chunks share."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop import arguments
from dhop.shifting import shift

Operator = TypeVar("Operator")

ROUNDING = 1e-12  # of a sum of one
NO_SUM = 1e-3  # of the sum of absolute values


def stacked(frames: Any) -> Any:
    """Frames as (F, m0, m1) or (F, C, m0, m1) array of the precision to compute in.

    Parameters
    ----------
    frames : ndarray or dask.array.Array
    """
    if frames.ndim not in (2, 3, 4) or not frames.size > 0:  # Dask may not know the size
        raise ValueError(
            "frames must have the shape (m0, m1), (F, m0, m1) or (F, C, m0, m1), "
            f"got {frames.shape}"
        )
    if frames.dtype.kind not in "biuf":
        raise TypeError(f"frames must be real numbers, got dtype {frames.dtype}")
    dtype = np.float32 if frames.dtype.newbyteorder("=") == np.float32 else np.float64
    return (frames[None] if frames.ndim == 2 else frames).astype(dtype, copy=False)


def scene_dims(
    frames: tuple[int, ...], factor: int | Sequence[int], dims: Sequence[int] | None
) -> tuple[int, ...]:
    """Shape of the image behind stacked frames of a shape."""
    _, *channels, m0, m1 = frames
    by_row, by_column = _steps(factor)
    if dims is not None:
        return (*channels, *arguments.shape("dims", dims)[-2:])
    return (*channels, m0 * by_row, m1 * by_column)


def checked_shifts(shifts: ArrayLike | None, count: int) -> NDArray[np.float64]:
    """A pair of finite numbers for each frame, zeros by default."""
    moves = np.zeros((count, 2)) if shifts is None else arguments.numbers("shifts", shifts)
    fit = moves.shape == (count, 2) and moves.dtype.kind != "c"
    if not (fit and np.isfinite(moves).all()):
        raise ValueError(f"shifts must be {count} pairs of finite numbers, got {shifts!r}")
    return moves.astype(np.float64)


def frame_operators(
    make: Callable[[Any, Any], Operator],
    psf: Any,
    shifts: NDArray[np.float64],
    factor: int | Sequence[int],
    frame: tuple[int, ...],
) -> list[Operator]:
    """The operator of each frame; frames that see the same way share theirs.

    Parameters
    ----------
    make : callable
        Gives the operator of a PSF and its center.
    psf : ndarray or list of ndarray
        What `blurs` returns.
    shifts : ndarray, shape (F, 2)
        In low-resolution pixels.
    factor : int or (int, int)
    frame : tuple of int
        Shape of a frame, for which the operators must give it.
    """
    steps = _steps(factor)
    made: dict[tuple[float, ...], Any] = {}
    operators = []
    blurs_of_frames = psf if isinstance(psf, list) else [psf] * len(shifts)
    for move, blur in zip(shifts, blurs_of_frames, strict=True):
        key = (id(blur), *move)
        if key not in made:
            made[key] = make(*shift(blur, move * steps))
        operators.append(made[key])
    A = operators[0]
    if A.dimsd != frame:
        raise ValueError(f"an image of shape {A.dims} gives frames of {A.dimsd}, not {frame}")
    return operators


def blurs(psf: Any, count: int) -> Any:
    """The PSF of all frames, or a list of those of each, of sum one.

    A blur that changes the brightness of the image would be brightness of the frames that the image
    does not have. Only a PSF whose sum is nothing in comparison with its values, as that of a radio
    interferometer, stays as it is.
    """
    listed = isinstance(psf, list | tuple) or (isinstance(psf, np.ndarray) and psf.ndim)
    several = listed and len(psf) and np.ndim(psf[0]) == 2
    if several and len(psf) != count:
        raise ValueError(f"{count} frames, but {len(psf)} psfs")
    if not several:
        return _normalised(psf)
    known = {id(each): _normalised(each) for each in psf}
    return [known[id(each)] for each in psf]


def _normalised(psf: Any) -> NDArray[Any]:
    array = arguments.psf_array(psf)
    with np.errstate(over="ignore"):
        total, size = array.sum(), np.abs(array).sum()
    if not np.isfinite(size):
        raise ValueError("the sum of the psf overflows; scale it down")
    if abs(total - 1) <= ROUNDING * size or abs(total) < NO_SUM * size or size == 0:
        return array
    return np.asarray(array / total)


def centred(psf: NDArray[Any], side: int) -> NDArray[Any]:
    """The PSF in the middle of an array of more than twice `side` pixels, which it fits into."""
    placed = np.zeros((2 * side + 1,) * 2, psf.dtype)
    first, second = (side - (K - 1) // 2 for K in psf.shape)
    placed[first : first + psf.shape[0], second : second + psf.shape[1]] = psf
    return placed


def _steps(factor: int | Sequence[int]) -> tuple[int, int]:
    return arguments.both("factor", factor, arguments.positive, "integer")


def per_frame(weights: Any, count: int) -> list[Any]:
    """A weight for each frame."""
    given = arguments.sequence("weights", weights, "numbers or arrays")
    if len(given) != count:
        raise ValueError(f"{count} frames, but {len(given)} weights")
    return given


def check_settings(
    maxiter: int, rtol: float, nonnegative: bool, callback: Any, progress: Any
) -> None:
    """Refuse what cannot steer the iterations."""
    arguments.positive("maxiter", maxiter)
    if arguments.real("rtol", rtol) < 0:
        raise ValueError(f"rtol must not be negative, got {rtol!r}")
    if not isinstance(nonnegative, bool | np.bool_):
        raise TypeError(f"nonnegative must be True or False, got {nonnegative!r}")
    bar = None if progress is True else progress
    for name, function in ("callback", callback), ("progress", bar):
        if not (function is None or callable(function)):
            raise TypeError(f"{name} must be callable, got {function!r}")
