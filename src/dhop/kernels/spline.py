"""The recursive filter from images to cubic spline coefficients, and its transpose.

It runs along an axis once in either direction, with the pole `z` ::

    causal        s[k] = x[k] + z s[k - 1]              from the tail before
    anticausal    c[k] = z c[k + 1] - 6 z s[k]          from the tail behind

A tail is the continued pixels beyond the coefficients on which these depend. The transpose begins
with zeros; beyond the coefficients it falls off by `z` at every position of the tails, which are
then folded onto the pixels.
"""

from typing import NamedTuple

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from dhop.kernels import GROUP
from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip, unpacking

Index = NDArray[np.intp]


def cast(number, numbers):
    """A number in the precision of others."""
    return numbers.dtype.type(number)


@overload(cast)
def _compiled_cast(number, numbers):
    kind = numbers.dtype
    return lambda number, numbers: kind(number)


class Filter(NamedTuple):
    """The tables of the filter along an axis.

    Attributes
    ----------
    size, count, tail : int
        Number of pixels, of coefficients, and of positions in each tail.
    lines : int
        Number of lines along the axis in an image.
    strip : int
        Number of columns that are filtered at a time, in strips counted through all images.
    begin, stop, shift : int
        Pixels ``begin <= i < stop`` are coefficients ``i + shift``, and no others.
    pixels : (count + 2 * tail,) array
        Source pixel of each position, -1 for a zero.
    start, member : arrays
        ``member[start[i]:start[i + 1]]`` are the positions of pixel `i`.
    line : (count + 2 * tail,) array
        The coefficient that passes the transpose on to each position.
    """

    size: int
    count: int
    tail: int
    lines: int
    strip: int
    begin: int
    stop: int
    shift: int
    pixels: Index
    start: Index
    member: Index
    line: Index


_unpack = unpacking(Filter)


@kernel
def filter_columns(x, table, numbers, work, start, stop, out):
    """Continue the columns of images and filter them.

    Parameters
    ----------
    x : (images * size * lines,) array
    table : int array
        A packed `Filter`.
    numbers : (2 + count + 2 * tail,) array
        The pole, the gain, and the factors of `fold`.
    work : (strip,) array
    start, stop : int
        Of the strips.
    out : (images * count * lines,) array
    """
    t = _unpack(flat(table))
    images, target, sums = flat(x), flat(out), flat(work)
    pole, gain = cast(numbers[0], x), cast(numbers[1], x)
    for place in range(start, stop):
        image, first = _strip(place, t)
        width = min(t.strip, t.lines - first)
        source = skip(images, image * t.size * t.lines)
        lines = skip(target, image * t.count * t.lines + first)
        if t.tail == 0:
            for k in range(t.count):
                _copy(skip(lines, k * t.lines), source, t.pixels[k], first, t.lines, width)
            continue
        behind = skip(t.pixels, t.tail + t.count)
        for i in range(width):
            sums[i] = 0
        for k in range(t.tail):
            _causal_columns(sums, pole, source, t.pixels[k], first, t.lines, width)
        for k in range(t.count):
            line = skip(lines, k * t.lines)
            _causal_columns(sums, pole, source, t.pixels[t.tail + k], first, t.lines, width)
            for i in range(width):
                line[i] = sums[i]
        for i in range(width):
            sums[i] = 0
        for k in range(t.tail - 1, -1, -1):
            _causal_columns(sums, pole, source, behind[k], first, t.lines, width)
        line = skip(lines, (t.count - 1) * t.lines)
        for i in range(width):
            line[i] = gain * (line[i] + pole * sums[i])
        _anticausal_columns(lines, t.count, t.lines, width, pole)


@called
def _strip(place, t):
    """The image of a strip, and the first of its columns there."""
    strips = (t.lines + t.strip - 1) // t.strip
    return place // strips, place % strips * t.strip


@called
def _copy(line, source, row, first, stride, width):
    """A row of pixels, or a row of zeros."""
    if row >= 0:
        pixels = skip(source, row * stride + first)
        for i in range(width):
            line[i] = pixels[i]
    else:
        for i in range(width):
            line[i] = 0


