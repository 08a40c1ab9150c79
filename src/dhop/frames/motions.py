"""What motions are: where the pixels of a frame lie in frame 0, and so in the scene.

Positions are those of centres of pixels, row and column, in low-resolution pixels. Pixel `i` of a
frame covers pixels ``factor * i`` to ``factor * (i + 1)`` of a scene along an axis, whose centre is
at ``factor * i + (factor - 1) / 2``; where the decimation samples, it is pixel ``factor * i``.
"""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from dhop.model.decimation import Decimation
from dhop.runtime import arguments

Array = NDArray[Any]
Motion: TypeAlias = ArrayLike | Callable[[Array, Array], Any]
Pair: TypeAlias = tuple[float, float]


def checked_motions(motion: Any, count: int, shape: tuple[int, int]) -> list[Any]:
    """A matrix, an array of positions or a callable for each frame.

    Positions may be NaN, of pixels that are nowhere in frame 0; such have no weight.

    Parameters
    ----------
    motion : sequence
    count : int
        How many frames there are.
    shape : (int, int)
        Of a frame.
    """
    if isinstance(motion, str):
        raise ValueError(f"motion={motion!r}: give one for each frame; super_resolve finds them")
    given = arguments.sequence("motion", motion, "matrices, arrays of positions or callables")
    if len(given) != count:
        raise ValueError(f"{count} frames, but {len(given)} motions")
    return [each if callable(each) else _array(each, k, shape) for k, each in enumerate(given)]


def _array(motion: Any, number: int, shape: tuple[int, int]) -> Array:
    array = arguments.numbers("each of motion", motion)
    if array.shape not in ((3, 3), (2, *shape)) or array.dtype.kind == "c":
        raise ValueError(
            f"the motion of frame {number} must be a real 3 x 3 matrix or positions of shape "
            f"{(2, *shape)}, got {array.shape}"
        )
    if array.shape != (3, 3):
        found = ~np.isnan(array).any(axis=0)
        if np.isinf(array).any() or not found.any():
            raise ValueError(
                f"the motion of frame {number} must be finite, or NaN where pixels are nowhere in "
                "frame 0, but not everywhere"
            )
        return np.where(found, array, np.nan)
    if not np.isfinite(array).all():
        raise ValueError(f"the motion of frame {number} must be finite")
    corners = [[r, c, 1] for r in (0, shape[0] - 1) for c in (0, shape[1] - 1)]
    sides = np.array(corners) @ array[2]
    if not ((sides > 0).all() or (sides < 0).all()):
        raise ValueError(f"the motion of frame {number} has its horizon in the frame")
    return array.astype(np.float64)


def of_shift(shift: Array) -> Array:
    """The matrix of a frame in which the scene appears `shift` further down and to the right."""
    matrix = np.eye(3)
    matrix[:2, 2] = -shift
    return matrix


def as_shift(motion: Any) -> Array | None:
    """The shift that a motion is, None if it is more."""
    if callable(motion) or motion.shape != (3, 3):
        return None
    matrix = motion / motion[2, 2] if motion[2, 2] else motion
    alone = np.array_equal(matrix[:, :2], np.eye(3)[:, :2]) and matrix[2, 2] == 1
    return np.asarray(-matrix[:2, 2]) if alone else None


def positions(motion: Any, rows: Array, columns: Array) -> Array:
    """Where some positions in a frame lie in frame 0, of a matrix or a callable."""
    if callable(motion):
        found = np.stack(np.broadcast_arrays(*motion(rows, columns))).astype(np.float64)
        if found.shape != (2, *rows.shape) or not np.isfinite(found).all():
            raise ValueError(
                f"a motion must return finite positions of shape {(2, *rows.shape)}, got an array "
                f"of {found.shape}"
            )
        return found
    p0, p1, w = (a * rows + b * columns + t for a, b, t in motion)
    return np.stack([p0 / w, p1 / w])


def centres(motion: Any, shape: tuple[int, int]) -> Array:
    """Where the pixels of a frame lie in frame 0."""
    if not callable(motion) and motion.shape != (3, 3):
        return np.asarray(motion)  # NaN of pixels that are nowhere
    rows, columns = np.indices(shape, np.float64)
    return positions(motion, rows, columns)


