"""A folded PSF that is a short sum of products: down the columns first, then along the rows.

For each term of the sum, four rows of outputs at a time ::

    image        line 0  ----------------
                 line 1  ----------------
                 ...
                              |  times the weights of the column, and summed
    four rows            ----------------    decimated already
                              |  continued and split into phases
                         ------- -------
                              |  times the weights of the row, and summed
    outputs              -------

`adjoint` sums lines of `y` in the same way, between margins of zeros. Then it sums the phases of
the row of pixels and folds them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import GROUP
from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip, unpacking
from dhop.kernels.polyphase import clear_margins, continue_row, fold_row, split_row, sum_row
from dhop.kernels.shares import take
from dhop.kernels.taps import PASS, add_group, add_taps

Index = NDArray[np.intp]


class Forward(NamedTuple):
    """What `forward` has to know.

    Attributes
    ----------
    n0, n1, m0, m1 : int
        Shapes of the image and of the result of `forward`.
    near : int
        With more pixels and outputs they are in no cache: rows are asked for early.
    rank, entries, others, taps, outer, linked : int
        How many terms, values of `_sum_lines` for each, taps along the row, places of
        `continue_row`, and what `add_taps` wants to know.
    reached : (groups + 1,) array
        How many rows of an image each group of output rows and those before it read; the last
        number once more.
    start, passes, offsets, alone, lone_offsets : arrays
        Of `_sum_lines`, for the output rows.
    edge, inside : arrays
        The places of `split_row`, outer and inner.
    windows : (taps,) array
        Where in the split row the window of each tap begins.
    """

    n0: int
    n1: int
    m0: int
    m1: int
    factor: int
    places: int
    near: int
    rank: int
    entries: int
    others: int
    taps: int
    outer: int
    linked: int
    reached: Index
    start: Index
    passes: Index
    offsets: Index
    alone: Index
    lone_offsets: Index
    edge: Index
    inside: Index
    windows: Index


_unpack_forward = unpacking(Forward)


@kernel
def forward(x, table, weights, work, shares, own, board, out):
    """Blur and decimate the columns into a few rows at a time, then those rows.

    Parameters
    ----------
    x : (B * n0 * n1,) array
    table : int array
        A packed `Forward`.
    weights : (rank * (entries + others + taps),) array
        Those of `_sum_lines` of each term, its lone ones, and the taps along the row.
    work : (GROUP * max(n1, places) + factor * places,) array
    shares, own, board : int arrays and int
        Of groups of output rows, counted through the batch.
    out : (B * m0 * m1,) array

    Returns
    -------
    bool
        Whether the outputs are finite.
    """
    t = _unpack_forward(flat(table))
    far = int(x.size + out.size > t.near)
    groups = (t.m0 + GROUP - 1) // GROUP
    source, target, row = flat(x), flat(out), flat(work)
    down = flat(weights)
    lone, along = skip(down, t.rank * t.entries), skip(down, t.rank * (t.entries + t.others))
    line = skip(row, GROUP * max(t.n1, t.places))
    # With factor 1 the rows are blurred where they are wanted, between their margins.
    in_place = t.factor == 1 and t.inside[1] - t.inside[0] == t.n1
    stride, margin = (t.places, t.inside[0]) if in_place else (t.n1, 0)
    finite, taken = True, 0
    place, stop = take(shares, own, board, taken)
    while place < stop:
        batch, group = place // groups, place % groups
        j = GROUP * group
        count = min(GROUP, t.m0 - j)
        # Of so many requests a processor drops some: rows are asked for one group ahead and two.
        coming = skip(source, (batch * t.n0 + t.reached[group]) * t.n1)
        later = skip(source, (batch * t.n0 + t.reached[group + 1]) * t.n1)
        pixels = (t.reached[group + 1] - t.reached[group]) * t.n1 * far
        part = -(-pixels // (count * t.m1))
        for k in range(t.rank):
            _sum_lines(source, batch * t.n0 * t.n1, t.start, t.passes, t.offsets,
                       skip(down, k * t.entries), t.alone, t.lone_offsets, skip(lone, k * t.others),
                       group, count, skip(row, margin), stride, t.n1,
                       (later, pixels // t.n1))  # fmt: skip
            for r in range(count):
                blur = skip(row, r * stride + margin)
                if in_place:
                    split = skip(row, r * stride)
                    continue_row(blur, t.edge, t.outer, split)
                else:
                    split = line
                    split_row(blur, t.edge, t.outer, t.inside, t.factor, t.places, split)
                add_taps(skip(target, (batch * t.m0 + j + r) * t.m1), t.m1, split, 0, t.windows,
                         skip(along, k * t.taps), t.linked, t.taps, k > 0, PASS,
                         (skip(coming, r * part * t.m1), part))  # fmt: skip
        if not np.isfinite(sum_row(skip(target, (batch * t.m0 + j) * t.m1), count * t.m1)):
            finite = False
        place += 1
        if place == stop:
            taken += 1
            place, stop = take(shares, own, board, taken)
    return finite


class Adjoint(NamedTuple):
    """What `adjoint` has to know.

    Attributes
    ----------
    n0, n1, m0, m1 : int
        Shapes of the image and of the result of `forward`.
    rows, width : int
        Of the padded rows of `y`: a few groups of rows, with zeros in the margins.
    places : int
        Of a phase of one row. Those of all rows stand as far behind each other as the padded
        ones, so that each tap's windows of all of them are one.
    held : int
        How many rows are spread at a time.
    rank, entries, others, taps : int
        As in `forward`.
    start, passes, offsets, alone, lone_offsets : arrays
        Of `_sum_lines`, for the pixel rows.
    first, member, inside : arrays
        Of `fold_row`, for such phases.
    windows : (taps,) array
        Where in the padded row the window of each tap begins; taps of one phase side by side.
    linked : (phases,) array
        Of `add_taps`.
    begin : (phases + 1,) array
        Where the taps of each phase begin.
    """

    n0: int
    n1: int
    m0: int
    m1: int
    phases: int
    places: int
    rows: int
    width: int
    held: int
    rank: int
    entries: int
    others: int
    taps: int
    start: Index
    passes: Index
    offsets: Index
    alone: Index
    lone_offsets: Index
    first: Index
    member: Index
    inside: Index
    windows: Index
    linked: Index
    begin: Index


_unpack_adjoint = unpacking(Adjoint)


@kernel
def adjoint(y, table, weights, work, shares, own, board, out):
    """Conjugate transpose of `forward`: gather the rows of `y`, then spread along the row.

    Parameters
    ----------
    y : (B * m0 * m1,) array
    table : int array
        A packed `Adjoint`.
    weights : (rank * (entries + others + taps),) array
        As in `forward`.
    work : (rows * width + phases * ((rows - 1) * width + places),) array
        The padded rows, and the phases.
    shares, own, board : int arrays and int
        Of groups of pixel rows, counted through the batch.
    out : (B * n0 * n1,) array

    Returns
    -------
    bool
        Whether the pixels are finite.
    """
    t = _unpack_adjoint(flat(table))
    groups = (t.n0 + GROUP - 1) // GROUP
    span, margin = (t.rows - 1) * t.width + t.places, (t.width - t.m1) // 2
    source, target, row = flat(y), flat(out), flat(work)
    split = skip(row, t.rows * t.width)
    clear_margins(row, t.rows, t.width, margin)
    down = flat(weights)
    lone, along = skip(down, t.rank * t.entries), skip(down, t.rank * (t.entries + t.others))
    finite, taken = True, 0
    place, stop = take(shares, own, board, taken)
    while place < stop:
        batch, group = place // groups, place % groups
        i = GROUP * group
        count = min(t.rows, t.n0 - i, GROUP * (stop - place))
        for k in range(t.rank):
            for r in range(0, count, GROUP):  # nothing fetched: it would take longer
                _sum_lines(source, batch * t.m0 * t.m1, t.start, t.passes, t.offsets,
                           skip(down, k * t.entries), t.alone, t.lone_offsets,
                           skip(lone, k * t.others), group + r // GROUP,
                           min(GROUP, count - r), skip(row, r * t.width + margin), t.width, t.m1,
                           (target, 0))  # fmt: skip
            for r in range(0, count, t.held):
                lines = min(t.held, count - r)
                pixels = skip(target, (batch * t.n0 + i + r) * t.n1)
                spread = skip(split, 0 if t.rank == 1 else r * t.width)
                for p in range(t.phases):
                    top, end = t.begin[p], t.begin[p + 1]
                    add_taps(skip(spread, p * span), (lines - 1) * t.width + t.places,
                             skip(row, r * t.width), 0, skip(t.windows, top),
                             skip(along, k * t.taps + top), t.linked[p], end - top, k > 0,
                             PASS, (skip(pixels, p * lines * t.n1 // t.phases), 1))  # fmt: skip
                if k + 1 == t.rank:
                    for s in range(lines):
                        fold_row(skip(spread, s * t.width), t.first, t.member, t.inside, t.phases,
                                 span, skip(pixels, s * t.n1), t.n1)  # fmt: skip
                    if not np.isfinite(sum_row(pixels, lines * t.n1)):
                        finite = False
        place += (count + GROUP - 1) // GROUP
        if place == stop:
            taken += 1
            place, stop = take(shares, own, board, taken)
    return finite


@called
def _sum_lines(source, base, start, passes, offset, weight, alone, lone_offset, lone_weight,
               group, count, total, stride, n, ahead):  # fmt: skip
    """Sum whole lines of an image, for a group of lines.

    Parameters
    ----------
    source : array
        The image begins at `base`.
    start, passes, offset, weight : arrays
        ``start[group], ..., start[group + 1] - 1`` are the passes of a group, of `add_group`.
    alone, lone_offset, lone_weight : arrays
        Line `j` sums what begins at ``lone_offset[e]`` too, with the weights ``lone_weight[e]``,
        ``alone[j] <= e < alone[j + 1]``.
    group, count : int
        Number of the group, and how many lines it has.
    total : array
        The `n` sums of each of `GROUP` lines are written `stride` numbers after those of the one
        before; what is beyond `count` lines is no sum.
    ahead
        Of `add_group`.
    """
    add_group(total, stride, n, source, base, passes, start[group], start[group + 1],
              offset, weight, ahead)  # fmt: skip
    for r in range(count):
        first = alone[GROUP * group + r]
        others = alone[GROUP * group + r + 1] - first
        if others > 0:  # `ahead` is fetched already; it is passed to compile one `add_taps` only
            add_taps(skip(total, r * stride), n, source, base, skip(lone_offset, first),
                     skip(lone_weight, first), 0, others, True, PASS, ahead)  # fmt: skip
