"""Weighted sums of windows as vector instructions, blocked for registers.

A compiler that vectorises ``for k: for i: total[i] += weights[k] * window_k[i]`` loads and stores
each sum once for every few taps. Here the loops are exchanged for one block of outputs at a time, a
few vectors whose sums stay in registers for all taps ::

    run     |  block 0  |  block 1  |  block 2  | rest |
              s0 s1 s2 s3                                   a register each
               |  |  |  |
    window k   w  w  w  w   * weight k                      a load each, shared by other runs

A run is contiguous outputs; runs that read the same windows share the loads. A processor begins two
multiply-adds in a cycle and ends each four cycles later: with less than eight sums side by side it
waits for them.
"""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from dhop.kernels.vectors import BYTES, Pointer

# Vectors of a block by the number of runs, so that there are registers for all sums.
VECTORS = {1: 256 // BYTES, 2: 4, 4: 6 if BYTES == 64 else 3}
LINKS = 2  # taps in a link, whose windows share loads; too few taps are in links of three or four
LINE = 64  # bytes of a line of the cache


@dataclass
class Taps:
    """The taps of one loop, of which each step adds one window to every run.

    Attributes
    ----------
    sources, offsets : lists of Pointer
        Of each window of a step: that of step `k` begins at ``source[offsets[m * k]]``.
    weights : list of Pointer
        Of each run: its weight in step `k` is ``weights[m * k]``.
    count : 64-bit integer
        Number of steps.
    reads : tuple of int
        The window that each run adds.
    strides : tuple of two int
        The `m` of the offsets and of the weights.
    links : int
        Steps in a link: their windows begin a vector apart, and share all loads but one.
    """

    sources: list[Pointer]
    offsets: list[Pointer]
    weights: list[Pointer]
    count: Any
    reads: tuple[int, ...]
    strides: tuple[int, int] = (1, 1)
    links: int = 1


def sum_windows(emit, runs, taps, n, accumulate, prefetch=None):
    """Write ``runs[r][i] += sum_k weights[r][k] * source[offsets[k] + i]`` for ``i < n``.

    Parameters
    ----------
    emit : Emitter
    runs : list of Pointer
    taps : list of Taps
    n : 64-bit integer
        Length of each run.
    accumulate : bit
        Whether to add to what the runs hold.
    prefetch : tuple of a Pointer and a 64-bit integer, or None
        Memory to fetch meanwhile, and how many numbers of it for each output of a full block.
    """
    vectors = VECTORS[len(runs)]
    if len(runs) == 4 and runs[0].parts == 2:
        vectors //= 2
    b, size = emit.builder, vectors * runs[0].lanes // runs[0].parts
    whole = emit.times(b.udiv(n, emit.integer(size)), size)
    rest = b.sub(n, whole)

    def write(place, masks):
        here = [replace(each, sources=[source.after(place) for source in each.sources])
                for each in taps]  # fmt: skip
        _sum_block(emit, [run.after(place) for run in runs], here, accumulate, masks)

    def write_full(place, _):
        if prefetch is not None:
            _prefetch_block(emit, *prefetch, place, vectors)
        write(place, [None] * vectors)

    emit.loop(whole, write_full, step=size)

    def write_rest(count):
        """The rest if it takes up to `count` vectors, all but the last few of them full."""
        less = count - max(1, vectors // 4)

        def write_masked():
            write(whole, [None if v < less else runs[0].lane_mask(rest, v) for v in range(count)])

        if less == 0:
            write_masked()
            return
        fewer = emit.integer(size * less // vectors)
        with b.if_else(emit.less(fewer, rest)) as (then, otherwise):
            with then:
                write_masked()
            with otherwise:
                write_rest(less)

    with b.if_then(emit.less(emit.integer(0), rest)):
        write_rest(vectors)


def _sum_block(emit, runs, taps, accumulate, masks):
    """Sum all taps for one block, or for some of its lanes; masked stores may take far longer."""
    # A complex weight has one sum for its real part and one for its imaginary part.
    parts = range(runs[0].parts)
    totals = {key: runs[0].zero() for key in product(range(len(runs)), parts, range(len(masks)))}
    for each in taps:
        totals = _sum_loop(emit, totals, each, masks)
    with emit.builder.if_else(accumulate) as branches:
        for branch, kept in zip(branches, (True, False), strict=True):
            with branch:
                for (r, run), (v, mask) in product(enumerate(runs), enumerate(masks)):
                    total = _combined(run, [totals[r, part, v] for part in parts])
                    run.store(v, total + run.load(v, mask) if kept else total, mask)


def _sum_loop(emit, totals, taps, masks):
    """The totals and the taps of one loop, `taps.links` steps at a time."""
    links = taps.links

    def body(k, sums):
        windows = []
        for source, offsets in zip(taps.sources, taps.offsets, strict=True):
            window = source.after(offsets.integer(emit.times(k, taps.strides[0])))
            windows.append([
                window.load(v, masks[max(0, v - links + 1)]) for v in range(len(masks) + links - 1)
            ])  # fmt: skip
        sums = dict(zip(totals, sums, strict=True))
        for link in range(links):
            step = emit.times(emit.builder.add(k, emit.integer(link)), taps.strides[1])
            weights = [each.after(step) for each in taps.weights]
            factors = {(r, part): weights[r].broadcast(part) for r, part, v in totals if v == 0}
            sums = {
                (r, part, v): total.multiply_add(windows[taps.reads[r]][v + link], factors[r, part])
                for (r, part, v), total in sums.items()
            }
        return list(sums.values())

    sums = emit.loop(taps.count, body, list(totals.values()), links)
    return dict(zip(totals, sums, strict=True))


def _combined(run, sums):
    """The sum with real weights, or the sums with both parts of complex weights as one."""
    if len(sums) == 1:
        return sums[0]
    swapped = sums[1].shuffled(sums[1], [lane ^ 1 for lane in range(run.lanes)])
    return sums[0].multiply_add(swapped, run.constant(-1.0, 1.0))


def _prefetch_block(emit, memory, lines, place, vectors):
    """Fetch as many numbers as `lines` blocks have, from where those of this block begin."""
    memory = memory.after(emit.builder.mul(place, lines))
    numbers = vectors * memory.lanes // memory.parts

    def body(start, _):
        block = memory.after(start)
        for v in range(0, vectors * BYTES, LINE):
            block.prefetch(v // BYTES)

    emit.loop(emit.times(lines, numbers), body, step=numbers)
