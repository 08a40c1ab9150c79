"""The inner loops: a run of outputs gathers one contiguous window of the source per tap.

An unsigned index is never counted from the end, which is what lets the compiler turn these loops
into vector instructions; eight taps a pass keep the sums from being bound by loading and storing
themselves.
"""

from numpy import uint64

from dhop.kernels.compile import inlined

LEAST_SHARED = 8  # windows that make it worth to sum two rows together


@inlined
def add_taps(total, source, base, offsets, weights, first, last):
    """``total[i] += sum_k weights[k] * source[base + offsets[k] + i]``, ``first <= k < last``."""
    n = uint64(total.size)
    k = first
    while k + 8 <= last:
        r0 = uint64(base + offsets[k])
        r1 = uint64(base + offsets[k + 1])
        r2 = uint64(base + offsets[k + 2])
        r3 = uint64(base + offsets[k + 3])
        r4 = uint64(base + offsets[k + 4])
        r5 = uint64(base + offsets[k + 5])
        r6 = uint64(base + offsets[k + 6])
        r7 = uint64(base + offsets[k + 7])
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        w4, w5, w6, w7 = weights[k + 4], weights[k + 5], weights[k + 6], weights[k + 7]
        for i in range(n):
            part = w0 * source[r0 + i] + w1 * source[r1 + i]
            part += w2 * source[r2 + i] + w3 * source[r3 + i]
            part += w4 * source[r4 + i] + w5 * source[r5 + i]
            part += w6 * source[r6 + i] + w7 * source[r7 + i]
            total[i] += part
        k += 8
    if k + 4 <= last:
        r0 = uint64(base + offsets[k])
        r1 = uint64(base + offsets[k + 1])
        r2 = uint64(base + offsets[k + 2])
        r3 = uint64(base + offsets[k + 3])
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for i in range(n):
            part = w0 * source[r0 + i] + w1 * source[r1 + i]
            part += w2 * source[r2 + i] + w3 * source[r3 + i]
            total[i] += part
        k += 4
    if k + 2 <= last:
        r0 = uint64(base + offsets[k])
        r1 = uint64(base + offsets[k + 1])
        w0, w1 = weights[k], weights[k + 1]
        for i in range(n):
            total[i] += w0 * source[r0 + i] + w1 * source[r1 + i]
        k += 2
    if k < last:
        r0 = uint64(base + offsets[k])
        w0 = weights[k]
        for i in range(n):
            total[i] += w0 * source[r0 + i]


@inlined
def add_shared_taps(one, two, source, base, offsets, weights, lag, first, last):
    """Add to two runs of outputs the windows that both read, each loaded once.

    Window ``first <= k < last`` is tap `k` of `one` and tap ``k - lag`` of `two`.
    """
    n = uint64(one.size)
    k = first
    while k + 8 <= last:
        r0 = uint64(base + offsets[k])
        r1 = uint64(base + offsets[k + 1])
        r2 = uint64(base + offsets[k + 2])
        r3 = uint64(base + offsets[k + 3])
        r4 = uint64(base + offsets[k + 4])
        r5 = uint64(base + offsets[k + 5])
        r6 = uint64(base + offsets[k + 6])
        r7 = uint64(base + offsets[k + 7])
        v0, v1, v2, v3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        v4, v5, v6, v7 = weights[k + 4], weights[k + 5], weights[k + 6], weights[k + 7]
        q = k - lag
        w0, w1, w2, w3 = weights[q], weights[q + 1], weights[q + 2], weights[q + 3]
        w4, w5, w6, w7 = weights[q + 4], weights[q + 5], weights[q + 6], weights[q + 7]
        for i in range(n):
            x0, x1, x2, x3 = source[r0 + i], source[r1 + i], source[r2 + i], source[r3 + i]
            x4, x5, x6, x7 = source[r4 + i], source[r5 + i], source[r6 + i], source[r7 + i]
            one[i] += v0 * x0 + v1 * x1 + v2 * x2 + v3 * x3 + v4 * x4 + v5 * x5 + v6 * x6 + v7 * x7
            two[i] += w0 * x0 + w1 * x1 + w2 * x2 + w3 * x3 + w4 * x4 + w5 * x5 + w6 * x6 + w7 * x7
        k += 8
    while k < last:
        r0 = uint64(base + offsets[k])
        v0, w0 = weights[k], weights[k - lag]
        for i in range(n):
            one[i] += v0 * source[r0 + i]
            two[i] += w0 * source[r0 + i]
        k += 1
