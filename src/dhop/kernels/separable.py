"""A folded PSF that is a short sum of products: down the columns first, then along the rows."""

import numpy as np

from dhop.kernels import GROUP, SPOILT
from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip
from dhop.kernels.polyphase import continue_row, fold_row, split_row, sum_row
from dhop.kernels.shares import take
from dhop.kernels.taps import PASS, add_group, add_taps


@kernel
def forward(x, reached, start0, passes, offset0, weight0, alone, offset2, weight2, outer, inner,
            offset1, weight1, linked, blurred, line, far, shares, own, board, out):  # fmt: skip
    """Blur and decimate the columns into a few rows at a time, then those rows.

    Parameters
    ----------
    x : (B, n0, n1) array
    reached : (groups + 1,) int array
        How many rows of an image each group of output rows and those before it read; the last
        number once more.
    start0, passes, offset0, weight0, alone, offset2, weight2 : arrays
        Of `_sum_lines`, for the output rows; weights of shape (rank, entries).
    outer, inner : int arrays
        Of `split_row`.
    offset1 : (k,) int array
    weight1 : (rank, k) array
        Window start in the split row, and value, of each tap along the row.
    linked : int
        Of `add_taps`.
    blurred, line : (GROUP, max(n1, places)) and (factor, places) arrays
        Workspace.
    far : int
        1 if images are in no cache, so that rows are asked for before they are needed, else 0.
    shares, own, board : int arrays and int
        Of groups of output rows, counted through the batch; spoilt if an output is not finite.
    out : (B, m0, m1) array
    """
    n0, n1 = x.shape[1:]
    m0, m1 = out.shape[1:]
    factor, places = line.shape
    (rank, entries), others, taps = weight0.shape, offset2.size, offset1.size
    groups = reached.size - 1
    source, row, split, target, reach = flat(x), flat(blurred), flat(line), flat(out), flat(reached)
    first, steps, offsets, weights = flat(start0), flat(passes), flat(offset0), flat(weight0)
    lone, lone_offsets, lone_weights = flat(alone), flat(offset2), flat(weight2)
    edge, inside, offsets1, weights1 = flat(outer), flat(inner), flat(offset1), flat(weight1)
    # With factor 1 the rows are blurred where they are wanted, between their margins.
    in_place = factor == 1 and inside[1] - inside[0] == n1
    stride, margin = (places, inside[0]) if in_place else (n1, 0)
    taken = 0
    place, stop = take(shares, own, board, taken)
    while place < stop:
        batch, group = place // groups, place % groups
        j = GROUP * group
        count = min(GROUP, m0 - j)
        # Of so many requests a processor drops some: rows are asked for one group ahead and two.
        coming = skip(source, (batch * n0 + reach[group]) * n1)
        later = skip(source, (batch * n0 + reach[group + 1]) * n1)
        pixels = (reach[group + 1] - reach[group]) * n1 * far
        part = -(-pixels // (count * m1))
        for k in range(rank):
            _sum_lines(source, batch * n0 * n1, first, steps, offsets, skip(weights, k * entries),
                       lone, lone_offsets, skip(lone_weights, k * others),
                       group, count, skip(row, margin), stride, n1,
                       (later, pixels // n1))  # fmt: skip
            for r in range(count):
                blur = skip(row, r * stride + margin)
                if in_place:
                    split = skip(row, r * stride)
                    continue_row(blur, edge, len(outer), split)
                else:
                    split_row(blur, edge, len(outer), inside, factor, places, split)
                add_taps(skip(target, (batch * m0 + j + r) * m1), m1, split, 0, offsets1,
                         skip(weights1, k * taps), linked, taps, k > 0, PASS,
                         (skip(coming, r * part * m1), part))  # fmt: skip
        if not np.isfinite(sum_row(skip(target, (batch * m0 + j) * m1), count * m1)):
            shares[0, SPOILT] = 1
        place += 1
        if place == stop:
            taken += 1
            place, stop = take(shares, own, board, taken)


@kernel
def adjoint(y, start0, passes, offset0, weight0, alone, offset2, weight2, column_start,
            column_place, inner, offset1, weight1, linked, phase, padded, line, held,
            shares, own, board, out):  # fmt: skip
    """Conjugate transpose of `forward`: gather the rows of `y`, then spread along the row.

    Parameters
    ----------
    y : (B, m0, m1) array
    start0, passes, offset0, weight0, alone, offset2, weight2 : arrays
        Of `_sum_lines`, for the pixel rows; weights of shape (rank, entries).
    column_start, column_place, inner : int arrays
        Of `fold_row`, for a row of which the phases begin as far apart as those of `line`.
    offset1, weight1 : (k,) and (rank, k) arrays
        Window start in the padded row, and value; taps of one phase side by side.
    linked : (phases,) int array
        Of `add_taps`.
    phase : (phases + 1,) int array
        Where the taps of each phase begin.
    padded : (rows, margin + m1 + margin) array
        Workspace for a few groups of rows, with zeros in the margins.
    line : (phases, (rows - 1) * width + places) array
        Workspace for as many rows, as far behind each other as in `padded`, so that each tap's
        windows of all of them are one.
    held : int
        How many rows are spread at a time.
    shares, own, board : int arrays and int
        Of groups of pixel rows, counted through the batch; spoilt if a pixel is not finite.
    out : (B, n0, n1) array
    """
    m0, m1 = y.shape[1:]
    n0, n1 = out.shape[1:]
    phases, span = line.shape
    rows, width = padded.shape
    places, margin = span - (rows - 1) * width, (width - m1) // 2
    (rank, entries), others, taps = weight0.shape, offset2.size, offset1.size
    groups = start0.size - 1
    source, row, split, target = flat(y), flat(padded), flat(line), flat(out)
    first, steps, offsets, weights = flat(start0), flat(passes), flat(offset0), flat(weight0)
    lone, lone_offsets, lone_weights = flat(alone), flat(offset2), flat(weight2)
    table, member, inside = flat(column_start), flat(column_place), flat(inner)
    offsets1, weights1, begin = flat(offset1), flat(weight1), flat(phase)
    taken = 0
    place, stop = take(shares, own, board, taken)
    while place < stop:
        batch, group = place // groups, place % groups
        i = GROUP * group
        count = min(rows, n0 - i, GROUP * (stop - place))
        for k in range(rank):
            for r in range(0, count, GROUP):  # nothing fetched: it would take longer
                _sum_lines(source, batch * m0 * m1, first, steps, offsets,
                           skip(weights, k * entries), lone, lone_offsets,
                           skip(lone_weights, k * others), group + r // GROUP,
                           min(GROUP, count - r), skip(row, r * width + margin), width, m1,
                           (target, 0))  # fmt: skip
            for r in range(0, count, held):
                lines = min(held, count - r)
                pixels = skip(target, (batch * n0 + i + r) * n1)
                spread = skip(split, 0 if rank == 1 else r * width)
                for p in range(phases):
                    top, end = begin[p], begin[p + 1]
                    add_taps(skip(spread, p * span), (lines - 1) * width + places,
                             skip(row, r * width), 0, skip(offsets1, top),
                             skip(weights1, k * taps + top), linked[p], end - top, k > 0,
                             PASS, (skip(pixels, p * lines * n1 // phases), 1))  # fmt: skip
                if k + 1 == rank:
                    for s in range(lines):
                        fold_row(skip(spread, s * width), table, member, inside, phases, span,
                                 skip(pixels, s * n1), n1)  # fmt: skip
                    if not np.isfinite(sum_row(pixels, lines * n1)):
                        shares[0, SPOILT] = 1
        place += (count + GROUP - 1) // GROUP
        if place == stop:
            taken += 1
            place, stop = take(shares, own, board, taken)


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
