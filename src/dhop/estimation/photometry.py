r"""Brightness that differs from frame to frame: gains and offsets.

Frame `i` is :math:`g_i (A_i x) + o_i`, relative to the first frame that is used, whose gain is one
and whose offset is zero. Corrected frames :math:`(y_i - o_i) / g_i` with weights :math:`w_i g_i^2`
are the same least-squares problem.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.frames.masks import each_weight

Array = NDArray[Any]
Terms: TypeAlias = Literal["offset", "gain", "both"]


@dataclass(frozen=True, eq=False)
class Photometry:
    """Gains and offsets of frames.

    Attributes
    ----------
    gains, offsets : ndarray of float64, shape (F,)
    """

    gains: Array
    offsets: Array

    @classmethod
    def none(cls, count: int) -> "Photometry":
        """Frames as bright as they are."""
        return cls(np.ones(count), np.zeros(count))

    @property
    def trivial(self) -> bool:
        """Whether nothing is to be corrected."""
        return bool((self.gains == 1).all() and (self.offsets == 0).all())

    def corrected(self, frames: Array) -> Array:
        """The frames as bright as the first one."""
        if self.trivial:
            return frames
        shape = (-1,) + (1,) * (frames.ndim - 1)
        change = frames - self.offsets.reshape(shape)
        return np.asarray((change / self.gains.reshape(shape)).astype(frames.dtype, copy=False))

    def weights(self, weights: Sequence[Array] | None) -> list[Array] | None:
        """The weights of the corrected frames."""
        if (self.gains == 1).all():
            return None if weights is None else list(weights)
        given = each_weight(weights, len(self.gains))
        return [w * g**2 for w, g in zip(given, self.gains, strict=True)]

    def relative(self) -> "Photometry":
        """The same relative to the first frame."""
        gain, offset = self.gains[0], self.offsets[0]
        return Photometry(self.gains / gain, self.offsets - self.gains / gain * offset)


def fitted(
    frames: Array, predictions: Array, weights: Sequence[Array] | None, terms: Terms
) -> Photometry:
    """Gains and offsets by least squares, of frames against the predictions of a solution."""
    maps = each_weight(weights, len(frames))
    gains, offsets = np.ones(len(frames)), np.zeros(len(frames))
    for i, (frame, prediction, weight) in enumerate(zip(frames, predictions, maps, strict=True)):
        w = np.broadcast_to(weight, frame.shape).astype(np.float64)
        total = float(w.sum())
        if not total:
            continue
        y, p = (np.where(w > 0, each, 0.0) for each in (frame, prediction))
        my, mp = (float((w * each).sum()) / total if terms != "gain" else 0.0 for each in (y, p))
        square = float((w * (p - mp) ** 2).sum())
        if terms != "offset" and square > 0:
            slope = float((w * (p - mp) * (y - my)).sum()) / square
            gains[i] = slope if slope > 0 else 1.0
        if terms != "gain":
            offsets[i] = my - gains[i] * mp
    return Photometry(gains, offsets).relative()


def matched(
    frames: Array, weights: Sequence[Array] | None, shifts: Array, gains: Array, terms: Terms
) -> Photometry:
    """A first guess: given gains, and offsets by the means of the common part of all frames."""
    if terms == "offset":
        gains = np.ones(len(frames))
    maps = each_weight(weights, len(frames))
    whole = np.rint(shifts).astype(int)
    size = np.array(frames.shape[-shifts.shape[1] :]) - np.ptp(whole, axis=0)
    seen = np.array([bool(np.any(weight)) for weight in maps])
    first = int(np.argmax(seen))
    gains = np.where(seen, gains / gains[first], 1.0)
    if (size < 1).any():
        return Photometry(gains, np.zeros(len(frames)))
    starts = whole - whole.min(axis=0)
    means = np.zeros(len(frames))
    for i, (frame, weight, start) in enumerate(zip(frames, maps, starts, strict=True)):
        part: Any = (..., *(slice(b, b + n) for b, n in zip(start, size, strict=True)))
        w = np.broadcast_to(weight, frame.shape)[part]
        means[i] = float(np.where(w > 0, w * frame[part], 0).sum() / (w.sum() or 1.0))
    if terms == "gain":
        return Photometry(gains, np.zeros(len(frames)))
    return Photometry(gains, np.where(seen, means - gains * means[first], 0.0))
