"""Weighted sums of whole lines of an image, tabulated for groups of sums that share lines."""

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import GROUP
from dhop.kernels.taps import PASS, READS
from dhop.model.relations import Index, Relation

Array = NDArray[Any]

WINDOWS = np.array([max(reads) + 1 for reads in READS])  # of a step of each kind


class ColumnPass(NamedTuple):
    """The tables of `dhop.kernels.separable._column_pass`."""

    start: Index
    passes: Index
    offset: Index
    weight: Array
    extra: Index
    extra_offset: Index
    extra_weight: Array

    @property
    def tables(self) -> tuple[Index, Index, Index, Index, Index]:
        """All arrays but the weights."""
        return self.start, self.passes, self.offset, self.extra, self.extra_offset

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of terms, and for each term of weights and of extra ones."""
        return *self.weight.shape, self.extra_weight.shape[1]

    def before(self, values: Array) -> Array:
        """The weights of all terms, the extra ones, and other `values`, in one array."""
        return np.concatenate([self.weight, self.extra_weight, values], axis=None)


def column_pass(
    relation: Relation, weights: Array, length: int, dtype: np.dtype[Any]
) -> ColumnPass:
    """The tables over lines of `length` numbers, with (rank, taps) `weights`.

    Of four neighbouring outputs only the first reads the first lines, then the first two and so on,
    and all four read most. A step takes a line that all read, or one that the first few read with
    one that the others read, or then one for each output. Lines without a partner, as at borders,
    are extra.
    """
    order = _orders.get(relation)
    if order is None:
        order = _orders[relation] = _order(relation)
    merged = np.zeros((len(weights), 0), weights.dtype)
    if order.begins.size:
        merged = np.add.reduceat(weights[:, relation.tap], order.begins, axis=1)
    merged = merged.astype(dtype)
    return ColumnPass(
        order.start, order.passes, order.lines * length, merged.take(order.entries, axis=1),
        order.extra, order.extra_lines * length, merged.take(order.extra_entries, axis=1),
    )  # fmt: skip


class _Order(NamedTuple):
    """The tables of `ColumnPass`, with numbers of lines and of entries instead of weights."""

    begins: Index
    start: Index
    passes: Index
    lines: Index
    entries: Index
    extra: Index
    extra_lines: Index
    extra_entries: Index


# Tiles of a field have many PSFs for one relation.
_orders: WeakKeyDictionary[Relation, _Order] = WeakKeyDictionary()


def _order(relation: Relation) -> _Order:
    begins = np.flatnonzero(relation.begins)
    start, lines = np.searchsorted(begins, relation.start), relation.line[begins]
    group, line, entries = _by_group(start, lines)
    groups = -(-(start.size - 1) // GROUP)
    steps, extra = _steps(group, entries, groups)
    of, kind, windows, read = np.split(steps, [1, 2, 2 + GROUP], axis=1)
    first, passes = _passes(of[:, 0], kind[:, 0], groups)
    different = np.arange(GROUP) < WINDOWS[kind]

    here, r = np.nonzero(extra)
    owner = group[here] * GROUP + r
    order = np.argsort(owner, kind="stable")
    here, r = here[order], r[order]
    return _Order(
        begins, first, passes, line[windows[different]], read.ravel(),
        np.searchsorted(owner[order], np.arange(start.size)), line[here], entries[here, r],
    )  # fmt: skip


def _by_group(start: Index, lines: Index) -> tuple[Index, Index, Index]:
    """Every line that a group reads, ascending.

    Returns
    -------
    group, line : (k,) ndarrays of intp
    entries : (k, GROUP) ndarray of intp
        Its index in `lines` for each output of the group, -1 if that does not read it. The last
        output is repeated to fill the last group.
    """
    last = start.size - 2
    output = np.minimum(np.arange(-(-(last + 1) // GROUP) * GROUP), last)
    sizes = np.diff(start)[output]
    owner = np.repeat(np.arange(output.size), sizes)
    begin = np.cumsum(sizes) - sizes
    entry = start[output][owner] + np.arange(owner.size) - begin[owner]
    height = lines.max(initial=0) + 1
    place, which = np.unique(owner // GROUP * height + lines[entry], return_inverse=True)
    entries = np.full((place.size, GROUP), -1)
    entries[which, owner % GROUP] = entry
    group, line = np.divmod(place, height)
    return group, line, entries


def _steps(group: Index, entries: Index, groups: int) -> tuple[Index, NDArray[np.bool_]]:
    """Group, kind, windows and entries of every step, and which entries are in none."""
    extra = entries >= 0
    steps = []
    for kind, reads in enumerate(READS):
        readers = np.equal.outer(np.arange(WINDOWS[kind]), reads)
        left = [np.flatnonzero(extra[:, each].all(axis=1)) for each in readers]
        windows = _partners(left, group, groups)
        read = [windows[window] for window in reads]
        for r in range(GROUP):
            extra[read[r], r] = False
        each = windows + [windows[0]] * (GROUP - len(windows))
        entry = [entries[line, r] for r, line in enumerate(read)]
        steps.append(np.column_stack([group[each[0]], np.full_like(each[0], kind), *each, *entry]))
    table = np.concatenate(steps)
    return table[np.argsort(table[:, 0], kind="stable")], extra


def _partners(windows: list[Index], group: Index, groups: int) -> list[Index]:
    """The first windows of each list in every group, as many as the shortest list has there."""
    least = np.min([np.bincount(group[each], minlength=groups) for each in windows], axis=0)
    return [each[_number(group[each]) < least[group[each]]] for each in windows]


def _passes(of: Index, kind: Index, groups: int) -> tuple[Index, Index]:
    """The first pass of each group, and the passes, which have `PASS` steps each or less."""
    first = np.zeros(groups + 1, np.intp)
    np.maximum(1, -(-np.bincount(of, minlength=groups) // PASS)).cumsum(out=first[1:])
    counts = np.zeros((first[-1], len(READS)), np.intp)
    np.add.at(counts, (first[of] + _number(of) // PASS, kind), 1)
    sizes = np.column_stack([counts @ WINDOWS, GROUP * counts.sum(axis=1)])
    return first, np.column_stack([sizes.cumsum(axis=0) - sizes, counts])


def _number(of: Index) -> Index:
    """For each element the number of equal ones before it; `of` is ascending."""
    return np.arange(of.size) - np.searchsorted(of, of)


def reached(relation: Relation) -> Index:
    """The number of lines that each group and those before it read; the last number is repeated."""
    count = relation.start.size - 1
    far = np.maximum.accumulate(np.append(0, relation.line + 1))
    ends = far[relation.start[np.minimum(np.arange(GROUP, count + GROUP, GROUP), count)]]
    return np.append(ends, ends[-1])
