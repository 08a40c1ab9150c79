"""Splines at the positions of a warp, and the transpose of that.

An output at `p` sums the coefficients around it, 4 x 4 of a cubic spline ::

    coefficients   . . . . . . .        weights along the rows      v0 v1 v2 v3
                   . o o o o . .    w0
                   . o o o o . .    w1  <- floor(p) is the second
                   . o o p o . .    w2
                   . o o o o . .    w3
                   . . . . . . .

`adjoint` gathers bands of coefficient rows, each from the runs of outputs that read any of it. Both
compute positions and weights in the same way, a few operations that no array is quicker than.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import MAPPED, PROJECTIVE
from dhop.kernels.compile import called, exact, kernel
from dhop.kernels.flat import flat, pack, skip, unpacking
from dhop.kernels.spline import Filter, filter_rows_back, like

Index = NDArray[np.intp]

BAND = 64  # rows of coefficients in a band
BLOCK = 256  # outputs along a row before those of the next row, for what the caches hold
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
    return p0 >= t.low0 and p0 < t.end0 and p1 >= t.low1 and p1 < t.end1


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


@kernel
def forward(x, table, places, area, start, stop, out):
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
    start, stop : int
        Of the rows of outputs.
    out : (m0 * m1,) array
    """
    t = _unpack(flat(table))
    source, target, where, areas = flat(x), flat(out), flat(places), flat(area)
    for begin in range(0, t.m1, BLOCK):
        end = min(begin + BLOCK, t.m1)
        for r in range(start, stop):
            for c in range(begin, end):
                k = r * t.m1 + c
                p0, p1 = position(where, t, r, c)
                if seen(t, p0, p1):
                    f0, f1 = np.floor(p0), np.floor(p1)
                    near = skip(source, (int(f0) - t.low0) * t.c1 + (int(f1) - t.low1))
                    a, b = like(p0 - f0, x), like(p1 - f1, x)
                    size = like(areas[k * t.step], x)
                    if t.taps == 4:
                        target[k] = size * _gathered(near, t.c1, a, b, x)
                    elif t.taps == 2:
                        above = near[0] + b * (near[1] - near[0])
                        near = skip(near, t.c1)
                        target[k] = size * (above + a * (near[0] + b * (near[1] - near[0]) - above))
                    else:
                        target[k] = size * near[0]
                else:
                    target[k] = 0


@called
def _gathered(near, c1, a, b, numbers):
    w0, w1, w2, w3 = cubic(a, numbers)
    v0, v1, v2, v3 = cubic(b, numbers)
    two, three, four = skip(near, c1), skip(near, 2 * c1), skip(near, 3 * c1)
    s0 = w0 * near[0] + w1 * two[0] + w2 * three[0] + w3 * four[0]
    s1 = w0 * near[1] + w1 * two[1] + w2 * three[1] + w3 * four[1]
    s2 = w0 * near[2] + w1 * two[2] + w2 * three[2] + w3 * four[2]
    s3 = w0 * near[3] + w1 * two[3] + w2 * three[3] + w3 * four[3]
    return (v0 * s0 + v1 * s1) + (v2 * s2 + v3 * s3)


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
def adjoint(y, table, bands, along, places, area, numbers, work, start, stop, out):
    """The transpose of `forward` and of the filter along the rows, for some bands.

    Parameters
    ----------
    y : (m0 * m1,) array
    table : int array
        A packed `Warp`.
    bands : int array
        Packed `Bands`.
    along : int array
        A packed `Filter`, of the rows.
    places, area : float arrays
        As for `forward`.
    numbers : float array
        Of the filter.
    work : ((BAND + 2 * MOST) * c1,) array
    start, stop : int
        Of the bands.
    out : (c0 * size,) array
        Rows of coefficients along the columns only.
    """
    t, b, f = _unpack(flat(table)), _unpack_bands(flat(bands)), _unpack_filter(flat(along))
    source, target, where, areas = flat(y), flat(out), flat(places), flat(area)
    lines = flat(work)
    for band in range(start, stop):
        top = band * BAND - MOST
        for i in range((BAND + 2 * MOST) * t.c1):
            lines[i] = 0
        for e in range(b.first[band], b.first[band + 1]):
            r = b.runs[3 * e]
            for c in range(b.runs[3 * e + 1], b.runs[3 * e + 2]):
                k = r * t.m1 + c
                p0, p1 = position(where, t, r, c)
                f0, f1 = np.floor(p0), np.floor(p1)
                near = skip(lines, (int(f0) - t.low0 - top) * t.c1 + (int(f1) - t.low1))
                one, two = like(p0 - f0, y), like(p1 - f1, y)
                value = source[k] * like(areas[k * t.step], y)
                if t.taps == 4:
                    _spread(near, t.c1, one, two, value, y)
                elif t.taps == 2:
                    below = one * value
                    above = value - below
                    near[0] += above - two * above
                    near[1] += two * above
                    near = skip(near, t.c1)
                    near[0] += below - two * below
                    near[1] += two * below
                else:
                    near[0] += value
        rows = min(BAND, t.c0 - band * BAND)
        filter_rows_back(skip(lines, MOST * t.c1), rows, f, flat(numbers),
                         skip(target, band * BAND * f.size))  # fmt: skip


@called
def _spread(near, c1, a, b, value, numbers):
    w0, w1, w2, w3 = cubic(a, numbers)
    v0, v1, v2, v3 = cubic(b, numbers)
    v0, v1, v2, v3 = value * v0, value * v1, value * v2, value * v3
    _add_four(near, w0, v0, v1, v2, v3)
    _add_four(skip(near, c1), w1, v0, v1, v2, v3)
    _add_four(skip(near, 2 * c1), w2, v0, v1, v2, v3)
    _add_four(skip(near, 3 * c1), w3, v0, v1, v2, v3)


@called
def _add_four(near, w, v0, v1, v2, v3):
    # All are read before any is written, which makes one vector of them.
    s0, s1, s2, s3 = near[0] + w * v0, near[1] + w * v1, near[2] + w * v2, near[3] + w * v3
    near[0], near[1], near[2], near[3] = s0, s1, s2, s3