@called
def _causal_columns(sums, pole, source, row, first, stride, width):
    """The causal filter at a row of pixels, or at a row of zeros."""
    if row >= 0:
        pixels = skip(source, row * stride + first)
        for i in range(width):
            sums[i] = pixels[i] + pole * sums[i]
    else:
        for i in range(width):
            sums[i] = pole * sums[i]


@called
def _anticausal_columns(target, count, stride, width, pole):
    """The anticausal filter up the rows, of which the last is done."""
    six = 6 * pole
    for k in range(count - 2, -1, -1):
        line, below = skip(target, k * stride), skip(target, (k + 1) * stride)
        for i in range(width):
            line[i] = pole * below[i] - six * line[i]


@kernel
def filter_columns_transposed(y, table, numbers, start, stop, out):
    """The transpose of `filter_columns`; `y` is overwritten.

    Arguments as there, with the shapes of `x` and `out` exchanged.
    """
    t = _unpack(flat(table))
    source, images = flat(y), flat(out)
    factors = skip(flat(numbers), 2)
    pole, gain = cast(numbers[0], y), cast(numbers[1], y)
    for place in range(start, stop):
        image, first = _strip(place, t)
        width = min(t.strip, t.lines - first)
        lines = skip(source, image * t.count * t.lines + first)
        target = skip(images, image * t.size * t.lines)
        if t.tail > 0:
            for k in range(1, t.count):
                line, above = skip(lines, k * t.lines), skip(lines, (k - 1) * t.lines)
                for i in range(width):
                    line[i] += pole * above[i]
            line = skip(lines, (t.count - 1) * t.lines)
            for i in range(width):
                line[i] *= gain
            _anticausal_columns(lines, t.count, t.lines, width, pole)
        for q in range(t.size):
            row = skip(target, q * t.lines + first)
            for i in range(width):
                row[i] = 0
            for e in range(t.start[q], t.start[q + 1]):
                line = skip(lines, t.line[t.member[e]] * t.lines)
                factor = cast(factors[t.member[e]], y)
                for i in range(width):
                    row[i] += factor * line[i]


@kernel
def filter_rows(x, table, numbers, start, stop, out):
    """Continue the rows of (lines * size,) numbers, and filter them, into (lines * count,).

    Arguments as for `filter_columns`; `start` and `stop` count groups of rows.
    """
    t = _unpack(flat(table))
    source, target = flat(x), flat(out)
    pole, gain = cast(numbers[0], x), cast(numbers[1], x)
    begin, behind = t.tail, skip(t.pixels, t.tail + t.count)
    for place in range(start, stop):
        # Four rows side by side, since each sum waits for the one before; the last may be repeated.
        one, two, three, four = _rows(place, t.lines)
        x0, x1 = skip(source, one * t.size), skip(source, two * t.size)
        x2, x3 = skip(source, three * t.size), skip(source, four * t.size)
        c0, c1 = skip(target, one * t.count), skip(target, two * t.count)
        c2, c3 = skip(target, three * t.count), skip(target, four * t.count)
        s0, s1, s2, s3 = 0 * pole, 0 * pole, 0 * pole, 0 * pole
        if t.tail == 0:
            for k in range(t.count):
                s0, s1, s2, s3 = 0 * pole, 0 * pole, 0 * pole, 0 * pole
                pixel = t.pixels[k]
                if pixel >= 0:
                    s0, s1, s2, s3 = x0[pixel], x1[pixel], x2[pixel], x3[pixel]
                c0[k], c1[k], c2[k], c3[k] = s0, s1, s2, s3
            continue
        for k in range(t.tail):
            s0, s1, s2, s3 = _causal_rows(s0, s1, s2, s3, pole, x0, x1, x2, x3, t.pixels[k])
        for k in range(t.count):
            s0, s1, s2, s3 = _causal_rows(s0, s1, s2, s3, pole, x0, x1, x2, x3, t.pixels[begin + k])
            c0[k], c1[k], c2[k], c3[k] = s0, s1, s2, s3
        s0, s1, s2, s3 = 0 * pole, 0 * pole, 0 * pole, 0 * pole
        for k in range(t.tail - 1, -1, -1):
            s0, s1, s2, s3 = _causal_rows(s0, s1, s2, s3, pole, x0, x1, x2, x3, behind[k])
        k = t.count - 1
        s0, s1 = gain * (c0[k] + pole * s0), gain * (c1[k] + pole * s1)
        s2, s3 = gain * (c2[k] + pole * s2), gain * (c3[k] + pole * s3)
        _anticausal_rows(c0, c1, c2, c3, k, s0, s1, s2, s3, pole)


