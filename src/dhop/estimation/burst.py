"""The frames of a burst, made ready for registration: units, bad pixels, coarse copies."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
import scipy
from numpy.typing import NDArray

from dhop.estimation import motion_alignment, shift_alignment
from dhop.estimation.correlation import deviation
from dhop.estimation.groups import Kind
from dhop.estimation.model_selection import simplest, trial
from dhop.estimation.motion_alignment import MotionMatch
from dhop.estimation.shift_alignment import Level, ShiftMatch
from dhop.frames.noise import NORMAL
from dhop.runtime.parallel import run

Array = NDArray[Any]
Match: TypeAlias = ShiftMatch | MotionMatch
Result = TypeVar("Result")

SPIKE = 6.0  # standard deviations of a hot pixel above its neighbours ...
LINE = 4.0  # ... and of the median of a dead row or column
SHARP = 0.1  # of that is left in adjacent pixels; for stars, with a width of 1.2 pixels, 0.15
MANY = 0.05  # of the pixels: more are not bad ones, but the scene
SAME = ShiftMatch(np.zeros(2), 1.0, 0.0, 1.0, np.inf, 0.0, np.eye(2))


class Burst:
    """Frames, each in a unit of its own against over- and underflow."""

    def __init__(self, frames: Array, seen: list[Array]) -> None:
        self.frames, self.seen = frames, seen
        self.usable = [i for i, each in enumerate(seen) if each.any()]
        self.units = [_unit(frame[each]) for frame, each in zip(frames, seen, strict=True)]
        dead = [_dead_lines(self.image(i), seen[i]) for i in self.usable]
        if dead:  # in one frame it may be a line of the scene
            self.seen = [each & (np.mean(dead, axis=0) <= 0.5) for each in seen]

    def image(self, i: int) -> Array:
        """Frame `i` in its unit."""
        largest, middle, scale = self.units[i]
        image = np.where(self.seen[i], self.frames[i], 0).astype(np.float64) / largest
        return np.where(self.seen[i], (image - middle) / scale, 0).astype(np.float32)

    def pyramid(self, i: int) -> list[Level]:
        """Copies of frame `i` without hot pixels and cosmic rays."""
        image, seen = self.image(i), self.seen[i]
        hot = _spikes(image, seen)
        if np.mean(hot) < MANY:
            seen = seen & ~hot
        return shift_alignment.pyramid(np.where(seen, image, 0), seen.astype(np.float32))

    def against(
        self, reference: int, kind: Kind, advance: Callable[[int], None]
    ) -> dict[int, Match]:
        """How the frames match one of them."""

        def match(one: list[Level], other: list[Level]) -> Match | None:
            if np.array_equal(one[0].image, other[0].image):
                return SAME
            if kind == "shift":
                return shift_alignment.match(one, other)
            return motion_alignment.match(one, other, kind)

        found: dict[int, Match] = self._each(match, reference, advance)
        if reference in self.usable:
            found[reference] = SAME
        return found

    def kind(self, reference: int, advance: Callable[[int], None]) -> Kind:
        """See `dhop.estimation.model_selection`."""
        return simplest(list(self._each(trial, reference, advance).values()))

    def _each(
        self,
        compare: Callable[[list[Level], list[Level]], Result | None],
        reference: int,
        advance: Callable[[int], None],
    ) -> dict[int, Result]:
        """What `compare` finds for the reference and each other frame."""
        if reference not in self.usable:
            advance(len(self.frames))
            return {}
        levels = self.pyramid(reference)
        results: dict[int, Result] = {}

        def take(i: int) -> None:
            if i in self.usable and i != reference:
                result = compare(levels, self.pyramid(i))
                if result is not None:
                    results[i] = result
            advance(1)

        run(take, [(i,) for i in range(len(self.frames))])
        return dict(sorted(results.items()))

    def fitting(self, found: dict[int, Match]) -> list[int]:
        """The frames that show the same scene."""
        return [i for i, match in found.items() if match.fits(self.frames.shape[1:])]

    def photometry(self, i: int, reference: int, match: Match) -> tuple[float, float]:
        """Gain and offset in the units of the frames."""
        (scale, middle), (scale_i, middle_i) = (
            (largest * (spread if np.isfinite(spread) else 1.0), largest * middle)
            for largest, middle, spread in (self.units[reference], self.units[i])
        )
        gain = match.gain * (scale_i / scale)
        return gain, match.offset * scale_i + middle_i - gain * middle


def _unit(values: Array) -> tuple[float, float, float]:
    """The largest absolute value, and the median and a robust deviation relative to it."""
    rounding = 8 * np.finfo(values.dtype if values.dtype.kind == "f" else np.float64).eps
    parts = values.astype(np.float64) if values.size else np.zeros(1)
    largest = float(np.abs(parts).max()) or 1.0
    parts /= largest
    middle = float(np.median(parts))
    away = np.abs(parts - middle)
    if away.max() <= rounding:
        return largest, middle, np.inf
    return largest, middle, max(NORMAL * float(np.median(away)), 1e-6 * float(away.max()))


def _dead_lines(image: Array, seen: Array) -> NDArray[np.bool_]:
    """Rows and columns that are outliers as a whole."""
    dead = np.zeros(image.shape, bool)
    known = np.where(seen, image, np.nan)
    for axis in [axis for axis in (0, 1) if image.shape[1 - axis] > 1]:
        some = np.asarray(seen.any(axis=1 - axis))
        middle = np.zeros(image.shape[axis], np.float32)
        middle[some] = np.nanmedian(np.moveaxis(known, axis, 0)[some], axis=1)
        steps, pairs = np.diff(image, axis=axis), seen & np.roll(seen, -1, axis)
        usual = deviation(steps, np.delete(pairs, -1, axis)) / np.sqrt(2)
        dead |= np.expand_dims(_spikes(middle[None], some[None], LINE * usual)[0], 1 - axis)
    return dead


def _spikes(image: Array, seen: Array, least: float = 0.0) -> NDArray[np.bool_]:
    """Pixels that are outliers along each axis, with neighbours that are not."""
    spikes = seen.copy()
    axes = [axis for axis in (0, 1) if image.shape[axis] >= 5]
    for axis in axes:
        near, far = (_beside(image, seen, axis, distance) for distance in (1, 2))
        height = np.where(seen & np.isfinite(near - far), image - far, 0)
        some = height[seen]
        usual = max(NORMAL * float(np.median(np.abs(some))), 0.02 * float(np.std(some)))
        spikes &= np.abs(height) > max(SPIKE * usual, least)
        spikes &= np.abs(near - far) < SHARP * np.abs(height)
    return spikes if axes else np.zeros_like(spikes)


def _beside(image: Array, seen: Array, axis: int, distance: int) -> Array:
    """Mean of the pixels at a distance on either side; NaN if neither is seen."""
    taps = np.zeros(2 * distance + 1)
    taps[[0, -1]] = 1
    total, count = (
        scipy.ndimage.correlate1d(each.astype(np.float32), taps, axis, mode="constant")
        for each in (image * seen, seen)
    )
    return total / np.where(count > 0, count, np.float32(np.nan))
