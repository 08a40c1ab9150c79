"""What the frames say of their predictions: the values of losses, and their slopes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.steps import inner
from dhop.kernels import DARKEST, NEAR, STEEPEST
from dhop.operators.stack import FrameStack
from dhop.reconstruction.losses import Loss

Array = NDArray[Any]

WIDE = np.dtype(np.float64)


class FrameLoss(NamedTuple):
    """What one frame says of its prediction, lazily if that is lazy.

    Attributes
    ----------
    value : number
        Its loss.
    descent : ndarray
        Minus half the slope of that, for each pixel.
    """

    value: Any
    descent: Array


class QuadraticModel(NamedTuple):
    """Least squares of the same slope as the loss of one frame, or nearly.

    Attributes
    ----------
    square : number
        Squared norm of the residuals, times the weights.
    weights, robustness : ndarray
        Of the pixels, and how much of that is no distrust of outliers.
    """

    square: Any
    weights: Array
    robustness: Array


class DataTerm(Protocol):
    """Frames and what they cost."""

    def evaluate(self, number: int, product: Array) -> FrameLoss:
        """What a frame says, if `product` is ``A x``."""

    def quadratic_model(self, number: int, product: Array) -> QuadraticModel:
        """The least squares that touch the loss of a frame there."""


@dataclass(frozen=True, eq=False)
class ResidualLoss:
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

    def evaluate(self, number: int, product: Array) -> FrameLoss:
        root, misfit = self._misfit(number, product)
        descent = root * self.loss.weights(misfit) * misfit
        return FrameLoss(float(self.loss.value(misfit)), descent)

    def quadratic_model(self, number: int, product: Array) -> QuadraticModel:
        root, misfit = self._misfit(number, product)
        weights = self.loss.weights(misfit)
        square = float((weights * misfit) @ misfit)
        return QuadraticModel(square, root * root * weights, self.loss.robustness(misfit))

    def _misfit(self, number: int, product: Array) -> tuple[Any, Array]:
        root = self.operator.root(number, WIDE)
        misfit = self.frames[number].reshape(-1) - product
        misfit[np.broadcast_to(root == 0, misfit.shape)] = 0
        return root, misfit * root


@dataclass(frozen=True, eq=False)
class PoissonLoss:
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

    def evaluate(self, number: int, product: Array) -> FrameLoss:
        n, w, m = self.counts[number], self.weights[number], self.mean(number, product)
        ratio = np.minimum(n / m, STEEPEST)
        return FrameLoss(self._loss(n, w, m, ratio), w * (ratio - 1) / self.gain)

    def quadratic_model(self, number: int, product: Array) -> QuadraticModel:
        n, w, m = self.counts[number], self.weights[number], self.mean(number, product)
        square = np.sum(w * (n - m) ** 2 / m)
        return QuadraticModel(square, w / (self.gain**2 * m), np.ones_like(m))

    def cost(self, products: Sequence[Array]) -> Any:
        """The loss of all frames."""
        total: Any = 0.0
        for number, product in enumerate(products):
            n, w, m = self.counts[number], self.weights[number], self.mean(number, product)
            total = total + self._loss(n, w, m, np.minimum(n / m, STEEPEST))
        return total

    def bend(self, products: Sequence[Array], ways: Sequence[Sequence[Array]], t: Array) -> Any:
        """How the loss of all frames is inclined and bent where these change in two ways.

        Parameters
        ----------
        products : sequence of ndarray
        ways : pair of sequences of ndarray
            Changes of the products.
        t : ndarray, shape (2,)
            How far they have gone along these.

        Returns
        -------
        five numbers
            Minus half the slopes, then half the curvatures: along one way, across, along the other.
        """
        total: Any = np.zeros(5)
        for number, (product, one, other) in enumerate(zip(products, *ways, strict=True)):
            ahead = np.maximum(product + t[0] * one + t[1] * other, NEAR * product)
            n, w, m = self.counts[number], self.weights[number], self.mean(number, ahead)
            ratio = np.minimum(n / m, STEEPEST)
            descent, bent = w * (ratio - 1) / self.gain, w * ratio / (self.gain**2 * m)
            sums = [(descent, one), (descent, other)]
            sums += [(bent * one, one), (bent * one, other), (bent * other, other)]
            total = [before + inner(*pair) for before, pair in zip(total, sums, strict=True)]
        return total

    @staticmethod
    def _loss(n: Array, w: Array, m: Array, ratio: Array) -> Any:
        return 2 * np.sum(w * (m - ratio * m + n * np.log(np.where(n > 0, ratio, 1.0))))
