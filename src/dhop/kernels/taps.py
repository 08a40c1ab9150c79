"""The inner loops: weighted sums of windows, one contiguous window of the source for each tap.

::

    source   . . . a b c d e f g h . . .
    window 0       a b c d e              * weights[0]
    window 1         b c d e f            * weights[1]
    window 2             d e f g h        * weights[2]
    total          0 1 2 3 4              sums, number by number

Each loop stands twice: plain, and below it as instructions by `dhop.kernels.register_blocks`. All
arrays are flat.
"""

import numpy as np

from dhop.kernels import GROUP
from dhop.kernels.compile import called
from dhop.kernels.emit import emitted
from dhop.kernels.flat import skip
from dhop.kernels.register_blocks import LINKS, Taps, sum_windows

PASS = 32  # most terms of a running sum: the fewer, the less rounding; those sums are added up
TILE = 1024  # outputs summed at a time; their sums stay in the L1 cache between passes
# Kinds of steps of a group of four lines: which window each line adds.
READS = ((0, 0, 0, 0), (0, 1, 1, 1), (0, 0, 1, 1), (0, 0, 0, 1), (0, 1, 2, 3))


@called
def _sum_one(total, left, n, source, base, offsets, weights, linked, taps, accumulate, prefetch):
    """A pass of `sum_taps` for `n` numbers from `left` on."""
    run, sums = total[left : left + n], np.zeros(n, source.dtype)
    for k in range(taps):
        sums += weights[k] * source[base + offsets[k] :][:n]
    run[:] = run + sums if accumulate else sums


@emitted(_sum_one)
def _sum_one_emitted(emit, total, left, n, source, base, offsets, weights, linked, taps,
                     accumulate, prefetch):  # fmt: skip
    place = source.after(base)
    parts = [
        Taps([place], [offsets], [weights], linked, (0,), links=LINKS),
        Taps([place], [offsets.after(linked)], [weights.after(linked)],
             emit.builder.sub(taps, linked), (0,)),
    ]  # fmt: skip
    prefetch = _of_first_pass(emit, prefetch, left, accumulate)
    sum_windows(emit, [total.after(left)], parts, n, accumulate, prefetch)


@called
def _sum_two(one, two, left, n, source, base, step, offsets1, offsets2, weights1, weights2, own,
             offsets, shared1, shared2, count, accumulate, prefetch):  # fmt: skip
    """A pass of `sum_pair`: `own` taps of each total, and `count` that they share."""
    for total, start, own_offsets, own_weights, weights in (
        (one, base, offsets1, weights1, shared1),
        (two, base + step, offsets2, weights2, shared2),
    ):
        run, sums = total[left : left + n], np.zeros(n, source.dtype)
        for k in range(own):
            sums += own_weights[k] * source[start + own_offsets[k] :][:n]
        for k in range(count):
            sums += weights[k] * source[base + offsets[k] :][:n]
        run[:] = run + sums if accumulate else sums


@emitted(_sum_two)
def _sum_two_emitted(emit, one, two, left, n, source, base, step, offsets1, offsets2, weights1,
                     weights2, own, offsets, shared1, shared2, count, accumulate,
                     prefetch):  # fmt: skip
    place = source.after(base)
    parts = [
        Taps([place, place.after(step)], [offsets1, offsets2], [weights1, weights2], own, (0, 1)),
        Taps([place], [offsets], [shared1, shared2], count, (0, 0)),
    ]
    prefetch = _of_first_pass(emit, prefetch, left, accumulate)
    sum_windows(emit, [one.after(left), two.after(left)], parts, n, accumulate, prefetch)


@called
def _sum_four(total, stride, left, n, source, base, steps, offsets, weights, accumulate, prefetch):
    """A pass of `sum_group`."""
    offset, weight = steps[0], steps[1]
    sums = np.zeros((GROUP, n), source.dtype)
    for kind, reads in enumerate(READS):
        for _ in range(steps[2 + kind]):
            for r, window in enumerate(reads):
                sums[r] += weights[weight + r] * source[base + offsets[offset + window] :][:n]
            offset, weight = offset + max(reads) + 1, weight + GROUP
    for r in range(GROUP):
        run = total[r * stride + left :][:n]
        run[:] = run + sums[r] if accumulate else sums[r]


@emitted(_sum_four)
def _sum_four_emitted(emit, total, stride, left, n, source, base, steps, offsets, weights,
                      accumulate, prefetch):  # fmt: skip
    place, parts = source.after(base), []
    offsets, weights = offsets.after(steps.integer(0)), weights.after(steps.integer(1))
    for kind, reads in enumerate(READS):
        count, windows = steps.integer(2 + kind), max(reads) + 1
        starts = [offsets.after(k) for k in range(windows)]
        tops = [weights.after(r) for r in range(GROUP)]
        parts.append(Taps([place] * windows, starts, tops, count, reads, (windows, GROUP)))
        offsets = offsets.after(emit.times(count, windows))
        weights = weights.after(emit.times(count, GROUP))
    runs = [total.after(left)]
    while len(runs) < GROUP:
        runs.append(runs[-1].after(stride))
    prefetch = _of_first_pass(emit, prefetch, left, accumulate)
    sum_windows(emit, runs, parts, n, accumulate, prefetch)


