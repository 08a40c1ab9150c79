"""Whether new motions of the frames are better, by the error of held-out frames.

A motion that fits its frame better has proved nothing yet: the image that it was fitted to is made
of the same pixels, and a model that frames do not follow can lower one part of the residual and
raise another. So the image of each half of the frames predicts the frames of the other half.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.estimation.photometry import Photometry
from dhop.estimation.shift_alignment import cauchy_weights, slope
from dhop.operators.moved import frame_operator
from dhop.operators.stack import FrameStack
from dhop.reconstruction.crop import Crop, common_image

Array = NDArray[Any]

EDGE = 4  # pixels inside the scene, on either side, from which on predictions count
ROUNDING = 16  # times epsilon: errors of a predicted pixel
SHORTEST = 8  # times the edge: lines that are shorter have less of it


class State(NamedTuple):
    """Motions, as matrices of the crops, and brightness of frames."""

    motion: list[Array]
    photometry: Photometry


class FrameResidual(NamedTuple):
    """The residual of a frame, times the root of the weights, at its best gain and offset.

    Robustness weights are one for inliers and zero where there is no weight.
    """

    residual: Array
    robustness: Array
    gain: float
    offset: float


def validated(
    crop: Crop, before: State, after: State, beta: float, numbers: int
) -> NDArray[np.bool_]:
    """Which frames have a better motion than before.

    None, unless the held-out error falls by more than numbers that were fitted to the same pixels
    lower it anyway: one noise variance for each of the `numbers` of a motion. A single frame keeps
    its old motion if the new images predict it better by as much with that. The images are those of
    a `beta`, and the crop of frames as they came.
    """
    weights = [
        interior_weights(crop, i, [m, n])
        for i, (m, n) in enumerate(zip(before.motion, after.motion, strict=True))
    ]
    halves = _Halves(crop, weights, beta)
    if len(halves.used) < 2:
        return np.zeros(len(weights), bool)
    images = halves.images(before, [None, None])
    old = halves.residuals(before.motion, images)
    images = halves.images(after, images)
    new = halves.residuals(after.motion, images)
    unmoved = halves.residuals(before.motion, images)
    # A pixel that is an outlier with either motion must not decide.
    counts = [a.robustness * b.robustness for a, b in zip(old, new, strict=True)]
    start, end, kept = (
        np.array([np.sum(c * each.residual**2) for c, each in zip(counts, some, strict=True)])
        for some in (old, new, unmoved)
    )
    noise = (end.sum() + halves.rounding()) / sum(float(c.sum()) for c in counts)
    if start.sum() - end.sum() <= numbers * len(halves.used) * noise:
        return np.zeros(len(weights), bool)
    found = np.ones(len(weights), bool)
    found[halves.used] = end - kept <= numbers * noise
    return found


def interior_weights(crop: Crop, i: int, motions: list[Array]) -> Array:
    """Weights of a frame, zero for pixels that one of some motions puts near the scene's border."""
    inside = [f * min(EDGE, n // SHORTEST) for f, n in zip(crop.factor, crop.size, strict=True)]
    weights = crop.weights[i]
    for each in motions:
        weights = weights * crop.grid.seen(each, crop.scene[-2:], inside)
    return weights


class _Halves:
    """The even and the odd ones of the frames that have weights."""

    def __init__(self, crop: Crop, weights: list[Array], beta: float) -> None:
        self.crop, self.weights, self.beta = crop, weights, beta
        self.used = [i for i, w in enumerate(weights) if w.any()]

    def images(self, state: State, start: list[Any]) -> list[Array]:
        """The image of each half."""
        bright = self.crop.corrected(state.photometry)
        weights = bright.seen(state.motion)
        found = []
        for k in (0, 1):
            half = self.used[k::2]
            operators = bright.operators([state.motion[i] for i in half], frame_operator)
            stack = FrameStack(operators, [weights[i] for i in half])
            found.append(common_image(stack, bright.frames[half], self.beta, start[k]))
        return found

    def rounding(self) -> float:
        """The squared residuals that rounding may leave."""
        squares = sum(
            np.sum(self.weights[i] * self.crop.frames[i].astype(np.float64) ** 2) for i in self.used
        )
        return float(ROUNDING * np.finfo(self.crop.frames.dtype).eps) ** 2 * float(squares)

    def residuals(self, motion: list[Array], images: list[Array]) -> list[FrameResidual]:
        """What the image of the other half leaves of each frame."""
        found = []
        for place, i in enumerate(self.used):
            (A,) = self.crop.operators([motion[i]], frame_operator)
            w = self.weights[i]
            prediction = A.matvec(images[1 - place % 2]).astype(np.float64).reshape(w.shape)
            found.append(frame_residual(self.crop.frames[i], prediction, w))
        return found


def frame_residual(frame: Array, prediction: Array, w: Array) -> FrameResidual:
    """What a prediction leaves of a frame, with the best gain and offset."""
    robustness = np.ones(w.shape)
    for _ in range(2):
        gain, offset = _brightness(frame, prediction, w * robustness)
        residual = np.sqrt(w) * (frame - offset - gain * prediction)
        unit = float(np.sqrt(np.mean(residual**2)))
        if unit == 0:
            break
        steep = np.hypot(slope(prediction, -2), slope(prediction, -1))
        steep *= np.sqrt(w) * (gain / unit)
        lines = (each.reshape(-1, w.shape[-1]) for each in (residual / unit, steep, 1.0 * (w > 0)))
        robustness = cauchy_weights(*lines).reshape(w.shape) * (w > 0)
    return FrameResidual(residual, robustness, gain, offset)


def _brightness(frame: Array, prediction: Array, w: Array) -> tuple[float, float]:
    """Gain and offset of a frame, by weighted linear regression on its prediction."""
    total = float(w.sum())
    mean, level = (float(np.sum(w * each)) / total for each in (frame, prediction))
    centred = prediction - level
    square = float(np.sum(w * centred**2))
    gain = float(np.sum(w * centred * (frame - mean))) / square if square > 0 else 1.0
    return gain, mean - gain * level
