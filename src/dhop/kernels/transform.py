"""Fourier transforms of many lines side by side, one in each lane.

They are mixed-radix and in place. A transform of length ``r * m`` is ``m`` transforms of length
`r`, of points that are `m` apart, a twiddle factor for each result, and `r` transforms of length
`m` of neighbouring points (decimation in frequency). This leaves the frequencies in digit-reversed
order, with which the inverse begins, the same stages backwards: nothing is reordered.

Of length 12, with the radices 4 and 3 ::

    points          0  1  2 | 3  4  5 | 6  7  8 | 9 10 11
    radix 4, m = 3  0, 3, 6 and 9 together; then 1, 4, 7, 10; then 2, 5, 8, 11
    radix 3, m = 1  0, 1, 2 together; then 3, 4, 5; then 6, 7, 8; then 9, 10, 11

W. M. Gentleman and G. Sande, "Fast Fourier transforms: for fun and profit", AFIPS Conf. Proc. 29
(1966) 563-578, https://doi.org/10.1145/1464291.1464352.
"""

from math import cos, pi, sin, sqrt

import numpy as np

from dhop.kernels.compile import called, kernel
from dhop.kernels.emit import emitted
from dhop.kernels.flat import flat, skip

RADICES = (8, 5, 4, 3, 2)


def short_transform(points):
    """The transform of a few points, with few multiplications."""
    size = len(points)
    if size == 2:
        a, b = points
        return [a + b, a - b]
    if size % 2:
        return _odd(points)
    even, odd = short_transform(points[::2]), short_transform(points[1::2])
    if size == 4:
        odd = [odd[0], odd[1].times_minus_i()]
    else:
        root = sqrt(0.5)
        a, b, c, d = odd
        odd = [a, root * (b + b.times_minus_i()), c.times_minus_i(), root * (d.times_minus_i() - d)]
    return [a + b for a, b in zip(even, odd, strict=True)] + [
        a - b for a, b in zip(even, odd, strict=True)
    ]


def _odd(points):
    """By sums and differences of opposite points."""
    size, (first, *rest) = len(points), points
    half = range(len(rest) // 2)
    sums = [rest[j] + rest[-1 - j] for j in half]
    differences = [(rest[j] - rest[-1 - j]).times_minus_i() for j in half]
    out = [sum(sums, first), *rest]
    for k in range(1, len(half) + 1):
        angles = [2 * pi * k * (j + 1) / size for j in half]
        even = sum((cos(angle) * each for angle, each in zip(angles, sums, strict=True)), first)
        one, *others = [sin(angle) * each for angle, each in zip(angles, differences, strict=True)]
        odd = sum(others, one)
        out[k], out[-k] = even + odd, even - odd
    return out


@called
def _stage(radix, inverse, points, size, count, twiddles):
    """In place, `count` interleaved transforms of `radix` points each, and their twiddle factors.

    Point `q` of transform `j` is complex vector ``q * count + j``, of `size` numbers. Its result is
    multiplied by number ``(radix - 1) * j + q - 1`` of the `twiddles`, with one in transform 0.
    """
    lanes, circle = size // 2, 2 * pi / radix
    line = np.empty((radix, 2, lanes), twiddles.dtype)
    a, b = np.ones(radix, twiddles.dtype), np.zeros(radix, twiddles.dtype)
    for j in range(count):
        for q in range(1, radix):
            k = 2 * ((radix - 1) * j + q - 1)
            a[q], b[q] = twiddles[k], twiddles[k + 1]
        for q in range(radix):
            place = (q * count + j) * size
            re, im = points[place : place + lanes], points[place + lanes : place + size]
            if inverse:
                re, im = re * a[q] + im * b[q], im * a[q] - re * b[q]
            line[q, 0], line[q, 1] = re, im
        for q in range(radix):
            re, im = np.zeros(lanes, twiddles.dtype), np.zeros(lanes, twiddles.dtype)
            for p in range(radix):
                angle = circle * (p * q % radix)
                c, s = cos(angle), sin(angle) if inverse else -sin(angle)
                re += c * line[p, 0] - s * line[p, 1]
                im += s * line[p, 0] + c * line[p, 1]
            if not inverse:
                re, im = re * a[q] - im * b[q], re * b[q] + im * a[q]
            place = (q * count + j) * size
            points[place : place + lanes], points[place + lanes : place + size] = re, im


@emitted(_stage)
def _stage_emitted(emit, radix, inverse, points, size, count, twiddles):
    b = emit.builder
    step, one = b.mul(count, size), emit.integer(1)
    with b.if_else(inverse) as branches:
        for branch, back in zip(branches, (True, False), strict=True):
            with branch:
                for known in RADICES:
                    with b.if_then(b.icmp_signed("==", radix, emit.integer(known))):
                        _butterfly(known, back, points, step, None)

                        def other(k, _, known=known, back=back):
                            j = b.add(k, one)
                            turns = twiddles.after(emit.times(j, 2 * (known - 1)))
                            _butterfly(known, back, points.after(b.mul(j, size)), step, turns)

                        emit.loop(b.sub(count, one), other)


def _butterfly(radix, inverse, points, step, twiddles):
    """Transform `radix` points that are `step` numbers apart, in place."""
    places = [points]
    for _ in range(radix - 1):
        places.append(places[-1].after(step))
    line = [place.load_complex(0) for place in places]
    weights = [twiddles.broadcast_complex(q) for q in range(radix - 1)] if twiddles else []
    if inverse:
        for q, weight in enumerate(weights, 1):
            line[q] = line[q] * weight.conj()
        line = [each.swapped() for each in short_transform([each.swapped() for each in line])]
    else:
        line = short_transform(line)
        for q, weight in enumerate(weights, 1):
            line[q] = line[q] * weight
    for place, each in zip(places, line, strict=True):
        place.store_complex(0, each)


@kernel
def transform(lines, stages, twiddles, inverse):
    """Transform lines in place; the inverse is times the length.

    Parameters
    ----------
    lines : (n, p, 2, lanes) array
    stages : (s, 5) int array
        In the order of the forward transform, each a radix, the number of interleaved transforms,
        where their twiddles begin, and the range of points to transform.
    twiddles : float array
        Real and imaginary parts.
    inverse : bool
    """
    count, length = lines.shape[:2]
    size = lines.shape[2] * lines.shape[3]
    points, table = flat(lines), flat(twiddles)
    for n in range(count):
        line = skip(points, n * length * size)
        for k in range(len(stages)):
            radix, part, start, begin, end = stages[len(stages) - 1 - k if inverse else k]
            weights = skip(table, start)
            for b in range(begin, end, radix * part):
                place = skip(line, b * size)
                _stage_emitted(radix, inverse, place, size, part, weights)
