"""Relations between outputs and pixels of an axis through taps."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Index: TypeAlias = NDArray[np.intp]


class Groups(NamedTuple):
    """Group `k` has the members ``member[start[k]:start[k + 1]]``."""

    start: Index
    member: Index


def group_by(value: Index, size: int) -> Groups:
    """Indices in `value` of each number ``0, ..., size - 1``, ascending; others are left out."""
    order = np.argsort(value, kind="stable")
    edges = np.searchsorted(value[order], np.arange(size + 1))
    return Groups(edges - edges[0], order[edges[0] : edges[-1]])


def ranges(start: Index, count: Index) -> Index:
    """The ranges ``start[k], ..., start[k] + count[k] - 1`` of all `k`, concatenated."""
    before = np.cumsum(count) - count
    return np.asarray(np.arange(count.sum()) + np.repeat(start - before, count))


@dataclass(frozen=True, eq=False)
class Relation:
    """Which lines of one side (outputs or pixels) are related to lines of the other, by which taps.

    Line `k` is related to ``line[e]`` by ``tap[e]`` for ``start[k] <= e < start[k + 1]``, with
    ``line`` ascending; entries of one line are adjacent.
    """

    start: Index
    line: Index
    tap: Index

    @classmethod
    def of(cls, count: Index, line: Index, tap: Index) -> "Relation":
        """The relation of lines with so many entries each."""
        return cls(np.append(0, np.cumsum(count)), line, tap)

    def some(self, lines: Index) -> "Relation":
        """The relation of some of the lines."""
        count = np.diff(self.start)[lines]
        entries = ranges(self.start[lines], count)
        return Relation.of(count, self.line[entries], self.tap[entries])

    @cached_property
    def begins(self) -> NDArray[np.bool_]:
        """True at the first entry of each pair of lines."""
        begins = np.ones(self.line.size, bool)
        begins[1:] = self.line[1:] != self.line[:-1]
        begins[self.start[:-1][np.diff(self.start) > 0]] = True
        return begins


class Kinds(NamedTuple):
    """Classes of lines of one side: those of one kind differ only by a shift.

    Attributes
    ----------
    relation : Relation
        One line of each kind.
    kind : ndarray of intp
        The kind of each line.
    """

    relation: Relation
    kind: Index


def joined(
    first: Relation,
    second: Relation,
    pairs: tuple[Index, Index],
    second_size: int,
    second_taps: int,
) -> Relation:
    """The relation of pairs of lines, ``(pairs[0][k], pairs[1][k])``, of two relations.

    Related lines and taps are pairs too, counted in C order with `second_size` lines and
    `second_taps` taps of the second relation.
    """
    starts = [each.start[of] for each, of in zip((first, second), pairs, strict=True)]
    counts = [np.diff(each.start)[of] for each, of in zip((first, second), pairs, strict=True)]
    count = counts[0] * counts[1]
    own = np.repeat(np.arange(count.size), count)
    place = ranges(np.zeros_like(count), count)
    outer, inner = np.divmod(place, counts[1][own])
    one, two = starts[0][own] + outer, starts[1][own] + inner
    line = first.line[one] * second_size + second.line[two]
    tap = first.tap[one] * second_taps + second.tap[two]
    if not first.begins.all():  # entries of one line must be adjacent
        order = np.lexsort((line, own))
        line, tap = line[order], tap[order]
    return Relation.of(count, line, tap)
