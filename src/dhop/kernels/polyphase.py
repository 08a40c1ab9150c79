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
from dhop.kernels.lanes import lanes, traced


def _split_by(factor):
    """A factor that the compiler knows makes vector instructions of the loop."""

    @called
    def split(run, place, places, count):
        for k in range(count):
            for p in range(factor):
                place[p * places + k] = run[factor * k + p]

    return split


def _fold_by(factor):
    @called
    def fold(place, run, places, count):
        for k in range(count):
            for p in range(factor):
                run[factor * k + p] = place[p * places + k]

    return fold


_split_by_1, _split_by_2, _split_by_3, _split_by_4 = map(_split_by, (1, 2, 3, 4))
_fold_by_1, _fold_by_2, _fold_by_3, _fold_by_4 = map(_fold_by, (1, 2, 3, 4))


@traced
def _split_by_8(run, place, places):
    """As many places of each of eight phases as a vector has lanes, eight at most."""
    run, place = run.narrow(8), place.narrow(8)
    parts = 8 // run.lanes
    for part in range(parts):
        vectors = [run.load(parts * k + part) for k in range(run.lanes)]
        for vector in run.transposed(vectors):
            place.store(0, vector)
            place = place.after(places)


@traced
def _fold_by_8(place, run, places):
    run, place = run.narrow(8), place.narrow(8)
    parts = 8 // run.lanes
    for part in range(parts):
        vectors = []
        for _ in range(run.lanes):
            vectors.append(place.load(0))
            place = place.after(places)
        for k, vector in enumerate(run.transposed(vectors)):
            run.store(parts * k + part, vector)


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
    if factor == 1:
        _split_by_1(run, place, places, last - first)
    elif factor == 2:
        _split_by_2(run, place, places, last - first)
    elif factor == 3:
        _split_by_3(run, place, places, last - first)
    elif factor == 4:
        _split_by_4(run, place, places, last - first)
    else:
        done, square = 0, min(lanes(pixels), 8) if factor == 8 else 0
        if square > 0:
            done = (last - first) // square * square
            for k in range(0, done, square):
                _split_by_8(skip(run, 8 * k), skip(place, k), places)
        for p in range(factor):
            for k in range(done, last - first):
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
        _fold_by_1(place, run, places, last - first)
    elif factor == 2:
        _fold_by_2(place, run, places, last - first)
    elif factor == 3:
        _fold_by_3(place, run, places, last - first)
    elif factor == 4:
        _fold_by_4(place, run, places, last - first)
    else:
        done, square = 0, min(lanes(pixels), 8) if factor == 8 else 0
        if square > 0:
            done = (last - first) // square * square
            for k in range(0, done, square):
                _fold_by_8(skip(place, k), skip(run, 8 * k), places)
        for p in range(factor):
            for k in range(done, last - first):
                run[factor * k + p] = place[p * places + k]


@called
def sum_row(pixels, n):
    """The sum of the first `n` pixels, not finite if one of them is not."""
    total = pixels[0]
    for k in range(1, n):
        total += pixels[k]
    return total
