"""Every tap by itself: the strided convolution and its adjoint as sums of windows."""

import numpy as np

from dhop.kernels.compile import kernel
from dhop.kernels.polyphase import fold_row, split_row
from dhop.kernels.taps import add_shared_taps, add_taps

TILE = 512  # outputs summed at a time; their sums stay in the L1 cache


@kernel
def forward(x, rows, columns, inner, offsets, weights, factor, taps, lag, most,
            start, stop, out):  # fmt: skip
    """Blur and decimate: ``out[b, j, i] = sum_k weights[k] * window k of (j, i)``.

    Parameters
    ----------
    x : (B, n0, n1) array
    rows : (factor * (m0 - 1) + taps,) int array
        Source row of each row of the continued image, -1 for a row of zeros.
    columns, inner : int arrays
        Of `split_row`.
    offsets, weights : (k,) arrays
        For each tap the start of its window, in a flat stack of split rows that begins with the
        first row the output reads, and its value.
    factor, taps : int
        Decimation factor and number of taps along the rows axis.
    lag : int
        Tap `k` of an output row reads the window of tap ``k - lag`` of the next; the number of
        taps if no windows are shared.
    most : int
        Output rows, an even number, that share one copy of the continued input rows.
    start, stop : int
        Range of pairs of output rows, counted through the batch.
    out : (B, m0, m1) array
    """
    width = columns.size
    m0, m1 = out.shape[1:]
    pairs = (m0 + 1) // 2
    most = min(most, m0)
    step = min(factor, taps)  # rows that no tap reads are not copied
    band = np.empty((step * (most - 1) + taps) * width, x.dtype)
    last = offsets.size
    pair = start
    while pair < stop:
        batch, j = divmod(pair, pairs)
        j *= 2
        count = min(most, m0 - j, 2 * (stop - pair))
        for k in range(step * (count - 1) + taps):
            line = band[k * width : (k + 1) * width]
            r = min(k // step, count - 1)
            source = rows[factor * (j + r) + k - step * r]
            if source < 0:
                line[:] = 0
            else:
                split_row(x[batch, source], columns, inner, line)
        out[batch, j : j + count] = 0
        for r in range(0, count, 2):
            both = min(2, count - r)
            shared = both == 2 and lag < last
            for left in range(0, m1, TILE):
                right = min(left + TILE, m1)
                for q in range(both):
                    run = out[batch, j + r + q, left:right]
                    base = step * (r + q) * width + left
                    head, tail = 0, last
                    if shared and q == 0:
                        tail = lag
                    elif shared:
                        head = last - lag
                        one = out[batch, j + r, left:right]
                        above = base - step * width
                        add_shared_taps(one, run, band, above, offsets, weights, lag, lag, last)
                    add_taps(run, band, base, offsets, weights, head, tail)
        pair += (count + 1) // 2


@kernel
def adjoint(y, row_start, row_place, column_start, column_place, inner,
            offsets, weights, group, phases, places, start, stop, out):  # fmt: skip
    """Conjugate transpose of `forward`, again as a gather: each image row sums what reads it.

    Parameters
    ----------
    y : (B, m0, w) array
        Rows with the zeros on either side that let every window be whole.
    row_start : (n0 + 1,) int array
    row_place : int array
        ``row_place[row_start[i]:row_start[i + 1]]`` are the places where pixel row `i` stands in
        the continued image; likewise for columns, whose places count through the split row.
    inner : (int, int)
        Of `fold_row`.
    offsets, weights : (k,) arrays
        Window start relative to the row ``place // f0`` of a flat `y`, and conjugated value.
    group : (f0, f1, q0 + 1) int array
        Taps ``group[p0, p1, q]:group[p0, p1, q + 1]`` have the phase ``(p0, p1)`` and read the row
        `q` above.
    phases, places : int
        Shape of a split row.
    start, stop : int
        Range of image rows, counted through the batch.
    out : (B, n0, n1) array
    """
    n0 = out.shape[1]
    m0, width = y.shape[1:]
    factor, reach = group.shape[0], group.shape[2] - 1
    source = y.reshape(y.size)
    line = np.empty(phases * places, y.dtype)
    for row in range(start, stop):
        batch, i = divmod(row, n0)
        line[:] = 0
        for e in range(row_start[i], row_start[i + 1]):
            j, p0 = divmod(row_place[e], factor)
            for p1 in range(phases):
                first = group[p0, p1, min(max(j - m0 + 1, 0), reach)]
                last = group[p0, p1, min(j + 1, reach)]
                for left in range(0, places, TILE):
                    tile = line[p1 * places + left : p1 * places + min(left + TILE, places)]
                    base = (batch * m0 + j) * width + left
                    add_taps(tile, source, base, offsets, weights, first, last)
        fold_row(line, column_start, column_place, inner, phases, out[batch, i])
