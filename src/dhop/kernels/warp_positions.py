"""Positions of the outputs of a warp in the image, in pixels, and the coefficients they read.

An image is a volume of one plane, without positions along the planes.
"""

from typing import Any, NamedTuple

import numpy as np

from dhop.kernels import MAPPED, PROJECTIVE
from dhop.kernels.compile import exact
from dhop.kernels.flat import pack, skip, unpacking
from dhop.kernels.spline import cast

TALL = 64  # rows of coefficients in a band of an image
DEEP = 16  # planes and rows in a band of a volume
BLOCK = 256  # outputs along a line that are located at a time, before those of the next line


class Warp(NamedTuple):
    """The tables of a warp.

    Attributes
    ----------
    m0, m1, m2 : int
        Shape of the outputs.
    volume : int
        Whether positions have a plane: 0 or 1.
    kind : int
        Of `positions`: `AFFINE`, `PROJECTIVE` or `MAPPED`.
    step : int
        Stride of the areas of outputs: 0 or 1.
    taps : int
        Coefficients along rows and columns, and planes of a volume: 4, 2 or 1.
    low0, end0, low1, end1, low2, end2 : int
        Outputs at positions from `low` to before `end` read coefficients.
    c0, c1, c2 : int
        Shape of the coefficients; an output at `low` reads the first.
    deep, tall : int
        Planes and rows of coefficients in a band.
    """

    m0: int
    m1: int
    m2: int
    volume: int
    kind: int
    step: int
    taps: int
    low0: int
    end0: int
    low1: int
    end1: int
    low2: int
    end2: int
    c0: int
    c1: int
    c2: int
    deep: int
    tall: int


unpack = unpacking(Warp)


def packed(warp) -> Any:
    """A packed `Warp` of a `dhop.model.warping.Warp`."""
    ends = [end for axis in warp.axes for end in (axis.low, axis.end)]
    return pack(Warp(
        *warp.shape, int(warp.volume), warp.kind, int(warp.area.size > 1), warp.taps, *ends,
        *(axis.count for axis in warp.axes), *band(warp),
    ))  # fmt: skip


def band(warp) -> tuple[int, int]:
    """Planes and rows of coefficients in a band."""
    deep, tall = (DEEP, DEEP) if warp.volume else (1, TALL)
    planes, rows, _ = warp.axes
    return min(deep, planes.count), min(tall, rows.count)


@exact
def position(positions, t, line, c):
    """Plane, row and column of an output in the image.

    The same bits as `dhop.model.warping.Warp.positions`.
    """
    if t.kind == MAPPED:
        count = t.m0 * t.m1 * t.m2
        own = skip(positions, line * t.m2 + c)
        if t.volume:
            return own[0], own[count], own[2 * count]
        return 0.0, own[0], own[count]
    first1, step1 = _along(positions, t, t.volume, line)
    first2, step2 = _along(positions, t, t.volume + 1, line)
    p0, p1, p2, w = 0.0, first1 + step1 * c, first2 + step2 * c, 1.0
    if t.volume:
        first0, step0 = _along(positions, t, 0, line)
        p0 = first0 + step0 * c
    if t.kind == PROJECTIVE:
        last, step = _along(positions, t, t.volume + 2, line)
        w = last + step * c
        return p0 / w, p1 / w, p2 / w
    return p0, p1, p2


@exact
def _along(positions, t, k, line):
    """Row `k` of the matrix times the first output of a line, and its step along the line."""
    if t.volume:
        own = skip(positions, 4 * k)
        return (own[0] * (line // t.m1) + own[1] * (line % t.m1)) + own[3], own[2]
    own = skip(positions, 3 * k)
    return own[0] * line + own[2], own[1]


@exact
def is_inside(t, p0, p1, p2):
    """Whether an output at this position reads coefficients."""
    deep = (p0 >= t.low0) & (p0 < t.end0)
    return deep & (p1 >= t.low1) & (p1 < t.end1) & (p2 >= t.low2) & (p2 < t.end2)


@exact
def locate(where, areas, t, line, begin, count, low0, low1, height, at, part):
    """The coefficients that some outputs of a line read, from output `begin` on.

    Parameters
    ----------
    where, areas : float arrays
    t : Warp
    low0, low1 : int
        Plane and row of the first coefficient in memory.
    height : int
        Rows of coefficients in memory in each plane.
    at : int array
        Set to the index of the first coefficient of each output, -1 for those that read none.
    part : array
        Set to the fractions of positions down and along, areas, and fractions across the planes,
        `BLOCK` numbers each.
    """
    along, size = skip(part, BLOCK), skip(part, 2 * BLOCK)
    first2, step2 = 1.0, 0.0
    if t.kind == MAPPED:
        outputs = t.m0 * t.m1 * t.m2
        rows = skip(where, t.volume * outputs + line * t.m2 + begin)
        columns = skip(rows, outputs)
        for k in range(count):
            at[k] = _place(t, rows[k], columns[k], low1)
            part[k] = cast(rows[k] - np.floor(rows[k]), part)
            along[k] = cast(columns[k] - np.floor(columns[k]), part)
    else:
        first0, step0 = _along(where, t, t.volume, line)
        first1, step1 = _along(where, t, t.volume + 1, line)
        tilted = t.kind == PROJECTIVE
        if tilted:
            first2, step2 = _along(where, t, t.volume + 2, line)
        for k in range(count):
            c = begin + k
            p0, p1 = first0 + step0 * c, first1 + step1 * c
            if tilted:
                w = first2 + step2 * c
                p0, p1 = p0 / w, p1 / w
            at[k] = _place(t, p0, p1, low1)
            part[k] = cast(p0 - np.floor(p0), part)
            along[k] = cast(p1 - np.floor(p1), part)
    if t.volume:
        _locate_planes(where, t, line, begin, count, low0, height, at, skip(part, 3 * BLOCK))
    if t.step == 0:
        for k in range(count):
            size[k] = cast(areas[0], part)
    else:
        own = skip(areas, line * t.m2 + begin)
        for k in range(count):
            size[k] = cast(own[k], part)


@exact
def _place(t, p1, p2, low):
    place = (int(np.floor(p1)) - low) * t.c2 + (int(np.floor(p2)) - t.low2)
    inside = (p1 >= t.low1) & (p1 < t.end1) & (p2 >= t.low2) & (p2 < t.end2)
    return place if inside else -1


@exact
def _locate_planes(where, t, line, begin, count, low, height, at, behind):
    """Add the planes to indices that are of rows and columns."""
    if t.kind == MAPPED:
        planes = skip(where, line * t.m2 + begin)
        for k in range(count):
            _add_plane(t, planes[k], k, low, height, at, behind)
        return
    first, step = _along(where, t, 0, line)
    last, slope = 1.0, 0.0
    if t.kind == PROJECTIVE:
        last, slope = _along(where, t, 3, line)
    for k in range(count):
        c = begin + k
        _add_plane(t, (first + step * c) / (last + slope * c), k, low, height, at, behind)


@exact
def _add_plane(t, p, k, low, height, at, behind):
    here = (p >= t.low0) & (p < t.end0) & (at[k] >= 0)
    at[k] = at[k] + (int(np.floor(p)) - low) * height * t.c2 if here else -1
    behind[k] = cast(p - np.floor(p), behind)
