"""The index map as data: per axis, which pixel each tap of each output reads.

Blur and decimation are one strided convolution with the folded PSF. Written as a correlation with
the reversed folded PSF `weights`, output `j` reads the window ``extended[factor * j:][:taps]`` of
its continued axis, and the operator is the product of its axes. In two dimensions ::

    (A x)[j0, j1] = sum_{u0, u1} weights[u0, u1] * x[rows.windows[j0, u0], columns.windows[j1, u1]]

In three dimensions planes and rows are joined into one axis; a line is an image of one row.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.model.axis import Axis, span
from dhop.model.boundary import Boundary
from dhop.model.decimation import Decimation, fold
from dhop.model.lines import LineAxis, lines_of
from dhop.model.separation import separate


class Rules(NamedTuple):
    """What defines an operator beside shapes, factor and PSF; arguments of `DHOperator`.

    `boundary`, `center`, `phase` and `axes` have a value for each axis of the PSF.
    """

    decimation: Decimation
    boundary: tuple[Boundary, ...]
    center: tuple[int, ...]
    phase: tuple[int, ...]
    axes: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class Model:
    """The whole operator as data: its axes, the taps, and how many images surround them.

    Attributes
    ----------
    axes : tuple of two or three Axis
        In the order of the image's axes.
    weights : ndarray of float64 or complex128, shape (rows.taps, columns.taps)
        The reversed folded PSF, zero where its rounding to `dtype` is, without the zeros around it.
    dtype : dtype
        The operator's dtype.
    around : tuple of int
        Number of batch entries before, between and after the axes in C order.
    """

    axes: tuple[Axis, ...]
    weights: NDArray[np.number]
    dtype: np.dtype[Any]
    around: tuple[int, ...]

    @classmethod
    def build(
        cls, dims: tuple[int, ...], psf: NDArray[np.number], factor: tuple[int, ...], rules: Rules
    ) -> "Model":
        """Fold the PSF and tabulate its axes."""
        weights = np.flip(folded(psf, factor, rules))
        return cls.tabulated(dims, weights, psf.shape, factor, rules)

    @classmethod
    def tabulated(
        cls,
        dims: tuple[int, ...],
        weights: NDArray[np.number],
        shape: tuple[int, ...],
        factor: tuple[int, ...],
        rules: Rules,
    ) -> "Model":
        """Tabulate the axes for a reversed folded PSF, made of a PSF of some `shape`."""
        used = np.nonzero(weights)
        sizes = zip(used, weights.shape, strict=True)
        box = tuple(span(np.bincount(u, minlength=size) > 0) for u, size in sizes)
        tabulated = [
            Axis.build(
                dims[axis], shape[k], factor[k], decimation=rules.decimation, phase=rules.phase[k],
                center=rules.center[k], boundary=rules.boundary[k],
            ).crop(box[k])
            for k, axis in enumerate(rules.axes)
        ]  # fmt: skip
        order = np.argsort(rules.axes)
        weights = np.ascontiguousarray(weights[box].transpose(order))
        made = [tabulated[k] for k in order]
        around = [prod(dims[a + 1 : b]) for a, b in pairwise([-1, *sorted(rules.axes), len(dims)])]
        if len(made) == 1:
            made.insert(0, Axis.lone(made[0].boundary))
            around.insert(1, 1)
        weights = weights.reshape(-1, made[-1].taps)
        return cls(tuple(made), weights, rules.dtype, tuple(around))

    @cached_property
    def rows(self) -> LineAxis:
        """All axes but the last, and the batch between them, joined into one."""
        axes = [self.axes[0]]
        for axis, between in zip(self.axes[1:-1], self.around[1:-2], strict=True):
            axes += [Axis.batch(between), axis] if between > 1 else [axis]
        return lines_of(axes)

    @property
    def columns(self) -> Axis:
        """The last axis."""
        return self.axes[-1]

    @property
    def is_line(self) -> bool:
        """Whether an image is a single row, and the PSF too, with its origin on that row."""
        rows = self.axes[0]
        return len(self.axes) == 2 and rows.size == rows.taps == rows.reads == 1

    @property
    def volume(self) -> tuple[Axis, Axis, Axis]:
        """Three axes; an image is a volume of one plane."""
        plane, rows, columns = (Axis.batch(1), *self.axes)[-3:]
        return plane, rows, columns

    @property
    def shapes(self) -> tuple[int, int, int, int, int, int]:
        """Sizes of `volume` in pixels, and in outputs."""
        a, b, c = self.volume
        return a.size, b.size, c.size, a.outputs, b.outputs, c.outputs

    @property
    def sides(self) -> tuple[int, int, int]:
        """Number of batch entries before, between and after `rows` and `columns`."""
        return self.around[0], self.around[-2], self.around[-1]

    @property
    def size(self) -> tuple[int, ...]:
        """Shape of an image in pixels."""
        return tuple(axis.size for axis in self.axes)

    @property
    def low(self) -> tuple[int, ...]:
        """Shape of an image in outputs."""
        return tuple(axis.outputs for axis in self.axes)

    @cached_property
    def pixels(self) -> int:
        """Number of pixels of one image."""
        return prod(self.size)

    @cached_property
    def outputs(self) -> int:
        """Number of outputs of one image."""
        return prod(self.low)

    @property
    def box(self) -> NDArray[np.number]:
        """`weights` with one dimension for each of `axes`."""
        return self.weights.reshape([axis.taps for axis in self.axes])

    @cached_property
    def taps(self) -> NDArray[np.number]:
        """`weights` rounded to `dtype`: what the products multiply with."""
        return self.weights.astype(self.dtype)

    @cached_property
    def rounded(self) -> "Model":
        """The model of the rounded taps, in double precision."""
        return replace(self, weights=self.taps.astype(self.weights.dtype))

    @cached_property
    def factors(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Factors of the first axis and of the others; their products add up to `weights`."""
        return separate(self.weights.reshape(self.axes[0].taps, -1), self.dtype)

    @cached_property
    def planes(self) -> list["Model"]:
        """For a volume, the blur within planes of each of `factors`."""
        shape = self.axes[1].taps, self.axes[2].taps
        return [
            replace(self, axes=self.axes[1:], weights=plane.reshape(shape), around=(1, 1, 1))
            for plane in self.factors[1]
        ]


def folded(psf: NDArray[np.number], factor: tuple[int, ...], rules: Rules) -> NDArray[np.number]:
    """The folded PSF, zero where its rounding to the operator's dtype is."""
    with np.errstate(over="ignore", invalid="ignore"):
        taps = fold(psf, factor, rules.decimation)
        rounded = taps.astype(rules.dtype)
    if not np.isfinite(rounded).all():
        raise ValueError(f"the folded psf overflows {rules.dtype}; scale it down")
    return np.where(rounded == 0, 0, taps)
