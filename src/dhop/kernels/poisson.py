"""The Poisson loss ``2 (m - n + n log(n / m))`` of `n` counted photons where `m` are expected.

It is computed block by block: the numbers of a block stay in the nearest cache, and each block has
sums of its own, which do not depend on the thread.
"""

import numpy as np

from dhop.kernels import LARGEST_RATIO, LEAST_MEAN
from dhop.kernels.compile import called, exact, kernel
from dhop.kernels.flat import flat, skip

BLOCK = 512  # pixels

# Of a double: bits of its fraction, the bits of 1, of the root of 1/2 and of 2**52, to which
# integers can be added as bits.
EXPONENT, ONE, ROOT, WHOLE = 52, 0x3FF0000000000000, 0x3FE6A09E667F3BCD, 0x4330000000000000
FRACTION = 2**EXPONENT - 1
BIAS = 2.0**EXPONENT + 1023
LOG2 = 0.6931471805599453


@kernel
def poisson_loss(counts, backgrounds, weights, gain, product, start, stop, descent, sums):
    """The loss of some blocks, and minus half its gradient.

    Parameters
    ----------
    counts : (m,) array
    backgrounds, weights : (m,) or (1,) float64 arrays
        Of each pixel, or one number for all; backgrounds in counts.
    gain : float
        Of `product` for each photon.
    product : (m,) array
        The expected frame without its background.
    start, stop : int
        Range of the blocks.
    descent : (m,) array
    sums : (blocks,) float64 array
    """
    m, w, ratio, log = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    power, part = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    photons = 1.0 / gain  # a division takes as long as several products
    for block in range(start, stop):
        mean, weight, r, logarithm = flat(m), flat(w), flat(ratio), flat(log)
        first = block * BLOCK
        count = min(BLOCK, counts.size - first)
        n, p = skip(flat(counts), first), skip(flat(product), first)
        _broadcast(backgrounds, first, count, mean)
        _broadcast(weights, first, count, weight)
        for i in range(count):
            mean[i] = _clamp_mean(np.float64(p[i]) / gain + mean[i])
            r[i] = _clamp_ratio(n[i] / mean[i])
        _logarithms(ratio, count, power, part, logarithm)
        total = 0.0
        for i in range(count):
            total += weight[i] * (mean[i] - r[i] * mean[i] + n[i] * logarithm[i])
        sums[block] = 2 * total
        slope = skip(flat(descent), first)
        for i in range(count):
            slope[i] = weight[i] * (r[i] - 1) * photons


@kernel
def step(scale, residual, x, before, stride, part, least, start, stop, new):
    """Some pixels of `dhop.iteration.richardson_lucy.step`, a formula of arrays.

    Parameters
    ----------
    scale, residual, x, before : (n,) arrays
    stride, part, least : float
        Plain steps in one, part of the last change, and least part of what a plain step leaves.
    start, stop : int
        Range of the pixels.
    new : (n,) array
    """
    s, r, now = skip(flat(scale), start), skip(flat(residual), start), skip(flat(x), start)
    last, out = skip(flat(before), start), skip(flat(new), start)
    for i in range(stop - start):
        d = np.float64(s[i]) * r[i] * now[i]
        far = now[i] + stride * d + part * (np.float64(now[i]) - last[i])
        plain = now[i] + d
        bound = 0.0 if plain < 0 else least * plain
        out[i] = bound if far < bound else far  # or NaN


@called
def _clamp_mean(mean):
    """At least `LEAST_MEAN`, or NaN."""
    return LEAST_MEAN if mean < LEAST_MEAN else mean


@called
def _clamp_ratio(ratio):
    return LARGEST_RATIO if ratio > LARGEST_RATIO else ratio


@called
def _broadcast(numbers, first, count, out):
    """The numbers of a block, or the one number of all pixels."""
    own = flat(numbers)
    if numbers.size > 1:
        own = skip(own, first)
        for i in range(count):
            out[i] = own[i]
    else:
        for i in range(count):
            out[i] = own[0]


@exact
def _logarithms(numbers, count, power, part, out):
    """Natural logarithms of positive numbers, to two units in the last place.

    With ``x = 2**k f``, `f` between the roots of 1/2 and 2, and ``s = (f - 1) / (f + 1)`` that is
    ``k log 2 + 2 (s + s**3 / 3 + s**5 / 5 + ...)``. Unlike the library's logarithm these loops
    become vector instructions. Sums are not reordered, since `k` comes from a difference of large
    numbers. The logarithm of zero is some finite number.
    """
    bits, whole, fraction = flat(numbers.view(np.int64)), flat(power), flat(part)
    for i in range(count):
        above = bits[i] - ROOT
        whole[i] = ((above + ONE) >> EXPONENT) | WHOLE
        fraction[i] = (above & FRACTION) + ROOT
    k, f = flat(power.view(np.float64)), flat(part.view(np.float64))
    for i in range(count):
        s = (f[i] - 1) / (f[i] + 1)
        q = s * s
        series = 1 / 19 + q * (1 / 21)
        series = 1 / 15 + q * (1 / 17 + q * series)
        series = 1 / 11 + q * (1 / 13 + q * series)
        series = 1 / 7 + q * (1 / 9 + q * series)
        series = 1 / 3 + q * (1 / 5 + q * series)
        out[i] = (k[i] - BIAS) * LOG2 + 2 * (s + s * q * series)
