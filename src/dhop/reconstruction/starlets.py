r"""Starlets: the isotropic undecimated wavelet transform.

.. math:: c_0 = x, \quad c_j = h_j * c_{j-1}, \quad w_j = c_{j-1} - c_j

with :math:`h_j` the cubic B-spline (1, 4, 6, 4, 1) / 16 along each axis, its taps
:math:`2^{j-1}` pixels apart (*a trous*). A star is a few large coefficients in the first scales,
faint extended light a few in the last, and noise many small ones in all.

J.-L. Starck, J. Fadili and F. Murtagh, "The undecimated wavelet decomposition and its
reconstruction", IEEE Trans. Image Process. 16 (2007) 297-309,
https://doi.org/10.1109/TIP.2006.887733.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dhop.operators.blur_decimate import DHOperator
from dhop.operators.diagonal import DiagonalOperator
from dhop.operators.stack import FrameStack
from dhop.psf.stencils import Name as Stencil
from dhop.reconstruction.penalties import Cost, QuadraticMajoriser, huber

Array: TypeAlias = Any
Line: TypeAlias = NDArray[np.float64]

SPLINE = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
MOST = 4  # scales; what is coarser than the last costs nothing


@dataclass(frozen=True, eq=False)
class Starlet:
    r"""The sum of the norms of starlet coefficients, quadratic near zero.

    .. math:: \sum_j \sum_p \phi_{t \sigma_j}(|w_{j,p}|)

    with :math:`\phi_t` of `dhop.reconstruction.penalties.Variation` and :math:`\sigma_j` the
    standard deviation of white noise of variance one in scale `j`, see `gains`. A norm is that of
    all channels together.

    Attributes
    ----------
    dims : tuple of int
        Channels, then the axes of the image.
    ndim : int
        Axes of the image.
    threshold : float
        Up to which coefficients, over the gain of their scale, are noise.
    smoothings : sequence of DHOperator
        Of the scales, or those of chunked images.
    """

    quadratic: ClassVar[Stencil] = "identity"
    dims: tuple[int, ...]
    ndim: int
    threshold: float
    smoothings: Sequence[Any]

    @classmethod
    def build(
        cls,
        dims: Sequence[int],
        ndim: int,
        threshold: float,
        make: Callable[..., Any] = DHOperator,
        **options: Any,
    ) -> "Starlet":
        """The penalty of images of a shape; `make` makes the smoothing operators."""
        sides = tuple(dims)[-ndim:]
        smoothings = [
            make(dims, on_axes(line, sides), 1, boundary="symmetric", **options)
            for line in splines(sides)
        ]
        return cls(tuple(dims), ndim, threshold, smoothings)

    @property
    def gains(self) -> list[float]:
        """See `gains`."""
        return gains(self.dims[-self.ndim :])

    def coefficients(self, x: Array) -> list[Array]:
        """The coefficients of each scale, as images."""
        found, left = [], x.reshape(self.dims)
        for smoothing in self.smoothings:
            smooth = smoothing.degrade(left)
            found.append(left - smooth)
            left = smooth
        return found

    def sizes(self, x: Array) -> list[Array]:
        return [self._size(detail) for detail in self.coefficients(x)]

    def mean_cost(self, x: Array) -> float:
        return float(sum(np.mean(size) for size in self.sizes(x)))

    def cost(self, x: Array) -> Cost:
        value: Any = 0.0
        slopes = []
        for gain, detail in zip(self.gains, self.coefficients(x), strict=True):
            own, weight = huber(self._size(detail), gain * self.threshold)
            value = value + own
            slopes.append(weight * detail)
        slope: Array = 0.0
        for smoothing, own in zip(self.smoothings[::-1], slopes[::-1], strict=True):
            slope = own + smoothing.backproject(slope - own)
        return Cost(value, slope.reshape(x.shape))

    def majoriser(self, sizes: Sequence[Array], dtype: DTypeLike) -> QuadraticMajoriser:
        sides = self.dims[-self.ndim :]
        parts, strength = [], 0.0
        for wavelet, gain, size in zip(wavelets(sides), self.gains, sizes, strict=True):
            weights = huber(size, gain * self.threshold)[1]
            roots = np.broadcast_to(np.sqrt(weights), self.dims).astype(dtype)
            W = DHOperator(self.dims, wavelet, 1, boundary="symmetric", dtype=dtype)
            parts.append(DiagonalOperator(roots, self.dims) @ W)
            strength += gain**2 * float(weights.mean())
        return QuadraticMajoriser(FrameStack(parts), strength)

    def _size(self, detail: Array) -> Array:
        channels = tuple(range(len(self.dims) - self.ndim))
        if not channels:
            return abs(detail)
        return np.sqrt(np.sum(detail * detail, channels, keepdims=True))


def splines(sides: Sequence[int]) -> list[Line]:
    """The smoothing kernels along a line that the longest side has room for, one at least."""
    count = ((max(sides) - 1) // 4).bit_length()
    found = []
    for scale in range(min(max(count, 1), MOST)):
        line = np.zeros(4 * 2**scale + 1)
        line[:: 2**scale] = SPLINE
        found.append(line)
    return found


def gains(sides: Sequence[int]) -> list[float]:
    """The standard deviations of white noise of variance one in each scale, off the borders.

    Examples
    --------
    >>> [round(gain, 3) for gain in gains((256, 256))]
    [0.891, 0.201, 0.086, 0.041]
    """
    axes = max(sum(side > 1 for side in sides), 1)
    found = []
    for fine, coarse in _steps(sides):
        cross, squares = (fine @ coarse) ** axes, (fine @ fine) ** axes + (coarse @ coarse) ** axes
        found.append(float(np.sqrt(squares - 2 * cross)))
    return found


def wavelets(sides: Sequence[int]) -> list[Array]:
    """The convolution kernels of the coefficients of each scale."""
    return [on_axes(fine, sides) - on_axes(coarse, sides) for fine, coarse in _steps(sides)]


def on_axes(line: Line, sides: Sequence[int]) -> Array:
    """The product of a line along each axis that has more than one pixel."""
    lines = [line if side > 1 else np.ones(1) for side in sides]
    return reduce(np.multiply.outer, lines)


def _steps(sides: Sequence[int]) -> Iterator[tuple[Line, Line]]:
    """The kernels of all smoothings before a scale, and up to it, along a line."""
    fine = np.ones(1)
    for line in splines(sides):
        coarse = np.convolve(fine, line)
        yield np.pad(fine, line.size // 2), coarse
        fine = coarse
