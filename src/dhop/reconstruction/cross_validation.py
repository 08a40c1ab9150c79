"""Whether other motions of the frames are better, told by what was not used to find them.

A motion that fits its frame better has proved nothing yet, for the image that it was fitted to is
made of the same pixels; and a model that frames do not follow can leave less unexplained in one way
and more in another. So images of either half of the frames predict those of the other half.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.estimation import shift_alignment
from dhop.estimation.photometry import Photometry
from dhop.operators.moved import frame_operator
from dhop.operators.stack import FrameStack
from dhop.reconstruction.crop import Middle, image

Array = NDArray[Any]

EDGE = 4  # pixels inside the scene, on either side, from which on predictions count
ROUNDING = 16  # times epsilon: errors of a predicted pixel
SHORTEST = 8  # times the edge: lines that are shorter have less of it


class State(NamedTuple):
    """What is known of frames.

    Attributes
    ----------
    motion : list of ndarray, shape (3, 3)
        Of their middles.
    photometry : Photometry
    """

    motion: list[Array]
    photometry: Photometry


class Misfit(NamedTuple):
    """What an image does not explain of a frame.

    Attributes
    ----------
    left : ndarray, shape (..., n0, n1)
        Times the root of the weights.
    robustness : ndarray, shape (..., n0, n1)
        Up to one, little for outliers and zero where there is no weight.
    gain, offset : float
        Of the frame, with these.
    """

    left: Array
    robustness: Array
    gain: float
    offset: float


def better(
    middle: Middle, before: State, after: State, beta: float, numbers: int
) -> NDArray[np.bool_]:
    """Which frames have a better motion than before.

    None, if the halves do not predict each other better by more than what is to be expected of
    numbers that were fitted to the same pixels: one variance of the noise each. A single frame that
    the new images predict better by as much with its old motion keeps that.

    Parameters
    ----------
    middle : Middle
        Of frames as they came.
    before, after : State
    beta : float
        Weight of the regulariser of the images.
    numbers : int
        That tell the motion of a frame.
    """
    told = [
        telling(middle, i, [m, n])
        for i, (m, n) in enumerate(zip(before.motion, after.motion, strict=True))
    ]
    halves = _Halves(middle, told, beta)
    if len(halves.used) < 2:
        return np.zeros(len(told), bool)
    images = halves.images(before, [None, None])
    old = halves.misfits(before.motion, images)
    images = halves.images(after, images)
    new = halves.misfits(after.motion, images)
    alone = halves.misfits(before.motion, images)
    # A pixel that is strange with either motion must not decide.
    counts = [a.robustness * b.robustness for a, b in zip(old, new, strict=True)]
    start, end, kept = (
        np.array([np.sum(c * each.left**2) for c, each in zip(counts, some, strict=True)])
        for some in (old, new, alone)
    )
    noise = (end.sum() + halves.rounding()) / sum(float(c.sum()) for c in counts)
    if start.sum() - end.sum() <= numbers * len(halves.used) * noise:
        return np.zeros(len(told), bool)
    found = np.ones(len(told), bool)
    found[halves.used] = end - kept <= numbers * noise
    return found


def telling(middle: Middle, i: int, motions: list[Array]) -> Array:
    """Weights of the pixels of a frame that lie well inside the scene, by each of some motions."""
    inside = [f * min(EDGE, n // SHORTEST) for f, n in zip(middle.factor, middle.size, strict=True)]
    weights = middle.weights[i]
    for each in motions:
        weights = weights * middle.grid.seen(each, middle.scene[-2:], inside)
    return weights


class _Halves:
    """The even and the odd of the frames that tell something."""

    def __init__(self, middle: Middle, told: list[Array], beta: float) -> None:
        self.middle, self.told, self.beta = middle, told, beta
        self.used = [i for i, w in enumerate(told) if w.any()]

    def images(self, state: State, start: list[Any]) -> list[Array]:
        """What each half shows."""
        bright = self.middle.corrected(state.photometry)
        weights = bright.seen(state.motion)
        found = []
        for k in (0, 1):
            half = self.used[k::2]
            operators = bright.operators([state.motion[i] for i in half], frame_operator)
            stack = FrameStack(operators, [weights[i] for i in half])
            found.append(image(stack, bright.frames[half], self.beta, start[k]))
        return found

    def rounding(self) -> float:
        """What rounding may leave unexplained, in weighted squares."""
        squares = sum(
            np.sum(self.told[i] * self.middle.frames[i].astype(np.float64) ** 2) for i in self.used
        )
        return float(ROUNDING * np.finfo(self.middle.frames.dtype).eps) ** 2 * float(squares)

    def misfits(self, motion: list[Array], images: list[Array]) -> list[Misfit]:
        """What the image of the other half does not explain of each frame."""
        found = []
        for place, i in enumerate(self.used):
            (A,) = self.middle.operators([motion[i]], frame_operator)
            seen = A.matvec(images[1 - place % 2]).astype(np.float64).reshape(self.told[i].shape)
            found.append(misfit(self.middle.frames[i], seen, self.told[i]))
        return found


def misfit(frame: Array, seen: Array, w: Array) -> Misfit:
    """What of a frame an image does not explain that shows it so, but for gain and offset."""
    robustness = np.ones(w.shape)
    for _ in range(2):
        gain, offset = _brightness(frame, seen, w * robustness)
        left = np.sqrt(w) * (frame - offset - gain * seen)
        unit = float(np.sqrt(np.mean(left**2)))
        if unit == 0:
            break
        steep = np.hypot(slope(seen, -2), slope(seen, -1)) * (np.sqrt(w) * (gain / unit))
        lines = (each.reshape(-1, w.shape[-1]) for each in (left / unit, steep, 1.0 * (w > 0)))
        robustness = shift_alignment.trust(*lines).reshape(w.shape) * (w > 0)
    return Misfit(left, robustness, gain, offset)


def _brightness(frame: Array, seen: Array, w: Array) -> tuple[float, float]:
    """Gain and offset of a frame against what an image shows it."""
    total = float(w.sum())
    mean, level = (float(np.sum(w * each)) / total for each in (frame, seen))
    shown = seen - level
    square = float(np.sum(w * shown**2))
    gain = float(np.sum(w * shown * (frame - mean))) / square if square > 0 else 1.0
    return gain, mean - gain * level


def slope(images: Array, axis: int) -> Array:
    """The slope along an axis, zero where that has a single pixel."""
    return np.gradient(images, axis=axis) if images.shape[axis] > 1 else np.zeros_like(images)
