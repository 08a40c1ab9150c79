"""Vectors and memory, whose operations emit LLVM instructions; see `dhop.kernels.emit`."""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features


def _register_bytes():
    """Of AVX-512 where the compiler may use it, else of AVX2."""
    asked = config.CPU_FEATURES
    features = get_host_cpu_features() if asked is None else asked
    return 64 if "+avx512f" in features.split(",") else 32


BYTES = _register_bytes()  # of a vector

_FLAGS = ("contract", "reassoc")


class Emitter:
    """Integers and loops in the function that `builder` writes."""

    def __init__(self, builder):
        self.builder = builder

    def integer(self, number):
        return ir.Constant(_integer(64), number)

    def less(self, one, two):
        return self.builder.icmp_signed("<", one, two)

    def times(self, number, constant):
        return number if constant == 1 else self.builder.mul(number, self.integer(constant))

    def minimum(self, one, two):
        return self.builder.select(self.less(one, two), one, two)

    def loop(self, count, body, carried=(), step=1):
        """``carried = body(k, carried)``, a list of vectors, for ``k in range(0, count, step)``.

        Unrolling takes long to compile and gains nothing.
        """
        b, zero = self.builder, self.integer(0)
        before, inside, after = b.block, b.append_basic_block("loop"), b.append_basic_block("end")
        b.cbranch(self.less(zero, count), inside, after)
        b.position_at_end(inside)
        k = b.phi(_integer(64))
        begun = [b.phi(each.value.type) for each in carried]
        ended = body(k, [Vector(b, each) for each in begun]) or []
        following = b.add(k, self.integer(step))
        last = b.block
        _disable_unrolling(b.cbranch(self.less(following, count), inside, after))
        k.add_incoming(zero, before)
        k.add_incoming(following, last)
        b.position_at_end(after)
        results = []
        for first, phi, more in zip(carried, begun, ended, strict=True):
            phi.add_incoming(first.value, before)
            phi.add_incoming(more.value, last)
            result = b.phi(phi.type)
            result.add_incoming(first.value, before)
            result.add_incoming(more.value, last)
            results.append(Vector(b, result))
        return results


@dataclass
class ComplexVector:
    """Complex numbers, as a vector of real parts and one of imaginary parts."""

    re: Any
    im: Any

    def __add__(self, other):
        return ComplexVector(self.re + other.re, self.im + other.im)

    def __sub__(self, other):
        return ComplexVector(self.re - other.re, self.im - other.im)

    def __mul__(self, other):
        return ComplexVector(
            self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re
        )

    def __rmul__(self, factor):
        return ComplexVector(factor * self.re, factor * self.im)

    def scaled(self, factor):
        """Times a vector of real numbers."""
        return ComplexVector(self.re * factor, self.im * factor)

    def conj(self):
        return ComplexVector(self.re, -self.im)

    def times_minus_i(self):
        return ComplexVector(self.im, -self.re)

    def swapped(self):
        """Parts exchanged: the Fourier transform of this is the swapped inverse transform."""
        return ComplexVector(self.im, self.re)


class Vector:
    """Real numbers side by side in a register."""

    def __init__(self, builder, value):
        self._builder, self.value = builder, value

    def __add__(self, other):
        return Vector(self._builder, self._builder.fadd(self.value, other.value, flags=_FLAGS))

    def __sub__(self, other):
        return Vector(self._builder, self._builder.fsub(self.value, other.value, flags=_FLAGS))

    def __mul__(self, other):
        return Vector(self._builder, self._builder.fmul(self.value, other.value, flags=_FLAGS))

    def __rmul__(self, number):
        kind = self.value.type
        return Vector(self._builder, ir.Constant(kind, [number] * kind.count)) * self

    def __neg__(self):
        return Vector(self._builder, self._builder.fneg(self.value))

    def multiply_add(self, one, two):
        """``self + one * two`` as a fused multiply-add; the order of the sums is kept."""
        b, flags = self._builder, ("contract",)
        return Vector(b, b.fadd(self.value, b.fmul(one.value, two.value, flags=flags), flags=flags))

    def shuffled(self, other, order):
        """Lanes of this vector, and of the other if their number is larger."""
        order = ir.Constant(ir.VectorType(_integer(32), len(order)), list(order))
        return Vector(self._builder, self._builder.shuffle_vector(self.value, other.value, order))


