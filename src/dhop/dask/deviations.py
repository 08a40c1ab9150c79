"""How sure each pixel of a chunked image is: block by block, with what lies around it.

A pixel is correlated with those near it alone. So the deviations of a block are those of a small
problem in memory, see `dhop.dask.local_problems`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.dask.local_problems import LocalProblem, LocalProblems
from dhop.dask.operator import DaskArray, da, dask
from dhop.dask.problem import Problem
from dhop.reconstruction.posterior.posterior import Posterior

Array = NDArray[Any]

SOME = 5  # blocks that degrees of freedom are counted in
TOLERANCE = 1e-3  # of their estimates


@dataclass(frozen=True)
class Prior:
    """What is known of the image besides the frames.

    Attributes
    ----------
    regulariser, beta, boundary, bounds
        As for `dhop.super_resolve`.
    edge : float or None
        Of total variation.
    target : ndarray or None
        What the image is shown through.
    """

    regulariser: Any
    beta: float
    boundary: Any
    bounds: tuple[float, float] | None
    edge: float | None
    target: Array | None

    def posterior(self, local: LocalProblem, weights: Sequence[Any], scene: Array) -> Posterior:
        """What is known about a part of the solution, the `scene`."""
        posed = local.posed(weights, self.regulariser, self.beta, self.boundary)
        return Posterior(posed, scene.reshape(-1), self.bounds, self.edge, self.target)


class Deviations:
    """The deviations of an image.

    Parameters
    ----------
    given : Problem
        The least squares that the image is of.
    image : dask.array.Array
        That it is of, channels first.
    prior : Prior
    """

    def __init__(self, given: Problem, image: DaskArray, prior: Prior) -> None:
        self._given, self._prior = given, prior
        axes, target = given.operators[0].image_axes, prior.target
        self._problems = LocalProblems(
            given, image, (1,) * len(axes) if target is None else target.shape
        )

    def noise(self, misfit: float) -> float:
        """The standard deviation of the noise of a pixel of weight one, from all residuals."""
        given = self._given
        seen = [da.broadcast_to(da.asarray(w > 0), given.frames.shape[1:]) for w in given.weights]
        places = list(np.ndindex(self._problems.shape))
        some = places[:: ceil(len(places) / SOME)]
        counted = [
            dask.delayed(_degrees_of_freedom)(self._prior, *self._problems.at(place))
            for place in some
        ]
        counts, found = dask.compute([on.sum() for on in seen], counted)
        used = sum(one for one, _ in found) / sum(pixels for _, pixels in found)
        left = float(sum(counts)) - used * float(np.prod(given.operators[0].dims))
        if not left >= 1:
            raise ValueError(
                "the residuals say nothing of the noise: the image follows the frames; give noise"
            )
        return misfit / sqrt(left)

    def of_pixels(self, noise: float, what: str, probes: int) -> DaskArray:
        """The standard deviation of each pixel, channels first, not yet computed."""
        A = self._given.operators[0]
        channels = A.dims[: -len(A.image_axes)]
        rows = np.empty(self._problems.shape, dtype=object)
        for place in np.ndindex(rows.shape):
            local, *parts = self._problems.at(place)
            found = dask.delayed(_deviations)(
                self._prior, local, *parts, noise, what == "noise", probes
            )
            size = [each.stop - each.start for each in local.inner[1:]]
            rows[place] = da.from_delayed(found, (*channels, *size), np.float64)
        return da.block(rows.tolist()).astype(self._given.frames.dtype)


def _deviations(
    prior: Prior,
    local: LocalProblem,
    weights: list[Any],
    scene: Array,
    sigma: float,
    noise: bool,
    probes: int,
) -> Array:
    """Those of the pixels of a block."""
    rng = np.random.default_rng(0)
    posterior = prior.posterior(local, weights, scene)
    return posterior.deviations(sigma, noise, probes, rng)[0].reshape(local.dims)[local.inner]


def _degrees_of_freedom(
    prior: Prior, local: LocalProblem, weights: list[Any], scene: Array
) -> tuple[float, int]:
    """How many numbers of the data determine a part of the image, and how many pixels that has."""
    rng = np.random.default_rng(0)
    return prior.posterior(local, weights, scene).degrees_of_freedom(rng, TOLERANCE), scene.size
