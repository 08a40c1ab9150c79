r"""Priors that are no squares as squares, for the covariances of their solutions.

.. math:: \phi(s) = \min_w \left( w s^2 + \ldots \right), \quad w = \frac{1}{2 \max(s, t)}

so that squares with these weights touch the prior from above at sizes `s`, of gradients or of
coefficients. A scene that is only known to some deviation has many sizes. The Gaussian about the
solution that is nearest to what is known of it has the weights of the root of their mean square,
which its own covariance tells [1]_.

References
----------
.. [1] S. D. Babacan, R. Molina and A. K. Katsaggelos, "Parameter estimation in TV image restoration
   using variational distribution approximation", IEEE Trans. Image Process. 17 (2008) 326-339,
   https://doi.org/10.1109/TIP.2007.916051.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.reconstruction.covariance import Covariance
from dhop.reconstruction.penalties import SmoothedNorm
from dhop.reconstruction.problem import Problem

Array = NDArray[Any]

ROUNDS = 4  # of weights and covariances; both change by some percent then
SAMPLES = 24  # that tell the mean squares of sizes
ROUGH = 1e-3  # tolerance of these


class Reweighted:
    """The covariances of an image whose prior is no square.

    Parameters
    ----------
    problem : Problem
        Its `regulariser` is not looked at.
    prior : SmoothedNorm
    x : ndarray, shape (N,)
        The solution.
    made : callable
        Makes a `Covariance` of a problem with squares and of one that is similar.
    """

    def __init__(
        self,
        problem: Problem,
        prior: SmoothedNorm,
        x: Array,
        made: Callable[[Problem, Problem], Covariance],
    ) -> None:
        self._problem, self._prior, self._made = problem, prior, made
        self._sizes = prior.sizes(x.astype(np.float64))
        self.here = self._covariance(self._sizes)
        self._known: dict[float, Covariance] = {}

    def about(self, sigma: float) -> Covariance:
        """That of the nearest Gaussian, for noise of the standard deviation `sigma`."""
        if not sigma:
            return self.here
        if sigma not in self._known:
            found, rng = self.here, np.random.default_rng(0)
            for _ in range(ROUNDS):
                squares = [np.zeros(size.shape) for size in self._sizes]
                for batch in found.batches(SAMPLES):
                    for drawn in found.solve(found.pulls(len(batch), rng), ROUGH):
                        seen = self._prior.sizes(sigma * drawn.astype(np.float64))
                        squares = [one + own**2 for one, own in zip(squares, seen, strict=True)]
                pairs = zip(self._sizes, squares, strict=True)
                found = self._covariance([np.sqrt(x**2 + y / SAMPLES) for x, y in pairs])
            self._known[sigma] = found
        return self._known[sigma]

    def _covariance(self, sizes: Sequence[Array]) -> Covariance:
        """That of the squares that touch at these sizes."""
        problem = self._problem
        S, strength = self._prior.majoriser(sizes, problem.operator.dtype)
        near = replace(problem, regulariser=self._prior.quadratic, beta=problem.beta * strength)
        return self._made(replace(problem, regulariser=S), near)
