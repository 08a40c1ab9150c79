"""A folded PSF that is a short sum of products: down the columns first, then along the rows."""

import numpy as np

from dhop.kernels.compile import kernel
from dhop.kernels.polyphase import fold_row, split_row
from dhop.kernels.taps import add_shared_taps, add_taps

TILE = 1024  # numbers of a row summed at a time; their sums stay in the L1 cache


@kernel
def forward(x, row_start, row_offset, row_weight, shared, lag,
            columns, inner, offsets, weights, start, stop, out):  # fmt: skip
    """Blur and decimate the columns into one row at a time, then that row.

    Parameters
    ----------
    x : (B, n0, n1) array
    row_start : (m0 + 1,) int array
    row_offset : (e,) int array
    row_weight : (rank, e) array
        Output row `j` sums the rows of `x` that begin at ``row_offset[e]`` with the weights
        ``row_weight[:, e]``, ``row_start[j] <= e < row_start[j + 1]``.
    shared : (m0,) bool array
        Whether entry `e` of row `j` reads what entry ``e - lag`` of row ``j + 1`` reads, with the
        same weights.
    lag : int
    columns, inner : int arrays
        Of `split_row`.
    offsets : (k,) int array
    weights : (rank, k) array
        Window start in the split row, and value, of each tap along the row.
    start, stop : int
        Range of pairs of output rows, counted through the batch.
    out : (B, m0, m1) array
    """
    n0, n1 = x.shape[1:]
    m0, m1 = out.shape[1:]
    source = x.reshape(x.size)
    blurred = np.empty((2, n1), x.dtype)
    line = np.empty(columns.size, x.dtype)
    pairs = (m0 + 1) // 2
    for pair in range(start, stop):
        batch, j = divmod(pair, pairs)
        j *= 2
        count = min(2, m0 - j)
        out[batch, j : j + count] = 0
        for k in range(row_weight.shape[0]):
            blurred[:] = 0
            weight = row_weight[k]
            for left in range(0, n1, TILE):
                base = batch * n0 * n1 + left
                for r in range(count):
                    run = blurred[r, left : left + TILE]
                    first, last = row_start[j + r], row_start[j + r + 1]
                    if count == 2 and shared[j] and r == 0:
                        last = first + lag
                    elif count == 2 and shared[j]:
                        one = blurred[0, left : left + TILE]
                        begin = row_start[j] + lag
                        add_shared_taps(
                            one, run, source, base, row_offset, weight, lag, begin, first
                        )
                        first = last - lag
                    add_taps(run, source, base, row_offset, weight, first, last)
            for r in range(count):
                split_row(blurred[r], columns, inner, line)
                for left in range(0, m1, TILE):
                    tile = out[batch, j + r, left : left + TILE]
                    add_taps(tile, line, left, offsets, weights[k], 0, offsets.size)


@kernel
def adjoint(y, row_start, row_offset, row_weight, column_start, column_place, inner,
            offsets, weights, group, places, start, stop, out):  # fmt: skip
    """Conjugate transpose of `forward`: gather the rows of `y`, then spread along the row.

    Parameters
    ----------
    y : (B, m0, m1) array
    row_start, row_offset, row_weight : arrays
        As in `forward`, of the pixel rows in the rows of `y`.
    column_start, column_place, inner : int arrays
        Of `fold_row`.
    offsets, weights : (k,) and (rank, k) arrays
        Window start in the padded row, and value; taps of one phase side by side.
    group : (phases + 1,) int array
        Where the taps of each phase begin.
    places : int
        Length of a phase in the split row.
    start, stop : int
        Range of image rows, counted through the batch.
    out : (B, n0, n1) array
    """
    m0, m1 = y.shape[1:]
    n0 = out.shape[1]
    phases = group.size - 1
    margin = places - m1
    source = y.reshape(y.size)
    padded = np.zeros(m1 + 2 * margin, y.dtype)
    gathered = padded[margin : margin + m1]
    line = np.empty(phases * places, y.dtype)
    for row in range(start, stop):
        batch, i = divmod(row, n0)
        line[:] = 0
        for k in range(row_weight.shape[0]):
            gathered[:] = 0
            for left in range(0, m1, TILE):
                tile = gathered[left : left + TILE]
                base = batch * m0 * m1 + left
                add_taps(
                    tile, source, base, row_offset, row_weight[k], row_start[i], row_start[i + 1]
                )
            for p in range(phases):
                for left in range(0, places, TILE):
                    tile = line[p * places + left : p * places + min(left + TILE, places)]
                    add_taps(tile, padded, left, offsets, weights[k], group[p], group[p + 1])
        fold_row(line, column_start, column_place, inner, phases, out[batch, i])
