"""Rows split into phases, which make the windows of a strided convolution contiguous.

A row of pixels is continued past its ends and split into its `factor` phases. With ``factor = 2``
and three taps ``w`` the continued row ``e`` lies as ::

    phase 0    e0 e2 e4 e6          y0 = w0 e0 + w1 e1 + w2 e2
    phase 1    e1 e3 e5 e7          y1 = w0 e2 + w1 e3 + w2 e4

so that tap ``u`` reads phase ``u % factor`` from place ``u // factor`` on, and output `j` reads
place `j` of each window. The adjoint sums such a row and folds it: each pixel sums its places. All
arrays are flat.
"""

from functools import partial

from dhop.kernels.compile import called
from dhop.kernels.emit import emitted, lanes
from dhop.kernels.flat import skip

RADICES = (1, 2, 3, 4, 8)  # factors for which vectors are split


@called
def _split(run, place, factor, places, count):
    """``place[p * places + k] = run[factor * k + p]`` for ``k < count``."""
    for p in range(factor):
        for k in range(count):
            place[p * places + k] = run[factor * k + p]


@emitted(_split)
def _split_emitted(emit, run, place, factor, places, count):
    def part(radix, k):
        source, target = run.after(emit.times(k, radix)), place.after(k)
        for vector in target.deinterleaved([source.load(v) for v in range(radix)]):
            target.store(0, vector)
            target = target.after(places)

    _by_radix(emit, factor, count, place.lanes // place.parts, part)


@called
def _fold(place, run, factor, places, count):
    """``run[factor * k + p] = place[p * places + k]`` for ``k < count``."""
    for p in range(factor):
        for k in range(count):
            run[factor * k + p] = place[p * places + k]


@emitted(_fold)
def _fold_emitted(emit, place, run, factor, places, count):
    def join(radix, k):
        phases = [place.after(k)]
        while len(phases) < radix:
            phases.append(phases[-1].after(places))
        target = run.after(emit.times(k, radix))
        for v, vector in enumerate(run.interleaved([phase.load(0) for phase in phases])):
            target.store(v, vector)

    _by_radix(emit, factor, count, place.lanes // place.parts, join)


def _by_radix(emit, factor, count, numbers, write):
    """Emit ``write(factor, k)`` for the vectors that begin at number `k`."""
    b, last = emit.builder, emit.builder.sub(count, emit.integer(numbers))

    def body(radix, k, _):
        # The last vector overlaps the one before, instead of numbers one by one.
        write(radix, emit.minimum(k, last))

    for radix in RADICES:
        with b.if_then(b.icmp_signed("==", factor, emit.integer(radix))):
            emit.loop(count, partial(body, radix), step=numbers)


@called
def continue_row(pixels, outer, others, line):
    """Fill the outer places of a split row, those near its ends.

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
        number = pixels[max(pixel, 0)]  # without a branch, which would often be mispredicted
        line[outer[2 * k]] = number if pixel >= 0 else 0


@called
def split_row(pixels, outer, others, inner, factor, places, line):
    """Continue a row of pixels and split it into its phases.

    Parameters
    ----------
    pixels, outer, others
        Of `continue_row`, for all other places.
    inner : (3,) int array
        The places, from the first to before the last, that hold pixels in their order in all
        phases, and the first of these pixels.
    factor, places : int
    line : (factor * places,) array
    """
    first, last = inner[0], inner[1]
    run, place, count = skip(pixels, inner[2]), skip(line, first), last - first
    if count < lanes(run) or factor not in RADICES:
        _split(run, place, factor, places, count)
    else:
        _split_emitted(run, place, factor, places, count)
    continue_row(pixels, outer, others, line)  # last: its pixels and places are in the caches


@called
def fold_row(line, start, member, inner, factor, places, pixels, n):
    """Transpose of `split_row`: pixel `c` sums its places ``member[start[c]:start[c + 1]]``.

    Pixels of inner places have no others.
    """
    first, last, begin = inner[0], inner[1], inner[2]
    for c, stop in ((0, begin), (begin + factor * (last - first), n)):
        while c < stop:
            pixels[c] = 0
            for e in range(start[c], start[c + 1]):
                pixels[c] += line[member[e]]
            c += 1
    place, run, count = skip(line, first), skip(pixels, begin), last - first
    if count < lanes(run) or factor not in RADICES:
        _fold(place, run, factor, places, count)
    else:
        _fold_emitted(place, run, factor, places, count)


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
    total = pixels[0] - pixels[0]  # zero, or not finite
    for k in range(n):
        total += pixels[k]
    return total
