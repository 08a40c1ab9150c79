"""A PSF that varies over the field: the direct method with taps for each row.

Down the columns the taps of two nodes are interpolated, which costs a few operations for each tap
and row of outputs. Along the rows the pixels are multiplied by the hat function of each node ::

    pixels            a b c d e f g h i j k l
    hat of node 0     1 1 . . . 0                    strip 0: the support of the hat
    hat of node 1     0 . . . 1 . . . 0              strip 1
    hat of node 2             0 . . . 1 1 1 1        strip 2

Each strip is then blurred with the taps of its node, so that a pixel is multiplied about twice for
each tap, however many nodes there are.
"""

from typing import NamedTuple

from dhop.kernels.compile import called, kernel
from dhop.kernels.direct_adjoint import are_adjacent, pair_ranges
from dhop.kernels.flat import Index, flat, skip, unpacking
from dhop.kernels.polyphase import clear_margins, fold_row
from dhop.kernels.taps import sum_pair, sum_taps
from dhop.kernels.work_sharing import take


class Forward(NamedTuple):
    """The tables of `forward`."""

    # Shapes of the image and of the result.
    n0: int
    n1: int
    m0: int
    m1: int
    factor: int  # decimation factor along the rows axis
    taps: int  # along the rows axis
    phases: int
    across: int  # nodes along the columns axis
    down: int  # nodes along the rows axis
    last: int  # number of taps of a node
    lag: int  # as of `dhop.kernels.direct.Forward`
    width: int  # of the band of source rows in strips
    height: int
    longest: int  # most outputs of a strip
    runs: int  # length of `run`
    strips: int  # length of `strip`
    line: Index  # of each row of the continued image the source row, -1 for zeros
    cell: Index  # the node before each row of the continued image
    first: Index  # (taps + 1,): taps ``first[u]:first[u + 1]`` read row `u` of a window
    # (last,): start of each tap's window, from the strip's beginning in the window's first row.
    offsets: Index
    # (runs, 3): place in a row of the band, source pixel, and length of each run of pixels that are
    # `phases` apart in the image.
    run: Index
    # (strips, 4): the node, where it begins in the band, its first output and number of outputs.
    strip: Index


class Adjoint(NamedTuple):
    """The tables of `adjoint`; the others are as in `dhop.kernels.direct_adjoint`."""

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
    across: int  # as in `Forward`
    down: int
    last: int
    longest: int  # most places of a strip
    strips: int  # length of `strip`
    hats: int  # numbers in the hats of all strips
    begin: Index
    place: Index
    starts: Index
    member: Index
    inside: Index
    offsets: Index
    group: Index
    reach: Index
    cell: Index  # (n0,): the node before each row of pixels
    strip: (
        Index  # (strips, 4): the node, its first place, number of places, and where its hat begins
    )


_unpack_forward = unpacking(Forward)
_unpack_adjoint = unpacking(Adjoint)


