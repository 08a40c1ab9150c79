"""Two axes joined into one, whose lines are counted in C order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TypeAlias, Union

import numpy as np

from dhop.model.axis import Axis
from dhop.model.boundary import OUTSIDE
from dhop.model.relations import Index, Kinds, Relation, joined


@dataclass(frozen=True)
class Lines:
    """A joined axis, such as the rows of all planes of a volume; like `Axis`, but without a factor.

    Line `k` is the pair ``divmod(k, second.size)``, and likewise for outputs and taps.
    """

    first: Union[Axis, "Lines"]
    second: Axis

    @property
    def size(self) -> int:
        return self.first.size * self.second.size

    @property
    def outputs(self) -> int:
        return self.first.outputs * self.second.outputs

    @property
    def taps(self) -> int:
        return self.first.taps * self.second.taps

    @property
    def windows(self) -> Index:
        one = self.first.windows[:, None, :, None]
        two = self.second.windows[None, :, None, :]
        pixel = np.where((one < 0) | (two < 0), OUTSIDE, one * self.second.size + two)
        return pixel.reshape(self.outputs, self.taps)

    def of_outputs(self, outputs: Index) -> Relation:
        one, two, pairs = _parts(outputs, self.second.outputs)
        sides = self.first.of_outputs(one), self.second.of_outputs(two)
        return joined(*sides, pairs, self.second.size, self.second.taps)

    def of_pixels(self, pixels: Index) -> Relation:
        one, two, pairs = _parts(pixels, self.second.size)
        sides = self.first.of_pixels(one), self.second.of_pixels(two)
        return joined(*sides, pairs, self.second.outputs, self.second.taps)

    @cached_property
    def by_output(self) -> Relation:
        return self.of_outputs(np.arange(self.outputs))

    @cached_property
    def by_pixel(self) -> Relation:
        return self.of_pixels(np.arange(self.size))

    @cached_property
    def output_kinds(self) -> Kinds:
        return self._kinds(self.first.output_kinds, self.second.output_kinds, self.second.size)

    @cached_property
    def pixel_kinds(self) -> Kinds:
        return self._kinds(self.first.pixel_kinds, self.second.pixel_kinds, self.second.outputs)

    def _kinds(self, first: Kinds, second: Kinds, size: int) -> Kinds:
        """Lines are of one kind if both their parts are."""
        count = second.relation.start.size - 1
        pairs = np.divmod(np.arange((first.relation.start.size - 1) * count), count)
        relation = joined(first.relation, second.relation, pairs, size, self.second.taps)
        return Kinds(relation, np.add.outer(first.kind * count, second.kind).ravel())


LineAxis: TypeAlias = Axis | Lines


def lines_of(axes: Sequence[Axis]) -> LineAxis:
    """The axes joined into one."""
    first: LineAxis = axes[0]
    return reduce(Lines, axes[1:], first)


def _parts(lines: Index, size: int) -> tuple[Index, Index, tuple[Index, Index]]:
    """The distinct first and second parts of lines, and which of them each line has."""
    first, second = np.divmod(lines, size)
    one, own = np.unique(first, return_inverse=True)
    two, other = np.unique(second, return_inverse=True)
    return one, two, (own, other)
