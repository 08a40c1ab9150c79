"""What counts of photons say of the means that are expected of them.

A pixel that has counted `n` photons where `m` are expected costs ``2 (m - n + n log(n / m))``. All
that is asked of it is computed in one pass, block by block: the numbers of a block stay in the
nearest cache, and each block has sums of its own, which do not depend on who computes it.
"""

import numpy as np

from dhop.kernels import DARKEST, NEAR, STEEPEST
from dhop.kernels.compile import called, exact, kernel
from dhop.kernels.flat import flat, skip

BLOCK = 512  # pixels

# Of a double: where its exponent begins, the bits of 1 and of the root of 1/2, and those of 2**52,
# to which whole numbers can be added as bits.
EXPONENT, ONE, ROOT, WHOLE = 52, 0x3FF0000000000000, 0x3FE6A09E667F3BCD, 0x4330000000000000
FRACTION = 2**EXPONENT - 1
BIAS = 2.0**EXPONENT + 1023
LOG2 = 0.6931471805599453


@kernel
def judge(counts, backgrounds, weights, gain, product, start, stop, fall, sums):
    """The loss of some blocks, and minus half its slope.

    Parameters
    ----------
    counts : (m,) float64 array
    backgrounds, weights : (m,) or (1,) float64 arrays
        Of each pixel, or one number for all. Backgrounds are counts, too.
    gain : float
        What a photon adds to `product`.
    product : (m,) array
        The frame that is expected, without its background.
    start, stop : int
        Range of the blocks.
    fall : (m,) array, or (0,) where only the loss is asked for
    sums : (blocks,) float64 array
    """
    m, w, ratio, log = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    power, part = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    mean, weight, r, logarithm = flat(m), flat(w), flat(ratio), flat(log)
    for block in range(start, stop):
        first = block * BLOCK
        count = min(BLOCK, counts.size - first)
        n, p = skip(flat(counts), first), skip(flat(product), first)
        _spread(backgrounds, first, count, mean)
        _spread(weights, first, count, weight)
        for i in range(count):
            mean[i] = _likely(np.float64(p[i]) / gain + mean[i])
            r[i] = _gentle(n[i] / mean[i])
        _logarithms(ratio, count, power, part, logarithm)
        total = 0.0
        for i in range(count):
            total += weight[i] * (mean[i] - r[i] * mean[i] + n[i] * logarithm[i])
        sums[block] = 2 * total
        if fall.size > 0:
            slope = skip(flat(fall), first)
            for i in range(count):
                slope[i] = weight[i] * (r[i] - 1) / gain


@kernel
def bend(counts, backgrounds, weights, gain, product, one, other, t, start, stop, sums):
    """How the loss of some blocks is inclined and bent where a frame changes in two ways.

    Parameters
    ----------
    counts, backgrounds, weights, gain, product, start, stop
        As for `judge`.
    one, other : (m,) arrays
        The ways.
    t : (2,) float64 array
        How far the frame has gone along them.
    sums : (blocks, 5) float64 array
        Minus half the slopes, then half the curvatures: along one way, across, along the other.
    """
    m, w = np.empty(BLOCK), np.empty(BLOCK)
    mean, weight = flat(m), flat(w)
    for block in range(start, stop):
        first = block * BLOCK
        count = min(BLOCK, counts.size - first)
        n, p = skip(flat(counts), first), skip(flat(product), first)
        a, b = skip(flat(one), first), skip(flat(other), first)
        _spread(backgrounds, first, count, mean)
        _spread(weights, first, count, weight)
        slope, across, curve, mixed, bent = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(count):
            now = np.float64(p[i])
            ahead, least = now + t[0] * a[i] + t[1] * b[i], NEAR * now
            expected = _likely((least if ahead < least else ahead) / gain + mean[i])
            r = _gentle(n[i] / expected)
            f, c = weight[i] * (r - 1), weight[i] * r / expected
            slope += f * a[i]
            across += f * b[i]
            curve += c * a[i] * a[i]
            mixed += c * a[i] * b[i]
            bent += c * b[i] * b[i]
        sums[block, 0], sums[block, 1] = slope / gain, across / gain
        bends = curve, mixed, bent
        for k in range(3):
            sums[block, 2 + k] = bends[k] / (gain * gain)


@called
def _likely(mean):
    """A mean that is not too dark for any count; what is no number stays so."""
    return DARKEST if mean < DARKEST else mean


@called
def _gentle(ratio):
    return STEEPEST if ratio > STEEPEST else ratio


@called
def _spread(numbers, first, count, out):
    """Those of a block, if every pixel has its own, or the one that all have."""
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
    ``k log 2 + 2 (s + s**3 / 3 + s**5 / 5 + ...)``. Loops as plain as these become vector
    instructions, the library's logarithm does not. Sums are not reordered: `k` is told from a large
    number. The logarithm of zero is some finite number.
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
