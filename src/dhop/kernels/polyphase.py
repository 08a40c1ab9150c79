"""Rows by phases: what makes the windows of a strided convolution contiguous.

A row of pixels is continued past its ends and split into its `factor` phases. With ``factor = 2``
and three taps ``w`` the continued row ``e`` lies as ::

    phase 0    e0 e2 e4 e6          y0 = w0 e0 + w1 e1 + w2 e2
    phase 1    e1 e3 e5 e7          y1 = w0 e2 + w1 e3 + w2 e4

so that tap ``u`` reads phase ``u % factor`` from place ``u // factor`` on, and output `j` stands at
place `j` of its window. The adjoint fills such a row and gathers every pixel's places from it.
All arrays are flat.
"""

from dhop.kernels.compile import called
from dhop.kernels.flat import skip


@called
def split_row(pixels, columns, inner, factor, places, line):
    """Continue a row of pixels and split it into its phases.

    Parameters
    ----------
    pixels : (n,) array
    columns : (factor * places,) int array
        Source pixel of each place, -1 for a zero.
    inner : (3,) int array
        First and last place, exclusive, that hold pixels in their order in all phases, and the
        first of these pixels.
    factor, places : int
    line : (factor * places,) array
    """
    first, last = inner[0], inner[1]
    for p in range(factor):
        phase, column = skip(line, p * places), skip(columns, p * places)
        for s, stop in ((0, first), (last, places)):
            while s < stop:
                if column[s] < 0:
                    phase[s] = 0
                else:
                    phase[s] = pixels[column[s]]
                s += 1
    run, place = skip(pixels, inner[2]), skip(line, first)
    # A factor that the compiler knows makes vector instructions of the loop.
    if factor == 1:
        for k in range(last - first):
            place[k] = run[k]
    elif factor == 2:
        place1 = skip(place, places)
        for k in range(last - first):
            place[k] = run[2 * k]
            place1[k] = run[2 * k + 1]
    elif factor == 4:
        place1, place2, place3 = (
            skip(place, places), skip(place, 2 * places), skip(place, 3 * places)
        )  # fmt: skip
        for k in range(last - first):
            place[k] = run[4 * k]
            place1[k] = run[4 * k + 1]
            place2[k] = run[4 * k + 2]
            place3[k] = run[4 * k + 3]
    else:
        for p in range(factor):
            for k in range(last - first):
                place[p * places + k] = run[factor * k + p]


@called
def fold_row(line, start, member, inner, factor, places, pixels, n):
    """Transpose of `split_row`: pixel `c` sums its places ``member[start[c]:start[c + 1]]``.

    The places that `inner` tells of are the only ones of their pixels.
    """
    first, last, begin = inner[0], inner[1], inner[2]
    for c, stop in ((0, begin), (begin + factor * (last - first), n)):
        while c < stop:
            pixels[c] = 0
            for e in range(start[c], start[c + 1]):
                pixels[c] += line[member[e]]
            c += 1
    run, place = skip(pixels, begin), skip(line, first)
    if factor == 1:
        for k in range(last - first):
            run[k] = place[k]
    elif factor == 2:
        place1 = skip(place, places)
        for k in range(last - first):
            run[2 * k] = place[k]
            run[2 * k + 1] = place1[k]
    elif factor == 4:
        place1, place2, place3 = (
            skip(place, places), skip(place, 2 * places), skip(place, 3 * places)
        )  # fmt: skip
        for k in range(last - first):
            run[4 * k] = place[k]
            run[4 * k + 1] = place1[k]
            run[4 * k + 2] = place2[k]
            run[4 * k + 3] = place3[k]
    else:
        for p in range(factor):
            for k in range(last - first):
                run[factor * k + p] = place[p * places + k]


@called
def sum_row(pixels, n):
    """The sum of the first `n` pixels, not finite if one of them is not."""
    total = pixels[0]
    for k in range(1, n):
        total += pixels[k]
    return total
