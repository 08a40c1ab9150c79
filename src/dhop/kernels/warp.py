"""Splines at the positions of a warp, and the transpose of that.

An output at `p` sums the coefficients around it, 4 x 4 of a cubic spline ::

    coefficients   . . . . . . .        weights along the rows      v0 v1 v2 v3
                   . o o o o . .    w0
                   . o o o o . .    w1  <- floor(p) is the second
                   . o o p o . .    w2
                   . o o o o . .    w3
                   . . . . . . .

`adjoint` gathers bands of coefficient rows, each from the runs of outputs that read any of it. Both
compute positions and weights anew, in the same way: an array of them would take longer to read. The
positions of a stretch of a row are computed first, which the compiler makes vectors of; the weights
of an output are the four lanes of one.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import MAPPED, PROJECTIVE
from dhop.kernels.compile import called, exact, kernel
from dhop.kernels.emit import emitted
from dhop.kernels.flat import flat, pack, skip, unpacking
from dhop.kernels.spline import Filter, filter_rows_back, like

Index = NDArray[np.intp]

BAND = 64  # rows of coefficients in a band
BLOCK = 256  # outputs along a row that are located at a time, before those of the next row
APART = 4  # outputs that one after the other are added at once
MOST = 3  # rows before and behind a band that its outputs read, too


class Warp(NamedTuple):
    """What is known of positions and of the coefficients that they read.

    Attributes
    ----------
    m0, m1 : int
        Shape of the outputs.
    kind : int
        What `places` are, see `dhop.kernels`.
    step : int
        From the area of one output to that of the next: 0 or 1.
    taps : int
        Coefficients along either axis: 4, 2 or 1.
    low0, end0, low1, end1 : int
        Outputs at positions from `low` to before `end` read coefficients.
    c0, c1 : int
        Shape of the coefficients; an output at `low` reads the first.
    """

    m0: int
    m1: int
    kind: int
    step: int
    taps: int
    low0: int
    end0: int
    low1: int
    end1: int
    c0: int
    c1: int


_unpack = unpacking(Warp)


def packed(warp) -> Any:
    """A `Warp` of what `dhop.model.warping` knows, packed."""
    rows, columns = warp.rows, warp.columns
    return pack(Warp(
        *warp.shape, warp.kind, int(warp.area.size > 1), warp.taps,
        rows.low, rows.end, columns.low, columns.end, rows.count, columns.count,
    ))  # fmt: skip


@exact
def position(places, t, r, c):
    """Row and column of an output in the image.

    `Warp.positions` of `dhop.model.warping` computes the same bits.
    """
    if t.kind == MAPPED:
        k = r * t.m1 + c
        return places[k], places[t.m0 * t.m1 + k]
    p0 = (places[0] * r + places[2]) + places[1] * c
    p1 = (places[3] * r + places[5]) + places[4] * c
    if t.kind == PROJECTIVE:
        w = (places[6] * r + places[8]) + places[7] * c
        return p0 / w, p1 / w
    return p0, p1


@exact
def seen(t, p0, p1):
    """Whether an output there reads coefficients."""
    return (p0 >= t.low0) & (p0 < t.end0) & (p1 >= t.low1) & (p1 < t.end1)


@called
def cubic(t, numbers):
    """The four values of the cubic B-spline at `t` beyond a coefficient, 0 <= t < 1."""
    half, sixth = like(0.5, numbers), like(1 / 6, numbers)
    square = t * t
    cube = square * t
    last = sixth * cube
    third = sixth + half * (t + square - cube)
    first = sixth - half * (t - square) - last
    return first, (like(1, numbers) - last) - (first + third), third, last


@exact
def _locate(where, areas, t, r, begin, count, low, at, part):
    """Find what some outputs of row `r` read, from number `begin` on.

    Parameters
    ----------
    where, areas : float arrays
    t : Warp
    low : int
        Row of the first coefficient that there is.
    at : int array
        Gets where the first coefficient of each stands, -1 of those that read none.
    part : array
        Gets how far beyond it each lies, down and along, and its area: `BLOCK` numbers each.
    """
    along, size = skip(part, BLOCK), skip(part, 2 * BLOCK)
    if t.kind == MAPPED:
        rows, columns = skip(where, r * t.m1 + begin), skip(where, (t.m0 + r) * t.m1 + begin)
        for k in range(count):
            at[k] = _place(t, rows[k], columns[k], low)
            part[k] = like(rows[k] - np.floor(rows[k]), part)
            along[k] = like(columns[k] - np.floor(columns[k]), part)
    else:
        first0, first1 = where[0] * r + where[2], where[3] * r + where[5]
        step0, step1 = where[1], where[4]
        first2, step2 = where[6] * r + where[8], where[7]
        tilted = t.kind == PROJECTIVE
        for k in range(count):
            c = begin + k
            p0, p1 = first0 + step0 * c, first1 + step1 * c
            if tilted:
                w = first2 + step2 * c
                p0, p1 = p0 / w, p1 / w
            at[k] = _place(t, p0, p1, low)
            part[k] = like(p0 - np.floor(p0), part)
            along[k] = like(p1 - np.floor(p1), part)
    if t.step == 0:
        for k in range(count):
            size[k] = like(areas[0], part)
    else:
        own = skip(areas, r * t.m1 + begin)
        for k in range(count):
            size[k] = like(own[k], part)


@exact
def _place(t, p0, p1, low):
    place = (int(np.floor(p0)) - low) * t.c1 + (int(np.floor(p1)) - t.low1)
    return place if seen(t, p0, p1) else -1


@kernel
def forward(x, table, places, area, work, at, start, stop, out):
    """The spline at the outputs of some rows.

    Parameters
    ----------
    x : (c0 * c1,) array
        Coefficients.
    table : int array
        A packed `Warp`.
    places : float array
        A matrix, or the positions of all outputs.
    area : float array
        What outputs are multiplied by.
    work : (3 * BLOCK,) array
    at : (BLOCK,) int array
    start, stop : int
        Of the rows of outputs.
    out : (m0 * m1,) array
    """
    t = _unpack(flat(table))
    source, target, where, areas = flat(x), flat(out), flat(places), flat(area)
    number, down = flat(at), flat(work)
    along, size = skip(down, BLOCK), skip(down, 2 * BLOCK)
    for begin in range(0, t.m1, BLOCK):
        count = min(BLOCK, t.m1 - begin)
        for r in range(start, stop):
            _locate(where, areas, t, r, begin, count, t.low0, number, down)
            outputs = skip(target, r * t.m1 + begin)
            for k in range(count):
                if number[k] < 0:
                    outputs[k] = 0
                elif t.taps == 4:
                    _gather_emitted(skip(source, number[k]), t.c1, down[k], along[k], size[k],
                                    skip(outputs, k))  # fmt: skip
                elif t.taps == 2:
                    near, below = skip(source, number[k]), skip(source, number[k] + t.c1)
                    one = near[0] + along[k] * (near[1] - near[0])
                    two = below[0] + along[k] * (below[1] - below[0])
                    outputs[k] = size[k] * (one + down[k] * (two - one))
                else:
                    outputs[k] = size[k] * source[number[k]]


@called
def _gather(near, c1, a, b, size, target):
    """Set the first number of `target`: the spline `a` rows and `b` columns on, times `size`."""
    w0, w1, w2, w3 = cubic(a, near)
    v0, v1, v2, v3 = cubic(b, near)
    total = 0 * size
    for w in (w0, w1, w2, w3):
        total += w * ((v0 * near[0] + v1 * near[1]) + (v2 * near[2] + v3 * near[3]))
        near = skip(near, c1)
    target[0] = size * total


@emitted(_gather)
def _gather_emitted(emit, near, c1, a, b, size, target):
    rows, columns = _cubic(near, a), _cubic(near, b)
    total = near.constants(0.0, 0.0, 0.0, 0.0)
    for row in range(4):
        total = total.plus(near.four(), rows.shuffled(rows, [row] * 4))
        near = near.after(c1)
    total = total * columns * near.all_four(size)
    total = total + total.shuffled(total, [2, 3, 0, 1])
    total = total + total.shuffled(total, [1, 0, 3, 2])
    target.put_number(total, 0)


def _cubic(place, t):
    """As `cubic`, side by side."""
    t = place.all_four(t)
    third, half = place.constants(-1 / 6, 1 / 2, -1 / 2, 1 / 6), place.constants(0.5, -1, 0.5, 0)
    first, start = place.constants(-0.5, 0, 0.5, 0), place.constants(1 / 6, 4 / 6, 1 / 6, 0)
    return start.plus(t, first.plus(t, half.plus(t, third)))


@kernel
def find_runs(table, places, first, runs):
    """The runs of outputs, each along a row, that read any coefficient of each band.

    Parameters
    ----------
    table, places
        As for `forward`.
    first : (bands + 1,) int array
        Where the runs of each band begin; zeros to have them counted: ``first[k + 1]`` becomes the
        number of band `k`.
    runs : (n, 3) int array
        Gets the row of each, its first output, and the one behind its last; empty to count.
    """
    t = _unpack(flat(table))
    where = flat(places)
    bands = first.size - 1
    filled = np.zeros(bands, np.int64)
    for r in range(t.m0):
        begin, top, bottom = 0, -1, -1  # of the run, and the bands that its outputs read
        for c in range(t.m1 + 1):
            new_top, new_bottom = -1, -1
            if c < t.m1:
                p0, p1 = position(where, t, r, c)
                if seen(t, p0, p1):
                    row = int(np.floor(p0)) - t.low0
                    new_top, new_bottom = row // BAND, (row + t.taps - 1) // BAND
            if new_top != top or new_bottom != bottom:
                if top >= 0:
                    for band in range(top, bottom + 1):
                        if runs.shape[0] > 0:
                            k = first[band] + filled[band]
                            runs[k, 0], runs[k, 1], runs[k, 2] = r, begin, c
                        else:
                            first[band + 1] += 1
                        filled[band] += 1
                begin, top, bottom = c, new_top, new_bottom


class Bands(NamedTuple):
    """The runs of each band.

    Attributes
    ----------
    count : int
        Of the bands.
    first : (count + 1,) array
    runs : (n, 3) array
        See `find_runs`.
    """

    count: int
    first: Index
    runs: Index


_unpack_bands = unpacking(Bands)
_unpack_filter = unpacking(Filter)


@kernel
def adjoint(y, table, bands, rows, places, area, numbers, band, work, at, start, stop, out):
    """The transpose of `forward` and of the filter along the rows, for some bands.

    Parameters
    ----------
    y : (m0 * m1,) array
    table : int array
        A packed `Warp`.
    bands : int array
        Packed `Bands`.
    rows : int array
        A packed `Filter`, along the rows.
    places, area : float arrays
        As for `forward`.
    numbers : float array
        Of the filter.
    band : ((BAND + 2 * MOST) * c1,) array
    work, at : arrays
        As for `forward`.
    start, stop : int
        Of the bands.
    out : (c0 * size,) array
        Rows of coefficients along the columns only.
    """
    t, b, f = _unpack(flat(table)), _unpack_bands(flat(bands)), _unpack_filter(flat(rows))
    source, target, where, areas = flat(y), flat(out), flat(places), flat(area)
    lines = flat(band)
    number, down = flat(at), flat(work)
    along, size = skip(down, BLOCK), skip(down, 2 * BLOCK)
    for place in range(start, stop):
        top = place * BAND - MOST
        for i in range((BAND + 2 * MOST) * t.c1):
            lines[i] = 0
        for e in range(b.first[place], b.first[place + 1]):
            r = b.runs[3 * e]
            for begin in range(b.runs[3 * e + 1], b.runs[3 * e + 2], BLOCK):
                count = min(BLOCK, b.runs[3 * e + 2] - begin)
                _locate(where, areas, t, r, begin, count, t.low0 + top, number, down)
                values = skip(source, r * t.m1 + begin)
                # What lies next to each other is added in turn, not at once: memory that has just
                # been written would have to be waited for.
                for lane in range(APART):
                    for k in range(lane, count, APART):
                        value = size[k] * values[k]
                        near = skip(lines, number[k])
                        if t.taps == 4:
                            _spread_emitted(near, t.c1, down[k], along[k], value)
                        elif t.taps == 2:
                            low = down[k] * value
                            high = value - low
                            near[0] += high - along[k] * high
                            near[1] += along[k] * high
                            near = skip(near, t.c1)
                            near[0] += low - along[k] * low
                            near[1] += along[k] * low
                        else:
                            near[0] += value
        count = min(BAND, t.c0 - place * BAND)
        filter_rows_back(skip(lines, MOST * t.c1), count, f, flat(numbers),
                         skip(target, place * BAND * f.size))  # fmt: skip


@called
def _spread(near, c1, a, b, value):
    """The transpose of `_gather`: add what a value brings the coefficients."""
    w0, w1, w2, w3 = cubic(a, near)
    v0, v1, v2, v3 = cubic(b, near)
    v0, v1, v2, v3 = value * v0, value * v1, value * v2, value * v3
    for w in (w0, w1, w2, w3):
        near[0] += w * v0
        near[1] += w * v1
        near[2] += w * v2
        near[3] += w * v3
        near = skip(near, c1)


@emitted(_spread)
def _spread_emitted(emit, near, c1, a, b, value):
    rows, columns = _cubic(near, a), _cubic(near, b) * near.all_four(value)
    for row in range(4):
        near.put_four(near.four().plus(columns, rows.shuffled(rows, [row] * 4)))
        near = near.after(c1)
