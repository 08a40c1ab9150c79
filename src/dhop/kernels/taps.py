"""The inner loops: a run of outputs gathers one contiguous window of the source per tap.

A slice has no negative indices, which is what lets the compiler turn these loops into vector
instructions; eight taps a pass keep the sums from being bound by loading and storing themselves.
"""

from dhop.kernels.compile import kernel


@kernel
def add_taps(total, source, base, offsets, weights, first, last):
    """``total[i] += sum_k weights[k] * source[base + offsets[k] + i]``, ``first <= k < last``."""
    n = total.size
    k = first
    while k + 8 <= last:
        r0 = source[base + offsets[k] : base + offsets[k] + n]
        r1 = source[base + offsets[k + 1] : base + offsets[k + 1] + n]
        r2 = source[base + offsets[k + 2] : base + offsets[k + 2] + n]
        r3 = source[base + offsets[k + 3] : base + offsets[k + 3] + n]
        r4 = source[base + offsets[k + 4] : base + offsets[k + 4] + n]
        r5 = source[base + offsets[k + 5] : base + offsets[k + 5] + n]
        r6 = source[base + offsets[k + 6] : base + offsets[k + 6] + n]
        r7 = source[base + offsets[k + 7] : base + offsets[k + 7] + n]
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        w4, w5, w6, w7 = weights[k + 4], weights[k + 5], weights[k + 6], weights[k + 7]
        for i in range(n):
            total[i] += (
                w0 * r0[i] + w1 * r1[i] + w2 * r2[i] + w3 * r3[i]
                + w4 * r4[i] + w5 * r5[i] + w6 * r6[i] + w7 * r7[i]
            )  # fmt: skip
        k += 8
    if k + 4 <= last:
        r0 = source[base + offsets[k] : base + offsets[k] + n]
        r1 = source[base + offsets[k + 1] : base + offsets[k + 1] + n]
        r2 = source[base + offsets[k + 2] : base + offsets[k + 2] + n]
        r3 = source[base + offsets[k + 3] : base + offsets[k + 3] + n]
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for i in range(n):
            total[i] += w0 * r0[i] + w1 * r1[i] + w2 * r2[i] + w3 * r3[i]
        k += 4
    while k < last:
        r0 = source[base + offsets[k] : base + offsets[k] + n]
        w0 = weights[k]
        for i in range(n):
            total[i] += w0 * r0[i]
        k += 1


@kernel
def add_shared_taps(one, two, source, base, offsets, weights, lag, first, last):
    """Add to two runs of outputs the windows that both read, each loaded once.

    Window ``first <= k < last`` is tap `k` of `one` and tap ``k - lag`` of `two`.
    """
    n = one.size
    k = first
    while k + 8 <= last:
        r0 = source[base + offsets[k] : base + offsets[k] + n]
        r1 = source[base + offsets[k + 1] : base + offsets[k + 1] + n]
        r2 = source[base + offsets[k + 2] : base + offsets[k + 2] + n]
        r3 = source[base + offsets[k + 3] : base + offsets[k + 3] + n]
        r4 = source[base + offsets[k + 4] : base + offsets[k + 4] + n]
        r5 = source[base + offsets[k + 5] : base + offsets[k + 5] + n]
        r6 = source[base + offsets[k + 6] : base + offsets[k + 6] + n]
        r7 = source[base + offsets[k + 7] : base + offsets[k + 7] + n]
        v0, v1, v2, v3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        v4, v5, v6, v7 = weights[k + 4], weights[k + 5], weights[k + 6], weights[k + 7]
        q = k - lag
        w0, w1, w2, w3 = weights[q], weights[q + 1], weights[q + 2], weights[q + 3]
        w4, w5, w6, w7 = weights[q + 4], weights[q + 5], weights[q + 6], weights[q + 7]
        for i in range(n):
            x0, x1, x2, x3 = r0[i], r1[i], r2[i], r3[i]
            x4, x5, x6, x7 = r4[i], r5[i], r6[i], r7[i]
            one[i] += v0 * x0 + v1 * x1 + v2 * x2 + v3 * x3 + v4 * x4 + v5 * x5 + v6 * x6 + v7 * x7
            two[i] += w0 * x0 + w1 * x1 + w2 * x2 + w3 * x3 + w4 * x4 + w5 * x5 + w6 * x6 + w7 * x7
        k += 8
    while k < last:
        r0 = source[base + offsets[k] : base + offsets[k] + n]
        v0, w0 = weights[k], weights[k - lag]
        for i in range(n):
            one[i] += v0 * r0[i]
            two[i] += w0 * r0[i]
        k += 1
