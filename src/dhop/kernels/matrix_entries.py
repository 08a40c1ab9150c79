"""Entries of compressed sparse matrices, each value and index written once.

A line of the matrix (a row, or of the transpose a column) belongs to a row `k0` and a column `k1`
of an image. It has an entry for every line of `line0` with every column of `line1` ::

    pointer[place]
    |
    data     | taps of line a = 0 | taps of line a = 1 | ... |    one line of the matrix
    indices  | line1 of a = 0     | line1 of a = 1     | ... |

The taps of all lines are merged once for each `k0`. Away from the borders a column has the taps of
one shortly before it: its line of the matrix is a copy of that one's, with indices larger by one
number. Near the borders the taps of a line are copied as a run, if their columns follow each other,
or else one by one.
"""

import numpy as np

from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip

NEIGHBOURS = 16  # columns to look back for the same taps, which stand the factor apart


@kernel
def fill(start0, line0, tap0, start1, line1, tap1, weights, sizes, others,
         chosen, pointer, width, indices, data):  # fmt: skip
    """Write the `chosen` compressed lines of the matrix, or of its transpose.

    Line ``(b0, k0, b1, k1, b2)`` in C order has the entry ``(b0, line0[e0], b1, line1[e1], b2)``
    of the value ``weights[tap0[e0], tap1[e1]]``; taps of one entry are added in float64.

    Parameters
    ----------
    start0, line0, tap0, start1, line1, tap1 : int arrays
        `dhop.model.relations.Relation` of either axis.
    weights : (T0, T1) float64 or complex128 array
    sizes, others : tuples of 5 int
        Shapes (b0, k0, b1, k1, b2) of the compressed lines and of their indices.
    chosen : (k,) int array
        Lines to write.
    pointer : (k + 1,) int array
        Where each of them begins, in blocks.
    width : int
        Entries in a block; the neighbours that share one index.
    indices, data : (blocks,) int array, (blocks * width,) array
        `data` zero where ``width > 1``.
    """
    T1 = weights.shape[1]
    most = longest(start0)
    merged = np.empty((most, T1), weights.dtype)
    reached = np.empty((most, T1), np.bool_)
    rounded = np.empty((most, T1), data.dtype)
    full = np.empty(most, np.bool_)
    lines = np.empty(most, np.int64)
    values, places = flat(data), flat(indices)
    repeat = _repeats(start1, line1, tap1, width)
    step = _tap_strides(start1, line1, tap1, repeat)
    block1, within = np.empty_like(line1), np.empty_like(line1)
    for e in range(line1.size):
        block1[e], within[e] = line1[e] // width, line1[e] % width
    count = 0
    current = -1
    for place in range(chosen.size):
        row = chosen[place]
        b2 = row % sizes[4]
        rest = row // sizes[4]
        k1 = rest % sizes[3]
        entry = pointer[place]
        back = (k1 - repeat[k1]) * sizes[4]
        if 0 < back <= place and chosen[place - back] == row - back:
            source = pointer[place - back]
            further = (line1[start1[k1]] - line1[start1[repeat[k1]]]) // width * others[4]
            n = pointer[place + 1] - entry
            from_index, to_index = skip(places, source), skip(places, entry)
            for i in range(n):
                to_index[i] = from_index[i] + further
            from_value, to_value = skip(values, source * width), skip(values, entry * width)
            for i in range(n * width):
                to_value[i] = from_value[i]
            continue
        rest //= sizes[3]
        b1 = rest % sizes[2]
        rest //= sizes[2]
        k0 = rest % sizes[1]
        b0 = rest // sizes[1]
        if k0 != current:
            current = k0
            count = _merge(line0, tap0, start0[k0], start0[k0 + 1], weights,
                           lines, merged, reached, rounded, full)  # fmt: skip
        first, last = start1[k1], start1[k1 + 1]
        taps = flat(rounded)
        for a in range(count):
            base = ((b0 * others[1] + lines[a]) * others[2] + b1) * others[3] * others[4] + b2
            if step[k1] != 0 and full[a]:
                to_value = skip(values, entry * width + within[first])
                tap = a * T1 + tap1[first]
                for i in range(last - first):
                    to_value[i] = taps[tap + step[k1] * i]
                to_index = skip(places, entry)
                column = base // width + block1[first] * others[4]
                blocks = block1[last - 1] - block1[first] + 1
                for i in range(blocks):
                    to_index[i] = column + others[4] * i
                entry += blocks
                continue
            block = entry - 1
            previous = -1
            column = -1
            total = merged[a, 0]
            for e in range(first, last):
                u = tap1[e]
                if not reached[a, u]:
                    continue
                if line1[e] == column:
                    total += merged[a, u]
                else:
                    column = line1[e]
                    total = merged[a, u]
                    if block1[e] != previous:
                        previous = block1[e]
                        block += 1
                        indices[block] = base // width + previous * others[4]
                data[block * width + within[e]] = total
            entry = block + 1


