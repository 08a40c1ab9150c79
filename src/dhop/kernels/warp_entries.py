"""Entries of the explicit matrix of a warp.

Along an axis an output at ``f + t`` reads the pixel at `k` with the weight of the cardinal spline:
the weights of four coefficients, each a sum of all pixels by the filter ::

    h0 (b0 + b1 z + b2 z^2 + b3 z^3) z^(f - 1 - k)            for k < f
    h0 (b0 z + b1 + b2 z + b3 z^2)                            for k = f
    ...

Positions of one pixel are added in their order. An entry is the product of the weights of all axes
and the area, rounded once.
"""

from typing import Any, NamedTuple

import numpy as np

from dhop.kernels.compile import exact, kernel
from dhop.kernels.flat import Index, flat, pack, skip, unpacking
from dhop.kernels.spline import cast
from dhop.kernels.warp_positions import is_inside, position, unpack


class Axes(NamedTuple):
    """The tables of all axes."""

    reach: int  # pixels on either side of a position
    # Shape of the image.
    size0: int
    size1: int
    size2: int
    # Positions of the first of `pixels0` and so on.
    start0: int
    start1: int
    start2: int
    # Source pixel of each position, -1 for a zero.
    pixels0: Index
    pixels1: Index
    pixels2: Index


_unpack_axes = unpacking(Axes)


def packed_axes(warp, reach) -> Any:
    """Packed `Axes` of a `dhop.model.warping.Warp`."""
    axes = warp.axes
    sizes, starts = [axis.size for axis in axes], [axis.first - axis.tail for axis in axes]
    return pack(Axes(reach, *sizes, *starts, *(axis.pixels for axis in axes)))


@kernel
def fill(table, lines, positions, area, powers, rows, pointer, indices, data):
    """Write some rows of the matrix, ``rows[k]`` from ``pointer[k]`` on.

    Parameters
    ----------
    table, lines : int arrays
        Packed `Warp` and `Axes`.
    positions, area : float arrays
        As for `dhop.kernels.warp.forward`.
    powers : float array
        Of the pole, times the gain.
    rows, pointer : int arrays
    indices, data : arrays
    """
    t, n = unpack(flat(table)), _unpack_axes(flat(lines))
    where, areas, z = flat(positions), flat(area), flat(powers)
    at, weight = np.empty(6 * n.reach, np.int64), np.empty(6 * n.reach)
    length = 2 * n.reach
    for k in range(rows.size):
        at0, weight0 = flat(at), flat(weight)
        at1, weight1 = skip(at0, length), skip(weight0, length)
        at2, weight2 = skip(at1, length), skip(weight1, length)
        output = rows[k]
        p0, p1, p2 = position(where, t, output // t.m2, output % t.m2)
        if not is_inside(t, p0, p1, p2):
            continue
        count0 = _axis_weights(p0, t.taps, n.reach, n.start0, n.pixels0, z, at0, weight0)
        count1 = _axis_weights(p1, t.taps, n.reach, n.start1, n.pixels1, z, at1, weight1)
        count2 = _axis_weights(p2, t.taps, n.reach, n.start2, n.pixels2, z, at2, weight2)
        size = areas[output * t.step]
        e = pointer[k]
        for h in range(count0):
            for i in range(count1):
                base = (at0[h] * n.size1 + at1[i]) * n.size2
                value = size * weight0[h] * weight1[i]
                for j in range(count2):
                    indices[e] = base + at2[j]
                    data[e] = cast(value * weight2[j], data)
                    e += 1


@kernel
def fill_columns(
    table, lines, positions, area, powers, outputs, window, order, pointer, indices, data
):
    """Write some columns of the matrix, number `k` of these from ``pointer[k]`` on.

    Parameters
    ----------
    table, lines, positions, area, powers
        As for `fill`.
    outputs : int array
        All that may read any of the pixels, ascending.
    window : (6,) int array
        First plane, row and column of a window of the image, and its shape.
    order : int array
        Number of the column of each pixel of the window, -1 for none.
    pointer : int array
        Index of the next entry of each column; increased.
    indices, data : arrays
        If `indices` is empty, entries are only counted.
    """
    t, n = unpack(flat(table)), _unpack_axes(flat(lines))
    where, areas, z = flat(positions), flat(area), flat(powers)
    at, weight = np.empty(6 * n.reach, np.int64), np.empty(6 * n.reach)
    length = 2 * n.reach
    front, top, left = window[0], window[1], window[2]
    depth, height, width = window[3], window[4], window[5]
    for output in outputs:
        at0, weight0 = flat(at), flat(weight)
        at1, weight1 = skip(at0, length), skip(weight0, length)
        at2, weight2 = skip(at1, length), skip(weight1, length)
        p0, p1, p2 = position(where, t, output // t.m2, output % t.m2)
        if not is_inside(t, p0, p1, p2):
            continue
        count0 = _axis_weights(p0, t.taps, n.reach, n.start0, n.pixels0, z, at0, weight0)
        count1 = _axis_weights(p1, t.taps, n.reach, n.start1, n.pixels1, z, at1, weight1)
        count2 = _axis_weights(p2, t.taps, n.reach, n.start2, n.pixels2, z, at2, weight2)
        size = areas[output * t.step]
        for h in range(count0):
            plane = at0[h] - front
            if plane < 0 or plane >= depth:
                continue
            for i in range(count1):
                row, value = at1[i] - top, size * weight0[h] * weight1[i]
                if row < 0 or row >= height:
                    continue
                for j in range(count2):
                    column = at2[j] - left
                    if column < 0 or column >= width:
                        continue
                    q = order[(plane * height + row) * width + column]
                    if q >= 0:
                        e = pointer[q]
                        pointer[q] = e + 1
                        if indices.size > 0:
                            indices[e] = output
                            data[e] = cast(value * weight2[j], data)


@exact
def _axis_weights(p, taps, reach, start, pixels, z, at, weight):
    """Write the pixels that a position reads along an axis, ascending, and weights; count them."""
    floor = np.floor(p)
    t, f = p - floor, int(floor)
    if t == 0:  # the spline goes through the pixels
        at[0], weight[0] = pixels[f - start], 1.0
        return 1 if at[0] >= 0 else 0
    if taps == 2:
        count, first = 2, f
        weight[0], weight[1] = 1 - t, t
    else:
        count, first = 2 * reach, f - reach + 1
        s = 1 - t
        b0, b3 = s * s * s / 6, t * t * t / 6
        b1, b2 = (4 - 6 * t * t + 3 * t * t * t) / 6, (4 - 6 * s * s + 3 * s * s * s) / 6
        pole = z[1] / z[0]
        before = b0 + pole * (b1 + pole * (b2 + pole * b3))
        behind = b3 + pole * (b2 + pole * (b1 + pole * b0))
        for k in range(reach - 1):
            weight[reach - 2 - k] = before * z[k]
            weight[reach + 1 + k] = behind * z[k]
        weight[reach - 1] = z[0] * b1 + z[1] * (b0 + b2) + z[2] * b3
        weight[reach] = z[0] * b2 + z[1] * (b1 + b3) + z[2] * b0
    kept = 0
    for k in range(count):
        pixel, value = pixels[first - start + k], weight[k]
        if pixel < 0:
            continue
        place = kept
        while place > 0 and at[place - 1] > pixel:
            place -= 1
        if place > 0 and at[place - 1] == pixel:
            weight[place - 1] += value
            continue
        for i in range(kept, place, -1):
            at[i], weight[i] = at[i - 1], weight[i - 1]
        at[place], weight[place] = pixel, value
        kept += 1
    return kept
