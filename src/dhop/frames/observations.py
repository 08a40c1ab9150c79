"""Arguments of super-resolution that are checked alike in memory and in chunks."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.frames.motions import fine_factor
from dhop.model.shifting import shift
from dhop.runtime import arguments

Operator = TypeVar("Operator")

NOT_FINITE = "frames must be finite, they contain NaN or Inf; weights='finite' leaves those out"
NOTHING_SEEN = "weights must not all be zero: no pixel is observed"
PHOTONS_MOVED = 'loss="poisson" takes shifts, no motion or factor that is not whole'


def checked_factor(factor: Any, ndim: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Pixels of the image in one of a frame along each axis, and of the grid that it is blurred on.

    The latter are the next whole numbers, see `dhop.frames.motions.Grid`.
    """
    ratio = arguments.each("factor", factor, ndim, arguments.positive_real)
    fine = fine_factor(ratio)
    if ratio != fine and ndim == 3:
        raise ValueError(f"the factor of a volume must be whole numbers, got {factor!r}")
    return ratio, fine


def scene_dims(
    frames: tuple[int, ...], factor: Sequence[float], dims: Sequence[int] | None
) -> tuple[int, ...]:
    """Shape of the image behind stacked frames of a shape."""
    ndim = len(factor)
    channels, pixels = frames[1:-ndim], frames[-ndim:]
    if dims is not None:
        size = arguments.shape("dims", dims)
        if len(size) != ndim:
            what = "rows and columns" if ndim == 2 else f"{arguments.COUNTS[ndim]} sizes"
            raise ValueError(f"dims must be the {what} of the result, got {size}")
        return (*channels, *size)
    return (*channels, *(round(m * f) for m, f in zip(pixels, factor, strict=True)))


def checked_shifts(shifts: ArrayLike | None, count: int, ndim: int = 2) -> NDArray[np.float64]:
    """A finite number for each axis of each frame, zeros by default."""
    moves = np.zeros((count, ndim)) if shifts is None else arguments.numbers("shifts", shifts)
    fit = moves.shape == (count, ndim) and moves.dtype.kind != "c"
    if not (fit and np.isfinite(moves).all()):
        what = "pairs" if ndim == 2 else f"rows of {arguments.COUNTS[ndim]}"
        found = "NaN or infinity" if fit else f"{moves.dtype} of shape {moves.shape}"
        raise ValueError(f"shifts must be {count} {what} of finite numbers, got {found}")
    return moves.astype(np.float64)


def shifted_operators(
    make: Callable[[Any, Any], Operator],
    psf: Any,
    shifts: NDArray[np.float64],
    factor: tuple[int, ...],
    frame: tuple[int, ...],
) -> list[Operator]:
    """The operator of each frame from a shifted PSF; equal ones are shared.

    Parameters
    ----------
    make : callable
        Gives the operator of a PSF and its center.
    psf : ndarray or list of ndarray, or of fields, which move themselves
        What `dhop.reconstruction.blurs.blurs` returns, not of channels.
    shifts : ndarray, shape (F, 2)
        In low-resolution pixels.
    factor : tuple of int
    frame : tuple of int
        Shape of a frame, for which the operators must give it.
    """
    made: dict[tuple[float, ...], Any] = {}
    operators = []
    for move, blur in zip(shifts, of_each(psf, len(shifts)), strict=True):
        key = (id(blur), *move)
        if key not in made:
            distance = move * factor
            moved = shift(blur, distance) if isinstance(blur, np.ndarray) else blur.moved(distance)
            made[key] = make(*moved)
        operators.append(made[key])
    A = operators[0]
    if A.dimsd != frame:
        raise ValueError(f"an image of shape {A.dims} gives frames of {A.dimsd}, not {frame}")
    return operators


def of_each(psf: Any, count: int) -> list[Any]:
    """The PSF of each frame, from one or one of each."""
    return psf if isinstance(psf, list) else [psf] * count


def check_settings(
    maxiter: int, rtol: float, nonnegative: bool, callback: Any, progress: Any
) -> None:
    """Refuse settings of the iterations that are out of range."""
    arguments.positive("maxiter", maxiter)
    if arguments.real("rtol", rtol) < 0:
        raise ValueError(f"rtol must not be negative, got {rtol!r}")
    if not isinstance(nonnegative, bool | np.bool_):
        raise TypeError(f"nonnegative must be True or False, got {nonnegative!r}")
    bar = None if progress is True else progress
    for name, function in ("callback", callback), ("progress", bar):
        if not (function is None or callable(function)):
            raise TypeError(f"{name} must be callable, got {function!r}")