@called
def _rows(group, lines):
    first = group * GROUP
    return first, min(first + 1, lines - 1), min(first + 2, lines - 1), min(first + 3, lines - 1)


@called
def _causal_rows(s0, s1, s2, s3, pole, x0, x1, x2, x3, pixel):
    """The causal filter at a pixel of each of four rows, or at zeros."""
    if pixel >= 0:
        return (x0[pixel] + pole * s0, x1[pixel] + pole * s1,
                x2[pixel] + pole * s2, x3[pixel] + pole * s3)  # fmt: skip
    return pole * s0, pole * s1, pole * s2, pole * s3


@called
def _anticausal_rows(c0, c1, c2, c3, k, s0, s1, s2, s3, pole):
    """The anticausal filter along four rows from number `k`, whose results are given."""
    six = 6 * pole
    c0[k], c1[k], c2[k], c3[k] = s0, s1, s2, s3
    for i in range(k - 1, -1, -1):
        s0, s1 = pole * s0 - six * c0[i], pole * s1 - six * c1[i]
        s2, s3 = pole * s2 - six * c2[i], pole * s3 - six * c3[i]
        c0[i], c1[i], c2[i], c3[i] = s0, s1, s2, s3


@called
def filter_rows_transposed(lines, rows, t, numbers, target):
    """The transpose of `filter_rows`, for some rows of coefficients, which are overwritten.

    Parameters
    ----------
    lines : array
        The coefficients, row after row.
    rows : int
    t : Filter
    numbers : array
        As for `filter_columns`.
    target : array
        Gets the rows of pixels.
    """
    pole, gain, factors = cast(numbers[0], lines), cast(numbers[1], lines), skip(numbers, 2)
    if t.tail > 0:
        for group in range((rows + GROUP - 1) // GROUP):
            _filter_four_transposed(lines, group, rows, t.count, pole, gain)
    for r in range(rows):
        line, pixels = skip(lines, r * t.count), skip(target, r * t.size)
        for q in range(t.begin):
            pixels[q] = _fold(line, q, t, factors)
        inside = skip(line, t.begin + t.shift)
        for q in range(t.stop - t.begin):
            pixels[t.begin + q] = inside[q]
        for q in range(t.stop, t.size):
            pixels[q] = _fold(line, q, t, factors)


@called
def _filter_four_transposed(lines, group, rows, count, pole, gain):
    first = group * GROUP
    if first + GROUP > rows:
        for r in range(first, rows):
            _filter_one_transposed(skip(lines, r * count), count, pole, gain)
        return
    c0, c1 = skip(lines, first * count), skip(lines, (first + 1) * count)
    c2, c3 = skip(lines, (first + 2) * count), skip(lines, (first + 3) * count)
    s0, s1, s2, s3 = 0 * pole, 0 * pole, 0 * pole, 0 * pole
    for k in range(count):
        s0, s1, s2, s3 = _causal_rows(s0, s1, s2, s3, pole, c0, c1, c2, c3, k)
        c0[k], c1[k], c2[k], c3[k] = s0, s1, s2, s3
    _anticausal_rows(c0, c1, c2, c3, count - 1, gain * s0, gain * s1, gain * s2, gain * s3, pole)


@called
def _filter_one_transposed(line, count, pole, gain):
    six = 6 * pole
    for k in range(1, count):
        line[k] += pole * line[k - 1]
    line[count - 1] *= gain
    for k in range(count - 2, -1, -1):
        line[k] = pole * line[k + 1] - six * line[k]


@called
def _fold(line, pixel, t, factors):
    """The sum over all positions of a pixel."""
    total = cast(0, line)
    for e in range(t.start[pixel], t.start[pixel + 1]):
        total += cast(factors[t.member[e]], line) * line[t.line[t.member[e]]]
    return total
