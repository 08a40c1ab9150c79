r"""What the posterior methods of `Solution` compute.

If the noise of a pixel of weight `w` has the variance :math:`\sigma^2 / w`, and the scene is as
likely as the regulariser says, :math:`\exp(-\beta \|S x\|^2 / 2 \sigma^2)`, then the scene, given
the frames, is Gaussian about the solution, with the covariance :math:`\sigma^2 K^{-1}`,
:math:`K = N + \beta P`. The noise alone would let the solution vary by
:math:`\sigma^2 K^{-1} N K^{-1}`.

With bounds, pixels at one are held there, and those between vary as if there were none. At a
`target`, all is that of :math:`G x`.
"""

from collections.abc import Sequence
from functools import cached_property
from math import sqrt
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from dhop.frames import layouts
from dhop.iteration.steps import RTOL
from dhop.reconstruction.posterior.covariance import Covariance
from dhop.reconstruction.posterior.posterior import Posterior, each_once, require_prior
from dhop.reconstruction.posterior.resolution import Resolution, places, widths
from dhop.reconstruction.problem import Problem
from dhop.runtime import arguments
from dhop.runtime.progress import Progress

if TYPE_CHECKING:
    from dhop.reconstruction.solution import Solution

Array = NDArray[Any]
What: TypeAlias = Literal["posterior", "noise"]


