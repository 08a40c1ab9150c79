"""The index map as data: per axis, which pixel each tap of each output reads.

Blur and decimation are one strided convolution with the folded PSF. Written as a correlation with
the reversed folded PSF `weights`, output `j` reads the window ``extended[factor * j:][:taps]`` of
its continued axis, and the two-dimensional operator is the product of two such axes ::

    (A x)[j0, j1] = sum_{u0, u1} weights[u0, u1] * x[rows.windows[j0, u0], columns.windows[j1, u1]]
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dhop.model.boundary import OUTSIDE, Boundary, extended_index
from dhop.model.decimation import Decimation, fold, output_size
from dhop.model.separation import separate

Index: TypeAlias = NDArray[np.intp]


class Groups(NamedTuple):
    """Numbers ``member[start[k]:start[k + 1]]`` that belong to each `k`."""

    start: Index
    member: Index


def group_by(value: Index, size: int) -> Groups:
    """Positions of each number ``0, ..., size - 1`` in `value`, ascending; others are left out."""
    order = np.argsort(value, kind="stable")
    edges = np.searchsorted(value[order], np.arange(size + 1))
    return Groups(edges - edges[0], order[edges[0] : edges[-1]])


@dataclass(frozen=True, eq=False)
class Relation:
    """Which taps join the lines of one side (outputs or pixels) to those of the other.

    Line `k` meets ``line[e]`` through tap ``tap[e]`` for ``start[k] <= e < start[k + 1]``, with
    ``line`` ascending; taps that meet on one line are neighbours.
    """

    start: Index
    line: Index
    tap: Index

    @cached_property
    def begins(self) -> NDArray[np.bool_]:
        """True where a new pair of lines begins: the following taps meet on the same."""
        begins = np.ones(self.line.size, bool)
        begins[1:] = self.line[1:] != self.line[:-1]
        begins[self.start[:-1][np.diff(self.start) > 0]] = True
        return begins


class Kinds(NamedTuple):
    """The lines of one side, of which many differ by a shift alone: they are of one kind.

    Attributes
    ----------
    relation : Relation
        Of one line of each kind.
    kind : ndarray of intp
        The kind of each line.
    """

    relation: Relation
    kind: Index


@dataclass(frozen=True)
class Axis:
    """One axis of the operator.

    Attributes
    ----------
    size, outputs : int
        Number of high-resolution pixels `n` and of low-resolution pixels `m`.
    factor, taps : int
        Decimation factor and length of the folded PSF.
    start : int
        Position that the first tap of output 0 reads; pixel 0 stands at 0.
    boundary : str
    """

    size: int
    outputs: int
    factor: int
    taps: int
    start: int
    boundary: Boundary

    @classmethod
    def build(
        cls,
        size: int,
        psf_size: int,
        factor: int,
        *,
        decimation: Decimation,
        phase: int,
        center: int,
        boundary: Boundary,
    ) -> "Axis":
        """Tables of ``(A x)[j] = sum_t folded[t] * ext(x)[phase + factor*j + c - t]``.

        The block's last pixel and the PSF's last tap read furthest back, so that the first window
        starts at ``phase + center - (psf_size - 1)`` for every decimation.
        """
        outputs = output_size(size, factor, phase, decimation)
        taps = psf_size if decimation == "sample" else psf_size + factor - 1
        start = phase + center - (psf_size - 1)
        factor = factor if outputs > 1 else 1  # a lone output has no step
        return cls(size, outputs, factor, taps, start, boundary)

    def crop(self, taps: slice) -> "Axis":
        """The same axis with some of its taps."""
        return replace(self, taps=taps.stop - taps.start, start=self.start + taps.start)

    def continued(self, length: int) -> Index:
        """Source pixel of `length` positions from `start` on, -1 for a zero."""
        return extended_index(self.size, self.start, self.start + length, self.boundary)

    @cached_property
    def extended(self) -> Index:
        """Source pixel of each position that any output reads, -1 for a zero."""
        return self.continued(self.factor * (self.outputs - 1) + self.taps)

    @property
    def windows(self) -> Index:
        """``windows[j, u]``: the pixel that tap `u` of the reversed folded PSF reads for `j`."""
        return sliding_window_view(self.extended, self.taps)[:: self.factor]

    @cached_property
    def reads(self) -> int:
        """How often a tap of an output reads a pixel, not a zero outside."""
        inside = np.append(0, np.cumsum(self.extended != OUTSIDE))
        return int((inside[self.taps :] - inside[: -self.taps])[:: self.factor].sum())

    @cached_property
    def split(self) -> "Split":
        """`extended` by phases, as long as the windows reach."""
        places = self.outputs - 1 + -(-self.taps // self.factor)
        return Split.of(self, self.extended, places)

    @property
    def skipped(self) -> int:
        """Places of each phase that come before those of the trimmed split."""
        return (self.split.trimmed.start - self.split.start) // len(self.split.pixel)

    @property
    def period(self) -> int | None:
        """Places of each phase where the image repeats itself, if that is a number of them."""
        wraps = self.boundary == "wrap" and self.size % self.factor == 0
        return self.size // self.factor if wraps else None

    @cached_property
    def round_places(self) -> int:
        """Places of each phase that are enough where windows go round, from the last to the first.

        As many zeros before the image as behind it can be the same ones.
        """
        used = np.flatnonzero((self.split.pixel != OUTSIDE).any(axis=0))
        places = self.split.pixel.shape[1]
        shared = min(used[0], places - 1 - used[-1]) if used.size else places
        return max(places - int(shared), self.outputs)

    def of_outputs(self, outputs: Index) -> Relation:
        """Pixels of some outputs."""
        pixel = self.windows[outputs]
        tap = np.argsort(pixel, axis=1, kind="stable")
        line = np.take_along_axis(pixel, tap, axis=1)
        inside = line != OUTSIDE
        start = np.append(0, np.cumsum(np.count_nonzero(inside, axis=1)))
        return Relation(start, line[inside], tap[inside])

    @cached_property
    def by_output(self) -> Relation:
        """Pixels of each output: the rows of the explicit matrix."""
        return self.of_outputs(np.arange(self.outputs))

    @cached_property
    def by_pixel(self) -> Relation:
        """Outputs of each pixel: the columns of the explicit matrix."""
        output, tap = np.nonzero(self.windows != OUTSIDE)
        pixel = self.windows[output, tap]
        order = np.lexsort((tap, output, pixel))
        start = np.searchsorted(pixel[order], np.arange(self.size + 1))
        return Relation(start, output[order], tap[order])

    @cached_property
    def output_kinds(self) -> Kinds:
        """Outputs whose windows lie within the image are of one kind."""
        first = min(self.outputs, max(0, -(self.start // self.factor)))
        last = (self.size - self.taps - self.start) // self.factor
        alike = max(0, min(self.outputs - 1, last) - first)
        kind = np.arange(self.outputs)
        kind -= np.clip(kind - first, 0, alike)
        return Kinds(self.of_outputs(np.unique(kind, return_index=True)[1]), kind)

    @property
    def pixel_kinds(self) -> Kinds:
        """Each pixel is of a kind of its own."""
        return Kinds(self.by_pixel, np.arange(self.size))


@dataclass(frozen=True, eq=False)
class Split:
    """A continued axis by its phases: position ``factor * s + p`` is place `s` of phase `p`.

    Attributes
    ----------
    pixel : ndarray of intp, shape (factor, places)
        Source pixel of each place, -1 for a zero.
    start : int
        Position of place 0 of phase 0, counted from pixel 0.
    size : int
        Number of pixels.
    """

    pixel: Index
    start: int
    size: int

    @classmethod
    def of(cls, axis: Axis, extended: Index, places: int) -> "Split":
        """The first `places` in each phase of `extended`, which zeros follow."""
        size = axis.factor * places
        padding = np.full(max(0, size - extended.size), OUTSIDE)
        pixel = np.append(extended[:size], padding).reshape(places, axis.factor).T
        return cls(np.ascontiguousarray(pixel), axis.start, axis.size)

    @cached_property
    def by_pixel(self) -> Groups:
        """Places of each pixel, counted through the phases one after the other."""
        return group_by(self.pixel.ravel(), self.size)

    @cached_property
    def trimmed(self) -> "Split":
        """Without the places at both ends that hold no pixel in any phase."""
        used = _span((self.pixel != OUTSIDE).any(axis=0))
        return Split(self.pixel[:, used], self.start + len(self.pixel) * used.start, self.size)

    @cached_property
    def inner(self) -> Index:
        """First and last place that hold the image itself in all phases, and its first pixel."""
        return self._inner(self._own)

    @cached_property
    def outer(self) -> Index:
        """The other places, counted through the phases one after the other, and their pixels."""
        first, last, _ = self.inner
        others = np.ones(self.pixel.shape, bool)
        others[:, first:last] = False
        return np.column_stack([np.flatnonzero(others), self.pixel[others]])

    @cached_property
    def single(self) -> Index:
        """As `inner`, of the places whose pixels have no other place."""
        alone = np.append(np.diff(self.by_pixel.start) == 1, False)  # not what is outside
        return self._inner(self._own & alone[self.pixel])

    @property
    def _own(self) -> NDArray[np.bool_]:
        """Whether a place holds the pixel that stands there, not a continuation."""
        factor, places = self.pixel.shape
        position = np.arange(factor)[:, None] + factor * np.arange(places) + self.start
        return np.asarray((self.pixel == position) & (position >= 0))

    def _inner(self, mask: NDArray[np.bool_]) -> Index:
        first, last = _longest_run(np.logical_and.reduce(mask))
        return np.array([first, last, self.pixel[0, first] if first < last else 0])


def _span(mask: NDArray[np.bool_]) -> slice:
    """From the first to the last that is True, or the first element if none is."""
    hits = np.flatnonzero(mask)
    return slice(int(hits[0]), int(hits[-1]) + 1) if hits.size else slice(0, 1)


def _longest_run(mask: NDArray[np.bool_]) -> Index:
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).reshape(-1, 2)
    return edges[np.argmax(np.diff(edges)[:, 0])] if len(edges) else np.zeros(2, np.intp)


@dataclass(frozen=True, eq=False)
class Model:
    """The whole operator as data: two axes, the taps, and how many images surround them.

    Attributes
    ----------
    rows, columns : Axis
    weights : ndarray of float64 or complex128, shape (rows.taps, columns.taps)
        The reversed folded PSF, zero where its rounding to `dtype` is, without the zeros around it.
    dtype : dtype
        The operator's dtype.
    around : tuple of int
        Number of batch entries before, between and after the two axes in C order.
    """

    rows: Axis
    columns: Axis
    weights: NDArray[np.number]
    dtype: np.dtype[Any]
    around: tuple[int, int, int]

    @classmethod
    def build(
        cls,
        dims: tuple[int, ...],
        psf: NDArray[np.number],
        factor: tuple[int, int],
        *,
        decimation: Decimation,
        boundary: tuple[Boundary, Boundary],
        center: tuple[int, int],
        phase: tuple[int, int],
        axes: tuple[int, int],
        dtype: np.dtype[Any],
    ) -> "Model":
        """Fold the PSF and tabulate both axes; the arguments are those of `DHOperator`."""
        with np.errstate(over="ignore", invalid="ignore"):
            folded = fold(psf, factor, decimation)
            rounded = folded.astype(dtype)
        if not np.isfinite(rounded).all():
            raise ValueError(f"the folded psf overflows {dtype}; scale it down")
        weights = np.where(rounded == 0, 0, folded)[::-1, ::-1]
        box = tuple(_span(np.asarray(weights.any(axis=1 - k))) for k in (0, 1))
        weights = weights[box]
        rows, columns = (
            Axis.build(
                dims[axis],
                psf.shape[k],
                factor[k],
                decimation=decimation,
                phase=phase[k],
                center=center[k],
                boundary=boundary[k],
            ).crop(box[k])
            for k, axis in enumerate(axes)
        )
        first, second = axes
        if first > second:
            first, second = second, first
            rows, columns, weights = columns, rows, weights.T
        around = prod(dims[:first]), prod(dims[first + 1 : second]), prod(dims[second + 1 :])
        return cls(rows, columns, np.ascontiguousarray(weights), dtype, around)

    @property
    def shapes(self) -> tuple[int, int, int, int]:
        """Of an image in pixels, and in outputs."""
        return self.rows.size, self.columns.size, self.rows.outputs, self.columns.outputs

    @cached_property
    def pixels(self) -> int:
        """Number of pixels of one image."""
        return self.rows.size * self.columns.size

    @cached_property
    def outputs(self) -> int:
        """Number of outputs of one image."""
        return self.rows.outputs * self.columns.outputs

    @cached_property
    def taps(self) -> NDArray[np.number]:
        """`weights` rounded to `dtype`: what the products multiply with."""
        return self.weights.astype(self.dtype)

    @cached_property
    def rounded(self) -> "Model":
        """The model of what the products multiply with, in double precision."""
        return replace(self, weights=self.taps.astype(self.weights.dtype))

    @cached_property
    def factors(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Columns and rows whose products add up to `weights`, see `separate`."""
        return separate(self.weights, self.dtype)
