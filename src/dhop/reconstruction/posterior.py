r"""What is known of a scene about a solution: Gaussian images, and how far each pixel may be off.

Their covariances are those of `dhop.reconstruction.covariance`, one for each of the images that
know nothing of each other. With bounds a pixel at one is held; priors that are no squares are those
that touch them, see `dhop.reconstruction.gaussian_approximation`.
"""

from dataclasses import replace
from math import sqrt
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from dhop.operators.blur_decimate import DHOperator
from dhop.reconstruction.covariance import Covariance
from dhop.reconstruction.gaussian_approximation import Reweighted
from dhop.reconstruction.penalties import Name as Prior
from dhop.reconstruction.periodic_diagonal import repeated
from dhop.reconstruction.priors import prior_of
from dhop.reconstruction.probing import Diagonal, probed
from dhop.reconstruction.problem import Problem
from dhop.reconstruction.solvers import root_of_two
from dhop.reconstruction.targets import through
from dhop.runtime.progress import Progress

Array = NDArray[Any]

SIGNS = 2**17  # pixels of images that degrees of freedom are estimated with


class Posterior:
    """The covariances of the images of a problem.

    Parameters
    ----------
    problem : Problem
        Whose solution it is; its frames are not looked at.
    scene : ndarray, shape (N,)
        The solution.
    bounds : (float, float) or None
        Least and largest value that it may have.
    edge : float or None
        The size up to which total variation took steps for noise, or starlets coefficients.
    target : ndarray or None
        What images are shown through.

    Attributes
    ----------
    root : float
        Noise divided by it is that of the problem as it is solved.
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
        self._problem, self._scene, self._target = problem, scene, target
        free = None if bounds is None else (scene > bounds[0]) & (scene < bounds[1])
        self._reweighted: Reweighted | None = None
        self.images: list[Covariance] = []
        if varies:
            assert edge is not None
            self._reweighted = self._of_prior(named, edge, free)
            self.images.append(self._reweighted.here)
            return
        for number, one in enumerate(problem.images):
            size = scene.size // len(problem.images)
            own = None if free is None else free[number * size : (number + 1) * size]
            same = (each for each in self.images if each.serves(one, own))
            shown = self.through(one.operator.dims)
            self.images.append(next(same, None) or Covariance(one, own, target=shown))

    def through(self, dims: tuple[int, ...]) -> DHOperator | None:
        """What shows images of a shape at the target, if there is one."""
        given = self._problem
        return through(self._target, dims, boundary=given.boundary, dtype=given.operator.dtype)

    def about(self, sigma: float) -> list[Covariance]:
        """The covariances of what is known of the scene, for noise that was divided by `root`."""
        return self.images if self._reweighted is None else [self._reweighted.about(sigma)]

    def deviations(
        self,
        sigma: float,
        noise: bool,
        probes: int,
        rng: np.random.Generator,
        progress: Progress = None,
    ) -> tuple[Array, float]:
        """The standard deviation of each pixel, and the relative error of its estimate.

        Parameters
        ----------
        sigma : float
            Of the noise, in the unit of the frames.
        noise : bool
            Whether of what the noise alone makes.
        probes, rng, progress
            See `dhop.reconstruction.probing.probed`.
        """
        own = sigma / self.root
        images = self.images if noise else self.about(own)
        found: dict[int, Diagonal] = {}
        for one in images:
            if id(one) not in found:
                found[id(one)] = _diagonal(one, noise, probes, rng, progress)
        variances = np.concatenate([found[id(one)].values.reshape(-1) for one in images])
        error = sqrt(np.mean([found[id(one)].error ** 2 for one in images])) / 2
        return own * np.sqrt(variances.clip(0)), error

    def determined(self, rng: np.random.Generator, rtol: float) -> float:
        """How many numbers of the data the images follow, see `Covariance.determined`."""
        used: dict[int, float] = {}
        for one in self.images:
            if id(one) not in used:
                used[id(one)] = one.determined(int(np.clip(SIGNS // one.size, 1, 64)), rng, rtol)
        return sum(used[id(one)] for one in self.images)

    def _of_prior(self, name: Prior, edge: float, free: Array | None) -> Reweighted:
        """The covariances of a prior that is no square, of all channels together."""
        problem = self._problem
        dims = problem.operator.dims
        prior = prior_of(name, dims, problem.ndim, edge)
        target = self.through(dims)
        return Reweighted(
            problem, prior, self._scene, lambda one, near: Covariance(one, free, near, target)
        )


def require_prior(beta: float) -> None:
    """Refuse solutions about which nothing but the data is known."""
    if not beta > 0:
        raise ValueError("without a regulariser, beta=0, nothing is known of the scene itself")


def _diagonal(
    one: Covariance, noise: bool, probes: int, rng: np.random.Generator, progress: Progress
) -> Diagonal:
    """The variances of pixels: in closed form, from a small image if they repeat, or by combs."""
    if one.closed is not None and one.target is None:
        return Diagonal(one.closed.diagonal(noise), 0.0)
    small = repeated(one, noise, probes, rng, progress)
    return probed(one, noise, probes, rng, progress) if small is None else small
