"""Rows by phases: what makes the windows of a strided convolution contiguous.

A row of pixels is continued past its ends and split into its `factor` phases. With ``factor = 2``
and three taps ``w`` the continued row ``e`` lies as ::

    phase 0    e0 e2 e4 e6          y0 = w0 e0 + w1 e1 + w2 e2
    phase 1    e1 e3 e5 e7          y1 = w0 e2 + w1 e3 + w2 e4

so that tap ``u`` reads phase ``u % factor`` from place ``u // factor`` on, and output `j` stands at
place `j` of its window. The adjoint fills such a row and gathers every pixel's places from it.
"""

from dhop.kernels.compile import inlined


@inlined
def split_row(pixels, columns, inner, line):
    """Continue a row of pixels and split it into its phases.

    Parameters
    ----------
    pixels : (n,) array
    columns : (factor, places) int array
        Source pixel of each place, -1 for a zero.
    inner : (factor, 2) int array
        Range of places in each phase whose pixels are `factor` apart.
    line : (factor * places,) array
    """
    factor, places = columns.shape
    for p in range(factor):
        phase = line[p * places : (p + 1) * places]
        first, last = inner[p]
        for s in range(first):
            column = columns[p, s]
            phase[s] = pixels[column] if column >= 0 else 0
        for s in range(last, places):
            column = columns[p, s]
            phase[s] = pixels[column] if column >= 0 else 0
        if first < last:
            source = pixels[columns[p, first] :: factor]
            run = phase[first:last]
            for k in range(run.size):
                run[k] = source[k]


@inlined
def fold_row(line, start, place, inner, factor, pixels):
    """Transpose of `split_row`: each pixel is the sum of its places ``place[start[c]:start[c+1]]``.

    The pixels ``inner[0] <= c < inner[1]`` have one place each, and so in turn every `factor`-th
    of them has the next place of a phase.
    """
    zero = line.dtype.type(0)
    first, last = inner
    for c in range(first):
        pixels[c] = zero
        for e in range(start[c], start[c + 1]):
            pixels[c] += line[place[e]]
    for c in range(last, pixels.size):
        pixels[c] = zero
        for e in range(start[c], start[c + 1]):
            pixels[c] += line[place[e]]
    for c in range(first, min(first + factor, last)):
        run = pixels[c:last:factor]
        source = line[place[start[c]] :]
        for k in range(run.size):
            run[k] = source[k]