def _of_first_pass(emit, prefetch, left, accumulate):
    """What the first pass fetches for the outputs from `left` on; the others fetch nothing."""
    if prefetch is None:
        return None
    memory, lines = prefetch
    lines = emit.builder.select(accumulate, emit.integer(0), lines)
    return memory.after(emit.builder.mul(left, lines)), lines


@called
def sum_taps(total, n, source, base, offsets, weights, linked, taps, accumulate, prefetch=None):
    """``total[i] = sum_k weights[k] * source[base + offsets[k] + i]`` for ``i < n``, ``k < taps``.

    Parameters
    ----------
    linked : int
        Of the first taps as many are linked, see `Taps`.
    accumulate : bool
        Whether to add to `total` what it holds.
    prefetch : tuple of an array and an int, optional
        Memory to fetch into a cache meanwhile, and how many numbers of it for each output; not if
        `accumulate`.
    """
    if taps <= PASS:
        _sum_pass(total, 0, n, source, base, offsets, weights, linked, taps, accumulate, prefetch)
        return
    for left in range(0, n, TILE):
        for k in range(0, taps, PASS):
            _sum_pass(total, left, min(TILE, n - left), source, base + left, skip(offsets, k),
                      skip(weights, k), max(0, min(linked - k, PASS)), min(taps - k, PASS),
                      accumulate or k > 0, prefetch)  # fmt: skip


@called
def _sum_pass(total, left, n, source, base, offsets, weights, linked, taps, accumulate, prefetch):
    """A function of its own: else more is hoisted out of the loops than short rows need."""
    _sum_one_emitted(total, left, n, source, base, offsets, weights, linked, taps, accumulate,
                     prefetch)  # fmt: skip


@called
def sum_pair(one, two, n, source, base, step, offsets, weights, first, last, shared, prefetch):
    """`sum_taps` for two totals that read some of the same windows.

    Parameters
    ----------
    one, two, n, source, offsets, weights, prefetch
        As in `sum_taps`.
    base, step : int
        Offsets count from `base` for `one`, from ``base + step`` for `two`.
    first, last : tuples of two int
        Range of the taps of each total.
    shared : tuple of three int
        Tap ``shared[0] + i`` of `one` reads the same window as tap ``shared[1] + i`` of `two`, for
        ``0 <= i < shared[2]``.
    """
    a, b, count = shared
    if count == 0:
        a, b = last[0], first[1]
    # The taps of `one` before those that are shared, and as many of `two` behind them.
    own = min(a - first[0], last[1] - b - count)
    for left in range(0, n, TILE):
        for k in range(0, max(own + count, 1), PASS):
            apart, alike = min(k, own), max(k - own, 0)
            _sum_two_emitted(
                one, two, left, min(TILE, n - left), source, base + left, step,
                skip(offsets, first[0] + apart), skip(offsets, b + count + apart),
                skip(weights, first[0] + apart), skip(weights, b + count + apart),
                min(k + PASS, own) - apart,
                skip(offsets, a + alike), skip(weights, a + alike), skip(weights, b + alike),
                min(max(k + PASS - own, 0), count) - alike,
                k > 0, prefetch,
            )  # fmt: skip
    if last[0] - first[0] + last[1] - first[1] > 2 * (own + count):  # more, as at borders
        for total, start, begin, end in (
            (one, base, first[0] + own, a), (one, base, a + count, last[0]),
            (two, base + step, first[1], b), (two, base + step, b + count + own, last[1]),
        ):  # fmt: skip
            if begin < end:
                sum_taps(total, n, source, start, skip(offsets, begin), skip(weights, begin),
                         0, end - begin, True)  # fmt: skip


@called
def sum_group(total, stride, n, source, base, passes, first, last, offsets, weights, prefetch):
    """`sum_taps` for four totals, in steps that add a window to each; see `READS`.

    Parameters
    ----------
    total, stride : array and int
        Each total begins `stride` numbers behind the one before.
    n, source, base, prefetch
        As in `sum_taps`.
    passes : (p, 7) int array
        Where the steps of a pass begin in `offsets` and in `weights`, and how many it has of each
        kind of `READS`, one kind after the other.
    first, last : int
        Range of passes.
    offsets, weights : arrays
        Of a step one offset from `base` for each different window, and four weights.
    """
    for left in range(0, n, TILE):
        for k in range(first, last):
            _sum_four_emitted(total, stride, left, min(TILE, n - left), source, base + left,
                      skip(passes, (2 + len(READS)) * k), offsets, weights, k > first,
                      prefetch)  # fmt: skip
