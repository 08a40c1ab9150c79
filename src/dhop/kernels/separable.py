"""The separable method: for each term of the PSF a pass down the columns, then one along the rows.

Four rows of outputs at a time ::

    image        line 0  ----------------
                 line 1  ----------------
                 ...
                              |  times the weights of the column, and summed
    four rows            ----------------    decimated already
                              |  continued and split into phases
                         ------- -------
                              |  times the weights of the row, and summed
    outputs              -------

`adjoint` has the same column pass over lines of `y`, between margins of zeros. Then it sums the
phases of the row of pixels and folds them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import GROUP
from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip, unpacking
from dhop.kernels.polyphase import clear_margins, continue_row, fold_row, split_row, sum_row
from dhop.kernels.taps import sum_group, sum_taps
from dhop.kernels.work_sharing import take

Index = NDArray[np.intp]


class Forward(NamedTuple):
    """The tables of `forward`.

    Attributes
    ----------
    n0, n1, m0, m1 : int
        Shapes of the image and of the result of `forward`.
    near : int
        Most pixels and outputs that caches hold; of more, rows are prefetched.
    rank, entries, others, taps, outer, linked : int
        Number of terms, for each term of weights and extra ones of `_column_pass` and of taps along
        the row, of places of `continue_row`, and of linked taps.
    reached : (groups + 1,) array
        How many rows of an image each group of output rows and those before it read; the last
        number once more.
    start, passes, offsets, extra, extra_offsets : arrays
        Of `_column_pass`, for the output rows.
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
    extra: Index
    extra_offsets: Index
    edge: Index
    inside: Index
    windows: Index


_unpack_forward = unpacking(Forward)


@kernel
def forward(x, table, weights, work, shares, own, status, out):
    """Blur and decimate the columns into a few rows at a time, then those rows.

    Parameters
    ----------
    x : (B * n0 * n1,) array
    table : int array
        A packed `Forward`.
    weights : (rank * (entries + others + taps),) array
        Of `_column_pass` for each term, its extra ones, and the taps along the row.
    work : (GROUP * max(n1, places) + factor * places,) array
    shares, own, status : int arrays and int
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
    extra = skip(down, t.rank * t.entries)
    along = skip(extra, t.rank * t.others)
    line = skip(row, GROUP * max(t.n1, t.places))
    # With factor 1 the column pass writes between the margins of the row pass.
    in_place = t.factor == 1 and t.inside[1] - t.inside[0] == t.n1
    stride, margin = (t.places, t.inside[0]) if in_place else (t.n1, 0)
    finite, taken = True, 0
    place, stop = take(shares, own, status, taken)
    while place < stop:
        batch, group = place // groups, place % groups
        j = GROUP * group
        count = min(GROUP, t.m0 - j)
        # Rows are prefetched one group ahead and two, since processors drop some of so many.
        coming = skip(source, (batch * t.n0 + t.reached[group]) * t.n1)
        later = skip(source, (batch * t.n0 + t.reached[group + 1]) * t.n1)
        pixels = (t.reached[group + 1] - t.reached[group]) * t.n1 * far
        part = -(-pixels // (count * t.m1))
        for k in range(t.rank):
            _column_pass(source, batch * t.n0 * t.n1, t.start, t.passes, t.offsets,
                         skip(down, k * t.entries), t.extra, t.extra_offsets,
                         skip(extra, k * t.others), group, count, skip(row, margin), stride, t.n1,
                         (later, pixels // t.n1))  # fmt: skip
            for r in range(count):
                blur = skip(row, r * stride + margin)
                if in_place:
                    split = skip(row, r * stride)
                    continue_row(blur, t.edge, t.outer, split)
                else:
                    split = line
                    split_row(blur, t.edge, t.outer, t.inside, t.factor, t.places, split)
                sum_taps(skip(target, (batch * t.m0 + j + r) * t.m1), t.m1, split, 0, t.windows,
                         skip(along, k * t.taps), t.linked, t.taps, k > 0,
                         (skip(coming, r * part * t.m1), part))  # fmt: skip
        if not np.isfinite(sum_row(skip(target, (batch * t.m0 + j) * t.m1), count * t.m1)):
            finite = False
        place += 1
        if place == stop:
            taken += 1
            place, stop = take(shares, own, status, taken)
    return finite


class Adjoint(NamedTuple):
    """The tables of `adjoint`.

    Attributes
    ----------
    n0, n1, m0, m1 : int
        Shapes of the image and of the result of `forward`.
    rows, width : int
        Of the padded rows of `y`: a few groups of rows, with zeros in the margins.
    places : int
        Of a phase of one row. Rows of phases are as far apart as the padded ones, so that the
        windows of a tap of all rows are one.
    held : int
        How many rows have their row pass at a time.
    rank, entries, others, taps : int
        As in `forward`.
    start, passes, offsets, extra, extra_offsets : arrays
        Of `_column_pass`, for the pixel rows.
    first, member, inside : arrays
        Of `fold_row`, for such phases.
    windows : (taps,) array
        Where in the padded row the window of each tap begins; taps of one phase side by side.
    linked : (phases,) array
        Of `sum_taps`.
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
    extra: Index
    extra_offsets: Index
    first: Index
    member: Index
    inside: Index
    windows: Index
    linked: Index
    begin: Index


