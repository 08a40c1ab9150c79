"""Parts of warps: boxes of their outputs, and the pixels that these read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise, product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import MAPPED
from dhop.methods.warp import WarpPlan
from dhop.model.relations import Index
from dhop.model.warping import SplineAxis, Warp
from dhop.operators.base import ArrayOperator

Array: TypeAlias = NDArray[Any]
Box: TypeAlias = tuple[tuple[int, int], ...]
Reach: TypeAlias = tuple[SplineAxis, Array, Array]

SLACK = 1e-9  # of positions, which rounding inside may bring beyond those at the corners


@dataclass(frozen=True, eq=False)
class Window(SplineAxis):
    """An axis of which some pixels are there only.

    Attributes
    ----------
    table : ndarray of intp
        As `pixels` has them, counted among these; -1 for a zero or one that is not there.
    """

    table: Index

    @property
    def pixels(self) -> Index:
        return self.table


def on(warp: Warp, lines: Sequence[Index]) -> Warp:
    """The warp of some ascending pixels along each axis."""
    windows = []
    for axis, some in zip(warp.axes[-len(lines) :], lines, strict=True):
        number = np.searchsorted(some, axis.pixels).clip(max=some.size - 1)
        table = np.where(some[number] == axis.pixels, number, -1)
        windows.append(Window(some.size, axis.low, axis.end, axis.taps, axis.boundary, table))
    return replace(warp, axes=(*warp.axes[: -len(lines)], *windows))


def read(axis: SplineAxis) -> Index:
    """The pixels that coefficients depend on; one at least, for kernels to have an array."""
    pixels = np.unique(axis.pixels[axis.pixels >= 0])
    return pixels if pixels.size else np.zeros(1, np.intp)


def near_outputs(sides: Sequence[Sequence[Reach]], own: Box) -> Box | None:
    """The part of a box of outputs that reads pixels of another box, None if nothing does."""
    box = []
    for axes in sides:
        near = np.ones(axes[0][1].size, bool)
        for (axis, least, most), (start, stop) in zip(axes, own, strict=True):
            inside = (axis.pixels >= start) & (axis.pixels < stop)
            before = np.append(0, np.cumsum(inside))
            first = np.floor(least).astype(int).clip(axis.low, axis.end - 1) - axis.low
            last = np.floor(most).astype(int).clip(axis.low, axis.end - 1) - axis.low
            reach = axis.taps + 2 * axis.tail
            near &= before[last + reach] > before[first]
        found = np.flatnonzero(near)
        if not found.size:
            return None
        box.append((int(found[0]), int(found[-1]) + 1))
    return tuple(box)


def boxes(chunks: Sequence[Sequence[int]]) -> Iterator[tuple[tuple[int, ...], Box]]:
    """Chunks by their numbers, and where they begin and end."""
    ends = [list(pairwise(accumulate(sizes, initial=0))) for sizes in chunks]
    for place in np.ndindex(*map(len, ends)):
        yield place, tuple(some[k] for some, k in zip(ends, place, strict=True))


class Part(ArrayOperator):
    """A warp on one thread."""

    def __init__(self, warp: Warp, dtype: np.dtype[Any]) -> None:
        super().__init__(dtype, (warp.pixels,), (warp.outputs,))
        self.warp = warp

    def __reduce__(self) -> Any:
        return Part, (self.warp, self.dtype)

    @cached_property
    def _plan(self) -> WarpPlan:
        return WarpPlan(self.warp)

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        multiply = self._plan.adjoint if adjoint else self._plan.forward
        sizes = self.shape if adjoint else self.shape[::-1]
        pairs = zip(x.reshape(-1, sizes[0]), out.reshape(-1, sizes[1]), strict=True)
        for image, result in pairs:
            multiply(image, result, 1)


@dataclass(frozen=True, eq=False)
class Share:
    """What a chunk of outputs, the `source`, brings a chunk of pixels.

    Attributes
    ----------
    source : tuple of int
        Its number.
    near, to : tuple of (int, int)
        The outputs that take part, and the pixels that get something, each within its chunk.
    part : Part
    """

    source: tuple[int, ...]
    near: Box
    to: Box
    part: Part


def reached(warp: Warp, chunks: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    """The chunks of pixels that may be read, by their numbers."""
    lines = [
        np.unique(np.searchsorted(np.cumsum(sizes), read(axis), "right")).tolist()
        for axis, sizes in zip(warp.axes[-len(chunks) :], chunks, strict=True)
    ]
    return product(*lines)


def reaches(warp: Warp, count: int) -> list[list[Reach]]:
    """Along each side of its outputs: for each axis the ends of what each slice of them reads."""
    shape, axes = warp.shape[-count:], warp.axes[-count:]
    sides = []
    for side in range(count):
        # The ends of what a matrix gives lie at corners.
        at = [
            np.arange(m) if k == side or warp.kind == MAPPED else np.array([0, m - 1])
            for k, m in enumerate(shape)
        ]
        numbers = np.ravel_multi_index(np.meshgrid(*at, indexing="ij"), shape)
        outputs = np.moveaxis(np.asarray(numbers), side, 0).reshape(-1)
        found = warp.positions(outputs)[-count:]
        found = found.reshape(count, shape[side], -1)
        least, most = found.min(axis=2), found.max(axis=2)
        slack = SLACK * (1 + np.maximum(abs(least), abs(most)))
        ends = zip(axes, least - slack, most + slack, strict=True)
        sides.append(list(ends))
    return sides


def moved(box: Box, by: Sequence[int], sign: int) -> Box:
    """A box that much further on, or back."""
    return tuple((a + sign * n, b + sign * n) for (a, b), n in zip(box, by, strict=True))


def index(box: Box) -> tuple[Any, ...]:
    """That of a box along the last axes."""
    return (..., *(slice(*ends) for ends in box))
