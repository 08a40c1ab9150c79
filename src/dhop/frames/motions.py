"""Motions: where the pixels of a frame lie in frame 0, and so in the scene.

Frames are lines, images or volumes. Positions are those of centres of pixels, in low-resolution
pixels: a column, row and column, or plane, row and column. Pixel `i` of a frame covers pixels
``factor * i`` to ``factor * (i + 1)`` of a scene along an axis, whose centre is at
``factor * i + (factor - 1) / 2``; where the decimation samples, it is pixel ``factor * i``.
"""

from collections.abc import Callable, Sequence
from itertools import product
from math import ceil
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from dhop.model.decimation import Decimation
from dhop.runtime import arguments

Array = NDArray[Any]
Motion: TypeAlias = ArrayLike | Callable[..., Any]


def checked_motions(motion: Any, count: int, shape: tuple[int, ...]) -> list[Any]:
    """A matrix, an array of positions or a callable for each of `count` frames of a shape.

    Positions may be NaN, of pixels that are nowhere in frame 0; such have no weight.
    """
    if isinstance(motion, str):
        raise ValueError(f"motion={motion!r}: give one for each frame; super_resolve finds them")
    given = arguments.sequence("motion", motion, "matrices, arrays of positions or callables")
    if len(given) != count:
        raise ValueError(f"{count} frames, but {len(given)} motions")
    return [each if callable(each) else _array(each, k, shape) for k, each in enumerate(given)]


def _array(motion: Any, number: int, shape: tuple[int, ...]) -> Array:
    array = arguments.numbers("each of motion", motion)
    side = len(shape) + 1
    if array.shape not in ((side, side), (len(shape), *shape)) or array.dtype.kind == "c":
        raise ValueError(
            f"the motion of frame {number} must be a real {side} x {side} matrix or positions of "
            f"shape {(len(shape), *shape)}, got {array.shape}"
        )
    if not is_matrix(array):
        found = ~np.isnan(array).any(axis=0)
        if np.isinf(array).any() or not found.any():
            raise ValueError(
                f"the motion of frame {number} must be finite, or NaN where pixels are nowhere in "
                "frame 0, but not everywhere"
            )
        return np.where(found, array, np.nan)
    if not np.isfinite(array).all():
        raise ValueError(f"the motion of frame {number} must be finite")
    corners = [[*corner, 1] for corner in product(*((0, m - 1) for m in shape))]
    sides = np.array(corners) @ array[-1]
    if not ((sides > 0).all() or (sides < 0).all()):
        raise ValueError(f"the motion of frame {number} has its horizon in the frame")
    return array.astype(np.float64)


def is_matrix(motion: Any) -> bool:
    """Whether a motion is that, and neither positions nor a callable."""
    return not callable(motion) and motion.ndim == 2 and motion.shape[0] == motion.shape[1] > 1


def of_shift(shift: Array) -> Array:
    """The matrix of a frame in which the scene appears `shift` further down and to the right."""
    matrix = np.eye(len(shift) + 1)
    matrix[:-1, -1] = -shift
    return matrix


def as_shift(motion: Any) -> Array | None:
    """The shift that a motion is, None if it is more."""
    if not is_matrix(motion):
        return None
    matrix = motion / motion[-1, -1] if motion[-1, -1] else motion
    still = np.eye(len(matrix))[:, :-1]
    alone = np.array_equal(matrix[:, :-1], still) and matrix[-1, -1] == 1
    return np.asarray(-matrix[:-1, -1]) if alone else None


def as_shifts(given: Sequence[Any], shape: tuple[int, ...]) -> tuple[Array, bool]:
    """The shifts that checked motions are, or those of their centres; whether they are no more."""
    shifts = [as_shift(each) for each in given]
    if all(shift is not None for shift in shifts):
        return np.array(shifts), True
    middle = (0.5,) * len(shape)
    return np.array([displacement(each, shape, middle) for each in given]), False


def positions(motion: Any, *places: Array) -> Array:
    """Where some positions in a frame lie in frame 0, of a matrix or a callable."""
    if callable(motion):
        given = motion(*places)
        given = [given] if len(places) == 1 else given
        found = np.stack(np.broadcast_arrays(*given)).astype(np.float64)
        if found.shape != (len(places), *places[0].shape) or not np.isfinite(found).all():
            raise ValueError(
                "a motion must return finite positions of shape "
                f"{(len(places), *places[0].shape)}, got an array of {found.shape}"
            )
        return found
    *along, w = (
        sum(a * place for a, place in zip(steps, places, strict=True)) + start
        for *steps, start in motion
    )
    return np.stack([each / w for each in along])


