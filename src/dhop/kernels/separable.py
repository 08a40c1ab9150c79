"""A folded PSF that is a short sum of products: down the columns first, then along the rows."""

import numpy as np

from dhop.kernels import GROUP
from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip, unbundle
from dhop.kernels.polyphase import clear_margins, continue_row, fold_row, split_row, sum_row
from dhop.kernels.shares import take
from dhop.kernels.taps import PASS, add_group, add_taps


@kernel
def forward(x, table, weights, work, shares, own, board, out):
    """Blur and decimate the columns into a few rows at a time, then those rows.

    Parameters
    ----------
    x : (B * n0 * n1,) array
    table : int array
        A `bundle`, of shapes and of

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
    (n0, n1, m0, m1, factor, places, near, rank, entries, others, taps, outer, linked,
     reached, start, passes, offsets, alone, lone_offsets, edge, inside, windows
    ) = unbundle(flat(table), 13, 9)  # fmt: skip
    far = int(x.size + out.size > near)
    groups = (m0 + GROUP - 1) // GROUP
    source, target, row = flat(x), flat(out), flat(work)
    down = flat(weights)
    lone, along = skip(down, rank * entries), skip(down, rank * (entries + others))
    line = skip(row, GROUP * max(n1, places))
    # With factor 1 the rows are blurred where they are wanted, between their margins.
    in_place = factor == 1 and inside[1] - inside[0] == n1
    stride, margin = (places, inside[0]) if in_place else (n1, 0)
    finite, taken = True, 0
    place, stop = take(shares, own, board, taken)
    while place < stop:
        batch, group = place // groups, place % groups
        j = GROUP * group
        count = min(GROUP, m0 - j)
        # Of so many requests a processor drops some: rows are asked for one group ahead and two.
        coming = skip(source, (batch * n0 + reached[group]) * n1)
        later = skip(source, (batch * n0 + reached[group + 1]) * n1)
        pixels = (reached[group + 1] - reached[group]) * n1 * far
        part = -(-pixels // (count * m1))
        for k in range(rank):
            _sum_lines(source, batch * n0 * n1, start, passes, offsets, skip(down, k * entries),
                       alone, lone_offsets, skip(lone, k * others),
                       group, count, skip(row, margin), stride, n1,
                       (later, pixels // n1))  # fmt: skip
            for r in range(count):
                blur = skip(row, r * stride + margin)
                if in_place:
                    split = skip(row, r * stride)
                    continue_row(blur, edge, outer, split)
                else:
                    split = line
                    split_row(blur, edge, outer, inside, factor, places, split)
                add_taps(skip(target, (batch * m0 + j + r) * m1), m1, split, 0, windows,
                         skip(along, k * taps), linked, taps, k > 0, PASS,
                         (skip(coming, r * part * m1), part))  # fmt: skip
        if not np.isfinite(sum_row(skip(target, (batch * m0 + j) * m1), count * m1)):
            finite = False
        place += 1
        if place == stop:
            taken += 1
            place, stop = take(shares, own, board, taken)
    return finite


@kernel
def adjoint(y, table, weights, work, shares, own, board, out):
    """Conjugate transpose of `forward`: gather the rows of `y`, then spread along the row.

    Parameters
    ----------
    y : (B * m0 * m1,) array
    table : int array
        A `bundle`, of shapes and of

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
    (n0, n1, m0, m1, phases, places, rows, width, held, rank, entries, others, taps,
     start, passes, offsets, alone, lone_offsets, first, member, inside, windows, linked, begin
    ) = unbundle(flat(table), 13, 11)  # fmt: skip
    groups = (n0 + GROUP - 1) // GROUP
    span, margin = (rows - 1) * width + places, (width - m1) // 2
    source, target, row = flat(y), flat(out), flat(work)
    split = skip(row, rows * width)
    clear_margins(row, rows, width, margin)
    down = flat(weights)
    lone, along = skip(down, rank * entries), skip(down, rank * (entries + others))
    finite, taken = True, 0
    place, stop = take(shares, own, board, taken)
    while place < stop:
        batch, group = place // groups, place % groups
        i = GROUP * group
        count = min(rows, n0 - i, GROUP * (stop - place))
        for k in range(rank):
            for r in range(0, count, GROUP):  # nothing fetched: it would take longer
                _sum_lines(source, batch * m0 * m1, start, passes, offsets,
                           skip(down, k * entries), alone, lone_offsets,
                           skip(lone, k * others), group + r // GROUP,
                           min(GROUP, count - r), skip(row, r * width + margin), width, m1,
                           (target, 0))  # fmt: skip
            for r in range(0, count, held):
                lines = min(held, count - r)
                pixels = skip(target, (batch * n0 + i + r) * n1)
                spread = skip(split, 0 if rank == 1 else r * width)
                for p in range(phases):
                    top, end = begin[p], begin[p + 1]
                    add_taps(skip(spread, p * span), (lines - 1) * width + places,
                             skip(row, r * width), 0, skip(windows, top),
                             skip(along, k * taps + top), linked[p], end - top, k > 0,
                             PASS, (skip(pixels, p * lines * n1 // phases), 1))  # fmt: skip
                if k + 1 == rank:
                    for s in range(lines):
                        fold_row(skip(spread, s * width), first, member, inside, phases, span,
                                 skip(pixels, s * n1), n1)  # fmt: skip
                    if not np.isfinite(sum_row(pixels, lines * n1)):
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
