"""Sums of whole lines of an image, tabulated for groups of sums that share what they read."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.geometry import Index, Relation
from dhop.kernels import GROUP
from dhop.kernels.taps import PASS, READS

Array = NDArray[Any]


class Lines(NamedTuple):
    """The tables of `dhop.kernels.separable._sum_lines`."""

    start: Index
    passes: Index
    offset: Index
    weight: Array
    alone: Index
    lone_offset: Index
    lone_weight: Array


def line_sums(relation: Relation, weights: Array, length: int, dtype: np.dtype[Any]) -> Lines:
    """Sums of lines of `length` numbers, of each output in turn, with (rank, taps) `weights`.

    Of four neighbours the first lines that are read are those of the first output, then of the
    first two, and so on to the last, and most are those of all four. A step takes one that all
    read, or one that the first few do together with one of the others': every line is read once.
    What finds no partner, as at borders, is summed alone.
    """
    begins = np.flatnonzero(relation.begins)
    start, lines = np.searchsorted(begins, relation.start), relation.line[begins]
    merged = np.zeros((len(weights), 0), weights.dtype)
    if lines.size:
        merged = np.add.reduceat(weights[:, relation.tap], begins, axis=1)
    merged = merged.astype(dtype)

    count = start.size - 1
    groups = -(-count // GROUP)
    output = np.minimum(np.arange(groups * GROUP), count - 1)  # beyond the last: that once more
    sizes = np.diff(start)[output]
    owner = np.repeat(np.arange(output.size), sizes)
    entry = (
        np.arange(owner.size) - np.repeat(np.cumsum(sizes) - sizes, sizes) + start[output][owner]
    )
    height = lines.max(initial=0) + 1
    place, which = np.unique(owner // GROUP * height + lines[entry], return_inverse=True)
    group, line = np.divmod(place, height)
    entries = np.full((place.size, GROUP), -1)
    entries[which, owner % GROUP] = entry
    readers = (entries >= 0) @ (1 << np.arange(GROUP))

    alone = np.ones(place.size, bool)
    steps = []
    for kind, reads in enumerate(READS):
        windows = [
            np.flatnonzero(readers == sum(1 << r for r in range(GROUP) if reads[r] == window))
            for window in range(max(reads) + 1)
        ]
        windows = _partners(windows, group, groups)
        alone[np.concatenate(windows)] = False
        read = np.column_stack([entries[windows[reads[r]], r] for r in range(GROUP)])
        found = np.column_stack([windows[0], windows[-1]])
        steps.append(np.column_stack([group[found[:, 0]], np.full(len(read), kind), found, read]))
    table = np.concatenate(steps)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    of, kind = table[:, 0], table[:, 1]

    number = np.arange(len(table)) - np.searchsorted(of, of)  # of a step, within its group
    first = np.append(0, np.cumsum(np.maximum(1, -(-np.bincount(of, minlength=groups) // PASS))))
    in_pass = first[of] + number // PASS
    counts = np.zeros((first[-1], len(READS)), np.intp)
    np.add.at(counts, (in_pass, kind), 1)
    several = np.array([max(reads) + 1 for reads in READS])
    sizes = np.column_stack([counts @ several, GROUP * counts.sum(axis=1)])
    passes = np.column_stack([np.cumsum(sizes, axis=0) - sizes, counts])
    taken = np.arange(2) < several[kind][:, None]

    here, r = np.nonzero((entries >= 0) & alone[:, None])
    to = group[here] * GROUP + r
    here, r, to = (each[to < count] for each in (here, r, to))
    order = np.argsort(to, kind="stable")
    here, r = here[order], r[order]
    return Lines(
        first,
        passes,
        line[table[:, 2:4][taken]] * length,
        merged.take(table[:, 4:].ravel(), axis=1),
        np.searchsorted(to[order], np.arange(count + 1)),
        line[here] * length,
        merged.take(entries[here, r], axis=1),
    )


def _partners(windows: list[Index], group: Index, groups: int) -> list[Index]:
    """The first of each list in every group, as many as all of the lists have there."""
    least = np.min([np.bincount(group[each], minlength=groups) for each in windows], axis=0)
    kept = []
    for each in windows:
        of = group[each]
        kept.append(each[np.arange(each.size) - np.searchsorted(of, of) < least[of]])
    return kept


def reached(relation: Relation) -> Index:
    """How many lines each group of outputs and those before it read, the last number once more."""
    count = relation.start.size - 1
    far = np.maximum.accumulate(np.append(0, relation.line + 1))
    ends = far[relation.start[np.minimum(np.arange(GROUP, count + GROUP, GROUP), count)]]
    return np.append(ends, ends[-1])