def crossings(motion: Any, lines: Sequence[Array]) -> Array:
    """Where the pixels at the crossings of some lines along each axis of a frame lie in frame 0."""
    if not callable(motion) and not is_matrix(motion):
        return np.stack([places[np.ix_(*lines)] for places in completed(motion)])
    return positions(motion, *np.meshgrid(*(line.astype(float) for line in lines), indexing="ij"))


def centres(motion: Any, shape: tuple[int, ...]) -> Array:
    """Where the pixels of a frame lie in frame 0."""
    if not callable(motion) and not is_matrix(motion):
        return np.asarray(motion)  # NaN of pixels that are nowhere
    return positions(motion, *np.indices(shape, np.float64))


def completed(places: Array) -> Array:
    """Positions with those that are NaN extrapolated smoothly.

    By an affine map that is fitted to the others, plus its error at the nearest of these.
    """
    unknown = np.isnan(places[0])
    if not unknown.any():
        return places
    from scipy.ndimage import distance_transform_edt

    grid = np.stack([*np.indices(unknown.shape), np.ones(unknown.shape)])
    matrix = np.linalg.lstsq(grid[:, ~unknown].T, places[:, ~unknown].T)[0].T
    smooth = np.tensordot(matrix, grid, 1)
    nearest = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    return smooth + (places - smooth)[:, *nearest]


def displacement(motion: Any, shape: tuple[int, ...], place: Sequence[float]) -> Array:
    """How far the scene has moved, as shifts say it, at a place in a frame between 0 and 1."""
    at = np.array([p * (m - 1) for p, m in zip(place, shape, strict=True)])
    if callable(motion) or is_matrix(motion):
        found = positions(motion, *at[:, None])[:, 0]
    else:
        at = np.rint(at)
        found = completed(motion)[:, *at.astype(int)]
    return np.asarray(at - found)


def cut(
    motion: Any,
    first: tuple[int, ...],
    size: tuple[int, ...],
    origin: tuple[float, ...] | None = None,
) -> Any:
    """The motion of a part of a frame in a part of frame 0, which begins at `origin`.

    By default that is the same part.
    """
    there = first if origin is None else origin
    if callable(motion):

        def moved(*places: Array) -> Array:
            inside = (place + begin for place, begin in zip(places, first, strict=True))
            found = positions(motion, *inside)
            return found - np.reshape(there, (-1, *(1,) * places[0].ndim))

        return moved
    if is_matrix(motion):
        into, onto = (of_shift(-np.array(each, np.float64)) for each in (first, there))
        return np.linalg.inv(onto) @ motion @ into
    part = (slice(b, b + n) for b, n in zip(first, size, strict=True))
    return completed(motion)[:, *part] - np.reshape(there, (-1, *(1,) * len(first)))


