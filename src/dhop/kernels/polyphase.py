"""Rows by phases: what makes the windows of a strided convolution contiguous.

A row of pixels is continued past its ends and split into its `factor` phases. With ``factor = 2``
and three taps ``w`` the continued row ``e`` lies as ::

    phase 0    e0 e2 e4 e6          y0 = w0 e0 + w1 e1 + w2 e2
    phase 1    e1 e3 e5 e7          y1 = w0 e2 + w1 e3 + w2 e4

so that tap ``u`` reads phase ``u % factor`` from place ``u // factor`` on, and output `j` stands at
place `j` of its window. The adjoint fills such a row and gathers every pixel's places from it.
All arrays are flat.
"""

from dhop.kernels.compile import called, inlined
from dhop.kernels.flat import skip
from dhop.kernels.lanes import lanes, traced


def _split_by(factor):
    """Whole vectors of every phase at a time; there are at least as many places as lanes."""

    @traced
    def vectors(run, place, places):
        for part in run.parted([run.load(k) for k in range(factor)]):
            place.store(0, part)
            place = place.after(places)

    @inlined
    def split(run, place, places, count):
        wide = lanes(run)
        for start in range(0, count, wide):
            k = min(start, count - wide)  # at the end some once more, rather than one by one
            vectors(skip(run, factor * k), skip(place, k), places)

    return split


def _fold_by(factor):
    @traced
    def vectors(place, run, places):
        parts = []
        for _ in range(factor):
            parts.append(place.load(0))
            place = place.after(places)
        for k, vector in enumerate(run.joined(parts)):
            run.store(k, vector)

    @inlined
    def fold(place, run, places, count):
        wide = lanes(run)
        for start in range(0, count, wide):
            k = min(start, count - wide)
            vectors(skip(place, k), skip(run, factor * k), places)

    return fold


_split_by_2, _split_by_3, _split_by_4, _split_by_8 = map(_split_by, (2, 3, 4, 8))
_fold_by_2, _fold_by_3, _fold_by_4, _fold_by_8 = map(_fold_by, (2, 3, 4, 8))


@inlined
def _split(run, place, factor, places, count):
    """``place[p * places + k] = run[factor * k + p]`` for ``k < count``."""
    if factor == 1:
        for k in range(count):
            place[k] = run[k]
    elif count < lanes(run) or 4 < factor != 8:
        for p in range(factor):
            for k in range(count):
                place[p * places + k] = run[factor * k + p]
    elif factor == 2:
        _split_by_2(run, place, places, count)
    elif factor == 3:
        _split_by_3(run, place, places, count)
    elif factor == 4:
        _split_by_4(run, place, places, count)
    else:
        _split_by_8(run, place, places, count)


@inlined
def _fold(place, run, factor, places, count):
    """``run[factor * k + p] = place[p * places + k]`` for ``k < count``."""
    if factor == 1:
        for k in range(count):
            run[k] = place[k]
    elif count < lanes(run) or 4 < factor != 8:
        for p in range(factor):
            for k in range(count):
                run[factor * k + p] = place[p * places + k]
    elif factor == 2:
        _fold_by_2(place, run, places, count)
    elif factor == 3:
        _fold_by_3(place, run, places, count)
    elif factor == 4:
        _fold_by_4(place, run, places, count)
    else:
        _fold_by_8(place, run, places, count)


@called
def continue_row(pixels, outer, others, line):
    """Fill the places of a split row that `outer` tells of.

    Parameters
    ----------
    pixels : (n,) array
    outer : (2 * others,) int array
        Places, each followed by its source pixel, -1 for a zero.
    others : int
    line : array
    """
    for k in range(others):
        pixel = outer[2 * k + 1]
        number = pixels[max(pixel, 0)]  # without a branch, of which a processor guesses many wrong
        line[outer[2 * k]] = number if pixel >= 0 else 0


@called
def split_row(pixels, outer, others, inner, factor, places, line):
    """Continue a row of pixels and split it into its phases.

    Parameters
    ----------
    pixels, outer, others
        Of `continue_row`, of the places that `inner` does not tell of.
    inner : (3,) int array
        First and last place, exclusive, that hold pixels in their order in all phases, and the
        first of these pixels.
    factor, places : int
    line : (factor * places,) array
    """
    first, last = inner[0], inner[1]
    _split(skip(pixels, inner[2]), skip(line, first), factor, places, last - first)
    continue_row(pixels, outer, others, line)  # whose pixels and places are in the caches by now


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
    _fold(skip(line, first), skip(pixels, begin), factor, places, last - first)


@called
def clear_margins(rows, count, width, margin):
    """Zeros at both ends of `count` rows of `width` numbers."""
    for r in range(count):
        for k in range(margin):
            rows[r * width + k] = 0
            rows[(r + 1) * width - 1 - k] = 0


@called
def sum_row(pixels, n):
    """The sum of the first `n` pixels, not finite if one of them is not."""
    total = pixels[0] - pixels[0]  # a zero, or not finite
    for k in range(n):
        total += pixels[k]
    return total
