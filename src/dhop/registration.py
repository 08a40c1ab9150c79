"""How far the scene has moved from frame to frame of a burst, and which frames show it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from dhop.cautions import RegistrationWarning
from dhop.estimation import alignment
from dhop.estimation.alignment import Level, Match
from dhop.estimation.correlation import deviation
from dhop.operators.base import dense
from dhop.runtime.arguments import sequence
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]

SPIKE = 6.0  # standard deviations by which hot pixels stand out ...
LINE = 4.0  # ... and dead rows and columns, all along
SHARP = 0.1  # of that is left in the pixels beside; of stars, with a width of 1.2 pixels, 0.15
MANY = 0.05  # of the pixels: no longer bad ones, but the scene
SAME = Match(np.zeros(2), 1.0, 0.0, 1.0, np.inf, 0.0, np.eye(2))


@dataclass(frozen=True, eq=False)
class Registration:
    """Where and how the frames of a burst show the scene of one of them, the `reference`.

    Frame `i` at `r` is about ``gains[i]`` times the reference at ``r - shifts[i]``, plus
    ``offsets[i]``.

    Attributes
    ----------
    shifts : ndarray of float64, shape (F, 2)
        ``(dy, dx)``: the scene in frame `i` appears `dy` rows further down and `dx` columns further
        right than in the reference, in pixels of the frames. Zero for frames that do not fit.
    gains, offsets : ndarray of float64, shape (F,)
        1 and 0 for the reference and for frames that do not fit.
    quality : ndarray of float64, shape (F,)
        Correlation, from 0 to 1, of the details of the frame and of the reference, as they lie on
        each other.
    fits : ndarray of bool, shape (F,)
        Whether the frame shows the same scene: its details agree with those of the reference
        better than those of any other scene would at the best of all shifts.
    reference : int
        0, unless most frames do not fit frame 0 and do fit another.
    """

    shifts: NDArray[np.float64]
    gains: NDArray[np.float64]
    offsets: NDArray[np.float64]
    quality: NDArray[np.float64]
    fits: NDArray[np.bool_]
    reference: int


def register(
    frames: ArrayLike,
    weights: Sequence[ArrayLike] | None = None,
    *,
    progress: Progress = None,
) -> Registration:
    """Register the frames of a burst against the first of them.

    Masked cross-correlation finds shifts up to half a frame. Least squares, with a gain and an
    offset for each frame and weights that leave out what does not agree, makes them exact.
    Illumination, hot pixels, dead lines and cosmic rays do not look like shifts.

    Parameters
    ----------
    frames : array_like, shape (F, m0, m1)
        Real, and finite where they have a weight.
    weights : sequence of (float or array_like), optional
        A number or a map for each frame. Only pixels with a weight in both frames take part.
    progress : callable or True, optional
        Called as ``progress(done, total)``; True shows a bar on the terminal (needs rich).

    Returns
    -------
    Registration

    Raises
    ------
    ValueError, TypeError
        If the frames are not real or not finite, or the weights do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.ndimage import gaussian_filter
    >>> from dhop.registration import register
    >>> scene = gaussian_filter(np.random.default_rng(0).random((70, 70)), 2)
    >>> other = np.random.default_rng(1).random((60, 60))
    >>> found = register([scene[5:65, 5:65], 2 * scene[3:63, 6:66] + 1, other])
    >>> found.shifts.round(2) + 0.0
    array([[ 0.,  0.],
           [ 2., -1.],
           [ 0.,  0.]])
    >>> found.gains.round(2), found.fits
    (array([1., 2., 1.]), array([ True,  True, False]))
    """
    burst = _Burst(*_checked(frames, weights))
    count, most = len(burst.frames), len(burst.usable) / 2
    with reporting(progress, count, "registering") as advance:
        found, reference = burst.against(0, advance), 0
        fitting = burst.fitting(found)
        rest = [i for i in burst.usable if i not in fitting]
        while len(rest) > most >= len(fitting):
            others = burst.against(rest[0], lambda amount: None)
            if len(burst.fitting(others)) > most:
                found, reference = others, rest[0]
                break
            rest = [i for i in rest if i not in burst.fitting(others)]
    shifts, gains, offsets = np.zeros((count, 2)), np.ones(count), np.zeros(count)
    fits = np.zeros(count, bool)
    for i in burst.fitting(found):
        gain, offset = burst.photometry(i, reference, found[i])
        fits[i] = np.isfinite(gain) and np.isfinite(offset)
        if fits[i]:
            shifts[i], gains[i], offsets[i] = found[i].shift, gain, offset
    quality = np.array([found[i].quality if i in found else 0.0 for i in range(count)])
    return Registration(shifts, gains, offsets, quality, fits, reference)


def estimate_shifts(
    frames: ArrayLike, weights: Sequence[ArrayLike] | None = None
) -> NDArray[np.float64]:
    """The shifts that `register` finds, with a warning if frames do not fit.

    Parameters
    ----------
    frames, weights
        As for `register`.

    Returns
    -------
    ndarray, shape (F, 2)
        ``(dy, dx)``: the scene in frame `i` appears `dy` rows further down and `dx` columns further
        right than in frame 0, in pixels of the frames; zero if it does not fit.

    Raises
    ------
    ValueError, TypeError
        As `register`.

    Warns
    -----
    RegistrationWarning
        If frames that have a weight do not show the scene of the others.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.ndimage import gaussian_filter
    >>> from dhop.registration import estimate_shifts
    >>> scene = gaussian_filter(np.random.default_rng(0).random((70, 70)), 2)
    >>> estimate_shifts([scene[5:65, 5:65], scene[3:63, 6:66]]).round(2) + 0.0
    array([[ 0.,  0.],
           [ 2., -1.]])
    """
    found = register(frames, weights)
    _, seen = _checked(frames, weights)
    strangers = [str(i) for i, each in enumerate(seen) if each.any() and not found.fits[i]]
    if strangers:
        warnings.warn(
            f"of the frames {', '.join(strangers)} do not show the scene of frame "
            f"{found.reference}; their shifts are taken to be zero",
            RegistrationWarning,
            stacklevel=2,
        )
    return found.shifts


class _Burst:
    """Frames, each in a unit of its own, so that nothing over- or underflows."""

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
        return alignment.pyramid(np.where(seen, image, 0), seen.astype(np.float32))

    def against(self, reference: int, advance: Callable[[int], None]) -> dict[int, Match]:
        """How the frames match one of them."""
        if reference not in self.usable:
            advance(len(self.frames))
            return {}
        found = {reference: SAME}
        levels = self.pyramid(reference)
        for i in range(len(self.frames)):
            if i in self.usable and i != reference:
                other = self.pyramid(i)
                same = np.array_equal(levels[0].image, other[0].image)
                match = SAME if same else alignment.match(levels, other)
                if match is not None:
                    found[i] = match
            advance(1)
        return found

    def fitting(self, found: dict[int, Match]) -> list[int]:
        return [i for i, match in found.items() if match.fits(self.frames.shape[1:])]

    def photometry(self, i: int, reference: int, match: Match) -> tuple[float, float]:
        """Gain and offset in the units of the frames."""
        (scale, middle), (scale_i, middle_i) = (
            (largest * (spread if np.isfinite(spread) else 1.0), largest * middle)
            for largest, middle, spread in (self.units[reference], self.units[i])
        )
        gain = match.gain * (scale_i / scale)
        return gain, match.offset * scale_i + middle_i - gain * middle


def _checked(frames: Any, weights: Any) -> tuple[Array, list[Array]]:
    stack = dense(frames, "frames")
    if stack.ndim != 3 or stack.size == 0 or stack.dtype.kind == "c":
        raise ValueError(f"frames must be real, of shape (F, m0, m1), got {stack.shape}")
    if weights is None:
        seen = [np.ones(stack.shape[1:], bool)] * len(stack)
    else:
        given = [dense(each, "each of weights") for each in sequence("weights", weights, "arrays")]
        shapes = [each.shape for each in given]
        if len(given) != len(stack) or not set(shapes) <= {(), stack.shape[1:]}:
            raise ValueError(f"weights of shapes {shapes} do not fit frames of {stack.shape}")
        seen = [np.broadcast_to(each != 0, stack.shape[1:]) for each in given]
    for frame, each in zip(stack, seen, strict=True):
        if not np.isfinite(frame[each]).all():
            raise ValueError("frames must be finite where they have a weight")
    return stack, seen


def _unit(values: Array) -> tuple[float, float, float]:
    """The largest of some values, and their middle and spread as parts of that."""
    rounding = 8 * np.finfo(values.dtype if values.dtype.kind == "f" else np.float64).eps
    parts = values.astype(np.float64) if values.size else np.zeros(1)
    largest = float(np.abs(parts).max()) or 1.0
    parts /= largest
    middle = float(np.median(parts))
    away = np.abs(parts - middle)
    if away.max() <= rounding:
        return largest, middle, np.inf
    return largest, middle, max(1.4826 * float(np.median(away)), 1e-6 * float(away.max()))


def _dead_lines(image: Array, seen: Array) -> NDArray[np.bool_]:
    """Rows and columns that stand out as a whole."""
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
    """Pixels that stand out along each axis, with neighbours that do not."""
    spikes = seen.copy()
    axes = [axis for axis in (0, 1) if image.shape[axis] >= 5]
    for axis in axes:
        near, far = (_beside(image, seen, axis, distance) for distance in (1, 2))
        height = np.where(seen & np.isfinite(near - far), image - far, 0)
        some = height[seen]
        usual = max(1.4826 * float(np.median(np.abs(some))), 0.02 * float(np.std(some)))
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
