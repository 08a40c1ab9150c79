"""Every tap by itself: the strided convolution and its adjoint as sums of windows.

Factor 2, three by three taps. `forward` copies the rows that two rows of outputs read into a band,
each split into its phases (see `polyphase`) ::

    band     row 0   | e0 e2 e4 . | e1 e3 e5 . |    taps 0, 1, 2 of output row 0
             row 1   | e0 e2 e4 . | e1 e3 e5 . |    taps 3, 4, 5
             row 2   | e0 e2 e4 . | e1 e3 e5 . |    taps 6, 7, 8, and 0, 1, 2 of output row 1
             row 3   | e0 e2 e4 . | e1 e3 e5 . |    ...
             row 4   | e0 e2 e4 . | e1 e3 e5 . |

The two rows of outputs are summed together: a window that both read is loaded once.

`adjoint` does the same the other way round. Its band has rows of `y` between margins of zeros, it
sums the phases of two rows of the image, and folds the phases of each into a row of pixels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip, unpacking
from dhop.kernels.polyphase import clear_margins, fold_row, split_row
from dhop.kernels.shares import take
from dhop.kernels.taps import PASS, add_pair, add_taps

Index = NDArray[np.intp]


class Forward(NamedTuple):
    """What `forward` has to know.

    Attributes
    ----------
    n0, n1, m0, m1 : int
        Shapes of the image and of the result of `forward`.
    factor, taps : int
        Decimation factor and number of taps along the rows axis.
    last : int
        Number of taps that are not zero.
    lag : int
        Tap `k` of an output row reads the window of tap ``k - lag`` of the next; `last` if no
        windows are shared.
    most : int
        Output rows, an even number, that share one copy of the continued input rows.
    whole : int
        1 if a split row is a row of pixels as it is, which need not be copied, else 0.
    margin : int
        How far windows may then reach into the rows before and behind.
    others, corner, edges : int
        Places of `continue_row`, and lengths of `border` and `edge`.
    line : (factor * (m0 - 1) + taps,) array
        Source row of each row of the continued image, -1 for a row of zeros.
    beside, inside : arrays
        The places of `split_row`, outer and inner.
    offsets : (last,) array
        Start of each tap's window, in a stack of split rows that begins `margin` numbers before
        the first row the output reads.
    border, edge, border_offsets : arrays
        Of `_mend`, for the outputs that read beyond a row.
    """

    n0: int
    n1: int
    m0: int
    m1: int
    phases: int
    places: int
    factor: int
    taps: int
    last: int
    lag: int
    most: int
    whole: int
    margin: int
    others: int
    corner: int
    edges: int
    line: Index
    beside: Index
    inside: Index
    offsets: Index
    border: Index
    edge: Index
    border_offsets: Index


_unpack_forward = unpacking(Forward)


@kernel
def forward(x, table, weights, work, shares, own, board, out):
    """Blur and decimate: ``out[b, j, i] = sum_k weights[k] * window k of (j, i)``.

    Parameters
    ----------
    x : (B * n0 * n1,) array
    table : int array
        A packed `Forward`.
    weights : (last,) array
        Value of each tap.
    work : array
        Of ``(step * (most - 1) + taps + 2) * phases * places`` numbers for the copy, where
        ``step = min(factor, taps)``, and ``(corner + 2) * (taps + most)`` of `_mend`.
    shares, own, board : int arrays and int
        Of pairs of output rows, counted through the batch; see `dhop.kernels.shares`.
    out : (B * m0 * m1,) array

    Returns
    -------
    bool
        True: what is not finite is so by right.
    """
    t = _unpack_forward(flat(table))
    width = t.phases * t.places
    pairs = (t.m0 + 1) // 2
    step = min(t.factor, t.taps)  # rows that no tap reads are not copied
    source, target, values, band = flat(x), flat(out), flat(weights), flat(work)
    ends = skip(band, (step * (t.most - 1) + t.taps + 2) * width)
    since, upto = 0, 0  # the outputs, counted through the batch, whose rows the band holds
    taken = 0
    pair, stop = take(shares, own, board, taken)
    while pair < stop:
        batch, j = pair // pairs, pair % pairs * 2
        limit = min(t.most, t.m0 - j, 2 * (stop - pair))
        count = min(2, limit) if t.whole else limit
        in_place = t.whole and _stand(t.line, t.factor * j, t.factor * (count - 1) + t.taps,
                                    batch * t.n0, t.n1, t.margin, x.size)  # fmt: skip
        while count < limit:
            more = min(count + 2, limit)
            begin = 0 if in_place else count  # what is copied need not follow on what was
            rows = t.factor * (more - begin - 1) + t.taps
            if in_place != _stand(t.line, t.factor * (j + begin), rows,
                                  batch * t.n0, t.n1, t.margin, x.size):  # fmt: skip
                break
            count = more
        if in_place:
            stack = skip(source, (batch * t.n0 + t.line[t.factor * j]) * t.n1 - t.margin)
        else:
            here = batch * t.m0 + j
            if j == 0 or here != upto or here + count > since + t.most:
                since = here
            upto = here + count
            stack = skip(band, step * (here - since) * width)
            for r in range(count):
                for u in range(0 if here + r == since else t.taps - step, t.taps):
                    row = t.line[t.factor * (j + r) + u]
                    split = skip(stack, t.margin + (step * r + u) * width)
                    if row >= 0:
                        pixels = skip(source, (batch * t.n0 + row) * t.n1)
                        split_row(pixels, t.beside, t.others, t.inside, t.phases, t.places, split)
                    else:
                        for i in range(width):
                            split[i] = 0
        outputs = skip(target, (batch * t.m0 + j) * t.m1)
        # What is copied next is fetched; not with a larger factor, where the copies take the time.
        part = -(-2 * t.n1 // t.m1) if t.factor == 1 else 0
        end = t.line[t.factor * (j + count - 1) + t.taps - 1] + 1
        coming = skip(source, (batch * t.n0 + max(0, end)) * t.n1)
        # Without shared windows and as many outputs as pixels, the windows of all rows are one.
        if in_place and t.factor == 1 and t.lag == t.last:
            add_taps(outputs, count * t.m1, stack, 0, t.offsets, values, 0, t.last, False, PASS)
        else:
            for r in range(0, count, 2):
                one, base = skip(outputs, r * t.m1), step * r * width
                if r + 1 < count:
                    add_pair(one, skip(one, t.m1), t.m1, stack, base, step * width, t.offsets,
                             values, (0, 0), (t.last, t.last), (t.lag, 0, t.last - t.lag), PASS,
                             (skip(coming, r * t.n1), part))  # fmt: skip
                else:
                    add_taps(one, t.m1, stack, base, t.offsets, values, 0, t.last, False, PASS)
        if t.edges > 0:
            _mend(skip(stack, t.margin), width, count, t.taps, t.border, t.corner, t.edge, t.edges,
                  t.border_offsets, values, t.lag, t.last, ends, t.taps + t.most,
                  outputs, t.m1)  # fmt: skip
        pair += (count + 1) // 2
        if pair == stop:
            taken += 1
            pair, stop = take(shares, own, board, taken)
    return True


@called
def _stand(line, place, count, top, width, margin, size):
    """Whether `count` rows of the continued image from `place` on can be read where they stand.

    They do if they follow each other in their image, whose first row is row `top` of all, and what
    lies up to `margin` numbers before and behind them is among the `size` numbers of all.
    """
    first = line[place]
    begin, end = (top + first) * width - margin, (top + first + count) * width + margin
    follow = first >= 0 and line[place + count - 1] == first + count - 1
    return follow and begin >= 0 and end <= size


@called
def _mend(rows, width, count, taps, border, corner, edge, edges, offsets, weights, lag, last,
          column, height, outputs, m1):  # fmt: skip
    """Compute those outputs of rows that read past the ends of rows of pixels.

    Parameters
    ----------
    rows, width : array and int
        The rows of pixels, each `width` numbers behind the one before.
    count, taps : int
        Number of rows of outputs, and of taps down the columns.
    border : (corner,) int array
        Source pixels of what the outputs at the left end read, and then of the right end, -1 for
        a zero.
    edge : (2 * edges,) int array
        Where in `border` the window of an output begins, and which one it is.
    offsets, weights : arrays
        Of each tap the start of its window in `column`, and its value.
    lag, last : int
        As for the other outputs, and the sums are in the same order.
    column : ((corner + 2) * height,) array
        Workspace for what `border` tells of, column by column, and for sums.
    height : int
        At least ``count + taps - 1``.
    outputs, m1 : array and int
        The first row, and the length of each.
    """
    for k in range(corner):
        line, pixels = skip(column, k * height), skip(rows, max(border[k], 0))
        if border[k] >= 0:
            for r in range(count + taps - 1):
                line[r] = pixels[r * width]
        else:
            for r in range(count + taps - 1):
                line[r] = 0
    one, two = skip(column, corner * height), skip(column, (corner + 1) * height)
    for k in range(edges):
        # All rows as upper ones of pairs, and as lower ones.
        add_pair(one, two, count, column, edge[2 * k] * height, 1, offsets, weights,
                 (0, 0), (last, last), (lag, 0, last - lag), PASS, (column, 0))  # fmt: skip
        ends = skip(outputs, edge[2 * k + 1])
        for r in range(0, count, 2):
            ends[r * m1] = one[r]
            if r + 1 < count:
                ends[(r + 1) * m1] = two[r]


class Adjoint(NamedTuple):
    """What `adjoint` has to know.

    Attributes
    ----------
    n0, n1, m0, m1 : int
        Shapes of the image and of the result of `forward`.
    factor, most : int
        Decimation factor along the rows axis, and how many rows of `y` a pixel row reads.
    height, width : int
        Of the band of rows of `y`, with zeros in the margins that let every window be whole;
        ``height > most``.
    begin : (n0 + 1,) array
    place : array
        ``place[begin[i]:begin[i + 1]]`` are the places where pixel row `i` stands in the
        continued image.
    starts, member, inside : arrays
        Of `fold_row`.
    offsets : array
        Window start of each tap relative to the row ``place // factor`` of the band.
    group : (factor, phases, most + 1) array
        Taps ``group[p0, p1, q]:group[p0, p1, q + 1]`` have the phase ``(p0, p1)`` and read the
        row `q` above.
    reach : (factor,) array
        Number of rows above that phase ``p0`` reads; all zeros if taps are missing, and then no
        windows are shared.
    """

    n0: int
    n1: int
    m0: int
    m1: int
    phases: int
    places: int
    factor: int
    most: int
    height: int
    width: int
    begin: Index
    place: Index
    starts: Index
    member: Index
    inside: Index
    offsets: Index
    group: Index
    reach: Index


_unpack_adjoint = unpacking(Adjoint)


@kernel
def adjoint(y, table, weights, work, shares, own, board, out):
    """Conjugate transpose of `forward`, again as a gather: each image row sums what reads it.

    Parameters
    ----------
    y : (B * m0 * m1,) array
    table : int array
        A packed `Adjoint`.
    weights : array
        Conjugated value of each tap.
    work : (height * width + 2 * phases * places,) array
        The band, and two rows that are split.
    shares, own, board : int arrays and int
        Of pairs of image rows, counted through the batch.
    out : (B * n0 * n1,) array

    Returns
    -------
    bool
        True, as in `forward`.
    """
    t = _unpack_adjoint(flat(table))
    size = t.phases * t.places
    pairs = (t.n0 + 1) // 2
    source, target, values, stack = flat(y), flat(out), flat(weights), flat(work)
    split = skip(stack, t.height * t.width)
    clear_margins(stack, t.height, t.width, (t.width - t.m1) // 2)
    held, top, bottom = -1, 0, 0  # the image and the rows of it that the band holds
    taken = 0
    pair, stop = take(shares, own, board, taken)
    while pair < stop:
        batch, i = pair // pairs, pair % pairs * 2
        count = min(2, t.n0 - i)
        pixels = skip(target, (batch * t.n0 + i) * t.n1)
        if batch != held:
            held, top, bottom = batch, 0, 0
        first, last = t.begin[i], t.begin[i + count]
        together = count == 2 and t.begin[i + 1] == first + 1 and last == first + 2
        together = together and t.place[first + 1] == t.place[first] + 1
        for r in range(count):
            if t.begin[i + r] == t.begin[i + r + 1]:
                for s in range(size):
                    split[r * size + s] = 0
        for e in range(first, first + 1 if together else last):
            j0, p0 = t.place[e] // t.factor, t.place[e] % t.factor
            next_ = t.place[e + 1] if together else t.place[e]
            j1, p1 = next_ // t.factor, next_ % t.factor
            upper, lower = max(0, j0 - t.most + 1), min(j1 + 1, t.m0)
            if upper < top or bottom < lower:
                top, bottom = _hold(skip(source, batch * t.m0 * t.m1), t.m1, upper, lower,
                                    top, bottom, stack, t.height, t.width)  # fmt: skip
            first0, last0 = max(j0 - t.m0 + 1, 0), min(j0 + 1, t.most)
            if together:
                first1, last1 = max(j1 - t.m0 + 1, 0), min(j1 + 1, t.most)
                # The same row of y is q above the one and q + j1 - j0 above the other.
                low = max(first0, first1 + j0 - j1)
                high = max(low, min(last0, t.reach[p0], min(last1, t.reach[p1]) + j0 - j1))
                for p in range(t.phases):
                    one = skip(t.group, (p0 * t.phases + p) * (t.most + 1))
                    two = skip(t.group, (p1 * t.phases + p) * (t.most + 1))
                    a = one[min(low, t.most)]
                    # The rows of y that only the lower row reads come first among its own.
                    add_pair(skip(split, size + p * t.places), skip(split, p * t.places), t.places,
                             stack, (j1 - top) * t.width, (j0 - j1) * t.width, t.offsets, values,
                             (two[first1], one[first0]), (two[last1], one[last0]),
                             (two[min(low + j1 - j0, t.most)], a, one[min(high, t.most)] - a),
                             PASS, (skip(pixels, p * 2 * t.n1 // t.phases), 2))  # fmt: skip
            else:
                r = 0 if e < t.begin[i + 1] else 1
                for p in range(t.phases):
                    taps = skip(t.group, (p0 * t.phases + p) * (t.most + 1))
                    add_taps(skip(split, r * size + p * t.places), t.places, stack,
                             (j0 - top) * t.width, skip(t.offsets, taps[first0]),
                             skip(values, taps[first0]), 0, taps[last0] - taps[first0],
                             e > t.begin[i + r], PASS)  # fmt: skip
        for r in range(count):
            fold_row(skip(split, r * size), t.starts, t.member, t.inside, t.phases, t.places,
                     skip(pixels, r * t.n1), t.n1)  # fmt: skip
        pair += 1
        if pair == stop:
            taken += 1
            pair, stop = take(shares, own, board, taken)
    return True


@called
def _hold(image, n, first, last, top, bottom, band, height, width):
    """Have the band, with the rows from `top` to `bottom` in it, hold those from `first` to `last`.

    They are rows of `n` numbers, those of the band have margins. Rows that follow on are added
    while there is room.

    Returns
    -------
    top, bottom : int
    """
    margin = (width - n) // 2
    if first < top or first > bottom or last > top + height:
        top = bottom = first
    for j in range(bottom, last):
        pixels = skip(image, j * n)
        row = skip(band, (j - top) * width + margin)
        for i in range(n):
            row[i] = pixels[i]
    return top, max(bottom, last)
