"""The inner loops: a run of outputs gathers one contiguous window of the source per tap.

What a pass computes is written out in NumPy, for the reader and for ``NUMBA_DISABLE_JIT=1``, which
so checks the bounds of every window; compiled, it is the instructions of `dhop.kernels.vector`.
All arrays are flat.
"""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from dhop.kernels import GROUP
from dhop.kernels.compile import called
from dhop.kernels.flat import skip
from dhop.kernels.vector import LINKS, Taps, sum_windows

PASS = 32  # windows summed at a time: the shorter a running sum, the less it is rounded
TILE = 1024  # outputs summed at a time; their sums stay in the L1 cache between passes
# Which window of a step each line of a group adds.
READS = ((0, 0, 0, 0), (0, 1, 1, 1), (0, 0, 1, 1), (0, 0, 0, 1), (0, 1, 2, 3))


@called
def add_taps(total, n, source, base, offsets, weights, linked, taps, keep, most, ahead=None):
    """Sum one window of `source` per tap into the first `n` numbers of `total`.

    ``total[i] += sum_k weights[k] * source[base + offsets[k] + i]`` for ``0 <= k < taps``, starting
    from zero unless `keep`. Links of the first `linked` taps share loads, see `Taps`. No running
    sum is longer than `most` terms; those sums are added up. `ahead`, if it is given, is memory to
    fetch into a cache meanwhile, and how many numbers of it for each output; not if `keep`.
    """
    if taps <= most:
        _add_pass(total, 0, n, source, base, offsets, weights, linked, taps, keep, ahead)
        return
    for left in range(0, n, TILE):
        for k in range(0, taps, most):
            _add_pass(total, left, min(TILE, n - left), source, base + left, skip(offsets, k),
                      skip(weights, k), max(0, min(linked - k, most)), min(taps - k, most),
                      keep or k > 0, ahead)  # fmt: skip


@called
def _add_pass(total, left, n, source, base, offsets, weights, linked, taps, keep, ahead):
    """By itself: the compiler would take more out of the loops than short rows need."""
    _add(total, left, n, source, base, offsets, weights, linked, taps, keep, ahead)


@called
def add_pair(one, two, n, source, base, step, offsets, weights, first, last, shared, most,
             ahead):  # fmt: skip
    """`add_taps` for two totals, from zero, whose taps lie side by side.

    Parameters
    ----------
    one, two, n, source, offsets, weights, most
        As in `add_taps`.
    base, step : int
        Offsets count from `base` for `one`, from ``base + step`` for `two`.
    first, last : tuples of two int
        Range of the taps of each total.
    shared : tuple of three int
        Tap ``shared[0] + i`` of `one` reads the same window as tap ``shared[1] + i`` of `two`, for
        ``0 <= i < shared[2]``.
    ahead : tuple of an array and an int
        As in `add_taps`.
    """
    a, b, count = shared
    if count == 0:
        a, b = last[0], first[1]
    # The taps of `one` before those that are shared, and as many of `two` behind them.
    own = min(a - first[0], last[1] - b - count)
    for left in range(0, n, TILE):
        for k in range(0, max(own + count, 1), most):
            apart, alike = min(k, own), max(k - own, 0)
            _add_two(
                one, two, left, min(TILE, n - left), source, base + left, step,
                skip(offsets, first[0] + apart), skip(offsets, b + count + apart),
                skip(weights, first[0] + apart), skip(weights, b + count + apart),
                min(k + most, own) - apart,
                skip(offsets, a + alike), skip(weights, a + alike), skip(weights, b + alike),
                min(max(k + most - own, 0), count) - alike,
                k > 0, ahead,
            )  # fmt: skip
    if last[0] - first[0] + last[1] - first[1] > 2 * (own + count):  # more, as at borders
        for total, start, begin, end in (
            (one, base, first[0] + own, a), (one, base, a + count, last[0]),
            (two, base + step, first[1], b), (two, base + step, b + count + own, last[1]),
        ):  # fmt: skip
            if begin < end:
                add_taps(total, n, source, start, skip(offsets, begin), skip(weights, begin),
                         0, end - begin, True, most)  # fmt: skip