def completed(places: Array) -> Array:
    """Positions with those that are NaN as they would be if the map went on smoothly.

    An affine map is fitted to all that is known, and what the nearest known pixel differs from it
    by is added.
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


def displacement(motion: Any, shape: tuple[int, int], place: Sequence[float]) -> Array:
    """How far the scene has moved, as shifts say it, at a place in a frame between 0 and 1."""
    at = np.array([p * (m - 1) for p, m in zip(place, shape, strict=True)])
    if callable(motion) or motion.shape == (3, 3):
        found = positions(motion, *at[:, None])[:, 0]
    else:
        at = np.rint(at)
        found = completed(motion)[:, int(at[0]), int(at[1])]
    return np.asarray(at - found)


def cut(motion: Any, first: tuple[int, int], size: tuple[int, int]) -> Any:
    """The motion of a part of a frame in the same part of frame 0."""
    if callable(motion):

        def moved(rows: Array, columns: Array) -> Array:
            found = positions(motion, rows + first[0], columns + first[1])
            return found - np.reshape(first, (2, *(1,) * rows.ndim))

        return moved
    if motion.shape == (3, 3):
        there = of_shift(-np.array(first, np.float64))
        return np.linalg.inv(there) @ motion @ there
    rows, columns = (slice(b, b + n) for b, n in zip(first, size, strict=True))
    return completed(motion)[:, rows, columns] - np.reshape(first, (2, 1, 1))


class Grid(NamedTuple):
    """The fine grid of a frame: all that its pixels see through the PSF.

    Attributes
    ----------
    shape : (int, int)
        Of the frame.
    fine : (int, int)
        Fine pixels in one of the frame.
    factor : (float, float)
        Pixels of the scene in one.
    first, size : (int, int)
        How many fine pixels come before the frame, and how many there are.
    decimation : str
    """

    shape: tuple[int, int]
    fine: tuple[int, ...]
    factor: tuple[float, ...]
    first: tuple[int, int]
    size: tuple[int, int]
    decimation: Decimation

    @classmethod
    def build(
        cls,
        shape: tuple[int, int],
        factor: tuple[float, ...],
        psf: tuple[int, int],
        center: tuple[int, int],
        decimation: Decimation,
    ) -> "Grid":
        """The grid for a PSF of a shape and its center, on fine pixels."""
        fine = fine_factor(factor)
        first = psf[0] - 1 - center[0], psf[1] - 1 - center[1]
        block = (1, 1) if decimation == "sample" else fine
        size = [g * (m - 1) + b + k - 1 for g, m, b, k in zip(fine, shape, block, psf, strict=True)]
        return cls(shape, fine, factor, first, (size[0], size[1]), decimation)

    def coordinates(self, motion: Any) -> Array:
        """Where the fine pixels lie in the scene, as `WarpOperator` takes it."""
        if not callable(motion) and motion.shape == (3, 3):
            into = self._matrix(self.fine, self.first)
            onto = np.linalg.inv(self._matrix(self.factor, (0, 0)))
            return np.asarray(onto @ motion @ into)
        rows, columns = self.lines()
        if callable(motion):
            found = positions(motion, *np.meshgrid(rows, columns, indexing="ij"))
        else:
            places = completed(motion)
            found = np.stack([_between(each, rows, columns, k) for k, each in enumerate(places)])
        return self._in_scene(found)

    def lines(self) -> tuple[Array, Array]:
        """Rows and columns of the fine pixels in the frame."""
        into = self._matrix(self.fine, self.first)
        rows, columns = (into[k, k] * np.arange(n) + into[k, 2] for k, n in enumerate(self.size))
        return rows, columns

    def seen(
        self, motion: Any, scene: tuple[int, ...], inside: Sequence[float] = (0.0, 0.0)
    ) -> NDArray[np.bool_]:
        """Which pixels of the frame have their centres on the scene, or so many of its inside."""
        found = self._in_scene(centres(motion, self.shape))
        least = np.reshape(inside, (2, 1, 1)) - 0.5
        most = np.reshape(scene, (2, 1, 1)) - 1 - least
        return np.asarray(((found >= least) & (found <= most)).all(axis=0))

    def crowd(
        self, motion: Any, block: tuple[int, int], shape: Sequence[int], weights: Array
    ) -> Array:
        """What weights of the frame lie in each block of the scene, and in those around it.

        Parameters
        ----------
        motion
        block : (int, int)
            Pixels of the scene.
        shape : sequence of two int
            How many blocks there are.
        weights : ndarray, shape (B, m0, m1)

        Returns
        -------
        ndarray, of shape (B, *shape)
            The mean of nine blocks, since one may have two pixels and the next none.
        """
        found = self._in_scene(centres(motion, self.shape))
        size = np.array(block)[:, None, None]
        found = np.where(np.isnan(found), -np.inf, found).clip(-size, None)  # NaN is nowhere
        rows, columns = np.floor((found + 0.5) / size).astype(int) + 1
        on = (rows > 0) & (rows <= shape[0]) & (columns > 0) & (columns <= shape[1])
        total = np.zeros((len(weights), shape[0] + 2, shape[1] + 2))
        for own, weight in zip(total, weights, strict=True):
            np.add.at(own, (rows[on], columns[on]), weight[on])
        return sliding_window_view(total, (3, 3), (1, 2)).mean(axis=(-2, -1))

    def _in_scene(self, positions: Array) -> Array:
        """Positions in frame 0 as those in the scene."""
        onto = np.linalg.inv(self._matrix(self.factor, (0, 0)))
        return positions * onto.diagonal()[:2, None, None] + onto[:2, 2, None, None]

    def _matrix(self, factor: Sequence[float], first: Sequence[int]) -> Array:
        """From pixels of which `factor` are one of a frame to these, from `first` on."""
        matrix = np.eye(3)
        for k, (f, s) in enumerate(zip(factor, first, strict=True)):
            middle = 0.0 if self.decimation == "sample" else (f - 1) / 2
            matrix[k, k], matrix[k, 2] = 1 / f, -(s + middle) / f
        return matrix


def fine_factor(factor: Sequence[float]) -> tuple[int, ...]:
    """The whole number of pixels in one of a frame that its blur is computed on."""
    return tuple(map(ceil, factor))


def _between(place: Array, rows: Array, columns: Array, axis: int) -> Array:
    """Positions between those of the pixels of a frame, and a little beyond, by cubic splines."""
    from scipy.ndimage import map_coordinates, spline_filter

    at = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    moved = place - np.indices(place.shape)[axis]
    reach = [
        (max(0, ceil(-line[0])) + 16, max(0, ceil(line[-1]) - m + 1) + 16)
        for line, m in zip((rows, columns), place.shape, strict=True)
    ]
    # Beyond the last pixels as they came, mirrored through these.
    wide = np.pad(moved, reach, mode="reflect", reflect_type="odd")
    smooth = spline_filter(wide, mode="mirror")
    places = at + np.array([before for before, _ in reach])[:, None, None]
    return at[axis] + map_coordinates(smooth, places, mode="mirror", prefilter=False)
