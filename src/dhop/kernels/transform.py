"""Fourier transforms of many lines side by side, one in each lane.

A line of points, complex numbers, is transformed in its place: the forward transform leaves the
frequencies in an order of its own (that of `frequencies`), which the inverse transform begins with,
so that nothing is reordered in between. A transform of length ``r * m`` is ``m`` transforms of
length `r`, of points that are `m` apart, a twiddle of each result, and `r` transforms of length
`m` of neighbouring points (decimation in frequency); the inverse takes the same steps back.

W. M. Gentleman and G. Sande, "Fast Fourier transforms: for fun and profit", AFIPS Conf. Proc. 29
(1966) 563-578, https://doi.org/10.1145/1464291.1464352.
"""

from functools import partial
from math import cos, pi, sin, sqrt

from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip
from dhop.kernels.lanes import traced

RADICES = (8, 5, 4, 3, 2)


def short_transform(points):
    """The transform of a few points, written with as few multiplications as there must be."""
    size = len(points)
    if size == 2:
        a, b = points
        return [a + b, a - b]
    if size % 2:
        return _odd(points)
    even, odd = short_transform(points[::2]), short_transform(points[1::2])
    if size == 4:
        odd = [odd[0], odd[1].turned()]
    else:
        root = sqrt(0.5)
        a, b, c, d = odd
        odd = [a, root * (b + b.turned()), c.turned(), root * (d.turned() - d)]
    return [a + b for a, b in zip(even, odd, strict=True)] + [
        a - b for a, b in zip(even, odd, strict=True)
    ]


def _odd(points):
    """By the sums and differences of points that are opposite to each other."""
    size, (first, *rest) = len(points), points
    half = range(len(rest) // 2)
    sums = [rest[j] + rest[-1 - j] for j in half]
    differences = [(rest[j] - rest[-1 - j]).turned() for j in half]
    out = [sum(sums, first), *rest]
    for k in range(1, len(half) + 1):
        angles = [2 * pi * k * (j + 1) / size for j in half]
        even = sum((cos(angle) * each for angle, each in zip(angles, sums, strict=True)), first)
        one, *others = [sin(angle) * each for angle, each in zip(angles, differences, strict=True)]
        odd = sum(others, one)
        out[k], out[-k] = even + odd, even - odd
    return out


def _butterfly(radix, inverse, twiddled, points, step, twiddles):
    """Transform `radix` points that are `step` numbers apart, in their places."""
    places = [points]
    for _ in range(radix - 1):
        places.append(places[-1].after(step))
    line = [place.point(0) for place in places]
    weights = [twiddles.factor(q) for q in range(radix - 1)] if twiddled else []
    if inverse:
        for q, weight in enumerate(weights, 1):
            line[q] = line[q] * weight.conj()
        line = [each.swapped() for each in short_transform([each.swapped() for each in line])]
    else:
        line = short_transform(line)
        for q, weight in enumerate(weights, 1):
            line[q] = line[q] * weight
    for place, each in zip(places, line, strict=True):
        place.put(0, each)


def _stage(radix, inverse):
    """Transforms of `count` neighbours; the twiddles of the first are one."""
    first = traced(partial(_butterfly, radix, inverse, False))
    other = traced(partial(_butterfly, radix, inverse, True))

    @called
    def stage(points, size, count, twiddles):
        step = count * size
        first(points, step, twiddles)
        for j in range(1, count):
            other(skip(points, j * size), step, skip(twiddles, 2 * (radix - 1) * j))

    return stage


_forward_8, _forward_5, _forward_4, _forward_3, _forward_2 = (_stage(r, False) for r in RADICES)
_inverse_8, _inverse_5, _inverse_4, _inverse_3, _inverse_2 = (_stage(r, True) for r in RADICES)


@kernel
def transform(lines, stages, twiddles, inverse):
    """Transform lines in their places, or back, times the length.

    Parameters
    ----------
    lines : (n, p, 2, lanes) array
    stages : (s, 5) int array
        In the order of the forward transform, each a radix, the number of neighbours that are
        transformed side by side, where their twiddles begin, and the points from which on and up to
        which this is done.
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
                if inverse:
                    if radix == 8:
                        _inverse_8(place, size, part, weights)
                    elif radix == 5:
                        _inverse_5(place, size, part, weights)
                    elif radix == 4:
                        _inverse_4(place, size, part, weights)
                    elif radix == 3:
                        _inverse_3(place, size, part, weights)
                    else:
                        _inverse_2(place, size, part, weights)
                elif radix == 8:
                    _forward_8(place, size, part, weights)
                elif radix == 5:
                    _forward_5(place, size, part, weights)
                elif radix == 4:
                    _forward_4(place, size, part, weights)
                elif radix == 3:
                    _forward_3(place, size, part, weights)
                else:
                    _forward_2(place, size, part, weights)