@called
def _merge(line0, tap0, first, last, weights, lines, merged, reached, rounded, full):
    """Add the taps of each line; return the number of lines.

    Parameters
    ----------
    first, last : int
        Range of `line0` and `tap0`.
    lines : int array
        Set to the lines.
    merged, rounded, reached : arrays
        Set to the taps of each line, in float64 and rounded, and to whether any is not zero.
    full : bool array
        Set to whether all taps of each line are reached.
    """
    count, taps = 0, weights.shape[1]
    for e in range(first, last):
        if e == first or line0[e] != line0[e - 1]:
            lines[count] = line0[e]
            for u in range(taps):
                merged[count, u] = 0
                reached[count, u] = False
            count += 1
        for u in range(taps):
            w = weights[tap0[e], u]
            merged[count - 1, u] += w
            reached[count - 1, u] |= w != 0
    for a in range(count):
        full[a] = True
        for u in range(taps):
            full[a] &= reached[a, u]
            rounded[a, u] = merged[a, u]
    return count


@called
def unravel(line, sizes):
    """Indices (b0, k0, b1, k1, b2) of a line in C order."""
    rest, b2 = line // sizes[4], line % sizes[4]
    rest, k1 = rest // sizes[3], rest % sizes[3]
    rest, b1 = rest // sizes[2], rest % sizes[2]
    return rest // sizes[1], rest % sizes[1], b1, k1, b2


@called
def longest(start):
    """The most entries of a line; line `k` has ``start[k], ..., start[k + 1] - 1``."""
    most = 0
    for k in range(start.size - 1):
        most = max(most, start[k + 1] - start[k])
    return most


@called
def _repeats(start, line, tap, width):
    """For each line the nearest before it with the same taps in the same order, or else itself.

    The indices of the two differ by one number, a multiple of `width`.
    """
    repeats = np.empty(start.size - 1, np.int64)
    for k in range(repeats.size):
        repeats[k] = k
        first, last = start[k], start[k + 1]
        for other in range(k - 1, max(k - NEIGHBOURS, 0) - 1, -1):
            begin = start[other]
            if last - first != start[other + 1] - begin or first == last:
                continue
            further = line[first] - line[begin]
            same = further % width == 0
            for e in range(last - first):
                if not same:
                    break
                same = tap[first + e] == tap[begin + e]
                same &= line[first + e] == line[begin + e] + further
            if same:
                repeats[k] = other
                break
    return repeats


@called
def _tap_strides(start, line, tap, repeats):
    """For each line the stride of its taps, if their indices follow each other; else 0."""
    steps = np.zeros(start.size - 1, np.int64)
    for k in range(steps.size):
        first, last = start[k], start[k + 1]
        if repeats[k] != k:
            steps[k] = steps[repeats[k]]
        elif first < last:
            step = tap[first + 1] - tap[first] if last - first > 1 else 1
            for e in range(first + 1, last):
                if line[e] != line[e - 1] + 1 or tap[e] - tap[e - 1] != step:
                    step = 0
                    break
            steps[k] = step
    return steps


@kernel
def fill_field(start0, line0, tap0, start1, line1, tap1, used, taps, node0, part0, node1, part1,
               transposed, sizes, others, chosen, pointer, indices, data):  # fmt: skip
    """As `fill`, without blocks, with taps interpolated at the pixel of each entry.

    Parameters
    ----------
    used : (T0, T1) bool array
        Taps that are not zero at some node; these have entries.
    taps : (G0, G1, T0, T1) float64 or complex128 array
        Of each node.
    node0, part0, node1, part1 : arrays
        Of `dhop.model.field.Mixture` of either axis.
    transposed : bool
        Whether the lines are of pixels, else of outputs.
    """
    for place in range(chosen.size):
        row = chosen[place]
        b0, k0, b1, k1, b2 = unravel(row, sizes)
        entry = pointer[place]
        a = start0[k0]
        while a < start0[k0 + 1]:
            last0 = a + 1
            while last0 < start0[k0 + 1] and line0[last0] == line0[a]:
                last0 += 1
            p0 = k0 if transposed else line0[a]
            base = ((b0 * others[1] + line0[a]) * others[2] + b1) * others[3] * others[4] + b2
            b = start1[k1]
            while b < start1[k1 + 1]:
                last1 = b + 1
                while last1 < start1[k1 + 1] and line1[last1] == line1[b]:
                    last1 += 1
                p1 = k1 if transposed else line1[b]
                total = taps[0, 0, 0, 0] * 0
                reached = False
                for e in range(a, last0):
                    for f in range(b, last1):
                        u, v = tap0[e], tap1[f]
                        if used[u, v]:
                            reached = True
                            for g in range(part0.shape[1]):
                                mixed = total * 0
                                for h in range(part1.shape[1]):
                                    mixed += part1[p1, h] * taps[node0[p0, g], node1[p1, h], u, v]
                                total += part0[p0, g] * mixed
                if reached:
                    indices[entry] = base + line1[b] * others[4]
                    data[entry] = total
                    entry += 1
                b = last1
            a = last0
