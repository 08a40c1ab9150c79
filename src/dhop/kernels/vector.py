"""Weighted sums of windows as vector instructions, the sums kept in registers.

A compiler that vectorises ``for k: for i: total[i] += weights[k] * window_k[i]`` loads and stores
each sum once for every few taps. Here the loops are turned round for a strip of the outputs at a
time: for every tap one broadcast weight, one load of each vector of its window, and a multiply-add
onto sums that stay where they are. Runs of outputs that read the same windows share the loads.

A processor begins two multiply-adds in a cycle and ends each four cycles later: with less than
eight sums side by side it waits for them.
"""

from dataclasses import dataclass
from itertools import product

from llvmlite import ir
from numba.core import cgutils, types

from dhop.kernels.lanes import BYTES, fetch

# Of a strip, for each number of runs, so that there are registers for all sums.
VECTORS = {1: 256 // BYTES, 2: 4, 4: 6 if BYTES == 64 else 3}
LINKS = 2  # taps that share loads; of three or four, too few have the others
LINE = 64  # bytes, of the cache

_INT = ir.IntType(64)
_LANE = ir.IntType(32)
_NONE = ir.Constant(_INT, 0)
_FLAGS = ("contract",)  # of a product and a sum to a fused multiply-add


@dataclass
class Taps:
    """What is summed in one loop, of which each step adds one window to every run.

    Attributes
    ----------
    sources, offsets : lists of pointers
        Of the different windows of a step: that of step `k` begins at ``source[offsets[m * k]]``.
    weights : list of pointers
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

    sources: list[ir.Value]
    offsets: list[ir.Value]
    weights: list[ir.Value]
    count: ir.Value
    reads: tuple[int, ...]
    strides: tuple[int, int] = (1, 1)
    links: int = 1


def sum_windows(builder, dtype, runs, taps, n, keep, coming=None):
    """Emit ``runs[r][i] += sum_k weights[r][k] * source[offsets[k] + i]`` for ``i < n``.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    dtype : numba type
        Of the numbers, real or complex.
    runs : list of pointers
    taps : list of Taps
    n : 64-bit integer
        Length of each run.
    keep : bit
        Whether to add to what the runs hold, not to zero.
    coming : tuple of a pointer and a 64-bit integer, or None
        Memory to fetch meanwhile, and how many numbers of it for each output of a whole strip.
    """
    vectors = VECTORS[len(runs)]
    if len(runs) == 4 and isinstance(dtype, types.Complex):
        vectors //= 2
    strip = _Strip(builder, dtype, vectors)
    size = ir.Constant(_INT, strip.outputs)
    whole = builder.mul(builder.udiv(n, size), size)
    rest = builder.sub(n, whole)

    def emit(place, masks):
        moved = [builder.gep(run, [place]) for run in runs]
        strip.emit(moved, taps, place, keep, masks)

    with cgutils.for_range_slice(builder, _NONE, whole, size, _INT) as (place, _):
        if coming is not None:
            strip.fetch(*coming, place)
        emit(place, [None] * vectors)

    step = max(1, vectors // 4)

    def emit_rest(count):
        """The rest if it takes up to `count` vectors, of which all but the last few are whole."""
        less = count - step
        if less == 0:
            emit(whole, strip.masks(rest, 0, count))
            return
        fewer = ir.Constant(_INT, strip.outputs * less // vectors)
        with builder.if_else(builder.icmp_signed("<", fewer, rest)) as (then, otherwise):
            with then:
                emit(whole, strip.masks(rest, less, count))
            with otherwise:
                emit_rest(less)

    with builder.if_then(builder.icmp_signed("<", _NONE, rest)):
        emit_rest(vectors)


class _Strip:
    """A few vectors of outputs of one dtype."""

    def __init__(self, builder, dtype, vectors):
        self.builder = builder
        real = getattr(dtype, "underlying_float", dtype)
        self.real = ir.FloatType() if real.bitwidth == 32 else ir.DoubleType()
        self.bytes = real.bitwidth // 8
        self.lanes = BYTES // self.bytes
        self.vector = ir.VectorType(self.real, self.lanes)
        self.parts = 1 if real is dtype else 2
        self.outputs = vectors * self.lanes // self.parts
        self.size = vectors * BYTES

    def emit(self, runs, taps, place, keep, masks):
        """Sum all taps for one strip, or for the lanes of its vectors that `masks` tell of."""
        zero = ir.Constant(self.vector, None)
        # A complex weight has one sum for its real part and one for its imaginary part.
        keys = product(range(len(runs)), range(self.parts), range(len(masks)))
        totals = dict.fromkeys(keys, zero)
        for each in taps:
            totals = self._sum(totals, each, place, masks)
        with self.builder.if_else(keep) as branches:
            for branch, kept in zip(branches, (True, False), strict=True):
                with branch:
                    for r, (v, mask) in product(range(len(runs)), enumerate(masks)):
                        run = self._numbers(runs[r])
                        total = self._joined([totals[r, part, v] for part in range(self.parts)])
                        if kept:
                            total = self._add(total, self._load(run, v, mask))
                        self._store(total, run, v, mask)

    def fetch(self, memory, lines, place):
        """Fetch as much memory as `lines` strips take."""
        b = self.builder
        memory = b.bitcast(b.gep(memory, [b.mul(place, lines)]), ir.IntType(8).as_pointer())
        size = ir.Constant(_INT, self.size)
        with cgutils.for_range_slice(b, _NONE, b.mul(lines, size), size, _INT) as (start, _):
            for k in range(0, self.size, LINE):
                fetch(b, b.gep(memory, [b.add(start, ir.Constant(_INT, k))]), 1)

    def _sum(self, totals, taps, place, masks):
        """Add taps, `taps.links` at a time."""
        b, links = self.builder, taps.links
        before, loop, after = b.block, b.append_basic_block("taps"), b.append_basic_block("summed")
        b.cbranch(b.icmp_signed("<", _NONE, taps.count), loop, after)

        b.position_at_end(loop)
        k = b.phi(_INT)
        begun = {key: b.phi(self.vector) for key in totals}
        windows = []
        for source, offsets in zip(taps.sources, taps.offsets, strict=True):
            offset = b.load(b.gep(offsets, [self._times(k, taps.strides[0])]))
            window = self._numbers(b.gep(source, [b.add(place, offset)]))
            windows.append([
                self._load(window, v, masks[max(0, v - links + 1)])
                for v in range(len(masks) + links - 1)
            ])  # fmt: skip
        more = begun
        for link in range(links):
            factors = {}
            step = self._times(b.add(k, ir.Constant(_INT, link)), taps.strides[1])
            for r, part in product(range(len(taps.reads)), range(self.parts)):
                tap = self._numbers(b.gep(taps.weights[r], [step]))
                number = b.gep(tap, [ir.Constant(_INT, part)])
                factors[r, part] = self._broadcast(b.load(number), self.vector)
            more = {
                (r, part, v): self._add(
                    sum_, b.fmul(windows[taps.reads[r]][v + link], factors[r, part], flags=_FLAGS)
                )
                for (r, part, v), sum_ in more.items()
            }
        following = b.add(k, ir.Constant(_INT, links))
        _keep_rolled(b.cbranch(b.icmp_signed("<", following, taps.count), loop, after))
        k.add_incoming(_NONE, before)
        k.add_incoming(following, loop)

        b.position_at_end(after)
        ended = {key: b.phi(self.vector) for key in totals}
        for key, total in totals.items():
            begun[key].add_incoming(total, before)
            begun[key].add_incoming(more[key], loop)
            ended[key].add_incoming(total, before)
            ended[key].add_incoming(more[key], loop)
        return ended

    def _times(self, k, stride):
        return k if stride == 1 else self.builder.mul(k, ir.Constant(_INT, stride))

    def _add(self, one, two):
        return self.builder.fadd(one, two, flags=_FLAGS)

    def _joined(self, sums):
        """The products with real weights, or those with both parts of complex ones together."""
        if len(sums) == 1:
            return sums[0]
        swapped = self._shuffle(sums[1], [lane ^ 1 for lane in range(self.lanes)])
        signs = ir.Constant(self.vector, [-1.0, 1.0] * (self.lanes // 2))
        return self._add(sums[0], self.builder.fmul(swapped, signs, flags=_FLAGS))

    def masks(self, count, whole, vectors):
        """For each vector from `whole` on, which of its lanes are among the first `count` outputs.

        Masked stores take some processors far longer than others.
        """
        b = self.builder
        lanes = ir.VectorType(_LANE, self.lanes)
        numbers = b.mul(count, ir.Constant(_INT, self.parts))
        masks = [None] * whole
        for v in range(whole, vectors):
            left = b.trunc(b.sub(numbers, ir.Constant(_INT, v * self.lanes)), _LANE)
            places = ir.Constant(lanes, list(range(self.lanes)))
            masks.append(b.icmp_signed("<", places, self._broadcast(left, lanes)))
        return masks

    def _broadcast(self, number, vector):
        anything = ir.Constant(vector, ir.Undefined)
        one = self.builder.insert_element(anything, number, ir.Constant(_LANE, 0))
        return self._shuffle(one, [0] * self.lanes)

    def _shuffle(self, vector, lanes):
        order = ir.Constant(ir.VectorType(_LANE, self.lanes), lanes)
        return self.builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), order)

    def _numbers(self, pointer):
        return self.builder.bitcast(pointer, self.real.as_pointer())

    def _place(self, pointer, v):
        place = self.builder.gep(pointer, [ir.Constant(_INT, v * self.lanes)])
        return self.builder.bitcast(place, self.vector.as_pointer())

    def _load(self, pointer, v, mask):
        place = self._place(pointer, v)
        if mask is None:
            return self.builder.load(place, align=self.bytes)
        zero = ir.Constant(self.vector, None)
        return self._masked("load", self.vector, [place, self._alignment, mask, zero])

    def _store(self, value, pointer, v, mask):
        place = self._place(pointer, v)
        if mask is None:
            self.builder.store(value, place, align=self.bytes)
        else:
            self._masked("store", ir.VoidType(), [value, place, self._alignment, mask])

    @property
    def _alignment(self):
        return ir.Constant(_LANE, self.bytes)

    def _masked(self, what, result, arguments):
        """Load or store where the mask says so, touching no other memory."""
        name = f"llvm.masked.{what}.v{self.lanes}f{8 * self.bytes}.p0"
        kind = ir.FunctionType(result, [each.type for each in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)


def _keep_rolled(branch):
    """Have the loop that ends here not unrolled, which takes long to compile and gains nothing."""
    module = branch.module
    never = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = module.add_metadata([ir.Constant(_INT, len(module.metadata))])
    loop.operands = loop, never  # a loop's metadata begin with themselves, to be no other loop's
    branch.set_metadata("llvm.loop", loop)
