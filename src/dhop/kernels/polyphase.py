"""The direct method: strided convolution and its adjoint as sums of contiguous windows.

Both kernels reduce to one inner loop, `add_taps`: a tile of outputs gathers one window of a flat
array per tap. What makes the windows contiguous is the split of a row of `n` pixels into its
`factor` phases; with ``factor = 2`` and three taps ``w`` the continued row ``e`` lies as ::

    phase 0    e0 e2 e4 e6          y0 = w0 e0 + w1 e1 + w2 e2
    phase 1    e1 e3 e5 e7          y1 = w0 e2 + w1 e3 + w2 e4

so that tap ``u`` reads phase ``u % factor`` from place ``u // factor`` on.
"""

import numpy as np

from dhop.kernels.compile import kernel

TILE = 256  # outputs summed at a time; their accumulators stay in the L1 cache
BAND = 32  # output rows that share one copy of the continued input rows


@kernel
def add_taps(total, source, base, offsets, weights, first, last):
    """``total[i] += sum_{first <= k < last} weights[k] * source[base + offsets[k] + i]``."""
    n = total.size
    k = first
    while k + 8 <= last:
        # A slice has no negative indices, which lets the loop below become vector instructions.
        r0 = source[base + offsets[k] : base + offsets[k] + n]
        r1 = source[base + offsets[k + 1] : base + offsets[k + 1] + n]
        r2 = source[base + offsets[k + 2] : base + offsets[k + 2] + n]
        r3 = source[base + offsets[k + 3] : base + offsets[k + 3] + n]
        r4 = source[base + offsets[k + 4] : base + offsets[k + 4] + n]
        r5 = source[base + offsets[k + 5] : base + offsets[k + 5] + n]
        r6 = source[base + offsets[k + 6] : base + offsets[k + 6] + n]
        r7 = source[base + offsets[k + 7] : base + offsets[k + 7] + n]
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        w4, w5, w6, w7 = weights[k + 4], weights[k + 5], weights[k + 6], weights[k + 7]
        for i in range(n):
            total[i] += (
                w0 * r0[i] + w1 * r1[i] + w2 * r2[i] + w3 * r3[i]
                + w4 * r4[i] + w5 * r5[i] + w6 * r6[i] + w7 * r7[i]
            )  # fmt: skip
        k += 8
    while k < last:
        r0 = source[base + offsets[k] : base + offsets[k] + n]
        w0 = weights[k]
        for i in range(n):
            total[i] += w0 * r0[i]
        k += 1


@kernel
def forward(x, rows, columns, offsets, weights, factor, taps, start, stop, out):
    """Blur and decimate: ``out[b, j, i] = sum_k weights[k] * continued(x[b])[...]``.

    Parameters
    ----------
    x : (B, n0, n1) array
    rows : (factor * (m0 - 1) + taps,) int array
        Source row of each row of the continued image, -1 for a row of zeros.
    columns : (f1, q) int array
        Source column of each place of a continued row, split into its phases; -1 for a zero.
    offsets, weights : (k,) arrays
        For each tap the start of its window, in a flat stack of split rows that begins at the
        first row the output reads, and its value.
    factor, taps : int
        Decimation factor and number of taps along the rows axis.
    start, stop : int
        Range of output rows, counted through the batch.
    out : (B, m0, m1) array
    """
    phases, places = columns.shape
    width = phases * places
    m0, m1 = out.shape[1:]
    band = np.empty((factor * (BAND - 1) + taps) * width, x.dtype)
    total = np.empty(TILE, x.dtype)
    row = start
    while row < stop:
        batch, j = divmod(row, m0)
        count = min(BAND, m0 - j, stop - row)
        for r in range(factor * (count - 1) + taps):
            line = band[r * width : (r + 1) * width]
            source = rows[factor * j + r]
            if source < 0:
                line[:] = 0
                continue
            pixels = x[batch, source]
            for p in range(phases):
                for s in range(places):
                    column = columns[p, s]
                    line[p * places + s] = pixels[column] if column >= 0 else 0
        for r in range(count):
            for left in range(0, m1, TILE):
                tile = total[: min(TILE, m1 - left)]
                tile[:] = 0
                base = factor * r * width + left
                add_taps(tile, band, base, offsets, weights, 0, offsets.size)
                out[batch, j + r, left : left + tile.size] = tile
        row += count


@kernel
def adjoint(y, row_start, row_place, column_start, column_place,
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
    n0, n1 = out.shape[1:]
    m0, width = y.shape[1:]
    factor, reach = group.shape[0], group.shape[2] - 1
    source = y.reshape(y.size)
    line = np.empty(phases * places, y.dtype)
    zero = y.dtype.type(0)
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
        for c in range(n1):
            pixel = zero
            for e in range(column_start[c], column_start[c + 1]):
                pixel += line[column_place[e]]
            out[batch, i, c] = pixel
