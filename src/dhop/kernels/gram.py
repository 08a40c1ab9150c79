"""Rows of the Gram matrix ``A^H W A``, each summed over the outputs that read its pixel.

The row of pixel ``(k0, k1)`` has an entry for each pair of pixels near `k0` and near `k1` ::

    near pixels      k1 - 2  k1 - 1    k1    k1 + 1  k1 + 2
        k0 - 1          .       .       .       .       .       size0 * size1 sums,
        k0              .       .     pixel     .       .       in this order
        k0 + 1          .       .       .       .       .

Every output that reads the pixel adds its window: conj(tap of the pixel) times all of its taps.
Pixels of one class, as those far from borders, have the same sums, which are computed once.
"""

import numpy as np

from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip
from dhop.kernels.matrix_entries import longest, unravel


@kernel
def tabulate(start0, output0, tap0, start1, output1, tap1, windows0, windows1,
             near0, member0, near1, member1, weights, pixel0, pixel1, offset, start, stop,
             sums, reached):  # fmt: skip
    """The rows of some pixels without `W`, of near pixels only.

    Parameters
    ----------
    start0, output0, tap0, start1, output1, tap1 : int arrays
        `dhop.model.relations.Relation` of either axis: the outputs of each pixel.
    windows0, windows1 : (m, T) int arrays
        Pixel that each tap of each output reads, -1 for a zero outside.
    near0, member0, near1, member1 : int arrays
        Pixels ``member[near[k]:near[k + 1]]`` that share an output with pixel `k`, ascending.
    weights : (T0, T1) float64 or complex128 array
    pixel0, pixel1 : (c0,), (c1,) int arrays
        The pixels, every row with every column.
    offset : (c0, c1) int array
        Where to write each of them.
    start, stop : int
        Range of the ``c0 * c1`` pixels.
    sums, reached : arrays of the weights' dtype and of bool
        The values, and whether any output reads both pixels with taps that are not zero.
    """
    place0 = np.empty(start0.size - 1, np.int64)
    place1 = np.empty(start1.size - 1, np.int64)
    for pixel in range(start, stop):
        c0, c1 = pixel // pixel1.size, pixel % pixel1.size
        k0, k1 = pixel0[c0], pixel1[c1]
        size0 = _number_neighbours(near0, member0, k0, place0)
        size1 = _number_neighbours(near1, member1, k1, place1)
        first, last = offset[c0, c1], offset[c0, c1] + size0 * size1
        values, hits = sums[first:last], reached[first:last]
        for e in range(last - first):
            values[e] = 0
            hits[e] = False
        for e0 in range(start0[k0], start0[k0 + 1]):
            for e1 in range(start1[k1], start1[k1 + 1]):
                weight = np.conj(weights[tap0[e0], tap1[e1]])
                if weight != 0:
                    window0, window1 = windows0[output0[e0]], windows1[output1[e1]]
                    _add_output(weight, window0, window1, place0, place1, size1, weights, values)
                    _mark_reached(window0, window1, place0, place1, size1, weights, hits)


@kernel
def fill(start0, output0, tap0, start1, output1, tap1, windows0, windows1,
         near0, member0, near1, member1, weights, class0, class1, offset, sums, reached,
         given, sizes, chosen, pointer, start, stop, indices, data):  # fmt: skip
    """Write the rows ``chosen[start:stop]``; other parameters as in `tabulate`.

    Parameters
    ----------
    class0, class1 : (n0,), (n1,) int arrays
    offset : (c0, c1) int array
    sums, reached : arrays
        The row of each pixel's class, for the identity, and which entries of it are stored.
    given : (b0, m0, b1, m1, b2) float64 array
        The diagonal `W`, empty for the identity.
    sizes : (b0, n0, b1, n1, b2)
    chosen, pointer : (k,) and (k + 1,) int arrays
        Rows to write, and where each of them begins.
    indices, data : arrays
    """
    n0, n1 = sizes[1], sizes[3]
    place0, place1 = np.empty(n0, np.int64), np.empty(n1, np.int64)
    own = np.empty(longest(near0) * longest(near1), weights.dtype)
    to, values = flat(indices), flat(data)
    for row in range(start, stop):
        b0, k0, b1, k1, b2 = unravel(chosen[row], sizes)
        size0, size1 = near0[k0 + 1] - near0[k0], near1[k1 + 1] - near1[k1]
        at = offset[class0[k0], class1[k1]]
        hits = reached[at : at + size0 * size1]
        total = skip(flat(sums), at)
        if given.size > 0:
            _number_neighbours(near0, member0, k0, place0)
            _number_neighbours(near1, member1, k1, place1)
            for e in range(size0 * size1):
                own[e] = 0
            for e0 in range(start0[k0], start0[k0 + 1]):
                j0 = output0[e0]
                for e1 in range(start1[k1], start1[k1 + 1]):
                    j1 = output1[e1]
                    weight = np.conj(weights[tap0[e0], tap1[e1]]) * given[b0, j0, b1, j1, b2]
                    if weight != 0:
                        _add_output(weight, windows0[j0], windows1[j1], place0, place1, size1,
                                    weights, own)  # fmt: skip
            total = flat(own)
        entry = pointer[row]
        neighbours = skip(flat(member1), near1[k1])
        for a in range(size0):
            base = ((b0 * n0 + member0[near0[k0] + a]) * sizes[2] + b1) * n1
            for b in range(size1):
                if hits[a * size1 + b]:
                    to[entry] = (base + neighbours[b]) * sizes[4] + b2
                    values[entry] = total[a * size1 + b]
                    entry += 1


@called
def _number_neighbours(near, member, k, place):
    """Number the pixels near pixel `k`, and return how many there are."""
    for e in range(near[k], near[k + 1]):
        place[member[e]] = e - near[k]
    return near[k + 1] - near[k]


@called
def _add_output(weight, window0, window1, place0, place1, size1, weights, sums):
    """Add the window of one output, which reads the pixel with the tap `weight`, to a row."""
    taps, total = flat(weights), flat(sums)
    T1 = window1.size
    left, right = window1[0], window1[T1 - 1]
    # Contiguous pixels of a window are contiguous in the row.
    run = left >= 0 and right - left == T1 - 1
    for u0 in range(window0.size):
        if window0[u0] >= 0:
            line, tap = skip(total, place0[window0[u0]] * size1), skip(taps, u0 * T1)
            if run:
                line = skip(line, place1[left])
                for u1 in range(T1):
                    line[u1] += weight * tap[u1]
            else:
                for u1 in range(T1):
                    if window1[u1] >= 0:
                        line[place1[window1[u1]]] += weight * tap[u1]


@called
def _mark_reached(window0, window1, place0, place1, size1, weights, reached):
    """Mark the pixels that an output reads with taps that are not zero."""
    for u0 in range(window0.size):
        if window0[u0] >= 0:
            for u1 in range(window1.size):
                if window1[u1] >= 0 and weights[u0, u1] != 0:
                    reached[place0[window0[u0]] * size1 + place1[window1[u1]]] = True
