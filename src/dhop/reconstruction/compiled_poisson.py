"""The Poisson loss of arrays in memory, by compiled loops."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import photons
from dhop.reconstruction.data_terms import FrameLoss, PoissonLoss
from dhop.runtime.parallel import row_blocks, run

Array = NDArray[Any]

JUDGED, BENT = 4.0, 3.0  # nanoseconds a pixel of the two loops
NOTHING: Array = np.zeros(0)


class CompiledPoissonLoss(PoissonLoss):
    """`PoissonLoss` of arrays; backgrounds and weights may be one number for a frame."""

    def evaluate(self, number: int, product: Array) -> FrameLoss:
        descent = np.empty_like(product)
        return FrameLoss(self._judged([(number, product, descent)]), descent)

    def cost(self, products: Sequence[Array]) -> float:
        return self._judged([(number, each, NOTHING) for number, each in enumerate(products)])

    def bend(self, products: Sequence[Array], ways: Sequence[Sequence[Array]], t: Array) -> Array:
        sums = [np.empty((_blocks(product), 5)) for product in products]

        def bend(number: int, start: int, stop: int) -> None:
            photons.bend(
                *self._of(number), products[number], ways[0][number], ways[1][number], t,
                start, stop, sums[number],
            )  # fmt: skip

        run(bend, [(k, *part) for k, each in enumerate(sums) for part in _parts(each, BENT)])
        return np.sum([each.sum(axis=0) for each in sums], axis=0)

    def _judged(self, frames: Sequence[tuple[int, Array, Array]]) -> float:
        """The loss of some frames, each a number, a product and an array for the descent."""
        sums = [np.empty(_blocks(product)) for _, product, _ in frames]

        def judge(k: int, start: int, stop: int) -> None:
            number, product, descent = frames[k]
            photons.judge(*self._of(number), product, start, stop, descent, sums[k])

        run(judge, [(k, *part) for k, each in enumerate(sums) for part in _parts(each, JUDGED)])
        return float(sum(each.sum() for each in sums))

    def _of(self, number: int) -> tuple[Array, Array, Array, float]:
        return self.counts[number], self.backgrounds[number], self.weights[number], self.gain


def _blocks(product: Array) -> int:
    return -(-product.size // photons.BLOCK)


def _parts(sums: Array, cost: float) -> list[tuple[int, int]]:
    """Ranges of the blocks of a frame, one for each thread."""
    return row_blocks(len(sums), cost * photons.BLOCK * len(sums))
