"""The direct method: the strided convolution as weighted sums of windows, one for each tap.

Factor 2, three by three taps. `forward` copies the rows that two rows of outputs read into a band,
each split into its phases (see `polyphase`) ::

    band     row 0   | e0 e2 e4 . | e1 e3 e5 . |    taps 0, 1, 2 of output row 0
             row 1   | e0 e2 e4 . | e1 e3 e5 . |    taps 3, 4, 5
             row 2   | e0 e2 e4 . | e1 e3 e5 . |    taps 6, 7, 8, and 0, 1, 2 of output row 1
             row 3   | e0 e2 e4 . | e1 e3 e5 . |    ...
             row 4   | e0 e2 e4 . | e1 e3 e5 . |

The two rows of outputs are summed together: a window that both read is loaded once. With factor 1
rows are read in place if that is quicker than copies. Of a volume the band has one such stack for
each plane that the outputs read.
"""

from typing import NamedTuple

from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import Index, flat, skip, unpacking
from dhop.kernels.polyphase import split_row
from dhop.kernels.taps import sum_pair, sum_taps
from dhop.kernels.work_sharing import take


class Forward(NamedTuple):
    """The tables of `forward`."""

    # Shapes of the volume and of the result; an image is one plane.
    depth: int
    n0: int
    n1: int
    layers: int
    m0: int
    m1: int
    step: int  # decimation factor along the planes
    planes: int  # taps along the planes
    phases: int
    places: int
    factor: int  # decimation factor along the rows axis
    taps: int  # along the rows axis
    last: int  # number of taps that are not zero
    # Tap `k` of an output row reads the window of tap ``k - lag`` of the next; `last` if none does.
    lag: int
    most: int  # output rows, an even number, that share one copy of the continued input rows
    contiguous: int  # 1 if split rows are rows of pixels, which can be read in place, else 0
    margin: int  # how far windows may then reach into the rows before and behind
    others: int  # number of places of `continue_row`
    corner: int  # length of `border`
    edges: int  # length of `edge`
    plane: Index  # of each plane of the continued volume the source plane, -1 for zeros
    line: Index  # of each row of the continued image the source row, -1 for zeros
    beside: Index  # outer places of `split_row`
    inside: Index  # inner places of `split_row`
    # Start of each tap's window, in a stack of split rows that begins `margin` numbers before the
    # first row the output reads.
    offsets: Index
    border: Index  # of `_sum_border`, as the next two
    edge: Index
    border_offsets: Index


_unpack_forward = unpacking(Forward)