class Grid(NamedTuple):
    """The fine grid of a frame: all that its pixels cover through the PSF.

    Attributes
    ----------
    shape : tuple of int
        Of the frame.
    fine : tuple of int
        Fine pixels in one of the frame.
    factor : tuple of float
        Pixels of the scene in one.
    first, size : tuple of int
        How many fine pixels come before the frame, and how many there are.
    decimation : str
    """

    shape: tuple[int, ...]
    fine: tuple[int, ...]
    factor: tuple[float, ...]
    first: tuple[int, ...]
    size: tuple[int, ...]
    decimation: Decimation

    @classmethod
    def build(
        cls,
        shape: tuple[int, ...],
        factor: tuple[float, ...],
        psf: tuple[int, ...],
        center: tuple[int, ...],
        decimation: Decimation,
    ) -> "Grid":
        """The grid for a PSF of a shape and its center, on fine pixels."""
        fine = fine_factor(factor)
        first = tuple(k - 1 - c for k, c in zip(psf, center, strict=True))
        block = (1,) * len(shape) if decimation == "sample" else fine
        size = (g * (m - 1) + b + k - 1 for g, m, b, k in zip(fine, shape, block, psf, strict=True))
        return cls(shape, fine, factor, first, tuple(size), decimation)

    def coordinates(self, motion: Any) -> Array:
        """Where the fine pixels lie in the scene, as `WarpOperator` takes it."""
        if is_matrix(motion):
            into = self._matrix(self.fine, self.first)
            onto = np.linalg.inv(self._matrix(self.factor, (0,) * len(self.shape)))
            return np.asarray(onto @ motion @ into)
        lines = self.lines()
        if callable(motion):
            found = positions(motion, *np.meshgrid(*lines, indexing="ij"))
        else:
            places = completed(motion)
            found = np.stack([_between(each, lines, axis) for axis, each in enumerate(places)])
        return self.in_scene(found)

    def lines(self) -> list[Array]:
        """Places of the fine pixels in the frame, along each axis."""
        into = self._matrix(self.fine, self.first)
        return [into[k, k] * np.arange(n) + into[k, -1] for k, n in enumerate(self.size)]

    def seen(
        self, motion: Any, scene: tuple[int, ...], inside: Sequence[float] | float = 0.0
    ) -> NDArray[np.bool_]:
        """Which pixels of the frame have their centres on the scene, or so many of its inside."""
        found = self.in_scene(centres(motion, self.shape))
        axes = -1, *(1,) * len(self.shape)
        least = np.reshape(np.broadcast_to(inside, len(scene)), axes) - 0.5
        most = np.reshape(scene, axes) - 1 - least
        return np.asarray(((found >= least) & (found <= most)).all(axis=0))

    def weight_density(
        self, motion: Any, block: tuple[int, ...], shape: Sequence[int], weights: Array
    ) -> Array:
        """The weights of the frame in each block of the scene, averaged with those around it.

        Parameters
        ----------
        motion
        block : tuple of int
            Pixels of the scene.
        shape : sequence of int
            How many blocks there are.
        weights : ndarray, of shape (B, ...), with the pixels of the frame

        Returns
        -------
        ndarray, of shape (B, *shape)
            Averaged, since one block may have two pixels and the next none.
        """
        found = self.in_scene(centres(motion, self.shape))
        ndim = len(self.shape)
        size, count = (np.reshape(each, (-1, *(1,) * ndim)) for each in (block, shape))
        found = np.where(np.isnan(found), -np.inf, found).clip(-size, None)  # NaN is nowhere
        numbers = np.floor((found + 0.5) / size).astype(int) + 1
        on = ((numbers > 0) & (numbers <= count)).all(axis=0)
        total = np.zeros((len(weights), *(n + 2 for n in shape)))
        for own, weight in zip(total, weights, strict=True):
            np.add.at(own, tuple(numbers[:, on]), weight[on])
        axes = tuple(range(-ndim, 0))
        windows = sliding_window_view(total, (3,) * ndim, tuple(range(1, ndim + 1)))
        return np.asarray(windows.mean(axis=axes))

    def in_scene(self, positions: Array) -> Array:
        """Positions in frame 0 as those in the scene."""
        onto = np.linalg.inv(self._matrix(self.factor, (0,) * len(self.shape)))
        steps, starts = (
            each[:-1].reshape(-1, *(1,) * len(self.shape))
            for each in (onto.diagonal(), onto[:, -1])
        )
        return positions * steps + starts

    def _matrix(self, factor: Sequence[float], first: Sequence[int]) -> Array:
        """From pixels of which `factor` are one of a frame to these, from `first` on."""
        matrix = np.eye(len(self.shape) + 1)
        for k, (f, s) in enumerate(zip(factor, first, strict=True)):
            middle = 0.0 if self.decimation == "sample" else (f - 1) / 2
            matrix[k, k], matrix[k, -1] = 1 / f, -(s + middle) / f
        return matrix


def fine_factor(factor: Sequence[float]) -> tuple[int, ...]:
    """The whole number of pixels in one of a frame that its blur is computed on."""
    return tuple(map(ceil, factor))


def _between(place: Array, lines: Sequence[Array], axis: int) -> Array:
    """Positions between those of the pixels of a frame, and a little beyond, by cubic splines."""
    from scipy.ndimage import map_coordinates, spline_filter

    at = np.stack(np.meshgrid(*lines, indexing="ij"))
    moved = place - np.indices(place.shape)[axis]
    reach = [
        (max(0, ceil(-line[0])) + 16, max(0, ceil(line[-1]) - m + 1) + 16)
        for line, m in zip(lines, place.shape, strict=True)
    ]
    # Beyond the last pixels as they came, mirrored through these.
    wide = np.pad(moved, reach, mode="reflect", reflect_type="odd")
    smooth = spline_filter(wide, mode="mirror")
    places = at + np.reshape([before for before, _ in reach], (-1, *(1,) * place.ndim))
    return at[axis] + map_coordinates(smooth, places, mode="mirror", prefilter=False)
