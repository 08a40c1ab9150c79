"""The Poisson loss of arrays in memory, by compiled loops."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.richardson_lucy import LEAST_PART
from dhop.kernels import LEAST_MEAN, poisson
from dhop.reconstruction.data_terms import FrameLoss, PoissonLoss, QuadraticModel
from dhop.runtime import workspace
from dhop.runtime.elementwise import elementwise, total
from dhop.runtime.parallel import row_blocks, run

Array = NDArray[Any]

COST, STEP = 4.0, 1.0  # nanoseconds a pixel of loss and step


class CompiledPoissonLoss(PoissonLoss):
    """`PoissonLoss` of arrays; backgrounds and weights may be one number for a frame."""

    def evaluate(self, number: int, product: Array) -> FrameLoss:
        descent = workspace.empty(product.shape, product.dtype)
        sums = np.empty(-(-product.size // poisson.BLOCK))

        def part(start: int, stop: int) -> None:
            poisson.poisson_loss(*self._frame(number), product, start, stop, descent, sums)

        run(part, row_blocks(sums.size, COST * product.size))
        return FrameLoss(float(sums.sum()), descent)

    def quadratic_model(self, number: int, product: Array) -> QuadraticModel:
        n, *maps, gain = self._frame(number)
        # An array of double precision, even of one number, would make all arithmetic double.
        maps = [each.astype(product.dtype) if each.size == 1 else each for each in maps]

        def mean(p: Array, b: Array) -> Array:
            return np.maximum(p / gain + b, LEAST_MEAN)

        def square(n: Array, p: Array, b: Array, w: Array) -> Array:
            m = mean(p, b)
            return w * (n - m) ** 2 / m

        weights = elementwise(lambda p, b, w: w / gain / (gain * mean(p, b)), product, *maps)
        return QuadraticModel(
            total(square, n, product, *maps), weights, np.broadcast_to(1.0, n.shape)
        )

    def _frame(self, number: int) -> tuple[Array, Array, Array, float]:
        return self.counts[number], self.backgrounds[number], self.weights[number], self.gain


def step(scale: Array, r: Array, x: Array, before: Array, stride: float, part: float) -> Array:
    """See `dhop.iteration.richardson_lucy.step`."""
    new = workspace.empty(x.shape, x.dtype)

    def some(start: int, stop: int) -> None:
        poisson.step(scale, r, x, before, stride, part, LEAST_PART, start, stop, new)

    run(some, row_blocks(x.size, STEP * x.size))
    return new