class Uncertainty:
    """The posterior of a solution, in the axes and units of the user."""

    def __init__(self, solution: "Solution") -> None:
        if solution.solver == "plug-and-play":
            raise ValueError("a denoiser is no prior of which deviations are known")
        require_prior(solution.beta)
        self._solution = solution
        problem = Problem(
            solution.operator, solution.frames, solution.regulariser, solution.beta,
            solution.boundary, solution.shifts.shape[1],
        )  # fmt: skip
        scene = self._inward(solution.scene).reshape(-1)
        self._posterior = Posterior(problem, scene, solution.bounds, solution.edge, solution.target)
        self.images = self._posterior.images

    def deviation(
        self, noise: float | None, what: What, probes: int, progress: Progress
    ) -> tuple[Array, float]:
        """The standard deviation of each pixel, and the error of its estimate."""
        arguments.choice("what", what, get_args(What))
        arguments.positive("probes", probes)
        found, error = self._posterior.deviations(
            self._sigma(noise), what == "noise", probes, np.random.default_rng(0), progress
        )
        return self._outward(found), error

    def response(self, pixel: Sequence[int]) -> Array:
        """The solution for frames of a scene that is one pixel, without noise."""
        one, unit, place = self._unit(pixel, self.images)
        return self._placed(one.apply_target(one.solve(one.data(unit), RTOL)), place)

    def covariance(self, pixel: Sequence[int], noise: float | None) -> Array:
        """The covariances of all pixels with one."""
        sigma = self._sigma(noise) / self._posterior.root
        one, unit, place = self._unit(pixel, self._posterior.covariances(sigma))
        row = one.apply_target(one.solve(one.target_adjoint(unit), RTOL))
        return self._placed(sigma**2 * row, place)

    def resolution(self, grid: int | Sequence[int]) -> Resolution:
        """The widths of the responses at a grid of pixels of each image."""
        first = self.images[0]
        shape = tuple(first.dims[axis] for axis in first.axes)
        line = len(self._solution.operator.dims) > self._solution.image.ndim
        counts = (1, *_grid(grid, shape[1:])) if line else _grid(grid, shape)
        pixels = places(shape, counts)
        flat = pixels.reshape(-1, len(shape))
        each = np.concatenate(each_once(self.images, lambda one: _widths(one, flat)))
        each = each.reshape(len(each), *pixels.shape)
        if line:  # which was solved as an image of one row
            pixels, each = pixels[0, :, 1:], each[:, 0, :, 1:]
        several = self._solution.image.ndim > pixels.shape[-1]
        return Resolution(pixels, each if several else each[0])

    def samples(self, count: int, rng: Any, noise: float | None) -> Array:
        """Images drawn from the posterior."""
        arguments.positive("n", count)
        sigma = self._sigma(noise) / self._posterior.root
        rng = np.random.default_rng(rng)
        scene = self._inward(self._solution.scene).reshape(-1)
        drawn = np.empty((count, scene.size), scene.dtype)
        for number, one in enumerate(self._posterior.covariances(sigma)):
            part = slice(number * one.size, (number + 1) * one.size)
            for batch in one.batches(count):
                found = one.solve(one.perturbations(len(batch), rng), RTOL)
                drawn[batch.start : batch.stop, part] = sigma * found
        drawn += scene
        if self._solution.bounds is not None:
            drawn.clip(*self._solution.bounds, out=drawn)
        target = self._posterior.target_for(self._solution.operator.dims)
        if target is not None:
            drawn = target.matmat(drawn.T).T
        return np.stack([self._outward(each) for each in drawn])

    @cached_property
    def noise(self) -> float:
        """The standard deviation of the noise of a pixel of weight one.

        From the residuals and their degrees of freedom: the observed pixels less the effective
        degrees of freedom of the image.
        """
        solution = self._solution
        weights = solution.operator.weights
        left = float(solution.frames.size)
        if weights is not None:
            each = solution.frames[0].size
            left = sum(float((np.broadcast_to(w.ravel(), each) > 0).sum()) for w in weights)
        left -= self._posterior.degrees_of_freedom(np.random.default_rng(0), RTOL)
        if not left >= 1:
            raise ValueError(
                "the residuals say nothing of the noise: the image follows the frames; give noise"
            )
        return solution.residual_norm / sqrt(left)

    def _sigma(self, noise: float | None) -> float:
        """The noise as given, or estimated from the residuals."""
        sigma = self.noise if noise is None else arguments.real("noise", noise)
        if not sigma >= 0:
            raise ValueError(f"noise must not be negative, got {noise!r}")
        return sigma

    def _unit(
        self, pixel: Sequence[int], images: "list[Covariance]"
    ) -> tuple[Covariance, Array, slice]:
        """The covariance of a pixel's image, its unit vector, and where that image lies."""
        shape = self._solution.image.shape
        index = tuple(
            arguments.integer("pixel", k) for k in arguments.sequence("pixel", pixel, "integers")
        )
        inside = len(index) == len(shape) and all(
            -n <= k < n for k, n in zip(index, shape, strict=True)
        )
        if not inside:
            raise ValueError(f"pixel must be an index of the image of shape {shape}, got {pixel!r}")
        numbers = self._inward(np.arange(self._solution.image.size).reshape(shape)).ravel()
        at = int(np.flatnonzero(numbers == np.arange(numbers.size).reshape(shape)[index])[0])
        size = images[0].size
        number, own = divmod(at, size)
        one = images[number]
        return one, one.units([own]), slice(number * size, (number + 1) * size)

    def _placed(self, row: Array, place: slice) -> Array:
        whole = np.zeros(self._solution.image.size, row.dtype)
        whole[place] = row[0]
        return self._outward(whole)

    def _inward(self, image: Array) -> Array:
        return np.asarray(layouts.inward(image, self._solution.channel_axis))

    def _outward(self, vector: Array) -> Array:
        """A vector as the image of the user, in its precision."""
        solution = self._solution
        image = vector.reshape(solution.operator.dims)
        if image.ndim > solution.image.ndim:  # of a line, which was solved as an image of one row
            image = image[..., 0, :]
        return np.asarray(layouts.outward(image, solution.channel_axis)).astype(
            solution.image.dtype, copy=False
        )


def _grid(grid: int | Sequence[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    given = [grid] * len(shape) if np.ndim(grid) == 0 else arguments.sequence("grid", grid, "ints")
    counts = tuple(arguments.positive("grid", each) for each in given)
    if len(counts) != len(shape):
        raise ValueError(f"grid must be one integer or {len(shape)}, got {grid!r}")
    return tuple(min(count, n) for count, n in zip(counts, shape, strict=True))


def _widths(one: Covariance, pixels: Array) -> Array:
    """Widths of the responses at the same pixels of all images of a covariance."""
    images = np.moveaxis(np.arange(one.size).reshape(one.dims), one.axes, range(-len(one.axes), 0))
    numbers = images.reshape(-1, *images.shape[-len(one.axes) :])
    at = numbers[(slice(None), *pixels.T)].ravel()
    found = []
    for batch in one.batches(at.size):
        some = at[batch.start : batch.stop]
        rows = one.apply_target(one.solve(one.data(one.units(some)), RTOL))
        for row, own in zip(rows, some, strict=True):
            (image,) = np.flatnonzero((numbers == own).reshape(len(numbers), -1).any(axis=1))
            found.append(widths(row[numbers[image]]))
    return np.reshape(found, (len(numbers), -1, len(one.axes)))
