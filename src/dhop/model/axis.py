"""One axis of the operator: which pixel each tap of each output reads."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dhop.model.boundary import OUTSIDE, Boundary, extended_index
from dhop.model.decimation import Decimation, output_size
from dhop.model.relations import Groups, Index, Kinds, Relation, group_by


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
        """The axis of ``(A x)[j] = sum_t folded[t] * ext(x)[phase + factor*j + c - t]``.

        The block's last pixel and the PSF's last tap read furthest back, so the first window starts
        at ``phase + center - (psf_size - 1)`` for every decimation.
        """
        outputs = output_size(size, factor, phase, decimation)
        taps = psf_size if decimation == "sample" else psf_size + factor - 1
        start = phase + center - (psf_size - 1)
        factor = factor if outputs > 1 else 1  # a lone output has no step
        return cls(size, outputs, factor, taps, start, boundary)

    @classmethod
    def batch(cls, size: int) -> "Axis":
        """An axis on which every output is the pixel of the same index."""
        return cls(size, size, 1, 1, 0, "constant")

    @classmethod
    def lone(cls, boundary: Boundary) -> "Axis":
        """An axis of one pixel: a line is an image of one row."""
        return cls(1, 1, 1, 1, 0, boundary)

    def crop(self, taps: slice) -> "Axis":
        """The same axis with some of its taps."""
        return replace(self, taps=taps.stop - taps.start, start=self.start + taps.start)

    def continued(self, length: int) -> Index:
        """Source pixel of `length` positions from `start` on, -1 outside."""
        return extended_index(self.size, self.start, self.start + length, self.boundary)

    @cached_property
    def extended(self) -> Index:
        """Source pixel of each position that any output reads, -1 outside."""
        return self.continued(self.factor * (self.outputs - 1) + self.taps)

    @property
    def windows(self) -> Index:
        """``windows[j, u]``: the pixel that tap `u` of the reversed folded PSF reads for `j`."""
        return sliding_window_view(self.extended, self.taps)[:: self.factor]

    @cached_property
    def reads(self) -> int:
        """Number of pairs of an output and a tap that read a pixel, not a zero outside."""
        inside = np.append(0, np.cumsum(self.extended != OUTSIDE))
        return int((inside[self.taps :] - inside[: -self.taps])[:: self.factor].sum())

    @cached_property
    def split(self) -> "Split":
        """`extended` split into phases."""
        places = self.outputs - 1 + -(-self.taps // self.factor)
        return Split.of(self, self.extended, places)

    @property
    def skipped(self) -> int:
        """Places of each phase that come before those of the trimmed split."""
        return (self.split.trimmed.start - self.split.start) // len(self.split.pixel)

    @property
    def period(self) -> int | None:
        """Places of each phase after which a wrapped image repeats, if that is a whole number."""
        wraps = self.boundary == "wrap" and self.size % self.factor == 0
        return self.size // self.factor if wraps else None

    @cached_property
    def round_places(self) -> int:
        """Places of each phase that suffice for a circular convolution.

        Zeros before the image can be shared with those behind it.
        """
        used = np.flatnonzero((self.split.pixel != OUTSIDE).any(axis=0))
        places = self.split.pixel.shape[1]
        shared = min(used[0], places - 1 - used[-1]) if used.size else places
        return max(places - int(shared), self.outputs)

    def of_outputs(self, outputs: Index) -> Relation:
        """The pixels that some outputs read."""
        pixel = self.windows[outputs]
        tap = np.argsort(pixel, axis=1, kind="stable")
        line = np.take_along_axis(pixel, tap, axis=1)
        inside = line != OUTSIDE
        return Relation.of(np.count_nonzero(inside, axis=1), line[inside], tap[inside])

    @cached_property
    def by_output(self) -> Relation:
        """Pixels of each output: the rows of the explicit matrix."""
        return self.of_outputs(np.arange(self.outputs))

    def of_pixels(self, pixels: Index) -> Relation:
        """The outputs that read some pixels."""
        return self.by_pixel.some(pixels)

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
        """All outputs whose windows lie within the image are of one kind."""
        first = min(self.outputs, max(0, -(self.start // self.factor)))
        last = (self.size - self.taps - self.start) // self.factor
        alike = max(0, min(self.outputs - 1, last) - first)
        kind = np.arange(self.outputs)
        kind -= np.clip(kind - first, 0, alike)
        return Kinds(self.of_outputs(np.unique(kind, return_index=True)[1]), kind)

    @cached_property
    def pixel_kinds(self) -> Kinds:
        """All interior pixels of a phase are of one kind; each other pixel has its own.

        Interior are pixels with a single place that all taps of their phase read.
        """
        pixel = np.arange(self.size)
        place = pixel - self.start
        own = self.extended.take(place, mode="clip") == pixel
        alone = np.bincount(self.extended + 1, minlength=self.size + 1)[1:] == 1
        inner = (place - self.taps >= -self.factor) & (place < self.factor * self.outputs)
        phase = np.where(own & alone & inner, place % self.factor, self.factor + pixel)
        _, first, kind = np.unique(phase, return_index=True, return_inverse=True)
        return Kinds(self.by_pixel.some(first), kind)


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
        """The first `places` in each phase of `extended`, padded with zeros."""
        size = axis.factor * places
        padding = np.full(max(0, size - extended.size), OUTSIDE)
        pixel = np.append(extended[:size], padding).reshape(places, axis.factor).T
        return cls(np.ascontiguousarray(pixel), axis.start, axis.size)

    @cached_property
    def by_pixel(self) -> Groups:
        """Places of each pixel; places are counted phase after phase."""
        return group_by(self.pixel.ravel(), self.size)

    @cached_property
    def trimmed(self) -> "Split":
        """Without the places at both ends that hold no pixel in any phase."""
        used = span((self.pixel != OUTSIDE).any(axis=0))
        return Split(self.pixel[:, used], self.start + len(self.pixel) * used.start, self.size)

    @cached_property
    def inner(self) -> Index:
        """The longest range of places with the image itself in all phases, and its first pixel."""
        return self._inner(self._own)

    @cached_property
    def outer(self) -> Index:
        """All other places, counted phase after phase, and their pixels."""
        first, last, _ = self.inner
        others = np.ones(self.pixel.shape, bool)
        others[:, first:last] = False
        return np.column_stack([np.flatnonzero(others), self.pixel[others]])

    @cached_property
    def single(self) -> Index:
        """As `inner`, but only of pixels that have no other place."""
        alone = np.append(np.diff(self.by_pixel.start) == 1, False)  # not the zeros outside
        return self._inner(self._own & alone[self.pixel])

    @property
    def _own(self) -> NDArray[np.bool_]:
        """Whether a place holds the pixel of its position, not a continuation."""
        factor, places = self.pixel.shape
        position = np.arange(factor)[:, None] + factor * np.arange(places) + self.start
        return np.asarray((self.pixel == position) & (position >= 0))

    def _inner(self, mask: NDArray[np.bool_]) -> Index:
        first, last = _longest_run(np.logical_and.reduce(mask))
        return np.array([first, last, self.pixel[0, first] if first < last else 0])


def span(mask: NDArray[np.bool_]) -> slice:
    """From the first True to the last; the first element if there is none."""
    hits = np.flatnonzero(mask)
    return slice(int(hits[0]), int(hits[-1]) + 1) if hits.size else slice(0, 1)


def _longest_run(mask: NDArray[np.bool_]) -> Index:
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).reshape(-1, 2)
    return edges[np.argmax(np.diff(edges)[:, 0])] if len(edges) else np.zeros(2, np.intp)
