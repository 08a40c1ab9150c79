"""Noise of frames that count photons: variances, the loss, and its expectation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from dhop.frames.masks import NEAR, seen, surroundings
from dhop.operators.stack import FrameStack
from dhop.reconstruction.data_terms import WIDE, PoissonLoss
from dhop.runtime import workspace
from dhop.runtime.elementwise import elementwise, total

Array = NDArray[Any]

LEAST = 1e-2  # photons of a first guess, if there are none
MANY = 100.0  # photons, from which on the expected deviance is 1 + 1 / (6 m)
FEW = 1e-4  # photons, the least that the expectation is tabulated for
FAR = 5.0  # standard deviations of read noise below zero, beyond which nothing is a count


@dataclass(frozen=True, eq=False)
class PhotonNoise:
    """Photon noise, read noise and background of frames.

    Attributes
    ----------
    background : ndarray, of the shape of the frames
        Of the frames where the scene is dark, in their unit.
    gain : float
        Of a photon, in the unit of the frames.
    read_noise : float
        Its standard deviation, in the unit of the frames.
    """

    background: Array
    gain: float
    read_noise: float

    @classmethod
    def checked(cls, background: Array, gain: float, read_noise: float) -> "PhotonNoise":
        """Refuse a negative background."""
        if not read_noise and (background < 0).any():
            raise ValueError("background must not be negative: photons are not")
        return cls(background, float(gain), float(read_noise))

    def caution(self, frames: Array, weights: Sequence[Array]) -> str | None:
        """The text of a warning if frames, here without background, are negative beyond read noise.

        Raises
        ------
        ValueError
            If their sum is negative.
        """
        negative = 0
        eps = np.finfo(frames.dtype).eps
        for frame, back, weight in zip(frames, self.background, weights, strict=True):
            # Rounding of a subtracted background is no negative count.
            limit = -FAR * self.read_noise - eps * abs(_own(back)).max()
            given = frame.reshape(-1), _own(back), _own_weights(weight, frame)
            negative += int(total(partial(_below, limit), *given))
        if not negative:
            return None
        pixels = np.concatenate(
            [
                seen(frame + back, weight).reshape(-1)
                for frame, back, weight in zip(frames, self.background, weights, strict=True)
            ]
        )
        text = (
            f"{negative} of {pixels.size} pixels are negative, down to {pixels.min():.3g}, which "
            "counts of photons are not. If a background was subtracted, give the frames as they "
            "were and background= instead; noise that is not of photons is read_noise="
        )
        if pixels.sum() < 0:
            raise ValueError(f'loss="poisson": {text}')
        return text

    def variance_text(self, ratio: float) -> str:
        """The text of a warning if the noise variance is `ratio` times the expected."""
        return (
            f"the noise of the frames has {ratio:.2g} times the variance of photons with "
            f"gain={self.gain:g}; if a photon adds about {ratio * self.gain:.2g} to a pixel give "
            "that gain, and if they count no photons take another loss"
        )

    def means(self, frames: Array, weights: Sequence[Array]) -> list[Array]:
        """The expected counts, background included, as means around each pixel."""
        found = []
        for frame, back, weight in zip(frames, self.background, weights, strict=True):
            counts = elementwise(self._counts, frame.reshape(-1), _own(back)).reshape(frame.shape)
            around = surroundings(counts, weight)
            found.append(np.maximum(around, 1 / NEAR**2, out=around))
        return found

    def weights(self, frames: Array, weights: Sequence[Array]) -> list[Array]:
        """The weights of least squares: one over the variance of each pixel."""
        square, read = np.float64(self.gain) ** 2, self.read_noise**2  # which single may not hold
        return [
            elementwise(lambda m, w: w / (square * m + read), mean, _own_weights(weight, mean))
            for mean, weight in zip(self.means(frames, weights), weights, strict=True)
        ]

    def _counts(self, frame: Array, back: Array) -> Array:
        return (frame + back) / self.gain

    def sensitivity(self, operators: Sequence[Any], weights: Sequence[Array]) -> Array:
        """What each pixel of the scene adds to all counts: sums of columns."""
        stack = FrameStack(operators)
        given = workspace.empty((stack.shape[0],), stack.dtype)
        for A, w, part in zip(operators, weights, stack.split(given), strict=True):
            part.reshape(A.dimsd)[...] = w / self.gain
        return stack.rmatvec(given)

    def level(self, frames: Array, weights: Sequence[Array], sensitivity: Array) -> float:
        """The brightness of an even scene of as many photons as the frames have."""
        photons = [
            total(lambda y, w: w * np.where(w > 0, y, 0), y.reshape(-1), _own_weights(w, y))
            for y, w in zip(frames, weights, strict=True)
        ]
        return even(sum(photons) / self.gain, total(np.asarray, sensitivity), self.gain)

    def loss(self, frames: Array, weights: Sequence[Array]) -> PoissonLoss:
        """The Poisson loss of frames without their background."""
        # Imported here, since it loads Numba.
        from dhop.reconstruction.compiled_poisson import CompiledPoissonLoss

        read = (self.read_noise / self.gain) ** 2
        back = [_own(each) / self.gain + read for each in self.background]
        flat = [_own_weights(w, y).astype(WIDE) for y, w in zip(frames, weights, strict=True)]

        def count(y: Array, b: Array, w: Array) -> Array:
            return np.maximum(np.where(w > 0, y, 0).astype(WIDE) / self.gain + b, 0)

        counts = [
            elementwise(count, y.reshape(-1), b, w)
            for y, b, w in zip(frames, back, flat, strict=True)
        ]
        return CompiledPoissonLoss(counts, back, self.gain, flat)

    def discrepancy(self, frames: Array, weights: Sequence[Array]) -> float:
        """The expected loss of the true scene."""
        read = (self.read_noise / self.gain) ** 2
        return sum(
            total(lambda m, w: w * deviance(m + read), mean, _own_weights(weight, mean))
            for mean, weight in zip(self.means(frames, weights), weights, strict=True)
        )


def even(photons: float, sensitivity: float, gain: float) -> float:
    """The brightness of an even scene of so many photons; a little if there are none."""
    return max(photons / (sensitivity or 1.0), 0.0) + LEAST * gain


def _below(limit: float, frame: Array, back: Array, weight: Array) -> Array:
    """Which of the pixels that have a weight are below a limit."""
    return (frame + back < limit) & (weight > 0)


def _own(numbers: Array) -> Array:
    """The numbers of all pixels, or the single one that was broadcast to them."""
    return numbers.reshape(-1) if any(numbers.strides) else numbers.reshape(-1)[:1]


def _own_weights(weight: Array, frame: Array) -> Array:
    """The weights of all pixels of a frame, or the one of all."""
    return _own(np.broadcast_to(weight, frame.shape))


def deviance(means: Array) -> Array:
    """The expected Poisson loss ``2 (m - n + n log(n / m))`` of counts with known means.

    It is one for many photons, a little more for a few, and less for fewer than one.

    Examples
    --------
    >>> import numpy as np
    >>> deviance(np.array([0.01, 2.0, 1e4])).round(3)
    array([0.092, 1.139, 1.   ])
    """
    few = np.interp(np.log(np.clip(means, FEW, MANY)), *_table())
    return np.where(means < MANY, few, 1 + 1 / (6 * np.maximum(means, MANY)))


@cache
def _table() -> tuple[Array, Array]:
    """Logarithms of means, and the expected loss."""
    grid = np.geomspace(FEW, MANY, 200)
    k = np.arange(int(MANY + 12 * MANY**0.5))
    log = scipy.special.xlogy(k, grid[:, None]) - grid[:, None] - scipy.special.gammaln(k + 1)
    losses = 2 * (grid[:, None] - k + scipy.special.xlogy(k, k / grid[:, None]))
    return np.log(grid), np.sum(np.exp(log) * losses, axis=1)
