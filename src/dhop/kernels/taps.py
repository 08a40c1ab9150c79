"""The inner loops: a run of outputs gathers one contiguous window of the source per tap.

What a pass computes is written out in NumPy, for the reader and for ``NUMBA_DISABLE_JIT=1``, which
so checks the bounds of every window; compiled, it is the instructions of `dhop.kernels.vector`.
All arrays are flat.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from dhop.kernels.compile import called
from dhop.kernels.flat import skip
from dhop.kernels.vector import sum_windows

PASS = 32  # windows summed at a time: the shorter a running sum, the less it is rounded
TILE = 1024  # outputs summed at a time; their sums stay in the L1 cache between passes
LEAST_SHARED = 4  # windows that make it worth to sum two rows together


@called
def add_taps(totals, n, source, base, offsets, weights, linked, taps, keep, most, ahead=None):
    """Sum one window of `source` per tap into the first `n` numbers of each total.

    ``totals[r][i] += sum_k weights[r][k] * source[base + offsets[k] + i]`` for ``0 <= k < taps``,
    starting from zero unless `keep`. Several totals with as many weights share the loads, and so do
    links of the first `linked` taps, see `sum_windows`. No running sum is longer than `most` terms;
    those sums are added up. Meanwhile `ahead` is fetched into a cache: memory, and how many numbers
    of it for each number of a total.
    """
    for left in range(0, n, TILE):
        for k in range(0, max(taps, 1), most):
            _add(totals, left, min(TILE, n - left), source, base + left, offsets, weights,
                 k, max(0, min(linked - k, most)), min(taps - k, most), keep or k > 0,
                 ahead)  # fmt: skip


@called
def add_pair(one, two, n, source, base, step, offsets, weights, first, last, shared, keep, most,
             ahead=None):  # fmt: skip
    """`add_taps` for two totals whose taps lie side by side.

    Parameters
    ----------
    one, two, n, source, offsets, weights, keep, most
        As in `add_taps`.
    base, step : int
        Offsets count from `base` for `one`, from ``base + step`` for `two`.
    first, last : tuples of two int
        Range of the taps of each total.
    shared : tuple of three int
        Tap ``shared[0] + i`` of `one` reads the same window as tap ``shared[1] + i`` of `two`, for
        ``0 <= i < shared[2]``.
    ahead
        As in `add_taps`; not where few windows are shared.
    """
    a, b, count = shared
    if count >= LEAST_SHARED:
        add_taps((one, two), n, source, base, skip(offsets, a),
                 (skip(weights, a), skip(weights, b)), 0, count, keep, most, ahead)  # fmt: skip
    else:
        a, b, count = first[0], first[1], 0
    for total, start, begin, middle, end in (
        (one, base, first[0], a, last[0]), (two, base + step, first[1], b, last[1])
    ):  # fmt: skip
        if begin < middle:
            add_taps((total,), n, source, start, skip(offsets, begin), (skip(weights, begin),),
                     0, middle - begin, True, most)  # fmt: skip
        middle += count
        if middle < end or not (keep or count > 0):
            add_taps((total,), n, source, start, skip(offsets, middle), (skip(weights, middle),),
                     0, end - middle, keep or count > 0, most)  # fmt: skip


def _add(totals, left, n, source, base, offsets, weights, first, linked, taps, keep, ahead):
    """`add_taps` for `n` numbers from `left` on and a pass from tap `first` on."""
    for total, factors in zip(totals, weights, strict=True):
        run = total[left : left + n]
        sums = np.zeros_like(run)
        for k in range(first, first + taps):
            start = base + offsets[k]
            sums += factors[k] * source[start : start + n]
        run[:] = run + sums if keep else sums


@overload(_add)
def _compiled_add(
    totals, left, n, source, base, offsets, weights, first, linked, taps, keep, ahead
):
    def add(totals, left, n, source, base, offsets, weights, first, linked, taps, keep, ahead):
        _emit(totals, left, n, source, base, offsets, weights, first, linked, taps, keep, ahead)

    return add


@intrinsic
def _emit(
    typingctx, totals, left, n, source, base, offsets, weights, first, linked, taps, keep, ahead
):
    def generate(context, builder, signature, arguments):
        totals, left, n, source, base, offsets, weights, first, linked, taps, keep, ahead = (
            arguments
        )
        coming = None
        if isinstance(signature.args[-1], types.BaseTuple):
            memory, lines = cgutils.unpack_tuple(builder, ahead)
            none = ir.Constant(lines.type, 0)  # but in the first pass
            lines = builder.select(builder.icmp_signed("==", first, none), lines, none)
            coming = builder.gep(memory, [builder.mul(left, lines)]), lines
        sum_windows(
            builder,
            signature.args[3].dtype,
            [builder.gep(each, [left]) for each in cgutils.unpack_tuple(builder, totals)],
            [builder.gep(each, [first]) for each in cgutils.unpack_tuple(builder, weights)],
            builder.gep(source, [base]),
            builder.gep(offsets, [first]),
            linked,
            taps,
            n,
            keep,
            coming,
        )
        return context.get_dummy_value()

    intp = types.intp
    arguments = (totals, intp, intp, source, intp, offsets, weights, intp, intp, intp,
                 types.boolean, ahead)  # fmt: skip
    return types.void(*arguments), generate
