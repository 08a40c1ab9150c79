"""What the frames say of their predictions: the values of losses, and their slopes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dhop.operators.stack import FrameStack
from dhop.reconstruction.losses import Loss

Array = NDArray[Any]

WIDE = np.dtype(np.float64)
STEEPEST = 1e3  # counts over their mean, from which on the likelihood goes on as a straight line
DARKEST = 1e-12  # photons that are expected, at least


class Seen(NamedTuple):
    """What one frame says of its prediction, lazily if that is lazy.

    Attributes
    ----------
    value : number
        Its loss.
    fall : ndarray
        Minus half the slope of that, for each pixel.
    square : number
        Squared norm of the residuals, times the weights of a majoriser.
    weights, trust : ndarray
        Those of least squares of the same slope, or nearly, and how much pixels count.
    """

    value: Any
    fall: Array
    square: Any
    weights: Array
    trust: Array


class Data(Protocol):
    """Frames and what they cost."""

    def see(self, number: int, product: Array) -> Seen:
        """What a frame says, if `product` is ``A x``."""


@dataclass(frozen=True, eq=False)
class Residuals:
    """A loss of the weighted residuals.

    Attributes
    ----------
    operator : FrameStack
        With the weights.
    frames : ndarray, shape (F, ...)
    loss : Loss
    """

    operator: FrameStack
    frames: Array
    loss: Loss

    def see(self, number: int, product: Array) -> Seen:
        root = self.operator.root(number, WIDE)
        misfit = self.frames[number].reshape(-1) - product
        misfit[np.broadcast_to(root == 0, misfit.shape)] = 0
        misfit *= root
        weights = self.loss.weights(misfit)
        fall = weights * misfit
        square = float(fall @ misfit)
        return Seen(
            float(self.loss.value(misfit)), root * fall, square, root * root * weights,
            self.loss.trust(misfit),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Photons:
    r"""Twice the logarithm of the likelihood ratio of Poisson counts `n` and means `m`.

    .. math:: 2 \sum w \left(m - n + n \log \frac{n}{m}\right), \quad m = \frac{A x + b}{g}

    Gaussian noise beside the photons is taken for photons of the same variance, that is, its
    variance is added to both. Where an image is darker than any that is likely the loss grows as a
    straight line: its own slope has no end, and steps that touched the bound would not come back.

    Attributes
    ----------
    counts, backgrounds : sequence of ndarray or float
        Of each frame, in photons.
    gain : float
        What a photon adds to a pixel.
    weights : sequence of ndarray or float
        One, or zero for what is not observed.

    References
    ----------
    D. L. Snyder, A. M. Hammoud and R. L. White, "Image recovery from data acquired with a
    charge-coupled-device camera", J. Opt. Soc. Am. A 10 (1993) 1014-1023,
    https://doi.org/10.1364/JOSAA.10.001014.
    """

    counts: Sequence[Array]
    backgrounds: Sequence[Array]
    gain: float
    weights: Sequence[Array]

    def mean(self, number: int, product: Array) -> Array:
        """The expected counts."""
        m = product / self.gain + self.backgrounds[number]
        return np.maximum(m, DARKEST)

    def see(self, number: int, product: Array) -> Seen:
        n, w, m = self.counts[number], self.weights[number], self.mean(number, product)
        ratio = np.minimum(n / m, STEEPEST)
        return Seen(
            self._loss(n, w, m, ratio), w * (ratio - 1) / self.gain,
            np.sum(w * (n - m) ** 2 / m), w / (self.gain**2 * m), np.ones_like(m),
        )  # fmt: skip

    def cost(self, products: Sequence[Array]) -> Any:
        """The loss of all frames."""
        total: Any = 0.0
        for number, product in enumerate(products):
            n, w, m = self.counts[number], self.weights[number], self.mean(number, product)
            total = total + self._loss(n, w, m, np.minimum(n / m, STEEPEST))
        return total

    def bend(self, products: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """For each frame minus half the slope of the loss and half its curvature."""
        slopes, curvatures = [], []
        for number, product in enumerate(products):
            n, w, m = self.counts[number], self.weights[number], self.mean(number, product)
            ratio = np.minimum(n / m, STEEPEST)
            slopes.append(w * (ratio - 1) / self.gain)
            curvatures.append(w * ratio / (self.gain**2 * m))
        return slopes, curvatures

    @staticmethod
    def _loss(n: Array, w: Array, m: Array, ratio: Array) -> Any:
        return 2 * np.sum(w * (m - ratio * m + n * np.log(np.where(n > 0, ratio, 1.0))))
