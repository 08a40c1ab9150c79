"""The inner loops: a run of outputs gathers one contiguous window of the source per tap.

::

    source   . . . a b c d e f g h . . .
    window 0       a b c d e              * weights[0]
    window 1         b c d e f            * weights[1]
    window 2             d e f g h        * weights[2]
    total          0 1 2 3 4              sums, number by number

Of each loop there is the plain one, and below it the one that is written as instructions by
`dhop.kernels.strips`. All arrays are flat.
"""

import numpy as np

from dhop.kernels import GROUP
from dhop.kernels.compile import called
from dhop.kernels.emit import emitted
from dhop.kernels.flat import skip
from dhop.kernels.strips import LINKS, Taps, sum_windows

PASS = 32  # windows summed at a time: the shorter a running sum, the less it is rounded
TILE = 1024  # outputs summed at a time; their sums stay in the L1 cache between passes
# Which window of a step each line of a group adds.
READS = ((0, 0, 0, 0), (0, 1, 1, 1), (0, 0, 1, 1), (0, 0, 0, 1), (0, 1, 2, 3))


@called
def _add(total, left, n, source, base, offsets, weights, linked, taps, keep, ahead):
    """A pass of `add_taps` for `n` numbers from `left` on."""
    run, sums = total[left : left + n], np.zeros(n, source.dtype)
    for k in range(taps):
        sums += weights[k] * source[base + offsets[k] :][:n]
    run[:] = run + sums if keep else sums


@emitted(_add)
def _add_emitted(emit, total, left, n, source, base, offsets, weights, linked, taps, keep,
                 ahead):  # fmt: skip
    place = source.after(base)
    parts = [
        Taps([place], [offsets], [weights], linked, (0,), links=LINKS),
        Taps([place], [offsets.after(linked)], [weights.after(linked)],
             emit.builder.sub(taps, linked), (0,)),
    ]  # fmt: skip
    sum_windows(emit, [total.after(left)], parts, n, keep, _coming(emit, ahead, left, keep))


@called
def _add_two(one, two, left, n, source, base, step, offsets1, offsets2, weights1, weights2, own,
             offsets, shared1, shared2, count, keep, ahead):  # fmt: skip
    """A pass of `add_pair`: `own` taps of each total, and `count` that they share."""
    for total, start, own_offsets, own_weights, weights in (
        (one, base, offsets1, weights1, shared1),
        (two, base + step, offsets2, weights2, shared2),
    ):
        run, sums = total[left : left + n], np.zeros(n, source.dtype)
        for k in range(own):
            sums += own_weights[k] * source[start + own_offsets[k] :][:n]
        for k in range(count):
            sums += weights[k] * source[base + offsets[k] :][:n]
        run[:] = run + sums if keep else sums


@emitted(_add_two)
def _add_two_emitted(emit, one, two, left, n, source, base, step, offsets1, offsets2, weights1,
                     weights2, own, offsets, shared1, shared2, count, keep, ahead):  # fmt: skip
    place = source.after(base)
    parts = [
        Taps([place, place.after(step)], [offsets1, offsets2], [weights1, weights2], own, (0, 1)),
        Taps([place], [offsets], [shared1, shared2], count, (0, 0)),
    ]
    runs = [one.after(left), two.after(left)]
    sum_windows(emit, runs, parts, n, keep, _coming(emit, ahead, left, keep))


@called
def _add_four(total, stride, left, n, source, base, steps, offsets, weights, keep, ahead):
    """A pass of `add_group`."""
    offset, weight = steps[0], steps[1]
    sums = np.zeros((GROUP, n), source.dtype)
    for kind, reads in enumerate(READS):
        for _ in range(steps[2 + kind]):
            for r, window in enumerate(reads):
                sums[r] += weights[weight + r] * source[base + offsets[offset + window] :][:n]
            offset, weight = offset + max(reads) + 1, weight + GROUP
    for r in range(GROUP):
        run = total[r * stride + left :][:n]
        run[:] = run + sums[r] if keep else sums[r]


@emitted(_add_four)
def _add_four_emitted(emit, total, stride, left, n, source, base, steps, offsets, weights, keep,
                      ahead):  # fmt: skip
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
    sum_windows(emit, runs, parts, n, keep, _coming(emit, ahead, left, keep))


def _coming(emit, ahead, left, keep):
    """What is fetched in the first pass over what begins at `left`, see `sum_windows`."""
    if ahead is None:
        return None
    memory, lines = ahead
    lines = emit.builder.select(keep, emit.integer(0), lines)
    return memory.after(emit.builder.mul(left, lines)), lines


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
    _add_emitted(total, left, n, source, base, offsets, weights, linked, taps, keep, ahead)


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
            _add_two_emitted(
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
            _add_four_emitted(total, stride, left, min(TILE, n - left), source, base + left,
                      skip(passes, (2 + len(READS)) * k), offsets, weights, k > first,
                      ahead)  # fmt: skip
