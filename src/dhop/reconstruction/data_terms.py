"""Data terms: losses of the frames given their predictions, and their derivatives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import LARGEST_RATIO, LEAST_MEAN
from dhop.operators.stack import FrameStack
from dhop.reconstruction.losses import Loss

Array = NDArray[Any]

WIDE = np.dtype(np.float64)


class FrameLoss(NamedTuple):
    """The loss of one frame, lazy for a lazy prediction.

    `descent` is minus half the derivative by each pixel of the prediction.
    """

    value: Any
    descent: Array


class QuadraticModel(NamedTuple):
    """Least squares with the gradient of the loss of one frame, or nearly.

    `square` is the sum of the weighted squares of the residuals; `robustness` are the robustness
    weights of `dhop.reconstruction.losses.Loss`.
    """

    square: Any
    weights: Array
    robustness: Array


class DataTerm(Protocol):
    """The loss of all frames, one by one."""

    def evaluate(self, number: int, product: Array) -> FrameLoss:
        """The loss of a frame if `product` is ``A x``."""

    def quadratic_model(self, number: int, product: Array) -> QuadraticModel:
        """The least squares near the loss of a frame there."""


@dataclass(frozen=True, eq=False)
class ResidualLoss:
    """A loss of the weighted residuals of frames; the operator has the weights."""

    operator: FrameStack
    frames: Array
    loss: Loss

    def evaluate(self, number: int, product: Array) -> FrameLoss:
        root, u = self._residuals(number, product)
        descent = root * self.loss.weights(u) * u
        return FrameLoss(float(self.loss.value(u)), descent)

    def quadratic_model(self, number: int, product: Array) -> QuadraticModel:
        root, u = self._residuals(number, product)
        weights = self.loss.weights(u)
        square = float((weights * u) @ u)
        return QuadraticModel(square, root * root * weights, self.loss.robustness(u))

    def _residuals(self, number: int, product: Array) -> tuple[Any, Array]:
        root = self.operator.root(number, WIDE)
        u = self.frames[number].reshape(-1) - product
        u[np.broadcast_to(root == 0, u.shape)] = 0
        return root, u * root


@dataclass(frozen=True, eq=False)
class PoissonLoss:
    r"""Twice the logarithm of the likelihood ratio of Poisson counts `n` and means `m`.

    .. math:: 2 \sum w \left(m - n + n \log \frac{n}{m}\right), \quad m = \frac{A x + b}{g}

    Read noise is treated as photons of the same variance, which is added to counts and means. Below
    any likely mean the loss continues as a straight line: its own slope is infinite at zero, and
    steps that touched the bound would not come back.

    Attributes
    ----------
    counts, backgrounds : sequence of ndarray or float
        Of each frame, in photons.
    gain : float
        Of a photon, in the unit of the frames.
    weights : sequence of ndarray or float
        One, or zero for pixels without a weight.

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
        return np.maximum(m, LEAST_MEAN)

    def evaluate(self, number: int, product: Array) -> FrameLoss:
        n, w, m = self.counts[number], self.weights[number], self.mean(number, product)
        ratio = np.minimum(n / m, LARGEST_RATIO)
        loss = 2 * np.sum(w * (m - ratio * m + n * np.log(np.where(n > 0, ratio, 1.0))))
        return FrameLoss(loss, w * (ratio - 1) / self.gain)

    def quadratic_model(self, number: int, product: Array) -> QuadraticModel:
        n, w, m = self.counts[number], self.weights[number], self.mean(number, product)
        square = np.sum(w * (n - m) ** 2 / m)
        return QuadraticModel(square, w / (self.gain**2 * m), np.ones_like(m))