@kernel
def forward(x, table, weights, work, shares, own, status, out):
    """Blur each pixel with its own PSF, and decimate.

    Parameters
    ----------
    x : (B * n0 * n1,) array
    table : int array
        A packed `Forward`.
    weights : array
        The taps of all nodes, ``(down, across, last)``; the hats along the rows of the band,
        ``(width,)``; for each row of the continued image the fraction of the next node.
    work : (height * width + 4 * last + 2 * longest,) array
        Zeros.
    shares, own, status : int arrays and int
        Of pairs of output rows, counted through the batch.
    out : (B * m0 * m1,) array

    Returns
    -------
    bool
        True, as of `dhop.kernels.direct.forward`.
    """
    t = _unpack_forward(flat(table))
    pairs = (t.m0 + 1) // 2
    source, target, values, band = flat(x), flat(out), flat(weights), flat(work)
    hats = skip(values, t.down * t.across * t.last)
    fractions = skip(hats, t.width)
    taps = skip(band, t.height * t.width)
    parts = skip(taps, 2 * t.last)
    sums = skip(parts, 2 * t.last)
    held, top, bottom = -1, 0, 0  # image, and rows of it, that the band holds
    taken = 0
    pair, stop = take(shares, own, status, taken)
    while pair < stop:
        image, j = pair // pairs, pair % pairs * 2
        count = min(2, t.m0 - j)
        upper, lower = t.factor * j, t.factor * (j + count - 1) + t.taps
        if image != held or upper < top or upper > bottom or lower > top + t.height:
            held, top, bottom = image, upper, upper
        for r in range(bottom, lower):
            pixels = skip(source, (image * t.n0 + max(t.line[r], 0)) * t.n1)
            _multiply_hats(pixels, t.line[r] >= 0, t.run, t.runs, t.phases, hats, t.width,
                           skip(band, (r - top) * t.width))  # fmt: skip
        bottom = max(bottom, lower)
        outputs = skip(target, (image * t.m0 + j) * t.m1)
        for i in range(count * t.m1):
            outputs[i] = 0
        for r in range(count):
            for u in range(t.taps):
                for k in range(t.first[u], t.first[u + 1]):
                    parts[r * t.last + k] = fractions[upper + t.factor * r + u]
        base = (upper - top) * t.width
        for s in range(t.strips):
            node, begin = t.strip[4 * s], t.strip[4 * s + 1]
            left, n = t.strip[4 * s + 2], t.strip[4 * s + 3]
            for r in range(count):
                _interpolate_rows(values, node, t.across, t.down, t.last, t.taps, t.first,
                                  skip(t.cell, upper + t.factor * r), skip(parts, r * t.last),
                                  skip(taps, r * t.last))  # fmt: skip
            if count == 2:
                # The taps of both rows, one after the other; so are their offsets.
                sum_pair(sums, skip(sums, n), n, band, base + begin, t.factor * t.width, t.offsets,
                         taps, (0, t.last), (t.last, 2 * t.last),
                         (t.lag, t.last, t.last - t.lag), (sums, 0))  # fmt: skip
            else:
                sum_taps(sums, n, band, base + begin, t.offsets, taps, 0, t.last, False)
            for r in range(count):
                run, part = skip(outputs, r * t.m1 + left), skip(sums, r * n)
                for i in range(n):
                    run[i] += part[i]
        pair += 1
        if pair == stop:
            taken += 1
            pair, stop = take(shares, own, status, taken)
    return True


