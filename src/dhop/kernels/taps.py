"""The inner loops: a run of outputs gathers one contiguous window of the source per tap.

What a pass computes is written out in NumPy, for the reader and for ``NUMBA_DISABLE_JIT=1``, which
so checks the bounds of every window; compiled, it is the instructions of `dhop.kernels.vector`.
All arrays are flat.
"""

from numba import types
from numba.extending import intrinsic, overload

from dhop.kernels.compile import called
from dhop.kernels.flat import skip
from dhop.kernels.vector import sum_windows

PASS = 8  # windows summed at a time: as many lines of one set as any L1 cache holds
TILE = 1024  # outputs summed at a time; their sums stay in the L1 cache between passes
LEAST_SHARED = 4  # windows that make it worth to sum two rows together


@called
def add_taps(total, n, source, base, offsets, weights, taps, keep):
    """Sum one window of `source` per tap into the first `n` numbers of `total`.

    ``total[i] += sum_k weights[k] * source[base + offsets[k] + i]`` for ``0 <= k < taps``, starting
    from zero unless `keep`.
    """
    for left in range(0, n, TILE):
        tile, size = skip(total, left), min(TILE, n - left)
        _add(tile, size, source, base + left, offsets, weights, min(taps, PASS), keep)
        for k in range(PASS, taps, PASS):
            _add(tile, size, source, base + left, skip(offsets, k), skip(weights, k),
                 min(taps - k, PASS), True)  # fmt: skip


@called
def add_shared_taps(one, two, n, source, base, offsets, weights, others, taps, keep):
    """`add_taps` for two totals with `weights` and `others`, each window loaded once."""
    for left in range(0, n, TILE):
        tile, tile2, size = skip(one, left), skip(two, left), min(TILE, n - left)
        for k in range(0, taps, PASS):
            _add_shared(tile, tile2, size, source, base + left, skip(offsets, k), skip(weights, k),
                        skip(others, k), min(taps - k, PASS), keep or k > 0)  # fmt: skip


@called
def add_pair(one, two, n, source, base, step, offsets, weights, first, last, shared, keep):
    """`add_taps` for two totals whose taps lie side by side.

    Parameters
    ----------
    one, two, n, source, offsets, weights, keep
        As in `add_taps`.
    base, step : int
        Offsets count from `base` for `one`, from ``base + step`` for `two`.
    first, last : tuples of two int
        Range of the taps of each total.
    shared : tuple of three int
        Tap ``shared[0] + i`` of `one` reads the same window as tap ``shared[1] + i`` of `two`, for
        ``0 <= i < shared[2]``.
    """
    a, b, count = shared
    if count >= LEAST_SHARED:
        add_shared_taps(one, two, n, source, base, skip(offsets, a), skip(weights, a),
                        skip(weights, b), count, keep)  # fmt: skip
    else:
        a, b, count = first[0], first[1], 0
    for total, start, begin, middle, end in (
        (one, base, first[0], a, last[0]), (two, base + step, first[1], b, last[1])
    ):  # fmt: skip
        if begin < middle:
            add_taps(total, n, source, start, skip(offsets, begin), skip(weights, begin),
                     middle - begin, True)  # fmt: skip
        middle += count
        if middle < end or count == 0:
            add_taps(total, n, source, start, skip(offsets, middle), skip(weights, middle),
                     end - middle, keep or count > 0)  # fmt: skip


def _add(total, n, source, base, offsets, weights, taps, keep):
    if not keep:
        total[:n] = 0
    for k in range(taps):
        start = base + offsets[k]
        total[:n] += weights[k] * source[start : start + n]


def _add_shared(one, two, n, source, base, offsets, weights, others, taps, keep):
    _add(one, n, source, base, offsets, weights, taps, keep)
    _add(two, n, source, base, offsets, others, taps, keep)


@overload(_add)
def _compiled_add(total, n, source, base, offsets, weights, taps, keep):
    def add(total, n, source, base, offsets, weights, taps, keep):
        _emit((total,), n, source, base, offsets, (weights,), taps, keep)

    return add


@overload(_add_shared)
def _compiled_add_shared(one, two, n, source, base, offsets, weights, others, taps, keep):
    def add(one, two, n, source, base, offsets, weights, others, taps, keep):
        _emit((one, two), n, source, base, offsets, (weights, others), taps, keep)

    return add


@intrinsic
def _emit(typingctx, totals, n, source, base, offsets, weights, taps, keep):
    """`_add` for several totals and their weights."""

    def generate(context, builder, signature, arguments):
        totals, n, source, base, offsets, weights, taps, keep = arguments
        count = len(signature.args[0])
        sum_windows(
            builder,
            signature.args[2].dtype,
            [builder.extract_value(totals, r) for r in range(count)],
            [builder.extract_value(weights, r) for r in range(count)],
            builder.gep(source, [base]),
            offsets,
            taps,
            n,
            keep,
        )
        return context.get_dummy_value()

    intp = types.intp
    return types.void(totals, intp, source, intp, offsets, weights, intp, types.boolean), generate
