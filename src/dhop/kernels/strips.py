"""Weighted sums of windows as vector instructions, the sums kept in registers.

A compiler that vectorises ``for k: for i: total[i] += weights[k] * window_k[i]`` loads and stores
each sum once for every few taps. Here the loops are turned round for one strip of the outputs at a
time, a few vectors ::

    run     |  strip 0  |  strip 1  |  strip 2  | rest |
              s0 s1 s2 s3                                   one register each, for all taps
               |  |  |  |
    window k   w  w  w  w   * weight k                      one load each, shared by other runs

For every tap one weight is broadcast, each vector of its window is loaded, and a multiply-add goes
onto sums that stay where they are. Runs of outputs that read the same windows share the loads.

A processor begins two multiply-adds in a cycle and ends each four cycles later: with less than
eight sums side by side it waits for them.
"""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from dhop.kernels.vectors import BYTES, Place

# Of a strip, for each number of runs, so that there are registers for all sums.
VECTORS = {1: 256 // BYTES, 2: 4, 4: 6 if BYTES == 64 else 3}
LINKS = 2  # taps that share loads; of three or four, too few have the others
LINE = 64  # bytes, of the cache


@dataclass
class Taps:
    """What is summed in one loop, of which each step adds one window to every run.

    Attributes
    ----------
    sources, offsets : lists of Place
        Of the different windows of a step: that of step `k` begins at ``source[offsets[m * k]]``.
    weights : list of Place
        Of each run: its weight in step `k` is ``weights[m * k]``.
    count : 64-bit integer
        How many steps.
    reads : tuple of int
        Which of the windows each run adds.
    strides : tuple of two int
        The `m` of the offsets and of the weights.
    links : int
        Steps that are taken together. The windows of a link begin a vector apart, so that they
        share all loads but one.
    """

    sources: list[Place]
    offsets: list[Place]
    weights: list[Place]
    count: Any
    reads: tuple[int, ...]
    strides: tuple[int, int] = (1, 1)
    links: int = 1


def sum_windows(emit, runs, taps, n, keep, coming=None):
    """Write ``runs[r][i] += sum_k weights[r][k] * source[offsets[k] + i]`` for ``i < n``.

    Parameters
    ----------
    emit : Emitter
    runs : list of Place
    taps : list of Taps
    n : 64-bit integer
        Length of each run.
    keep : bit
        Whether to add to what the runs hold, not to zero.
    coming : tuple of a Place and a 64-bit integer, or None
        Memory to fetch meanwhile, and how many numbers of it for each output of a whole strip.
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
        _strip(emit, [run.after(place) for run in runs], here, keep, masks)

    def write_whole(place, _):
        if coming is not None:
            _fetch(emit, *coming, place, vectors)
        write(place, [None] * vectors)

    emit.loop(whole, write_whole, step=size)

    def write_rest(count):
        """The rest if it takes up to `count` vectors, of which all but the last few are whole."""
        less = count - max(1, vectors // 4)

        def write_masked():
            write(whole, [None if v < less else runs[0].among(rest, v) for v in range(count)])

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


def _strip(emit, runs, taps, keep, masks):
    """Sum all taps for one strip, or for the lanes of its vectors that `masks` tell of.

    Masked stores take some processors far longer than others.
    """
    # A complex weight has one sum for its real part and one for its imaginary part.
    parts = range(runs[0].parts)
    totals = {key: runs[0].zero() for key in product(range(len(runs)), parts, range(len(masks)))}
    for each in taps:
        totals = _sum(emit, totals, each, masks)
    with emit.builder.if_else(keep) as branches:
        for branch, kept in zip(branches, (True, False), strict=True):
            with branch:
                for (r, run), (v, mask) in product(enumerate(runs), enumerate(masks)):
                    total = _joined(run, [totals[r, part, v] for part in parts])
                    run.store(v, total + run.load(v, mask) if kept else total, mask)


def _sum(emit, totals, taps, masks):
    """Add taps, `taps.links` at a time."""
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
            factors = {
                (r, part): weights[r].number(part) for r, part, v in totals if v == 0
            }  # fmt: skip
            sums = {
                (r, part, v): total.plus(windows[taps.reads[r]][v + link], factors[r, part])
                for (r, part, v), total in sums.items()
            }
        return list(sums.values())

    sums = emit.loop(taps.count, body, list(totals.values()), links)
    return dict(zip(totals, sums, strict=True))


def _joined(run, sums):
    """The products with real weights, or those with both parts of complex ones together."""
    if len(sums) == 1:
        return sums[0]
    swapped = sums[1].shuffled(sums[1], [lane ^ 1 for lane in range(run.lanes)])
    return sums[0].plus(swapped, run.vector(-1.0, 1.0))


def _fetch(emit, memory, lines, place, vectors):
    """Fetch as much memory as `lines` strips take, from where those of this strip begin."""
    memory = memory.after(emit.builder.mul(place, lines))
    numbers = vectors * memory.lanes // memory.parts

    def body(start, _):
        strip = memory.after(start)
        for v in range(0, vectors * BYTES, LINE):
            strip.fetch(v // BYTES)

    emit.loop(emit.times(lines, numbers), body, step=numbers)