@kernel
def adjoint(y, table, weights, work, shares, own, status, out):
    """Conjugate transpose of `forward`: each pixel sums its outputs, with its own PSF.

    Parameters
    ----------
    y : (B * m0 * m1,) array
    table : int array
        A packed `Adjoint`.
    weights : array
        The conjugated taps of all nodes, ``(down, across, last)``; the hats of the strips, phase by
        phase, ``(hats,)``; for each row of pixels the fraction of the next node.
    work : (height * width + 2 * phases * places + 2 * last + 2 * longest,) array
    shares, own, status : int arrays and int
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
    source, target, values, band = flat(y), flat(out), flat(weights), flat(work)
    hats = skip(values, t.down * t.across * t.last)
    fractions = skip(hats, t.hats)
    split = skip(band, t.height * t.width)
    taps = skip(split, 2 * size)
    sums = skip(taps, 2 * t.last)
    margin = (t.width - t.m1) // 2
    clear_margins(band, t.height, t.width, margin)
    held, top, bottom = -1, 0, 0
    taken = 0
    pair, stop = take(shares, own, status, taken)
    while pair < stop:
        image, i = pair // pairs, pair % pairs * 2
        count = min(2, t.n0 - i)
        first, last = t.begin[i], t.begin[i + count]
        together = count == 2 and are_adjacent(t.begin, t.place, i)
        for k in range(count * size):
            split[k] = 0
        for e in range(first, first + 1 if together else last):
            r = 0 if e < t.begin[i + 1] else 1
            next_ = t.place[e + 1] if together else t.place[e]
            j0, p0 = t.place[e] // t.factor, t.place[e] % t.factor
            j1, p1 = next_ // t.factor, next_ % t.factor
            upper, lower = max(0, j0 - t.most + 1), min(j1 + 1, t.m0)
            if image != held or upper < top or upper > bottom or lower > top + t.height:
                held, top, bottom = image, upper, upper
            for j in range(bottom, lower):
                row = skip(band, (j - top) * t.width + margin)
                pixels = skip(source, (image * t.m0 + j) * t.m1)
                for k in range(t.m1):
                    row[k] = pixels[k]
            bottom = max(bottom, lower)
            first0, last0 = max(j0 - t.m0 + 1, 0), min(j0 + 1, t.most)
            for s in range(t.strips):
                node, begin, n = t.strip[4 * s], t.strip[4 * s + 1], t.strip[4 * s + 2]
                hat = skip(hats, t.strip[4 * s + 3])
                # The taps of the lower row come first.
                _interpolate(values, node, t.across, t.down, t.last, t.cell[i + r],
                             fractions[i + r], skip(taps, t.last))  # fmt: skip
                if together:
                    _interpolate(values, node, t.across, t.down, t.last,
                                 t.cell[i + 1], fractions[i + 1], taps)  # fmt: skip
                for p in range(t.phases):
                    one = skip(t.group, (p0 * t.phases + p) * (t.most + 1))
                    two = skip(t.group, (p1 * t.phases + p) * (t.most + 1))
                    start = (j1 - top) * t.width + begin
                    if together:
                        head, tail, shared = pair_ranges(
                            t.m0, t.most, t.reach, j0, p0, one, t.last, j1, p1, two
                        )
                        sum_pair(skip(sums, n), sums, n, band, start, (j0 - j1) * t.width,
                                 t.offsets, taps, head, tail, shared, (sums, 0))  # fmt: skip
                    else:
                        sum_taps(sums, n, band, start, skip(t.offsets, one[first0]),
                                 skip(taps, t.last + one[first0]), 0, one[last0] - one[first0],
                                 False)  # fmt: skip
                    for q in range(2 if together else 1):
                        to = skip(split, (r + q) * size + p * t.places + begin)
                        part, lit = skip(sums, q * n), skip(hat, p * n)
                        for k in range(n):
                            to[k] += lit[k] * part[k]
        for r in range(count):
            fold_row(skip(split, r * size), t.starts, t.member, t.inside, t.phases, t.places,
                     skip(target, (image * t.n0 + i + r) * t.n1), t.n1)  # fmt: skip
        pair += 1
        if pair == stop:
            taken += 1
            pair, stop = take(shares, own, status, taken)
    return True


@called
def _multiply_hats(pixels, inside, run, runs, phases, hats, width, row):
    """Multiply a row of pixels by the hats, strip by strip; other places remain zero."""
    if not inside:
        for k in range(width):
            row[k] = 0
        return
    for k in range(runs):
        n = run[3 * k + 2]
        to, hat, some = skip(row, run[3 * k]), skip(hats, run[3 * k]), skip(pixels, run[3 * k + 1])
        if n == 1:
            to[0] = hat[0] * some[0]
        elif phases == 1:
            for i in range(n):
                to[i] = hat[i] * some[i]
        else:
            for i in range(n):
                to[i] = hat[i] * some[phases * i]


@called
def _interpolate_rows(values, node, across, down, last, rows, first, cell, parts, taps):
    """The taps of an output, each row of them interpolated at the source row that it reads."""
    u = 0
    while u < rows:
        stop = u + 1
        while stop < rows and cell[stop] == cell[u]:
            stop += 1
        one = skip(values, (cell[u] * across + node) * last)
        two = skip(values, (min(cell[u] + 1, down - 1) * across + node) * last)
        for k in range(first[u], first[stop]):
            taps[k] = (1 - parts[k]) * one[k] + parts[k] * two[k]
        u = stop


@called
def _interpolate(values, node, across, down, last, cell, part, taps):
    """The taps interpolated at one row of pixels."""
    one = skip(values, (cell * across + node) * last)
    two = skip(values, (min(cell + 1, down - 1) * across + node) * last)
    for k in range(last):
        taps[k] = (1 - part) * one[k] + part * two[k]
