"""Complex vectors: a vector of real parts, then one of imaginary parts ::

    complex vector   | re: l0 l1 l2 l3 | im: l0 l1 l2 l3 |
    pixels           | re im | re im | re im | re im |        of complex rows, else real ones

In a transform each is a point of as many lines as a vector has lanes.
"""

from dhop.kernels.compile import called
from dhop.kernels.emit import emitted, lanes


@called
def load(pixels, point):
    """Load as many real or complex pixels as a complex vector holds."""
    half = lanes(point)
    numbers = pixels[: 2 * half].view(point.dtype)
    if pixels.itemsize == point.itemsize:
        point[: 2 * half] = numbers[: 2 * half]
    else:
        point[:half], point[half : 2 * half] = numbers[: 2 * half : 2], numbers[1 : 2 * half : 2]


@emitted(load)
def load_emitted(emit, pixels, point):
    point.store_complex(0, pixels.load_pixels())


@called
def store(point, pixels):
    half = lanes(point)
    numbers = pixels[: 2 * half].view(point.dtype)
    if pixels.itemsize == point.itemsize:
        numbers[: 2 * half] = point[: 2 * half]
    else:
        numbers[: 2 * half : 2], numbers[1 : 2 * half : 2] = point[:half], point[half : 2 * half]


@emitted(store)
def store_emitted(emit, point, pixels):
    pixels.store_pixels(point.load_complex(0))


@called
def prefetch(place):
    """Fetch a complex vector into the cache."""


@emitted(prefetch)
def prefetch_emitted(emit, place):
    place.prefetch(0)
    place.prefetch(1)


@called
def copy(source, target):
    for k in range(2 * lanes(source)):
        target[k] = source[k]


@emitted(copy)
def copy_emitted(emit, source, target):
    target.store_complex(0, source.load_complex(0))


@called
def scale(source, factor, target):
    for k in range(2 * lanes(source)):
        target[k] = factor[0] * source[k]


@emitted(scale)
def scale_emitted(emit, source, factor, target):
    target.store_complex(0, source.load_complex(0).scaled(factor.broadcast(0)))


@called
def add(source, target):
    for k in range(2 * lanes(source)):
        target[k] += source[k]


@emitted(add)
def add_emitted(emit, source, target):
    target.store_complex(0, target.load_complex(0) + source.load_complex(0))


@called
def split_real_pair(point, opposite, both):
    """Twice the transforms of two real lines, from that of the first plus `i` times the second.

    A frequency of both comes from it and the `opposite` one.
    """
    half = lanes(point)
    for k in range(half):
        a, b = point[k] + 1j * point[half + k], opposite[k] - 1j * opposite[half + k]
        one, two = a + b, -1j * (a - b)
        both[k], both[half + k] = one.real, one.imag
        both[2 * half + k], both[3 * half + k] = two.real, two.imag


@emitted(split_real_pair)
def split_real_pair_emitted(emit, point, opposite, both):
    a, b = point.load_complex(0), opposite.load_complex(0).conj()
    both.store_complex(0, a + b)
    both.store_complex(1, (a - b).times_minus_i())


@called
def join_real_pair(both, point, opposite):
    """The inverse of `split_real_pair`, but for its factor of two."""
    half = lanes(point)
    for k in range(half):
        one, two = both[k] + 1j * both[half + k], both[2 * half + k] + 1j * both[3 * half + k]
        a, b = one + 1j * two, one.conjugate() + 1j * two.conjugate()
        point[k], point[half + k] = a.real, a.imag
        opposite[k], opposite[half + k] = b.real, b.imag


@emitted(join_real_pair)
def join_real_pair_emitted(emit, both, point, opposite):
    one, two = both.load_complex(0), both.load_complex(1)
    point.store_complex(0, one - two.times_minus_i())
    opposite.store_complex(0, one.conj() - two.conj().times_minus_i())


@called
def multiply(one, two, product):
    half = lanes(one)
    for k in range(half):
        a = (one[k] + 1j * one[half + k]) * (two[k] + 1j * two[half + k])
        product[k], product[half + k] = a.real, a.imag


@emitted(multiply)
def multiply_emitted(emit, one, two, product):
    product.store_complex(0, one.load_complex(0) * two.load_complex(0))


@called
def multiply_add(one, two, total):
    half = lanes(one)
    for k in range(half):
        a = (one[k] + 1j * one[half + k]) * (two[k] + 1j * two[half + k])
        total[k] += a.real
        total[half + k] += a.imag


@emitted(multiply_add)
def multiply_add_emitted(emit, one, two, total):
    total.store_complex(0, total.load_complex(0) + one.load_complex(0) * two.load_complex(0))


@called
def multiply_conj(one, two, product):
    half = lanes(one)
    for k in range(half):
        a = (one[k] + 1j * one[half + k]) * (two[k] - 1j * two[half + k])
        product[k], product[half + k] = a.real, a.imag


@emitted(multiply_conj)
def multiply_conj_emitted(emit, one, two, product):
    product.store_complex(0, one.load_complex(0) * two.load_complex(0).conj())


@called
def transpose(source, target, lines, back):
    """Transpose squares between lanes that are columns and lanes that are frequencies.

    By frequency, `lines` blocks of columns stand side by side; by column, one block stands behind
    the other ::

        by frequency   f0: block 0, block 1   f1: block 0, block 1   ...   a column in each lane
        by column      block 0: c0 c1 ...     block 1: c0 c1 ...           a frequency in each lane
    """
    side = lanes(source)
    for n in range(lines):
        for part in range(2):
            for f in range(side):
                for c in range(side):
                    by_frequency = (2 * (lines * f + n) + part) * side + c
                    by_column = (2 * (n * side + c) + part) * side + f
                    if back:
                        target[by_frequency] = source[by_column]
                    else:
                        target[by_column] = source[by_frequency]


@emitted(transpose)
def transpose_emitted(emit, source, target, lines, back):
    b = emit.builder
    for count in (1, 2):
        with b.if_then(b.icmp_signed("==", lines, emit.integer(count))), b.if_else(back) as ways:
            for way, columns_first in zip(ways, (True, False), strict=True):
                with way:
                    _transpose_squares(source, target, count, columns_first)


def _transpose_squares(source, target, lines, back):
    for n in range(lines):
        for part in range(2):
            by_frequency = [2 * lines * k + 2 * n + part for k in range(source.lanes)]
            by_column = [2 * (c + n * source.lanes) + part for c in range(source.lanes)]
            given, wanted = (by_column, by_frequency) if back else (by_frequency, by_column)
            vectors = source.deinterleaved([source.load(k) for k in given])
            for k, vector in zip(wanted, vectors, strict=True):
                target.store(k, vector)
