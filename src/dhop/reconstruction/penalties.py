"""Penalties of images, their gradients, and the weights of their quadratic majorisers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse.linalg import LinearOperator

from dhop.iteration.steps import inner
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.diagonal import DiagonalOperator
from dhop.operators.stack import FrameStack
from dhop.psf.stencils import DIFFERENCE
from dhop.psf.stencils import Name as Stencil
from dhop.runtime.parallel import row_blocks, run

Array: TypeAlias = Any
Name: TypeAlias = Literal["tv", "huber-tv", "starlet"]

ROUND = 1e-3  # of the range of the frames: the size up to which tips are rounded
PASSED = 3.0  # nanoseconds a pixel


class Cost(NamedTuple):
    """The value of a penalty at an image, and half its gradient."""

    value: float
    slope: Array


class QuadraticMajoriser(NamedTuple):
    """The quadratic majoriser ``||S x||^2`` of a penalty.

    `strength` is the weight of the nearest quadratic regulariser that is as strong.
    """

    S: FrameStack
    strength: float


class Penalty(Protocol):
    """A penalty of images, as vectors in double precision."""

    def cost(self, x: Array) -> Cost:
        """Its value and half its gradient."""


class SmoothedNorm(Penalty, Protocol):
    """A sum of norms, of gradients or of coefficients, that are quadratic near zero.

    `quadratic` is the quadratic regulariser whose spectrum is nearest.
    """

    quadratic: ClassVar[Stencil]

    def sizes(self, x: Array) -> list[Array]:
        """The norms, in one or several arrays."""

    def mean_cost(self, x: Array) -> float:
        """The mean of the norms, without rounding, over pixels."""

    def majoriser(self, sizes: Sequence[Array], dtype: DTypeLike) -> QuadraticMajoriser:
        """The quadratic majoriser at such norms."""


@dataclass(frozen=True, eq=False)
class Squares:
    """``||S x||^2``."""

    S: LinearOperator

    def cost(self, x: Array) -> Cost:
        filtered = self.S.matvec(x)
        return Cost(float(inner(filtered, filtered)), self.S.rmatvec(filtered))


@dataclass(frozen=True, eq=False)
class Variation:
    r"""Total variation :math:`\sum_p \phi(\|\nabla x_p\|)`, quadratic near zero.

    .. math:: \phi(s) = \frac{s^2}{2 t} \text{ for } s \le t, \quad s - \frac{t}{2} \text{ beyond}

    The gradient of a pixel is that of all channels together, by differences to the next pixels
    inside the image.

    Attributes
    ----------
    dims : tuple of int
        Channels, then the axes of the image.
    axes : sequence of int
        Of the image.
    threshold : float
        Up to which gradients are noise, or shading, and no edge.
    """

    quadratic: ClassVar[Stencil] = "gradient"
    dims: tuple[int, ...]
    axes: Sequence[int]
    threshold: float

    def steps(self, x: Array) -> tuple[list[Array], Array]:
        """The differences along each axis, and the sizes of the gradients."""
        image = x.reshape(self.dims)
        steps = [differences(image, axis) for axis in self.axes]
        channels = tuple(axis for axis in range(len(self.dims)) if axis not in self.axes)
        squares: Array = sum(np.sum(step * step, channels, keepdims=True) for step in steps)
        return steps, np.sqrt(squares)

    def sizes(self, x: Array) -> list[Array]:
        return [self.steps(x)[1]]

    def mean_cost(self, x: Array) -> float:
        return float(np.mean(self.steps(x)[1]))

    def majoriser(self, sizes: Sequence[Array], dtype: DTypeLike) -> QuadraticMajoriser:
        (size,) = sizes
        weights = huber(size, self.threshold)[1]
        roots = np.broadcast_to(np.sqrt(weights), self.dims).astype(dtype)
        steps = []
        for axis in self.axes:
            stencil = np.reshape(DIFFERENCE, [2 if k == axis else 1 for k in self.axes])
            A = DHOperator(
                self.dims, stencil, 1, center=[int(k == axis) for k in self.axes],
                boundary="symmetric", dtype=dtype, axes=tuple(self.axes),
            )  # fmt: skip
            steps.append(DiagonalOperator(roots, self.dims) @ A)
        return QuadraticMajoriser(FrameStack(steps), float(weights.mean()))

    def cost(self, x: Array) -> Cost:
        from dhop.kernels import total_variation  # with Numba, so not before it is needed

        sizes = tuple(self.dims[axis] for axis in self.axes)
        image = x.reshape(-1, *(1,) * (3 - len(sizes)), *sizes)
        weights, slope = np.empty(image.shape[1:], x.dtype), np.empty_like(image)
        sums = np.empty(weights.shape[0] * weights.shape[1])
        rows = row_blocks(sums.size, PASSED * image.size)

        def weigh(start: int, stop: int) -> None:
            total_variation.huber_weights(image, self.threshold, start, stop, weights, sums)

        def climb(start: int, stop: int) -> None:
            total_variation.weighted_laplacian(image, weights, start, stop, slope)

        run(weigh, rows)
        run(climb, rows)
        return Cost(float(sums.sum()), slope.reshape(x.shape))


def huber(size: Array, threshold: float) -> tuple[Any, Array]:
    """The sum of norms that are quadratic up to a threshold, and half the slopes over the norms."""
    t = threshold
    value = np.sum(np.where(size < t, size * size / (2 * t), size - t / 2))
    return value, 1 / (2 * np.maximum(size, t))


def differences(image: Array, axis: int) -> Array:
    """The next pixel less this one; zero for the last."""
    step = np.zeros_like(image)
    step[_part(axis, None, -1)] = np.diff(image, axis=axis)
    return step


def _part(axis: int, start: int | None, stop: int | None) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, stop))
