"""Tiles of a scene, the supports of hat functions: copied times their hats, and added back.

::

    pixels     a b c d e f g h          tile       . . c d e f . .
    hat        0 0 1 2 2 1 0 0          times      0 0 1 2 2 1 0 0

A tile is part of the continued scene, so that two of its places may hold the same pixel. An image
is a volume of one plane.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.kernels.compile import kernel
from dhop.kernels.flat import flat, skip, unpacking

Index = NDArray[np.intp]


class Tile(NamedTuple):
    """The tables of a tile.

    Attributes
    ----------
    n1, n2 : int
        Shape of a plane of the scene.
    l0, l1, l2 : int
        Shape of the tile.
    runs : int
        Length of `run`.
    plane, row : arrays
        Of each plane and row of the tile the one of the scene, -1 for zeros.
    run : (runs, 3) array
        Place in a row of the tile, pixel, and length of each run of pixels.
    """

    n1: int
    n2: int
    l0: int
    l1: int
    l2: int
    runs: int
    plane: Index
    row: Index
    run: Index


_unpack = unpacking(Tile)


@kernel
def multiply_hats(x, table, hats, tile):
    """Fill a tile with the pixels of its places times their hats, and with zeros.

    Parameters
    ----------
    x : (n0 * n1 * n2,) array
    table : int array
        A packed `Tile`.
    hats : (l0 + l1 + l2,) array
        Of planes, rows and columns of the tile.
    tile : (l0 * l1 * l2,) array
    """
    t = _unpack(flat(table))
    source, target, planes = flat(x), flat(tile), flat(hats)
    rows = skip(planes, t.l0)
    columns = skip(rows, t.l1)
    for i in range(t.l0 * t.l1):
        z, r = i // t.l1, i % t.l1
        line = skip(target, i * t.l2)
        for k in range(t.l2):
            line[k] = 0
        if t.plane[z] >= 0 and t.row[r] >= 0:
            part = planes[z] * rows[r]
            pixels = skip(source, (t.plane[z] * t.n1 + t.row[r]) * t.n2)
            for e in range(t.runs):
                to, hat = skip(line, t.run[3 * e]), skip(columns, t.run[3 * e])
                some = skip(pixels, t.run[3 * e + 1])
                for k in range(t.run[3 * e + 2]):
                    to[k] = part * hat[k] * some[k]


@kernel
def add_tile(tile, table, hats, out):
    """Transpose of `multiply_hats`, added to `out`.

    Parameters
    ----------
    tile, table, hats
        As in `multiply_hats`.
    out : (n0 * n1 * n2,) array
    """
    t = _unpack(flat(table))
    source, target, planes = flat(tile), flat(out), flat(hats)
    rows = skip(planes, t.l0)
    columns = skip(rows, t.l1)
    for i in range(t.l0 * t.l1):
        z, r = i // t.l1, i % t.l1
        if t.plane[z] >= 0 and t.row[r] >= 0:
            part = planes[z] * rows[r]
            line = skip(source, i * t.l2)
            pixels = skip(target, (t.plane[z] * t.n1 + t.row[r]) * t.n2)
            for e in range(t.runs):
                some, hat = skip(line, t.run[3 * e]), skip(columns, t.run[3 * e])
                to = skip(pixels, t.run[3 * e + 1])
                for k in range(t.run[3 * e + 2]):
                    to[k] += part * hat[k] * some[k]
