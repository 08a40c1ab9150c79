"""Whether other motions of the frames are better, told by what was not used to find them.

A motion that fits its frame better has proved nothing yet, for the image that it was fitted to is
made of the same pixels; and a model that frames do not follow can leave less unexplained in one way
and more in another. So images of either half of the frames predict those of the other half.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.estimation.photometry import Photometry
from dhop.operators.moved import frame_operator
from dhop.operators.stack import FrameStack
from dhop.reconstruction.middle import Middle, image

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
    noise = (new.sum() + halves.rounding()) / sum(map(np.count_nonzero, told))
    if old.sum() - new.sum() <= numbers * len(halves.used) * noise:
        return np.zeros(len(told), bool)
    return new - halves.misfits(before.motion, images) <= numbers * noise


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

    def misfits(self, motion: list[Array], images: list[Array]) -> Array:
        """What the image of the other half does not explain of each frame, in weighted squares."""
        found = np.zeros(len(motion))
        for place, i in enumerate(self.used):
            (A,) = self.middle.operators([motion[i]], frame_operator)
            y, w = self.middle.frames[i].reshape(-1), self.told[i].reshape(-1)
            left = brightness(y, A.matvec(images[1 - place % 2]), w)[1]
            found[i] = np.sum(w * left**2)
        return found


def brightness(y: Array, seen: Array, w: Array) -> tuple[tuple[float, float], Array]:
    """Gain and offset of a frame against what an image shows it, and what is left."""
    frame, shown = (each.astype(np.float64) for each in (y, seen))
    total = float(w.sum())
    mean, level = (float(np.sum(w * each)) / total for each in (frame, shown))
    frame -= mean
    shown -= level
    square = float(np.sum(w * shown**2))
    gain = float(np.sum(w * shown * frame)) / square if square > 0 else 1.0
    return (gain, mean - gain * level), frame - gain * shown
