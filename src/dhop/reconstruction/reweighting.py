r"""Total variation as squares, for the covariances of its solutions.

.. math:: \phi(s) = \min_w \left( w s^2 + \ldots \right), \quad w = \frac{1}{2 \max(s, t)}

so that squares with these weights touch the prior from above at gradients of the sizes `s`. A scene
that is only known to some deviation has gradients of many sizes. The Gaussian about the solution
that is nearest to what is known of it has the weights of the root of their mean square, which its
own covariance tells [1]_.

References
----------
.. [1] S. D. Babacan, R. Molina and A. K. Katsaggelos, "Parameter estimation in TV image restoration
   using variational distribution approximation", IEEE Trans. Image Process. 17 (2008) 326-339,
   https://doi.org/10.1109/TIP.2007.916051.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.operators.blur_decimate import DHOperator
from dhop.operators.diagonal import DiagonalOperator
from dhop.operators.stack import FrameStack
from dhop.reconstruction.covariance import Covariance
from dhop.reconstruction.penalties import Variation, blunted
from dhop.reconstruction.problem import Problem

Array = NDArray[Any]

ROUNDS = 4  # of weights and covariances; both change by some percent then
SAMPLES = 24  # that tell the mean squares of gradients
ROUGH = 1e-3  # tolerance of these


class Reweighted:
    """The covariances of an image whose prior is total variation.

    Parameters
    ----------
    problem : Problem
        Its `regulariser` is not looked at.
    variation : Variation
    x : ndarray, shape (N,)
        The solution.
    made : callable
        Makes a `Covariance` of a problem with squares and of one that is similar.
    """

    def __init__(
        self,
        problem: Problem,
        variation: Variation,
        x: Array,
        made: Callable[[Problem, Problem], Covariance],
    ) -> None:
        self._problem, self._variation, self._made = problem, variation, made
        self._sizes = variation.steps(x.astype(np.float64))[1]
        self.here = self._covariance(self._sizes)
        self._known: dict[float, Covariance] = {}

    def about(self, sigma: float) -> Covariance:
        """That of the nearest Gaussian, for noise of the standard deviation `sigma`."""
        if not sigma:
            return self.here
        if sigma not in self._known:
            found, rng = self.here, np.random.default_rng(0)
            for _ in range(ROUNDS):
                squares = np.zeros(self._sizes.shape)
                for batch in found.batches(SAMPLES):
                    for drawn in found.solve(found.pulls(len(batch), rng), ROUGH):
                        squares += self._variation.steps(sigma * drawn.astype(np.float64))[1] ** 2
                found = self._covariance(np.sqrt(self._sizes**2 + squares / SAMPLES))
            self._known[sigma] = found
        return self._known[sigma]

    def _covariance(self, sizes: Array) -> Covariance:
        """That of the squares that touch where gradients have these sizes."""
        B = self._problem.operator
        weights = blunted(sizes, self._variation.threshold)[1]
        roots = np.broadcast_to(np.sqrt(weights), B.dims).astype(B.dtype)
        steps = []
        for axis in self._variation.axes:
            stencil = np.reshape([1.0, -1.0], [2 if k == axis else 1 for k in self._variation.axes])
            A = DHOperator(
                B.dims, stencil, 1, center=[int(k == axis) for k in self._variation.axes],
                boundary="symmetric", dtype=B.dtype, axes=tuple(self._variation.axes),
            )  # fmt: skip
            steps.append(DiagonalOperator(roots, B.dims) @ A)
        beta = self._problem.beta
        similar = replace(self._problem, regulariser="gradient", beta=beta * float(weights.mean()))
        return self._made(replace(self._problem, regulariser=FrameStack(steps)), similar)