@called
def add_group(total, stride, n, source, base, passes, first, last, offsets, weights, ahead):
    """Sum windows of `source` into four totals, from zero, most of them into all four.

    A step adds one window to each total: the same to all, one to the first few and another to the
    others, or a different one to each.

    Parameters
    ----------
    total, stride : array and int
        Each total begins `stride` numbers behind the one before.
    n, source, base
        As in `add_taps`.
    passes : (p, 7) int array
        Where the steps of a pass begin in `offsets` and in `weights`, and how many it has of each
        kind of `READS`, one kind after the other.
    first, last : int
        Range of passes; no running sum is longer than one, and those sums are added up.
    offsets, weights : arrays
        Of a step one offset from `base` for each different window, and four weights.
    ahead : tuple of an array and an int
        As in `add_taps`.
    """
    for left in range(0, n, TILE):
        for k in range(first, last):
            _add_four(total, stride, left, min(TILE, n - left), source, base + left,
                      skip(passes, (2 + len(READS)) * k), offsets, weights, k > first,
                      ahead)  # fmt: skip


def _windows(source, base, offsets, weights, taps, n):
    """The sum of `taps` windows, each of `n` numbers."""
    sums = np.zeros(n, source.dtype)
    for k in range(taps):
        start = base + offsets[k]
        sums += weights[k] * source[start : start + n]
    return sums


def _add(total, left, n, source, base, offsets, weights, linked, taps, keep, ahead):
    """A pass of `add_taps` for `n` numbers from `left` on."""
    run = total[left : left + n]
    sums = _windows(source, base, offsets, weights, taps, n)
    run[:] = run + sums if keep else sums


def _add_two(one, two, left, n, source, base, step, offsets1, offsets2, weights1, weights2, own,
             offsets, shared1, shared2, count, keep, ahead):  # fmt: skip
    """A pass of `add_pair`: `own` taps of each total, and `count` that they share."""
    for total, start, own_offsets, own_weights, weights in (
        (one, base, offsets1, weights1, shared1),
        (two, base + step, offsets2, weights2, shared2),
    ):
        run = total[left : left + n]
        sums = _windows(source, start, own_offsets, own_weights, own, n)
        sums += _windows(source, base, offsets, weights, count, n)
        run[:] = run + sums if keep else sums


def _add_four(total, stride, left, n, source, base, steps, offsets, weights, keep, ahead):
    """A pass of `add_group`."""
    offset, weight = steps[0], steps[1]
    sums = np.zeros((GROUP, n), source.dtype)
    for kind, reads in enumerate(READS):
        for _ in range(steps[2 + kind]):
            for r, window in enumerate(reads):
                start = base + offsets[offset + window]
                sums[r] += weights[weight + r] * source[start : start + n]
            offset, weight = offset + max(reads) + 1, weight + GROUP
    for r in range(GROUP):
        run = total[r * stride + left :][:n]
        run[:] = run + sums[r] if keep else sums[r]


@intrinsic
def _emitted_add(typingctx, total, left, n, source, base, offsets, weights, linked, taps, keep,
                 ahead):  # fmt: skip
    def generate(context, builder, signature, arguments):
        total, left, n, source, base, offsets, weights, linked, taps, keep, ahead = arguments
        place = builder.gep(source, [base])
        rest = [builder.gep(each, [linked]) for each in (offsets, weights)]
        parts = [
            Taps([place], [offsets], [weights], linked, (0,), links=LINKS),
            Taps([place], [rest[0]], [rest[1]], builder.sub(taps, linked), (0,)),
        ]
        coming = _coming(builder, signature, ahead, left, keep)
        run = builder.gep(total, [left])
        sum_windows(builder, signature.args[3].dtype, [run], parts, n, keep, coming)
        return context.get_dummy_value()

    intp = types.intp
    arguments = (total, intp, intp, source, intp, offsets, weights, intp, intp, types.boolean,
                 ahead)  # fmt: skip
    return types.void(*arguments), generate


