"""Diagonals of inverses that repeat: those of a large image from a small one.

Where all pixels of a frame have one weight and one PSF, nothing tells one place of the scene from
another but the borders, and the grids of the frames, which repeat with the decimation. So does the
diagonal. A small image of the same frames has all that a large one has: corners, borders, and
between them the pixels of a low-resolution pixel, over and over.
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
from dhop.reconstruction.covariance import Covariance
from dhop.reconstruction.probing import TOLERANCE, Diagonal, probed
from dhop.runtime.progress import Progress

Array = NDArray[Any]

FELT = 0.01  # of the largest value of a row: where there is less, borders are not felt
NEAR = 24  # pixels, and as many as PSFs cover: how far borders are felt, at first
PERIODS = 8  # of a low-resolution pixel between borders, of which the mean counts
WORTH = 0.5  # of the pixels of the image, at most, are those of a small one
ROUGH = 1e-4  # tolerance of a row


def repeated(
    covariance: Covariance,
    noise: bool,
    probes: int,
    rng: np.random.Generator,
    progress: Progress = None,
) -> Diagonal | None:
    """What `dhop.reconstruction.probing.probed` returns, if it repeats and a small image tells it.

    Parameters
    ----------
    covariance, noise, probes, rng, progress
        As for that.
    """
    frames = _alike(covariance)
    if not frames:
        return None
    dims, factor = covariance.dims, _steps(frames[0], len(covariance.dims))
    blurs = [*frames, *([] if covariance.target is None else [covariance.target])]
    reach = [NEAR + max(_extent(A, axis) for A in blurs) for axis in range(len(dims))]
    while True:
        axes = [
            _Line.build(n, f, near) if axis in covariance.axes else _Line.whole(n)
            for axis, (n, f, near) in enumerate(zip(dims, factor, reach, strict=True))
        ]
        small = _resized(covariance, frames, [line.small for line in axes])
        if small.size > WORTH * covariance.size:
            return None
        far = _felt(small, noise, axes)
        if not far:
            return _spread(probed(small, noise, probes, rng, progress), axes)
        reach = [2 * near if axis in far else near for axis, near in enumerate(reach)]


class _Line:
    """Along an axis, the classes of pixels that are alike.

    Attributes
    ----------
    small : int
        Pixels of the small image.
    border : int or None
        Pixels that feel a border, on either side. None if the axis stays as it is.
    classes : ndarray of int
        That of each pixel of the large image.
    own : ndarray of int
        That of each pixel of the small one.
    """

    def __init__(self, size: int, small: int, border: int | None, factor: int) -> None:
        self.small, self.border = small, border
        self.classes, self.own = (_classes(n, border, factor) for n in (size, small))

    @classmethod
    def build(cls, size: int, factor: int, near: int) -> "_Line":
        border = factor * ceil(near / factor)
        small = 2 * border + factor * PERIODS + size % factor
        return cls(size, small, border, factor) if small < size else cls.whole(size)

    @classmethod
    def whole(cls, size: int) -> "_Line":
        return cls(size, size, None, 1)


def _classes(size: int, border: int | None, factor: int) -> NDArray[np.intp]:
    place = np.arange(size)
    if border is None:
        return place
    middle = border + (place - border) % factor
    last = place - size + 2 * border + factor
    return np.select([place < border, place < size - border], [place, middle], last)


def _alike(covariance: Covariance) -> list[DHOperator]:
    """The operators of the frames, if these treat all places alike; else none."""
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
        if id(A) not in made:  # frames that see the same way share theirs
            made[id(A)] = DHOperator(dims, A.psf, A.factor, **A.settings())
        return made[id(A)]

    problem = covariance.problem
    weights = [np.asarray(weight).flat[0] for weight in problem.operator.weights or ()]
    stack = FrameStack(map(resized, frames), weights or None)
    nothing = np.zeros((len(frames), *stack.operators[0].dimsd), stack.dtype)
    posed = replace(problem, operator=stack, frames=nothing)
    target = None if covariance.target is None else resized(covariance.target)
    return Covariance(posed, target=target)


def _felt(small: Covariance, noise: bool, lines: Sequence[_Line]) -> list[int]:
    """The axes along which the row of the middle does not vanish before the border."""
    middle = [n // 2 for n in small.dims]
    row = small.unshown(small.units([np.ravel_multi_index(middle, small.dims)]))
    row = small.solve(row, ROUGH)
    if noise:
        row = small.solve(small.data(row), ROUGH)
    sizes = abs(small.shown(row)).reshape(small.dims)
    found = []
    for axis, (line, at) in enumerate(zip(lines, middle, strict=True)):
        if line.border is None:
            continue
        beyond = abs(np.arange(line.small) - at) >= line.border
        if sizes.compress(beyond, axis).max() > FELT * sizes.max():
            found.append(axis)
    return found


def _spread(found: Diagonal, lines: Sequence[_Line]) -> Diagonal:
    """The means over pixels that are alike, on the large image."""
    alike = np.ix_(*(np.bincount(line.own) for line in lines))
    counts = np.asarray(prod(alike[1:], start=alike[0]))
    mean, square = (_sums(each, lines) / counts for each in (found.values, found.values**2))
    scatter = np.zeros_like(mean)
    np.divide((square - mean**2).clip(0), mean**2, out=scatter, where=mean > 0)
    errors = np.where(counts > 1, scatter / (counts - 1).clip(1) + TOLERANCE**2, found.error**2)
    places = np.ix_(*(line.classes for line in lines))
    return Diagonal(mean[places], sqrt(float(errors[places].mean())))


def _sums(values: Array, lines: Sequence[_Line]) -> Array:
    """Over pixels of one class."""
    for axis, line in enumerate(lines):
        ones = np.zeros((int(line.own.max()) + 1, line.small))
        ones[line.own, np.arange(line.small)] = 1
        values = np.moveaxis(np.tensordot(ones, values, (1, axis)), 0, axis)
    return values