@kernel
def forward(x, table, weights, work, shares, own, status, out):
    """Blur and decimate: ``out[b, j, i] = sum_k weights[k] * window k of (j, i)``.

    Parameters
    ----------
    x : (B * depth * n0 * n1,) array
    table : int array
        A packed `Forward`.
    weights : (last,) array
        Value of each tap.
    work : array
        Of ``planes * (step * (most - 1) + taps + 2) * phases * places`` numbers for the copy,
        where ``step = min(factor, taps)``, and ``(corner + 2) * (taps + most)`` of `_sum_border`.
    shares, own, status : int arrays and int
        Of pairs of output rows, counted through the batch; see `dhop.kernels.work_sharing`.
    out : (B * layers * m0 * m1,) array

    Returns
    -------
    bool
        True: only outputs that read NaN or Inf are not finite.
    """
    t = _unpack_forward(flat(table))
    width = t.phases * t.places
    pairs = (t.m0 + 1) // 2
    step = min(t.factor, t.taps)  # rows that no tap reads are not copied
    source, target, values, band = flat(x), flat(out), flat(weights), flat(work)
    size = (step * (t.most - 1) + t.taps + 2) * width  # of the stack of a plane
    ends = skip(band, t.planes * size)
    since, upto = 0, 0  # rows of outputs, counted through the batch, whose source the band holds
    taken = 0
    pair, stop = take(shares, own, status, taken)
    while pair < stop:
        image, j = pair // pairs, pair % pairs * 2
        window = skip(t.plane, image % t.layers * t.step)
        volume = image // t.layers * t.depth
        top = (volume + max(window[0], 0)) * t.n0
        limit = min(t.most, t.m0 - j, 2 * (stop - pair))
        count = min(2, limit) if t.contiguous else limit
        rows = t.factor * (count - 1) + t.taps
        in_place = t.contiguous and _is_contiguous(t.line, t.factor * j, rows, top, t.n1,
                                                   t.margin, x.size)  # fmt: skip
        while count < limit:
            more = min(count + 2, limit)
            begin = 0 if in_place else count  # copied rows need not follow each other
            rows = t.factor * (more - begin - 1) + t.taps
            if in_place != _is_contiguous(t.line, t.factor * (j + begin), rows, top, t.n1,
                                          t.margin, x.size):  # fmt: skip
                break
            count = more
        if in_place:
            stack = skip(source, (top + t.line[t.factor * j]) * t.n1 - t.margin)
        else:
            here = image * t.m0 + j
            if j == 0 or here != upto or here + count > since + t.most:
                since = here
            upto = here + count
            stack = skip(band, step * (here - since) * width)
            for z in range(t.planes):
                first = (volume + window[z]) * t.n0
                for r in range(count):
                    for u in range(0 if here + r == since else t.taps - step, t.taps):
                        row = t.line[t.factor * (j + r) + u]
                        split = skip(stack, z * size + t.margin + (step * r + u) * width)
                        if row >= 0 and window[z] >= 0:
                            split_row(skip(source, (first + row) * t.n1), t.beside, t.others,
                                      t.inside, t.phases, t.places, split)  # fmt: skip
                        else:
                            for i in range(width):
                                split[i] = 0
        outputs = skip(target, (image * t.m0 + j) * t.m1)
        # The rows to copy next are fetched; with a larger factor the copies take the time.
        part = -(-2 * t.n1 // t.m1) if t.factor == 1 else 0
        end = t.line[t.factor * (j + count - 1) + t.taps - 1] + 1
        coming = skip(source, (top + max(0, end)) * t.n1)
        # Without shared windows and as many outputs as pixels, the windows of all rows are one.
        if in_place and t.factor == 1 and t.lag == t.last:
            sum_taps(outputs, count * t.m1, stack, 0, t.offsets, values, 0, t.last, False)
        else:
            for r in range(0, count, 2):
                one, base = skip(outputs, r * t.m1), step * r * width
                if r + 1 < count:
                    sum_pair(one, skip(one, t.m1), t.m1, stack, base, step * width, t.offsets,
                             values, (0, 0), (t.last, t.last), (t.lag, 0, t.last - t.lag),
                             (skip(coming, r * t.n1), part))  # fmt: skip
                else:
                    sum_taps(one, t.m1, stack, base, t.offsets, values, 0, t.last, False)
        if t.edges > 0:
            _sum_border(skip(stack, t.margin), width, count, t.taps, t.border, t.corner, t.edge,
                        t.edges, t.border_offsets, values, t.lag, t.last, ends, t.taps + t.most,
                        outputs, t.m1)  # fmt: skip
        pair += (count + 1) // 2
        if pair == stop:
            taken += 1
            pair, stop = take(shares, own, status, taken)
    return True


@called
def _is_contiguous(line, place, count, top, width, margin, size):
    """Whether `count` rows of the continued image from `place` on can be read in place.

    They have to follow each other in their image, whose first row is row `top` of all, with
    `margin` numbers before and behind them among the `size` numbers of all.
    """
    first = line[place]
    begin, end = (top + first) * width - margin, (top + first + count) * width + margin
    follow = first >= 0 and line[place + count - 1] == first + count - 1
    return follow and begin >= 0 and end <= size


@called
def _sum_border(rows, width, count, taps, border, corner, edge, edges, offsets, weights, lag, last,
                column, height, outputs, m1):  # fmt: skip
    """Compute the outputs that read past the ends of rows of pixels, from copies.

    Parameters
    ----------
    rows, width : array and int
        The rows of pixels, `width` numbers apart.
    count, taps : int
        Number of rows of outputs, and of taps down the columns.
    border : (corner,) int array
        Source pixels that the outputs at the left end read, and then at the right end, -1 for a
        zero.
    edge : (2 * edges,) int array
        Where in `border` the window of an output begins, and the output.
    offsets, weights : arrays
        Of each tap the start of its window in `column`, and its value.
    lag, last : int
        As for the other outputs, so that sums have the same order.
    column : ((corner + 2) * height,) array
        Workspace for the pixels of `border`, column by column, and for sums.
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
        # All rows as the upper ones of pairs, and as the lower ones.
        sum_pair(one, two, count, column, edge[2 * k] * height, 1, offsets, weights,
                 (0, 0), (last, last), (lag, 0, last - lag), (column, 0))  # fmt: skip
        ends = skip(outputs, edge[2 * k + 1])
        for r in range(0, count, 2):
            ends[r * m1] = one[r]
            if r + 1 < count:
                ends[(r + 1) * m1] = two[r]