@intrinsic
def _emitted_add_two(typingctx, one, two, left, n, source, base, step, offsets1, offsets2,
                     weights1, weights2, own, offsets, shared1, shared2, count, keep,
                     ahead):  # fmt: skip
    def generate(context, builder, signature, arguments):
        (one, two, left, n, source, base, step, offsets1, offsets2, weights1, weights2, own,
         offsets, shared1, shared2, count, keep, ahead) = arguments  # fmt: skip
        place = builder.gep(source, [base])
        places = [place, builder.gep(place, [step])]
        parts = [
            Taps(places, [offsets1, offsets2], [weights1, weights2], own, (0, 1)),
            Taps([place], [offsets], [shared1, shared2], count, (0, 0)),
        ]
        coming = _coming(builder, signature, ahead, left, keep)
        runs = [builder.gep(each, [left]) for each in (one, two)]
        sum_windows(builder, signature.args[4].dtype, runs, parts, n, keep, coming)
        return context.get_dummy_value()

    intp = types.intp
    arguments = (one, two, intp, intp, source, intp, intp, offsets1, offsets2, weights1, weights2,
                 intp, offsets, shared1, shared2, intp, types.boolean, ahead)  # fmt: skip
    return types.void(*arguments), generate


@intrinsic
def _emitted_add_four(typingctx, total, stride, left, n, source, base, steps, offsets, weights,
                      keep, ahead):  # fmt: skip
    def generate(context, builder, signature, arguments):
        (total, stride, left, n, source, base, steps, offsets, weights, keep, ahead) = arguments
        place = builder.gep(source, [base])
        begin, first, *counts = (
            builder.load(builder.gep(steps, [ir.Constant(base.type, k)]))
            for k in range(2 + len(READS))
        )
        offsets, weights = builder.gep(offsets, [begin]), builder.gep(weights, [first])
        parts = []
        for reads, count in zip(READS, counts, strict=True):
            windows = max(reads) + 1
            starts = [builder.gep(offsets, [ir.Constant(base.type, k)]) for k in range(windows)]
            tops = [builder.gep(weights, [ir.Constant(base.type, r)]) for r in range(GROUP)]
            strides = windows, GROUP
            parts.append(Taps([place] * windows, starts, tops, count, reads, strides))
            offsets, weights = (
                builder.gep(each, [builder.mul(count, ir.Constant(base.type, stride))])
                for each, stride in zip((offsets, weights), strides, strict=True)
            )
        coming = _coming(builder, signature, ahead, left, keep)
        runs = [builder.gep(total, [left])]
        while len(runs) < GROUP:
            runs.append(builder.gep(runs[-1], [stride]))
        sum_windows(builder, signature.args[4].dtype, runs, parts, n, keep, coming)
        return context.get_dummy_value()

    intp = types.intp
    arguments = (total, intp, intp, intp, source, intp, steps, offsets, weights, types.boolean,
                 ahead)  # fmt: skip
    return types.void(*arguments), generate


def _coming(builder, signature, ahead, left, keep):
    """What is fetched in the first pass over what begins at `left`, see `sum_windows`."""
    if not isinstance(signature.args[-1], types.BaseTuple):
        return None
    memory, lines = cgutils.unpack_tuple(builder, ahead)
    lines = builder.select(keep, ir.Constant(lines.type, 0), lines)
    return builder.gep(memory, [builder.mul(left, lines)]), lines


if not config.DISABLE_JIT:
    _add, _add_two, _add_four = _emitted_add, _emitted_add_two, _emitted_add_four
