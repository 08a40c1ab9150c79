"""Periodic diagonals of inverses: those of a large image from a small one.

Where all pixels of a frame have one weight and one PSF, the problem is invariant to shifts by a
low-resolution pixel, but for the borders. So is the diagonal. A small image of the same frames has
all values of a large one: corners, borders, and between them one period, over and over.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.operators.blur_decimate import DHOperator
from dhop.operators.stack import FrameStack
from dhop.psf.field import Field
from dhop.reconstruction.posterior.covariance import Covariance
from dhop.reconstruction.posterior.probing import Diagonal, probed
from dhop.runtime.progress import Progress

Array = NDArray[Any]

NEGLIGIBLE = 0.01  # of the largest value of a row: borders beyond do not matter
NEAR = 24  # pixels from a border, and as many as PSFs cover, where it matters at first
PERIODS = 8  # between the borders, which are averaged
WORTH = 0.5  # of the pixels of the image are the most of a small one
ROUGH = 1e-4  # tolerance of a row


def periodic_diagonal(
    covariance: Covariance,
    noise: bool,
    probes: int,
    rng: np.random.Generator,
    progress: Progress = None,
) -> Diagonal | None:
    """What `probing.probed` returns, from a small image if that is possible."""
    frames = _periodic(covariance)
    if not frames:
        return None
    dims, factor = covariance.dims, _steps(frames[0], len(covariance.dims))
    blurs = [*frames, *([] if covariance.target is None else [covariance.target])]
    reach = [NEAR + max(_extent(A, axis) for A in blurs) for axis in range(len(dims))]
    while True:
        axes = [
            _Axis.build(n, f, near) if axis in covariance.axes else _Axis.whole(n)
            for axis, (n, f, near) in enumerate(zip(dims, factor, reach, strict=True))
        ]
        small = _resized(covariance, frames, [line.small for line in axes])
        if small.size > WORTH * covariance.size:
            return None
        far = _reaching(small, noise, axes)
        if not far:
            return _spread(probed(small, noise, probes, rng, progress), axes)
        reach = [2 * near if axis in far else near for axis, near in enumerate(reach)]


class _Axis:
    """The classes of equivalent pixels along an axis, of a large and of a small image.

    Of these, `border` pixels on either side are near a border; None if the axis stays as it is.
    """

    def __init__(self, size: int, small: int, border: int | None, factor: int) -> None:
        self.small, self.border = small, border
        self.classes, self.small_classes = (_classes(n, border, factor) for n in (size, small))

    @classmethod
    def build(cls, size: int, factor: int, near: int) -> "_Axis":
        border = factor * ceil(near / factor)
        small = 2 * border + factor * PERIODS + size % factor
        return cls(size, small, border, factor) if small < size else cls.whole(size)

    @classmethod
    def whole(cls, size: int) -> "_Axis":
        return cls(size, size, None, 1)


def _classes(size: int, border: int | None, factor: int) -> NDArray[np.intp]:
    place = np.arange(size)
    if border is None:
        return place
    middle = border + (place - border) % factor
    last = place - size + 2 * border + factor
    return np.select([place < border, place < size - border], [place, middle], last)


def _periodic(covariance: Covariance) -> list[DHOperator]:
    """The operators of the frames, if these are periodic with one decimation; else none."""
    stack = covariance.problem.operator
    squares = covariance.similar is covariance.problem and covariance.free is None
    even = all(np.ptp(weight) == 0 for weight in stack.weights or ())
    frames = [A for A in stack.operators if isinstance(A, DHOperator)]
    plain = len(frames) == len(stack.operators) and not any(
        isinstance(A.psf, Field) for A in frames
    )
    steps = {(A.factor, A.axes) for A in frames}
    return frames if squares and even and plain and len(steps) == 1 else []


def _steps(A: DHOperator, ndim: int) -> list[int]:
    found = [1] * ndim
    for axis, factor in zip(A.axes, A.factor, strict=True):
        found[axis] = factor
    return found


def _extent(A: DHOperator, axis: int) -> int:
    return A.psf.shape[A.axes.index(axis)] if axis in A.axes else 1


def _resized(covariance: Covariance, frames: Sequence[DHOperator], dims: Sequence[int]) -> Any:
    """The covariance of an image of another size."""
    made: dict[int, DHOperator] = {}

    def resized(A: DHOperator) -> DHOperator:
        if id(A) not in made:  # equal frames share theirs
            made[id(A)] = DHOperator(dims, A.psf, A.factor, **A.settings())
        return made[id(A)]

    problem = covariance.problem
    weights = [np.asarray(weight).flat[0] for weight in problem.operator.weights or ()]
    stack = FrameStack(map(resized, frames), weights or None)
    nothing = np.zeros((len(frames), *stack.operators[0].dimsd), stack.dtype)
    posed = replace(problem, operator=stack, frames=nothing)
    target = None if covariance.target is None else resized(covariance.target)
    return Covariance(posed, target=target)


def _reaching(small: Covariance, noise: bool, axes: Sequence[_Axis]) -> list[int]:
    """The axes along which the row of the central pixel reaches a border."""
    middle = [n // 2 for n in small.dims]
    row = small.target_adjoint(small.units([np.ravel_multi_index(middle, small.dims)]))
    row = small.solve(row, ROUGH)
    if noise:
        row = small.solve(small.data(row), ROUGH)
    sizes = abs(small.apply_target(row)).reshape(small.dims)
    found = []
    for axis, (line, at) in enumerate(zip(axes, middle, strict=True)):
        if line.border is None:
            continue
        beyond = abs(np.arange(line.small) - at) >= line.border
        if sizes.compress(beyond, axis).max() > NEGLIGIBLE * sizes.max():
            found.append(axis)
    return found


def _spread(found: Diagonal, axes: Sequence[_Axis]) -> Diagonal:
    """The means over equivalent pixels, on the large image."""
    sizes = np.ix_(*(np.bincount(line.small_classes) for line in axes))
    counts = np.asarray(prod(sizes[1:], start=sizes[0]))
    mean, square = (_sums(each, axes) / counts for each in (found.values, found.values**2))
    scatter = np.zeros_like(mean)
    np.divide((square - mean**2).clip(0), mean**2, out=scatter, where=mean > 0)
    errors = np.where(counts > 1, scatter / (counts - 1).clip(1) + found.bias**2, found.error**2)
    places = np.ix_(*(line.classes for line in axes))
    return Diagonal(mean[places], sqrt(float(errors[places].mean())), found.bias)


def _sums(values: Array, axes: Sequence[_Axis]) -> Array:
    """The sums over the pixels of each class."""
    for axis, line in enumerate(axes):
        ones = np.zeros((int(line.small_classes.max()) + 1, line.small))
        ones[line.small_classes, np.arange(line.small)] = 1
        values = np.moveaxis(np.tensordot(ones, values, (1, axis)), 0, axis)
    return values
