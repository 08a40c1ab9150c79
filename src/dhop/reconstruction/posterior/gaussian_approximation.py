r"""The Gaussian nearest to the posterior for a prior that is not quadratic.

.. math:: \phi(s) = \min_w \left( w s^2 + \ldots \right), \quad w = \frac{1}{2 \max(s, t)}

so that a quadratic prior with these weights majorises the other at sizes `s`, of gradients or of
coefficients. The Gaussian about the solution that is nearest to the posterior has the weights of
the root mean square sizes under itself [1]_: weights and covariance are computed in turn.

References
----------
.. [1] S. D. Babacan, R. Molina and A. K. Katsaggelos, "Parameter estimation in TV image restoration
   using variational distribution approximation", IEEE Trans. Image Process. 17 (2008) 326-339,
   https://doi.org/10.1109/TIP.2007.916051.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.operators.base import ArrayOperator
from dhop.reconstruction.penalties import SmoothedNorm
from dhop.reconstruction.posterior.covariance import Covariance
from dhop.reconstruction.problem import Problem

Array = NDArray[Any]

ROUNDS = 4  # of weights and covariances; both change by some percent then
SAMPLES = 24  # for the mean squares of sizes
ROUGH = 1e-3  # tolerance of the samples


class GaussianApproximation:
    """The covariances of an image whose prior is not quadratic.

    Parameters
    ----------
    problem : Problem
        Its `regulariser` is ignored.
    prior : SmoothedNorm
    x : ndarray, shape (N,)
        The solution.
    free, target
        As for `Covariance`.

    Attributes
    ----------
    at_solution : Covariance
        With the weights of the solution's own sizes: for noise of zero.
    """

    def __init__(
        self,
        problem: Problem,
        prior: SmoothedNorm,
        x: Array,
        free: Array | None,
        target: ArrayOperator | None,
    ) -> None:
        self._problem, self._prior = problem, prior
        self._free, self._target = free, target
        self._sizes = prior.sizes(x.astype(np.float64))
        self.at_solution = self._covariance(self._sizes)
        self._known: dict[float, Covariance] = {}

    def covariance(self, sigma: float) -> Covariance:
        """The covariance for noise of the standard deviation `sigma`."""
        if not sigma:
            return self.at_solution
        if sigma not in self._known:
            found, rng = self.at_solution, np.random.default_rng(0)
            for _ in range(ROUNDS):
                squares = [np.zeros(size.shape) for size in self._sizes]
                for batch in found.batches(SAMPLES):
                    for drawn in found.solve(found.perturbations(len(batch), rng), ROUGH):
                        seen = self._prior.sizes(sigma * drawn.astype(np.float64))
                        squares = [one + own**2 for one, own in zip(squares, seen, strict=True)]
                pairs = zip(self._sizes, squares, strict=True)
                found = self._covariance([np.sqrt(x**2 + y / SAMPLES) for x, y in pairs])
            self._known[sigma] = found
        return self._known[sigma]

    def _covariance(self, sizes: Sequence[Array]) -> Covariance:
        """The covariance of the quadratic prior that majorises at these sizes."""
        problem = self._problem
        S, strength = self._prior.majoriser(sizes, problem.operator.dtype)
        near = replace(problem, regulariser=self._prior.quadratic, beta=problem.beta * strength)
        return Covariance(replace(problem, regulariser=S), self._free, near, self._target)