class Pointer:
    """A pointer to numbers.

    `load` and `store` count in vectors, `load_complex` and `store_complex` in pairs of them, and
    `broadcast` and `after` in numbers. A complex number is two real ones that follow each other.

    Attributes
    ----------
    pointer : LLVM value
    parts : int
        1 if the numbers are real, 2 if they are complex.
    lanes : int
        Real numbers in a vector.
    """

    def __init__(self, builder, kind, pointer):
        self._builder = builder
        self._real = getattr(kind, "underlying_float", kind)
        self.parts = 1 if self._real is kind else 2
        self._bytes = self._real.bitwidth // 8
        self.lanes = BYTES // self._bytes
        if isinstance(kind, types.Integer):
            self._kind = _integer(self._real.bitwidth)
        else:
            self._kind = ir.FloatType() if self._bytes == 4 else ir.DoubleType()
        self.pointer = builder.bitcast(pointer, self._kind.as_pointer())

    def after(self, count):
        """The pointer `count` numbers on."""
        other = copy(self)
        parts = _constant(count)
        if self.parts > 1:
            parts = self._builder.mul(parts, _constant(self.parts))
        other.pointer = self._builder.gep(self.pointer, [parts])
        return other

    def integer(self, k=0):
        return self._builder.load(self._builder.gep(self.pointer, [_constant(k)]))

    def load(self, k, mask=None):
        if mask is None:
            return Vector(self._builder, self._builder.load(self._at(k), align=self._bytes))
        return self._masked("load", self._vector, [self._at(k), self._alignment, mask, self.zero()])

    def store(self, k, vector, mask=None):
        if mask is None:
            self._builder.store(vector.value, self._at(k), align=self._bytes)
        else:
            self._masked("store", ir.VoidType(), [vector, self._at(k), self._alignment, mask])

    def zero(self):
        return Vector(self._builder, ir.Constant(self._vector, None))

    def constant(self, *numbers):
        """A vector of the given numbers, repeated."""
        repeated = [*numbers] * (self.lanes // len(numbers))
        return Vector(self._builder, ir.Constant(self._vector, repeated))

    def broadcast(self, k):
        """A real number, or a part of a complex one, in all lanes."""
        number = self._builder.load(self._builder.gep(self.pointer, [_constant(k)]))
        return _broadcast(self._builder, number, self._vector)

    def lane_mask(self, count, k):
        """Which lanes of vector `k` are among the first `count` numbers."""
        b, integer = self._builder, _integer(32)
        left = b.sub(b.mul(count, _constant(self.parts)), _constant(k * self.lanes))
        whole = ir.VectorType(integer, self.lanes)
        places = ir.Constant(whole, list(range(self.lanes)))
        return b.icmp_signed("<", places, _broadcast(b, b.trunc(left, integer), whole).value)

    def load_complex(self, k):
        return ComplexVector(self.load(2 * k), self.load(2 * k + 1))

    def store_complex(self, k, pair):
        self.store(2 * k, pair.re)
        self.store(2 * k + 1, pair.im)

    def broadcast_complex(self, k):
        """A complex number in all lanes."""
        return ComplexVector(self.broadcast(2 * k), self.broadcast(2 * k + 1))

    def load_four(self, count=0):
        """A vector of four real numbers, from number `count` on."""
        place = self.after(count)
        kind = ir.VectorType(self._kind, 4).as_pointer()
        pointer = self._builder.bitcast(place.pointer, kind)
        return Vector(self._builder, self._builder.load(pointer, align=self._bytes))

    def store_four(self, vector, count=0):
        place = self.after(count)
        pointer = self._builder.bitcast(place.pointer, vector.value.type.as_pointer())
        self._builder.store(vector.value, pointer, align=self._bytes)

    def broadcast_four(self, number):
        return _broadcast(self._builder, number, ir.VectorType(self._kind, 4))

    def constant_four(self, *numbers):
        return Vector(self._builder, ir.Constant(ir.VectorType(self._kind, 4), [*numbers]))

    def store_lane(self, vector, lane):
        """Store the number in one lane."""
        value = self._builder.extract_element(vector.value, ir.Constant(_integer(32), lane))
        self._builder.store(value, self.pointer)

    def prefetch(self, k=0):
        """Fetch vector `k` into the cache; it need not exist."""
        b, byte, integer = self._builder, ir.IntType(8).as_pointer(), _integer(32)
        kind = ir.FunctionType(ir.VoidType(), [byte] + 3 * [integer])
        function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
        b.call(
            function, [b.bitcast(self._at(k), byte)] + [ir.Constant(integer, n) for n in (0, 3, 1)]
        )

    def load_pixels(self):
        """Two vectors of real pixels, or the parts of complex pixels, as one complex vector."""
        one, two = self.load(0), self.load(1)
        if self.parts == 1:
            return ComplexVector(one, two)
        both = range(2 * self.lanes)
        return ComplexVector(one.shuffled(two, both[::2]), one.shuffled(two, both[1::2]))

    def store_pixels(self, pair):
        if self.parts == 2:
            mixed = [k // 2 + k % 2 * self.lanes for k in range(2 * self.lanes)]
            parts = mixed[: self.lanes], mixed[self.lanes :]
            pair = ComplexVector(*(pair.re.shuffled(pair.im, part) for part in parts))
        self.store_complex(0, pair)

    def deinterleaved(self, vectors):
        """Result `p` of `n` has the numbers at ``n * k + p`` of `n` vectors; see `interleaved`.

        With as many vectors as lanes this is the transpose.
        """
        n, numbers = len(vectors), self.lanes // self.parts
        if n == 1:
            return vectors
        prime = next(p for p in range(2, n + 1) if n % p == 0)
        groups = [vectors[k : k + prime] for k in range(0, n, prime)]
        phases = [range(p, prime * numbers, prime) for p in range(prime)]
        parts = [
            self.deinterleaved([self._selected(each, phase) for each in groups]) for phase in phases
        ]
        return [parts[p % prime][p // prime] for p in range(n)]

    def interleaved(self, vectors):
        """The inverse of `deinterleaved`."""
        n, numbers = len(vectors), self.lanes // self.parts
        if n == 1:
            return vectors
        prime = next(p for p in range(2, n + 1) if n % p == 0)
        groups = zip(*(self.interleaved(vectors[p::prime]) for p in range(prime)), strict=True)
        order = np.arange(prime * numbers).reshape(prime, -1).T.reshape(prime, -1).tolist()
        return [self._selected(group, each) for group in groups for each in order]

    def _selected(self, vectors, numbers):
        """A vector of the `numbers` of those indices, counted through all of `vectors`."""
        lanes = [number * self.parts + part for number in numbers for part in range(self.parts)]
        total = vectors[0]
        for k, vector in enumerate(vectors[1:], 1):
            order = []
            for lane, place in enumerate(lanes):
                here = place if k == 1 and place < self.lanes else lane
                there = place - (k - 1) * self.lanes
                order.append(there if place // self.lanes == k else here)
            total = total.shuffled(vector, order)
        return total

    @property
    def _vector(self):
        return ir.VectorType(self._kind, self.lanes)

    @property
    def _alignment(self):
        return ir.Constant(_integer(32), self._bytes)

    def _at(self, k):
        place = self._builder.gep(self.pointer, [_constant(k * self.lanes)])
        return self._builder.bitcast(place, self._vector.as_pointer())

    def _masked(self, what, result, arguments):
        """Load or store the lanes of a mask, touching no other memory."""
        name = f"llvm.masked.{what}.v{self.lanes}f{8 * self._bytes}.p0"
        arguments = [getattr(each, "value", each) for each in arguments]
        kind = ir.FunctionType(result, [each.type for each in arguments])
        function = cgutils.get_or_insert_function(self._builder.module, kind, name)
        return Vector(self._builder, self._builder.call(function, arguments))


def _integer(bits):
    return ir.IntType(bits)


def _constant(k):
    """An integer of 64 bits, which `k` may be already."""
    return ir.Constant(_integer(64), k) if isinstance(k, int) else k


def _broadcast(builder, number, kind):
    anything = ir.Constant(kind, ir.Undefined)
    one = Vector(builder, builder.insert_element(anything, number, ir.Constant(_integer(32), 0)))
    return one.shuffled(one, [0] * kind.count)


def _disable_unrolling(branch):
    """Of the loop that `branch` ends."""
    module = branch.module
    never = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = module.add_metadata([ir.Constant(_integer(64), len(module.metadata))])
    loop.operands = loop, never  # a loop's metadata begin with themselves, to be no other loop's
    branch.set_metadata("llvm.loop", loop)