_unpack_adjoint = unpacking(Adjoint)


@kernel
def adjoint(y, table, weights, work, shares, own, status, out):
    """Conjugate transpose of `forward`: a pass down the columns of `y`, then one along the rows.

    Parameters
    ----------
    y : (B * m0 * m1,) array
    table : int array
        A packed `Adjoint`.
    weights : (rank * (entries + others + taps),) array
        As in `forward`.
    work : (rows * width + phases * ((rows - 1) * width + places),) array
        The padded rows, and the phases.
    shares, own, status : int arrays and int
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
    extra = skip(down, t.rank * t.entries)
    along = skip(extra, t.rank * t.others)
    finite, taken = True, 0
    place, stop = take(shares, own, status, taken)
    while place < stop:
        batch, group = place // groups, place % groups
        i = GROUP * group
        count = min(t.rows, t.n0 - i, GROUP * (stop - place))
        for k in range(t.rank):
            for r in range(0, count, GROUP):  # without prefetching, which takes longer here
                _column_pass(source, batch * t.m0 * t.m1, t.start, t.passes, t.offsets,
                           skip(down, k * t.entries), t.extra, t.extra_offsets,
                           skip(extra, k * t.others), group + r // GROUP,
                           min(GROUP, count - r), skip(row, r * t.width + margin), t.width, t.m1,
                           (target, 0))  # fmt: skip
            for r in range(0, count, t.held):
                lines = min(t.held, count - r)
                pixels = skip(target, (batch * t.n0 + i + r) * t.n1)
                spread = skip(split, 0 if t.rank == 1 else r * t.width)
                for p in range(t.phases):
                    top, end = t.begin[p], t.begin[p + 1]
                    sum_taps(skip(spread, p * span), (lines - 1) * t.width + t.places,
                             skip(row, r * t.width), 0, skip(t.windows, top),
                             skip(along, k * t.taps + top), t.linked[p], end - top, k > 0,
                             (skip(pixels, p * lines * t.n1 // t.phases), 1))  # fmt: skip
                if k + 1 == t.rank:
                    for s in range(lines):
                        fold_row(skip(spread, s * t.width), t.first, t.member, t.inside, t.phases,
                                 span, skip(pixels, s * t.n1), t.n1)  # fmt: skip
                    if not np.isfinite(sum_row(pixels, lines * t.n1)):
                        finite = False
        place += (count + GROUP - 1) // GROUP
        if place == stop:
            taken += 1
            place, stop = take(shares, own, status, taken)
    return finite


@called
def _column_pass(source, base, start, passes, offset, weight, extra, extra_offset, extra_weight,
               group, count, total, stride, n, prefetch):  # fmt: skip
    """Weighted sums of whole lines of an image, for a group of output lines.

    Parameters
    ----------
    source : array
        The image begins at `base`.
    start, passes, offset, weight : arrays
        ``start[group], ..., start[group + 1] - 1`` are the passes of a group, of `sum_group`.
    extra, extra_offset, extra_weight : arrays
        Line `j` also sums the lines that begin at ``extra_offset[e]``, with the weights
        ``extra_weight[e]``, for ``extra[j] <= e < extra[j + 1]``.
    group, count : int
        Number of the group, and how many lines it has.
    total : array
        Lines of `n` sums, `stride` numbers apart; of the `GROUP` that are written only `count` are
        results.
    prefetch
        Of `sum_group`.
    """
    sum_group(total, stride, n, source, base, passes, start[group], start[group + 1],
              offset, weight, prefetch)  # fmt: skip
    for r in range(count):
        first = extra[GROUP * group + r]
        others = extra[GROUP * group + r + 1] - first
        if others > 0:  # `prefetch` has no effect here; with it one `sum_taps` is compiled, not two
            sum_taps(skip(total, r * stride), n, source, base, skip(extra_offset, first),
                     skip(extra_weight, first), 0, others, True, prefetch)  # fmt: skip
