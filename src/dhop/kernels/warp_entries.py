"""Entries of the explicit matrix of a warp: what each pixel is worth to an output.

Along an axis an output at ``f + t`` reads the pixel at `k` with the weight of the cardinal spline,
that of the four coefficients around it, each of which is the filter's sum over all pixels ::

    h0 (b0 + b1 z + b2 z^2 + b3 z^3) z^(f - 1 - k)            for k < f
    h0 (b0 z + b1 + b2 z + b3 z^2)                            for k = f
    ...

Pixels of the continued image that are one are added in the order of their positions. An entry is
the product of the weights of all axes and of the area, rounded once.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.kernels.compile import exact, kernel
from dhop.kernels.flat import flat, pack, unpacking
from dhop.kernels.spline import like
from dhop.kernels.warp_places import position, seen, unpack

Index = NDArray[np.intp]


class Lines(NamedTuple):
    """What entries along the axes are made of.

    Attributes
    ----------
    reach : int
        Pixels on either side of a position.
    size0, size1, size2 : int
        Shape of the image.
    start0, start1, start2 : int
        Positions of the first of `pixels0` and so on.
    pixels0, pixels1, pixels2 : arrays
        Source pixel of each position, -1 for a zero.
    """

    reach: int
    size0: int
    size1: int
    size2: int
    start0: int
    start1: int
    start2: int
    pixels0: Index
    pixels1: Index
    pixels2: Index


_unpack_lines = unpacking(Lines)


def packed_lines(warp, reach) -> Any:
    """`Lines` of what `dhop.model.warping` knows, packed."""
    axes = warp.axes
    sizes, starts = [axis.size for axis in axes], [axis.first - axis.tail for axis in axes]
    return pack(Lines(reach, *sizes, *starts, *(axis.pixels for axis in axes)))


@kernel
def fill(table, lines, places, area, powers, rows, pointer, indices, data):
    """Write some rows of the matrix, ``rows[k]`` from ``pointer[k]`` on.

    Parameters
    ----------
    table, lines : int arrays
        Packed `Warp` and `Lines`.
    places, area : float arrays
        As for `dhop.kernels.warp.forward`.
    powers : float array
        Of the pole, each times the gain.
    rows, pointer : int arrays
    indices, data : arrays
    """
    t, n = unpack(flat(table)), _unpack_lines(flat(lines))
    where, areas, z = flat(places), flat(area), flat(powers)
    at, worth = np.empty((3, 2 * n.reach), np.int64), np.empty((3, 2 * n.reach))
    at0, at1, at2 = flat(at[0]), flat(at[1]), flat(at[2])
    worth0, worth1, worth2 = flat(worth[0]), flat(worth[1]), flat(worth[2])
    for k in range(rows.size):
        output = rows[k]
        p0, p1, p2 = position(where, t, output // t.m2, output % t.m2)
        if not seen(t, p0, p1, p2):
            continue
        count0 = _line(p0, t.taps, n.reach, n.start0, n.pixels0, z, at0, worth0)
        count1 = _line(p1, t.taps, n.reach, n.start1, n.pixels1, z, at1, worth1)
        count2 = _line(p2, t.taps, n.reach, n.start2, n.pixels2, z, at2, worth2)
        size = areas[output * t.step]
        e = pointer[k]
        for h in range(count0):
            for i in range(count1):
                base = (at0[h] * n.size1 + at1[i]) * n.size2
                value = size * worth0[h] * worth1[i]
                for j in range(count2):
                    indices[e] = base + at2[j]
                    data[e] = like(value * worth2[j], data)
                    e += 1


@kernel
def fill_columns(
    table, lines, places, area, powers, outputs, window, order, pointer, indices, data
):
    """Write some columns of the matrix, number `k` of these from ``pointer[k]`` on.

    Parameters
    ----------
    table, lines, places, area, powers
        As for `fill`.
    outputs : int array
        All that may read any of the pixels, ascending.
    window : (6,) int array
        First plane, row and column of a window of the image, and its shape.
    order : int array
        Which number each pixel of the window has, -1 for none.
    pointer : int array
        Used up: where the next entry of each column goes.
    indices, data : arrays
        Without `indices` entries are only counted.
    """
    t, n = unpack(flat(table)), _unpack_lines(flat(lines))
    where, areas, z = flat(places), flat(area), flat(powers)
    at, worth = np.empty((3, 2 * n.reach), np.int64), np.empty((3, 2 * n.reach))
    at0, at1, at2 = flat(at[0]), flat(at[1]), flat(at[2])
    worth0, worth1, worth2 = flat(worth[0]), flat(worth[1]), flat(worth[2])
    front, top, left = window[0], window[1], window[2]
    depth, height, width = window[3], window[4], window[5]
    for output in outputs:
        p0, p1, p2 = position(where, t, output // t.m2, output % t.m2)
        if not seen(t, p0, p1, p2):
            continue
        count0 = _line(p0, t.taps, n.reach, n.start0, n.pixels0, z, at0, worth0)
        count1 = _line(p1, t.taps, n.reach, n.start1, n.pixels1, z, at1, worth1)
        count2 = _line(p2, t.taps, n.reach, n.start2, n.pixels2, z, at2, worth2)
        size = areas[output * t.step]
        for h in range(count0):
            plane = at0[h] - front
            if plane < 0 or plane >= depth:
                continue
            for i in range(count1):
                row, value = at1[i] - top, size * worth0[h] * worth1[i]
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
                            data[e] = like(value * worth2[j], data)


@exact
def _line(p, taps, reach, start, pixels, z, at, worth):
    """The pixels that a position reads along an axis, ascending, and their weights.

    Returns
    -------
    int
        How many.
    """
    floor = np.floor(p)
    t, f = p - floor, int(floor)
    if t == 0:  # the spline goes through the pixels
        at[0], worth[0] = pixels[f - start], 1.0
        return 1 if at[0] >= 0 else 0
    if taps == 2:
        count, first = 2, f
        worth[0], worth[1] = 1 - t, t
    else:
        count, first = 2 * reach, f - reach + 1
        s = 1 - t
        b0, b3 = s * s * s / 6, t * t * t / 6
        b1, b2 = (4 - 6 * t * t + 3 * t * t * t) / 6, (4 - 6 * s * s + 3 * s * s * s) / 6
        pole = z[1] / z[0]
        before = b0 + pole * (b1 + pole * (b2 + pole * b3))
        behind = b3 + pole * (b2 + pole * (b1 + pole * b0))
        for k in range(reach - 1):
            worth[reach - 2 - k] = before * z[k]
            worth[reach + 1 + k] = behind * z[k]
        worth[reach - 1] = z[0] * b1 + z[1] * (b0 + b2) + z[2] * b3
        worth[reach] = z[0] * b2 + z[1] * (b1 + b3) + z[2] * b0
    kept = 0
    for k in range(count):
        pixel, value = pixels[first - start + k], worth[k]
        if pixel < 0:
            continue
        place = kept
        while place > 0 and at[place - 1] > pixel:
            place -= 1
        if place > 0 and at[place - 1] == pixel:
            worth[place - 1] += value
            continue
        for i in range(kept, place, -1):
            at[i], worth[i] = at[i - 1], worth[i - 1]
        at[place], worth[place] = pixel, value
        kept += 1
    return kept
