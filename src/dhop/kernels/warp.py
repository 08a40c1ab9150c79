"""Splines at the positions of a warp, and the transpose.

`adjoint` sums bands of coefficients, each over the runs of outputs that read any of it. A band is
some rows of an image, or some rows of some planes ::

    bands of an image   ======     of a volume, whose rows     = = | = = | = =
                        ======     are seen from their ends    = = | = = | = =
                        ------                                 ---------------
                        ======                                 = = | = = | = =

Both compute positions and weights, since an array of them would take longer to read. Those of a
block of outputs along a line, a row of outputs, come first, in loops that the compiler vectorises.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.kernels.compile import kernel
from dhop.kernels.flat import flat, skip, unpacking
from dhop.kernels.spline import Filter, filter_rows_transposed
from dhop.kernels.warp_positions import BLOCK, is_inside, locate, position, unpack
from dhop.kernels.warp_taps import (
    gather_emitted,
    gather_volume_emitted,
    linear,
    scatter_emitted,
    scatter_linear,
    scatter_volume_emitted,
)

Index = NDArray[np.intp]

APART = 4  # outputs from one that is added to the next
MOST = 3  # rows and planes before and behind a band that its outputs also read


@kernel
def forward(x, table, positions, area, work, at, start, stop, out):
    """The spline at the outputs of some lines, times their areas.

    Parameters
    ----------
    x : (c0 * c1 * c2,) array
        Coefficients.
    table : int array
        A packed `Warp`.
    positions : float array
        A matrix, or the positions of all outputs.
    area : float array
        Of each output, or of all.
    work : (4 * BLOCK,) array
    at : (BLOCK,) int array
    start, stop : int
        Of the lines of outputs.
    out : (m0 * m1 * m2,) array
    """
    t = unpack(flat(table))
    source, target, where, areas = flat(x), flat(out), flat(positions), flat(area)
    number, down = flat(at), flat(work)
    along, size, behind = skip(down, BLOCK), skip(down, 2 * BLOCK), skip(down, 3 * BLOCK)
    plane = t.c1 * t.c2
    for begin in range(0, t.m2, BLOCK):
        count = min(BLOCK, t.m2 - begin)
        for line in range(start, stop):
            locate(where, areas, t, line, begin, count, t.low0, t.low1, t.c1, number, down)
            outputs = skip(target, line * t.m2 + begin)
            for k in range(count):
                if number[k] < 0:
                    outputs[k] = 0
                    continue
                near = skip(source, number[k])
                if t.taps == 4:
                    if t.volume:
                        gather_volume_emitted(near, t.c2, plane, behind[k], down[k], along[k],
                                              size[k], skip(outputs, k))  # fmt: skip
                    else:
                        gather_emitted(near, t.c2, down[k], along[k], size[k], skip(outputs, k))
                elif t.taps == 2:
                    total = linear(near, t.c2, down[k], along[k])
                    if t.volume:
                        other = linear(skip(near, plane), t.c2, down[k], along[k])
                        total += behind[k] * (other - total)
                    outputs[k] = size[k] * total
                else:
                    outputs[k] = size[k] * near[0]


@kernel
def find_runs(table, positions, first, runs):
    """The runs of outputs, each along a line, that read any coefficient of each band.

    Parameters
    ----------
    table, positions
        As for `forward`.
    first : (bands + 1,) int array
        Where the runs of each band begin; zeros to count: ``first[k + 1]`` becomes the number of
        band `k`.
    runs : (n, 3) int array
        Set to the line of each, its first output, and the one behind its last; empty to count.
    """
    t = unpack(flat(table))
    where = flat(positions)
    filled = np.zeros(first.size - 1, np.int64)
    across = (t.c1 + t.tall - 1) // t.tall
    more = (t.taps - 1) * t.volume
    for line in range(t.m0 * t.m1):
        begin, front, back, top, bottom = 0, -1, -1, -1, -1  # of the run, and bands that it reads
        for c in range(t.m2 + 1):
            new_front, new_back, new_top, new_bottom = -1, -1, -1, -1
            if c < t.m2:
                p0, p1, p2 = position(where, t, line, c)
                if is_inside(t, p0, p1, p2):
                    plane, row = int(np.floor(p0)) - t.low0, int(np.floor(p1)) - t.low1
                    new_front, new_back = plane // t.deep, (plane + more) // t.deep
                    new_top, new_bottom = row // t.tall, (row + t.taps - 1) // t.tall
            same = (new_front == front) & (new_back == back)
            if not (same & (new_top == top) & (new_bottom == bottom)):
                if top >= 0:
                    for deep in range(front, back + 1):
                        for band in range(deep * across + top, deep * across + bottom + 1):
                            if runs.shape[0] > 0:
                                k = first[band] + filled[band]
                                runs[k, 0], runs[k, 1], runs[k, 2] = line, begin, c
                            else:
                                first[band + 1] += 1
                            filled[band] += 1
                begin, front, back = c, new_front, new_back
                top, bottom = new_top, new_bottom


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
def adjoint(y, table, bands, rows, positions, area, numbers, band, work, at, start, stop, out):
    """The transpose of `forward` and of the filter along the rows, for some bands.

    Parameters
    ----------
    y : (m0 * m1 * m2,) array
    table : int array
        A packed `Warp`.
    bands : int array
        Packed `Bands`.
    rows : int array
        A packed `Filter`, along the rows.
    positions, area : float arrays
        As for `forward`.
    numbers : float array
        Of the filter.
    band : array
        Workspace for a band of coefficients, and those around it that its outputs read.
    work, at : arrays
        As for `forward`.
    start, stop : int
        Of the bands.
    out : (c0 * c1 * size,) array
        Along the rows pixels, along the other axes coefficients.
    """
    t, b, f = unpack(flat(table)), _unpack_bands(flat(bands)), _unpack_filter(flat(rows))
    source, target, where, areas = flat(y), flat(out), flat(positions), flat(area)
    lines = flat(band)
    number, down = flat(at), flat(work)
    along, size, behind = skip(down, BLOCK), skip(down, 2 * BLOCK), skip(down, 3 * BLOCK)
    across = (t.c1 + t.tall - 1) // t.tall
    before, height = t.volume * MOST, t.tall + 2 * MOST
    plane = height * t.c2
    for place in range(start, stop):
        front, top = place // across * t.deep, place % across * t.tall
        low0, low1 = t.low0 + front - before, t.low1 + top - MOST
        for i in range((t.deep + 2 * before) * plane):
            lines[i] = 0
        for e in range(b.first[place], b.first[place + 1]):
            line = b.runs[3 * e]
            for begin in range(b.runs[3 * e + 1], b.runs[3 * e + 2], BLOCK):
                count = min(BLOCK, b.runs[3 * e + 2] - begin)
                locate(where, areas, t, line, begin, count, low0, low1, height, number, down)
                values = skip(source, line * t.m2 + begin)
                # Neighbours are not added one after the other: each would wait for the memory that
                # the last one wrote.
                for lane in range(APART):
                    for k in range(lane, count, APART):
                        value = size[k] * values[k]
                        near = skip(lines, number[k])
                        if t.taps == 4:
                            if t.volume:
                                scatter_volume_emitted(near, t.c2, plane, behind[k], down[k],
                                                      along[k], value)  # fmt: skip
                            else:
                                scatter_emitted(near, t.c2, down[k], along[k], value)
                        elif t.taps == 2:
                            if t.volume:
                                far = behind[k] * value
                                value -= far
                                scatter_linear(skip(near, plane), t.c2, down[k], along[k], far)
                            scatter_linear(near, t.c2, down[k], along[k], value)
                        else:
                            near[0] += value
        count = min(t.tall, t.c1 - top)
        for deep in range(min(t.deep, t.c0 - front)):
            own = skip(lines, (before + deep) * plane + MOST * t.c2)
            pixels = skip(target, ((front + deep) * t.c1 + top) * f.size)
            filter_rows_transposed(own, count, f, flat(numbers), pixels)
