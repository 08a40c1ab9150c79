"""Sums of whole lines of an image, tabulated for groups of sums that share what they read."""

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import GROUP
from dhop.kernels.taps import PASS, READS
from dhop.model.relations import Index, Relation

Array = NDArray[Any]

WINDOWS = np.array([max(reads) + 1 for reads in READS])  # of a step of each kind


class Lines(NamedTuple):
    """The tables of `dhop.kernels.separable._sum_lines`."""

    start: Index
    passes: Index
    offset: Index
    weight: Array
    alone: Index
    lone_offset: Index
    lone_weight: Array

    @property
    def tables(self) -> tuple[Index, Index, Index, Index, Index]:
        """All but the weights."""
        return self.start, self.passes, self.offset, self.alone, self.lone_offset

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many terms there are, and of each how many weights and lone ones."""
        return *self.weight.shape, self.lone_weight.shape[1]

    def before(self, values: Array) -> Array:
        """The weights of all terms, the lone ones, and other `values`, in one array."""
        return np.concatenate([self.weight, self.lone_weight, values], axis=None)


def line_sums(relation: Relation, weights: Array, length: int, dtype: np.dtype[Any]) -> Lines:
    """Sums of lines of `length` numbers, of each output in turn, with (rank, taps) `weights`.

    Of four neighbours the first lines that are read are those of the first output, then of the
    first two, and so on to the last, and most are those of all four. A step takes one that all
    read, or one that the first few do together with one of the others', or if these are used up
    another one for each output. What finds no partner, as at borders, is summed alone.
    """
    order = _orders.get(relation)
    if order is None:
        order = _orders[relation] = _order(relation)
    merged = np.zeros((len(weights), 0), weights.dtype)
    if order.begins.size:
        merged = np.add.reduceat(weights[:, relation.tap], order.begins, axis=1)
    merged = merged.astype(dtype)
    return Lines(
        order.start, order.passes, order.lines * length, merged.take(order.entries, axis=1),
        order.alone, order.lone_lines * length, merged.take(order.lone_entries, axis=1),
    )  # fmt: skip


class _Order(NamedTuple):
    """The tables of `Lines`, of lines as they are numbered and of entries in their place."""

    begins: Index
    start: Index
    passes: Index
    lines: Index
    entries: Index
    alone: Index
    lone_lines: Index
    lone_entries: Index


# Of relations that are still there: those of tiles of a field are one for many PSFs.
_orders: WeakKeyDictionary[Relation, _Order] = WeakKeyDictionary()


def _order(relation: Relation) -> _Order:
    begins = np.flatnonzero(relation.begins)
    start, lines = np.searchsorted(begins, relation.start), relation.line[begins]
    group, line, entries = _by_group(start, lines)
    groups = -(-(start.size - 1) // GROUP)
    steps, alone = _steps(group, entries, groups)
    of, kind, windows, read = np.split(steps, [1, 2, 2 + GROUP], axis=1)
    first, passes = _passes(of[:, 0], kind[:, 0], groups)
    different = np.arange(GROUP) < WINDOWS[kind]

    here, r = np.nonzero(alone)
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
        Where it stands among the `lines` of each output of the group, -1 if that does not read it.
        Beyond the last output that one counts once more.
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
    """Group, kind, a window and an entry for each output of every step, and what is in none."""
    alone = entries >= 0
    steps = []
    for kind, reads in enumerate(READS):
        readers = np.equal.outer(np.arange(WINDOWS[kind]), reads)
        left = [np.flatnonzero(alone[:, each].all(axis=1)) for each in readers]
        windows = _partners(left, group, groups)
        read = [windows[window] for window in reads]
        for r in range(GROUP):
            alone[read[r], r] = False
        each = windows + [windows[0]] * (GROUP - len(windows))
        entry = [entries[line, r] for r, line in enumerate(read)]
        steps.append(np.column_stack([group[each[0]], np.full_like(each[0], kind), *each, *entry]))
    table = np.concatenate(steps)
    return table[np.argsort(table[:, 0], kind="stable")], alone


def _partners(windows: list[Index], group: Index, groups: int) -> list[Index]:
    """The first of each list in every group, as many as all of the lists have there."""
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
    """Of each element, how many equal ones there are before it; `of` is ascending."""
    return np.arange(of.size) - np.searchsorted(of, of)


def reached(relation: Relation) -> Index:
    """How many lines each group of outputs and those before it read, the last number once more."""
    count = relation.start.size - 1
    far = np.maximum.accumulate(np.append(0, relation.line + 1))
    ends = far[relation.start[np.minimum(np.arange(GROUP, count + GROUP, GROUP), count)]]
    return np.append(ends, ends[-1])
