r"""The posterior about a solution: a Gaussian for each of the images that are independent.

Its covariances are those of `covariance`. Pixels at a bound are held there. Priors that are not
quadratic have the Gaussian of `gaussian_approximation`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from dhop.frames.unit import exponent, times_power
from dhop.operators.blur_decimate import DHOperator
from dhop.reconstruction.penalties import Name as Prior
from dhop.reconstruction.posterior.covariance import Covariance
from dhop.reconstruction.posterior.gaussian_approximation import GaussianApproximation
from dhop.reconstruction.posterior.periodic_diagonal import periodic_diagonal
from dhop.reconstruction.posterior.probing import Diagonal, probed
from dhop.reconstruction.priors import prior_of
from dhop.reconstruction.problem import Problem
from dhop.reconstruction.solvers import root_of_two
from dhop.reconstruction.targets import target_operator
from dhop.runtime.progress import Progress

Array = NDArray[Any]
T = TypeVar("T")

SIGNS = 2**17  # pixels of all vectors together that degrees of freedom are estimated with


class Posterior:
    """The covariances of the images of a problem.

    Parameters
    ----------
    problem : Problem
        Its frames are not used.
    scene : ndarray, shape (N,)
        The solution.
    bounds, edge, target
        Of `dhop.Solution`.

    Attributes
    ----------
    root : float
        The noise is divided by it, as the problem is scaled.
    images : list of Covariance
        At the solution itself.
    """

    def __init__(
        self,
        problem: Problem,
        scene: Array,
        bounds: tuple[float, float] | None = None,
        edge: float | None = None,
        target: Array | None = None,
    ) -> None:
        named: Any = problem.regulariser if isinstance(problem.regulariser, str) else None
        varies = named in get_args(Prior)
        smooth = replace(problem, regulariser="gradient") if varies else problem
        self.root = root_of_two(max(smooth.scales()))
        if self.root != 1:
            problem = problem.divided(self.root)
        self._problem, self._target = problem, target
        free = None if bounds is None else (scene > bounds[0]) & (scene < bounds[1])
        self._approximation: GaussianApproximation | None = None
        self._power = 0  # of two, the unit of images that the approximation takes squares of
        self.images: list[Covariance] = []
        if varies:
            assert edge is not None
            dims = problem.operator.dims
            self._power = exponent(scene[None])
            edge, beta = (float(times_power(x, -self._power)) for x in (edge, problem.beta))
            self._approximation = GaussianApproximation(
                replace(problem, beta=beta),
                prior_of(named, dims, problem.ndim, edge),
                times_power(scene, -self._power),
                free,
                self.target_for(dims),
            )
            self.images.append(self._approximation.at_solution)
            return
        for number, one in enumerate(problem.images):
            size = scene.size // len(problem.images)
            own = None if free is None else free[number * size : (number + 1) * size]
            same = (each for each in self.images if each.equals(one, own))
            shown = self.target_for(one.operator.dims)
            self.images.append(next(same, None) or Covariance(one, own, target=shown))

    def target_for(self, dims: tuple[int, ...]) -> DHOperator | None:
        """The operator to the target, for images of a shape, if there is a target."""
        problem = self._problem
        options = {"boundary": problem.boundary, "dtype": problem.operator.dtype}
        return target_operator(self._target, dims, **options)

    def covariances(self, sigma: float) -> list[Covariance]:
        """The posterior covariances for noise of `sigma`, which was divided by `root`."""
        if self._approximation is None:
            return self.images
        return [self._approximation.covariance(float(times_power(sigma, -self._power)))]

    def deviations(
        self,
        sigma: float,
        noise: bool,
        probes: int,
        rng: np.random.Generator,
        progress: Progress = None,
    ) -> tuple[Array, float]:
        """The standard deviation of each pixel, and the relative error of its estimate.

        For `noise` it is that by the noise of the frames alone, `sigma` in their unit. For the rest
        see `dhop.reconstruction.posterior.probing.probed`.
        """
        own = sigma / self.root
        images = self.images if noise else self.covariances(own)
        found = each_once(images, lambda one: _diagonal(one, noise, probes, rng, progress))
        variances = np.concatenate([each.values.reshape(-1) for each in found])
        error = sqrt(np.mean([each.error**2 for each in found])) / 2
        return own * np.sqrt(variances.clip(0)), error

    def degrees_of_freedom(self, rng: np.random.Generator, rtol: float) -> float:
        """The effective degrees of freedom of all images."""

        def of(one: Covariance) -> float:
            return one.degrees_of_freedom(int(np.clip(SIGNS // one.size, 1, 64)), rng, rtol)

        return sum(each_once(self.images, of))


def each_once(images: Sequence[Covariance], compute: Callable[[Covariance], T]) -> list[T]:
    """What is computed of each covariance, once of those that several images share."""
    found = {key: compute(one) for key, one in {id(one): one for one in images}.items()}
    return [found[id(one)] for one in images]


def require_prior(beta: float) -> None:
    """Refuse solutions without a prior."""
    if not beta > 0:
        raise ValueError("without a regulariser, beta=0, nothing is known of the scene itself")


def _diagonal(
    one: Covariance, noise: bool, probes: int, rng: np.random.Generator, progress: Progress
) -> Diagonal:
    """The variances of pixels: in closed form, of a small image if they repeat, or probed."""
    if one.closed is not None and one.target is None:
        return Diagonal(one.closed.diagonal(noise), 0.0)
    small = periodic_diagonal(one, noise, probes, rng, progress)
    return probed(one, noise, probes, rng, progress) if small is None else small
