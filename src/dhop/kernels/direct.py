"""Every tap by itself: the strided convolution and its adjoint as sums of windows."""

from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip
from dhop.kernels.polyphase import fold_row, split_row
from dhop.kernels.shares import take
from dhop.kernels.taps import PASS, add_pair, add_taps


@kernel
def forward(x, rows, outer, inner, offset, weight, factor, taps, lag, most, whole, margin,
            border, edge, border_offset, band, ends, shares, own, board, out):  # fmt: skip
    """Blur and decimate: ``out[b, j, i] = sum_k weight[k] * window k of (j, i)``.

    Parameters
    ----------
    x : (B, n0, n1) array
    rows : (factor * (m0 - 1) + taps,) int array
        Source row of each row of the continued image, -1 for a row of zeros.
    outer, inner : int arrays
        Of `split_row`.
    offset, weight : (k,) arrays
        For each tap the start of its window, in a stack of split rows that begins `margin` numbers
        before the first row the output reads, and its value.
    factor, taps : int
        Decimation factor and number of taps along the rows axis.
    lag : int
        Tap `k` of an output row reads the window of tap ``k - lag`` of the next; the number of
        taps if no windows are shared.
    most : int
        Output rows, an even number, that share one copy of the continued input rows.
    whole : bool
        Whether a split row is a row of pixels as it is, which need not be copied.
    margin : int
        How far windows may then reach into the rows before and behind.
    border, edge, border_offset : int arrays
        Of `_mend`, for the outputs of those that do.
    band : (step * (most - 1) + taps + 2, phases, places) array
        Workspace for the copy, where ``step = min(factor, taps)``.
    ends : (border.size + 2, taps + most) array
        Workspace of `_mend`.
    shares, own, board : int arrays and int
        Of pairs of output rows, counted through the batch; see `dhop.kernels.shares`.
    out : (B, m0, m1) array
    """
    n0, n1 = x.shape[1:]
    m0, m1 = out.shape[1:]
    phases, places = band.shape[1:]
    width, others, last = phases * places, len(outer), offset.size
    pairs = (m0 + 1) // 2
    step = min(factor, taps)  # rows that no tap reads are not copied
    source, target, line = flat(x), flat(out), flat(rows)
    beside, inside, offsets, weights = flat(outer), flat(inner), flat(offset), flat(weight)
    taken = 0
    pair, stop = take(shares, own, board, taken)
    while pair < stop:
        batch, j = pair // pairs, pair % pairs * 2
        limit = min(most, m0 - j, 2 * (stop - pair))
        count = min(2, limit) if whole else limit
        in_place = whole and _stand(line, factor * j, factor * (count - 1) + taps,
                                    batch * n0, n1, margin, x.size)  # fmt: skip
        while count < limit:
            more = min(count + 2, limit)
            begin = 0 if in_place else count  # what is copied need not follow on what was
            if in_place != _stand(line, factor * (j + begin), factor * (more - begin - 1) + taps,
                                  batch * n0, n1, margin, x.size):  # fmt: skip
                break
            count = more
        if in_place:
            stack = skip(source, (batch * n0 + line[factor * j]) * n1 - margin)
        else:
            stack = flat(band)
            for r in range(count):
                for u in range(step if r + 1 < count else taps):
                    row = line[factor * (j + r) + u]
                    split = skip(stack, margin + (step * r + u) * width)
                    if row >= 0:
                        pixels = skip(source, (batch * n0 + row) * n1)
                        split_row(pixels, beside, others, inside, phases, places, split)
                    else:
                        for i in range(width):
                            split[i] = 0
        outputs = skip(target, (batch * m0 + j) * m1)
        # What is copied next is fetched; not with a larger factor, where the copies take the time.
        part = -(-2 * n1 // m1) if factor == 1 else 0
        end = line[factor * (j + count - 1) + taps - 1] + 1
        coming = skip(source, (batch * n0 + max(0, end)) * n1)
        # Without shared windows and as many outputs as pixels, the windows of all rows are one.
        if in_place and factor == 1 and lag == last:
            add_taps(outputs, count * m1, stack, 0, offsets, weights, 0, last, False, PASS)
        else:
            for r in range(0, count, 2):
                one, base = skip(outputs, r * m1), step * r * width
                if r + 1 < count:
                    add_pair(one, skip(one, m1), m1, stack, base, step * width, offsets, weights,
                             (0, 0), (last, last), (lag, 0, last - lag), PASS,
                             (skip(coming, r * n1), part))  # fmt: skip
                else:
                    add_taps(one, m1, stack, base, offsets, weights, 0, last, False, PASS)
        if len(edge) > 0:
            _mend(skip(stack, margin), width, count, taps, border, edge, border_offset, weights,
                  lag, last, ends, outputs, m1)  # fmt: skip
        pair += (count + 1) // 2
        if pair == stop:
            taken += 1
            pair, stop = take(shares, own, board, taken)


@called
def _stand(line, place, count, top, width, margin, size):
    """Whether `count` rows of the continued image from `place` on can be read where they stand.

    They do if they follow each other in their image, whose first row is row `top` of all, and if
    what lies up to `margin` numbers before and behind them is among the `size` numbers of all.
    """
    first = line[place]
    begin, end = (top + first) * width - margin, (top + first + count) * width + margin
    follow = first >= 0 and line[place + count - 1] == first + count - 1
    return follow and begin >= 0 and end <= size


@called
def _mend(rows, width, count, taps, border, edge, offset, weights, lag, last, columns,
          outputs, m1):  # fmt: skip
    """Compute those outputs of rows that read past the ends of rows of pixels.

    Parameters
    ----------
    rows, width : array and int
        The rows of pixels, each `width` numbers behind the one before.
    count, taps : int
        Number of rows of outputs, and of taps down the columns.
    border : int array
        Source pixels of what the outputs at the left end read, and then of the right end, -1 for
        a zero.
    edge : (k, 2) int array
        Where in `border` the window of an output begins, and which one it is.
    offset, weights : arrays
        Of each tap the start of its window in `columns`, and its value.
    lag, last : int
        As for the other outputs, and the sums are in the same order.
    columns : (border.size + 2, count + taps) array
        Workspace for what `border` tells of, column by column, and for sums.
    outputs, m1 : array and int
        The first row, and the length of each.
    """
    n, height = columns.shape[0] - 2, columns.shape[1]
    pixel, place, column = flat(border), flat(edge), flat(columns)
    for k in range(n):
        for r in range(count + taps - 1):
            number = rows[r * width + max(pixel[k], 0)]
            column[k * height + r] = number if pixel[k] >= 0 else 0
    one, two = skip(column, n * height), skip(column, (n + 1) * height)
    for k in range(len(edge)):
        # All rows as upper ones of pairs, and as lower ones.
        add_pair(one, two, count, column, place[2 * k] * height, 1, flat(offset), weights,
                 (0, 0), (last, last), (lag, 0, last - lag), PASS, (column, 0))  # fmt: skip
        for r in range(count):
            outputs[r * m1 + place[2 * k + 1]] = one[r] if r % 2 == 0 else two[r - 1]


@kernel
def adjoint(y, row_start, row_place, column_start, column_place, inner,
            offset, weight, group, reach, band, line, shares, own, board, out):  # fmt: skip
    """Conjugate transpose of `forward`, again as a gather: each image row sums what reads it.

    Parameters
    ----------
    y : (B, m0, m1) array
    row_start : (n0 + 1,) int array
    row_place : int array
        ``row_place[row_start[i]:row_start[i + 1]]`` are the places where pixel row `i` stands in
        the continued image; likewise for columns, whose places count through the split row.
    inner : (3,) int array
        Of `fold_row`.
    offset, weight : (k,) arrays
        Window start relative to the row ``place // f0`` of a flat `band`, and conjugated value.
    group : (f0, f1, q0 + 1) int array
        Taps ``group[p0, p1, q]:group[p0, p1, q + 1]`` have the phase ``(p0, p1)`` and read the row
        `q` above.
    reach : (f0,) int array
        Number of rows above that phase ``p0`` reads; all zeros if taps are missing, and then no
        windows are shared.
    band : (h, margin + m1 + margin) array
        Workspace for rows of `y`, with zeros in the margins that let every window be whole;
        ``h > q0``.
    line : (2, phases, places) array
        Workspace.
    shares, own, board : int arrays and int
        Of pairs of image rows, counted through the batch.
    out : (B, n0, n1) array
    """
    n0, n1 = out.shape[1:]
    m0 = y.shape[1]
    width = band.shape[1]
    factor, most = group.shape[0], group.shape[2] - 1
    phases, places = line.shape[1:]
    size = phases * places
    pairs = (n0 + 1) // 2
    stack, target, split = flat(band), flat(out), flat(line)
    begin, place, table, member = (
        flat(row_start), flat(row_place), flat(column_start), flat(column_place)
    )  # fmt: skip
    inside, offsets, weights = flat(inner), flat(offset), flat(weight)
    held, top, bottom = -1, 0, 0  # the image and the rows of it that the band holds
    taken = 0
    pair, stop = take(shares, own, board, taken)
    while pair < stop:
        batch, i = pair // pairs, pair % pairs * 2
        count = min(2, n0 - i)
        pixels = skip(target, (batch * n0 + i) * n1)
        if batch != held:
            held, top, bottom = batch, 0, 0
        first, last = begin[i], begin[i + count]
        together = count == 2 and begin[i + 1] == first + 1 and last == first + 2
        together = together and place[first + 1] == place[first] + 1
        for r in range(count):
            if begin[i + r] == begin[i + r + 1]:
                for s in range(size):
                    split[r * size + s] = 0
        for e in range(first, first + 1 if together else last):
            j0, p0 = place[e] // factor, place[e] % factor
            next_ = place[e + 1] if together else place[e]
            j1, p1 = next_ // factor, next_ % factor
            upper, lower = max(0, j0 - most + 1), min(j1 + 1, m0)
            if upper < top or bottom < lower:
                top, bottom = _hold(y, batch, upper, lower, top, bottom, band)
            first0, last0 = max(j0 - m0 + 1, 0), min(j0 + 1, most)
            if together:
                first1, last1 = max(j1 - m0 + 1, 0), min(j1 + 1, most)
                # The same row of y is q above the one and q + j1 - j0 above the other.
                low = max(first0, first1 + j0 - j1)
                high = max(low, min(last0, reach[p0], min(last1, reach[p1]) + j0 - j1))
                for p in range(phases):
                    one, two = group[p0, p], group[p1, p]
                    a = one[min(low, most)]
                    # The rows of y that only the lower row reads come first among its own.
                    add_pair(skip(split, size + p * places), skip(split, p * places), places,
                             stack, (j1 - top) * width, (j0 - j1) * width, offsets, weights,
                             (two[first1], one[first0]), (two[last1], one[last0]),
                             (two[min(low + j1 - j0, most)], a, one[min(high, most)] - a),
                             PASS, (skip(pixels, p * 2 * n1 // phases), 2))  # fmt: skip
            else:
                r = 0 if e < begin[i + 1] else 1
                for p in range(phases):
                    taps = group[p0, p]
                    add_taps(skip(split, r * size + p * places), places, stack,
                             (j0 - top) * width, skip(offsets, taps[first0]),
                             skip(weights, taps[first0]), 0, taps[last0] - taps[first0],
                             e > begin[i + r], PASS)  # fmt: skip
        for r in range(count):
            fold_row(skip(split, r * size), table, member, inside, phases, places,
                     skip(pixels, r * n1), n1)  # fmt: skip
        pair += 1
        if pair == stop:
            taken += 1
            pair, stop = take(shares, own, board, taken)


@called
def _hold(y, batch, first, last, top, bottom, band):
    """Have the band, with the rows from `top` to `bottom` in it, hold those from `first` to `last`.

    Rows that follow on are added while there is room.

    Returns
    -------
    top, bottom : int
    """
    height, width = band.shape
    n = y.shape[2]
    margin = (width - n) // 2
    if first < top or first > bottom or last > top + height:
        top = bottom = first
    for j in range(bottom, last):
        pixels = skip(flat(y), (batch * y.shape[1] + j) * n)
        row = skip(flat(band), (j - top) * width + margin)
        for i in range(n):
            row[i] = pixels[i]
    return top, max(bottom, last)
