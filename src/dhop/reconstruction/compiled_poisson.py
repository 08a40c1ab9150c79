"""The Poisson loss of arrays in memory, by compiled loops."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import LEAST_MEAN, poisson
from dhop.reconstruction.data_terms import WIDE, FrameLoss, PoissonLoss, QuadraticModel
from dhop.runtime import workspace
from dhop.runtime.elementwise import elementwise, total
from dhop.runtime.parallel import row_blocks, run

Array = NDArray[Any]

LOSS, DERIVATIVES = 4.0, 3.0  # nanoseconds a pixel of the two loops
NO_DESCENT: Array = np.zeros(0)


class CompiledPoissonLoss(PoissonLoss):
    """`PoissonLoss` of arrays; backgrounds and weights may be one number for a frame."""

    def evaluate(self, number: int, product: Array) -> FrameLoss:
        descent = workspace.empty(product.shape, product.dtype)
        return FrameLoss(self._total([(number, product, descent)]), descent)

    def quadratic_model(self, number: int, product: Array) -> QuadraticModel:
        n, background, weight, gain = self._frame(number)

        def mean(p: Array, b: Array) -> Array:
            return np.maximum(p / gain + b, LEAST_MEAN)

        def square(n: Array, p: Array, b: Array, w: Array) -> Array:
            m = mean(p, b)
            return w * (n - m) ** 2 / m

        weights = elementwise(
            lambda p, b, w: w / (gain**2 * mean(p, b)), product, background, weight, dtype=WIDE
        )
        return QuadraticModel(
            total(square, n, product, background, weight), weights, np.broadcast_to(1.0, n.shape)
        )

    def cost(self, products: Sequence[Array]) -> float:
        return self._total([(number, each, NO_DESCENT) for number, each in enumerate(products)])

    def directional_derivatives(
        self, products: Sequence[Array], directions: Sequence[Sequence[Array]], t: Array
    ) -> Array:
        sums = [np.empty((_blocks(product), 5)) for product in products]
        one, other = directions

        def part(k: int, start: int, stop: int) -> None:
            poisson.directional_derivatives(
                *self._frame(k), products[k], one[k], other[k], t, start, stop, sums[k]
            )

        run(part, _ranges(sums, DERIVATIVES))
        return np.sum([each.sum(axis=0) for each in sums], axis=0)

    def _total(self, frames: Sequence[tuple[int, Array, Array]]) -> float:
        """The loss of some frames, each a number, a product and an array for the descent."""
        sums = [np.empty(_blocks(product)) for _, product, _ in frames]

        def part(k: int, start: int, stop: int) -> None:
            number, product, descent = frames[k]
            poisson.poisson_loss(*self._frame(number), product, start, stop, descent, sums[k])

        run(part, _ranges(sums, LOSS))
        return float(sum(each.sum() for each in sums))

    def _frame(self, number: int) -> tuple[Array, Array, Array, float]:
        return self.counts[number], self.backgrounds[number], self.weights[number], self.gain


def _blocks(product: Array) -> int:
    return -(-product.size // poisson.BLOCK)


def _ranges(sums: Sequence[Array], cost: float) -> list[tuple[int, int, int]]:
    """Each frame with ranges of its blocks, one for each thread."""
    return [
        (k, *blocks)
        for k, each in enumerate(sums)
        for blocks in row_blocks(len(each), cost * poisson.BLOCK * len(each))
    ]
