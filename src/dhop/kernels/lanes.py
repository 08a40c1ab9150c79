"""Arithmetic on vectors of numbers side by side, their lanes, that is written once.

A `traced` function computes with vectors that it loads from places in memory. Interpreted, they are
slices of NumPy arrays; compiled, the function is run once, with vectors that write down each
operation as an instruction of the machine.
"""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic, overload


def _register_bytes():
    """Those of AVX-512 where the compiler may use it, else those of AVX2."""
    asked = config.CPU_FEATURES
    features = get_host_cpu_features() if asked is None else asked
    return 64 if "+avx512f" in features.split(",") else 32


BYTES = _register_bytes()  # of a vector

_INT = ir.IntType(64)
_LANE = ir.IntType(32)
_FLAGS = ("contract", "reassoc")


@dataclass
class Pair:
    """Complex numbers by their parts, a vector each."""

    re: Any
    im: Any

    def __add__(self, other):
        return Pair(self.re + other.re, self.im + other.im)

    def __sub__(self, other):
        return Pair(self.re - other.re, self.im - other.im)

    def __mul__(self, other):
        return Pair(
            self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re
        )

    def __rmul__(self, factor):
        return Pair(factor * self.re, factor * self.im)

    def scaled(self, factor):
        """Times the real numbers of a vector."""
        return Pair(self.re * factor, self.im * factor)

    def conj(self):
        return Pair(self.re, -self.im)

    def turned(self):
        """Times ``-i``."""
        return Pair(self.im, -self.re)

    def swapped(self):
        """Real and imaginary parts exchanged: a transform of this is the inverse transform."""
        return Pair(self.im, self.re)


def traced(function):
    """Call `function` with the places of its arguments: flat arrays, and numbers as they are."""

    def run(*arguments):
        function(*(_Array(each) if isinstance(each, np.ndarray) else each for each in arguments))

    @intrinsic
    def emit(typingctx, *arguments):
        def generate(context, builder, signature, values):
            function(
                *(
                    _Memory(builder, kind, value) if isinstance(kind, types.CPointer) else value
                    for kind, value in zip(
                        signature.args[0], cgutils.unpack_tuple(builder, values[0]), strict=True
                    )
                )
            )
            return context.get_dummy_value()

        return types.void(types.StarArgTuple(arguments)), generate

    return run if config.DISABLE_JIT else emit


def lanes(numbers):
    """How many flat numbers a vector holds."""
    return BYTES // numbers.itemsize


@overload(lanes)
def _compiled_lanes(numbers):
    count = 8 * BYTES // numbers.dtype.bitwidth
    return lambda numbers: count


class _Place:
    """Somewhere in memory. Places are counted in vectors, points (pairs of vectors) or numbers.

    Of the numbers in `n` vectors, ``parted(vectors)[p]`` holds those at ``n * k + p``; with as many
    vectors as lanes that is the transpose. `joined` is the way back.
    """

    def point(self, k):
        return Pair(self.load(2 * k), self.load(2 * k + 1))

    def put(self, k, pair):
        self.store(2 * k, pair.re)
        self.store(2 * k + 1, pair.im)

    def factor(self, k):
        """A complex number, for all lanes."""
        return Pair(self.number(2 * k), self.number(2 * k + 1))


class _Array(_Place):
    """A place in a flat array: its beginning."""

    def __init__(self, numbers):
        self.parts = 2 if numbers.dtype.kind == "c" else 1
        self._numbers = numbers.view(numbers.real.dtype)
        self.lanes = BYTES // self._numbers.itemsize

    def after(self, count):
        other = copy(self)
        other._numbers = self._numbers[count * self.parts :]
        return other

    def load(self, k):
        return self._numbers[k * self.lanes :][: self.lanes].copy()

    def store(self, k, vector):
        self._numbers[k * self.lanes :][: self.lanes] = vector

    def number(self, k):
        return self._numbers[k]

    def fetch(self, k):
        pass

    def pixels(self):
        numbers = self._numbers[: 2 * self.lanes].copy()
        if self.parts == 2:
            return Pair(numbers[::2], numbers[1::2])
        return Pair(numbers[: self.lanes], numbers[self.lanes :])

    def put_pixels(self, pair):
        numbers = self._numbers[: 2 * self.lanes]
        if self.parts == 2:
            numbers[::2], numbers[1::2] = pair.re, pair.im
        else:
            numbers[: self.lanes], numbers[self.lanes :] = pair.re, pair.im

    def parted(self, vectors):
        numbers = np.concatenate(vectors).reshape(-1, len(vectors), self.parts)
        return list(numbers.swapaxes(0, 1).reshape(len(vectors), -1))

    def joined(self, vectors):
        numbers = np.reshape(vectors, (len(vectors), -1, self.parts))
        return list(numbers.swapaxes(0, 1).reshape(len(vectors), -1))


def fetch(builder, pointer, level):
    """Emit that memory, which need not exist, be brought into the cache of a level."""
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()] + 3 * [_LANE])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    place = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    builder.call(function, [place] + [ir.Constant(_LANE, k) for k in (0, 4 - level, 1)])


class _Memory(_Place):
    """A place behind a pointer."""

    def __init__(self, builder, kind, pointer):
        self._builder = builder
        real = getattr(kind.dtype, "underlying_float", kind.dtype)
        self._real = ir.FloatType() if real.bitwidth == 32 else ir.DoubleType()
        self.parts = 1 if real is kind.dtype else 2
        self._bytes = real.bitwidth // 8
        self.lanes = BYTES // self._bytes
        self._pointer = builder.bitcast(pointer, self._real.as_pointer())

    def after(self, count):
        other = copy(self)
        parts = self._builder.mul(count, ir.Constant(_INT, self.parts))
        other._pointer = self._builder.gep(self._pointer, [parts])
        return other

    def load(self, k):
        return _Vector(self._builder, self._builder.load(self._place(k), align=self._bytes))

    def store(self, k, vector):
        self._builder.store(vector.value, self._place(k), align=self._bytes)

    def number(self, k):
        b = self._builder
        number = b.load(b.gep(self._pointer, [ir.Constant(_INT, k)]))
        anything = ir.Constant(ir.VectorType(self._real, self.lanes), ir.Undefined)
        one = _Vector(b, b.insert_element(anything, number, ir.Constant(_LANE, 0)))
        return one.shuffled(one, [0] * self.lanes)

    def fetch(self, k):
        """Bring a vector into the cache, since it will be needed soon."""
        fetch(self._builder, self._place(k), 1)

    def pixels(self):
        one, two = self.load(0), self.load(1)
        if self.parts == 1:
            return Pair(one, two)
        both = range(2 * self.lanes)
        return Pair(one.shuffled(two, both[::2]), one.shuffled(two, both[1::2]))

    def put_pixels(self, pair):
        if self.parts == 2:
            mixed = [k // 2 + k % 2 * self.lanes for k in range(2 * self.lanes)]
            parts = mixed[: self.lanes], mixed[self.lanes :]
            pair = Pair(*(pair.re.shuffled(pair.im, part) for part in parts))
        self.put(0, pair)

    def parted(self, vectors):
        n, numbers = len(vectors), self.lanes // self.parts
        if n == 1:
            return vectors
        prime = next(p for p in range(2, n + 1) if n % p == 0)
        groups = [vectors[k : k + prime] for k in range(0, n, prime)]
        phases = [range(p, prime * numbers, prime) for p in range(prime)]
        parts = [self.parted([self._gathered(each, phase) for each in groups]) for phase in phases]
        return [parts[p % prime][p // prime] for p in range(n)]

    def joined(self, vectors):
        n, numbers = len(vectors), self.lanes // self.parts
        if n == 1:
            return vectors
        prime = next(p for p in range(2, n + 1) if n % p == 0)
        groups = zip(*(self.joined(vectors[p::prime]) for p in range(prime)), strict=True)
        order = np.arange(prime * numbers).reshape(prime, -1).T.reshape(prime, -1).tolist()
        return [self._gathered(group, each) for group in groups for each in order]

    def _gathered(self, vectors, numbers):
        """A vector of some numbers, counted through all of `vectors`."""
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

    def _place(self, k):
        place = self._builder.gep(self._pointer, [ir.Constant(_INT, k * self.lanes)])
        return self._builder.bitcast(place, ir.VectorType(self._real, self.lanes).as_pointer())


class _Vector:
    """A value of the compiled function; operations on it are appended to the function."""

    def __init__(self, builder, value):
        self._builder, self.value = builder, value

    def __add__(self, other):
        return _Vector(self._builder, self._builder.fadd(self.value, other.value, flags=_FLAGS))

    def __sub__(self, other):
        return _Vector(self._builder, self._builder.fsub(self.value, other.value, flags=_FLAGS))

    def __mul__(self, other):
        return _Vector(self._builder, self._builder.fmul(self.value, other.value, flags=_FLAGS))

    def __rmul__(self, number):
        kind = self.value.type
        return _Vector(self._builder, ir.Constant(kind, [number] * kind.count)) * self

    def __neg__(self):
        return _Vector(self._builder, self._builder.fneg(self.value))

    def shuffled(self, other, lanes):
        """Lanes of this vector and, counted on, of the other."""
        order = ir.Constant(ir.VectorType(_LANE, len(lanes)), list(lanes))
        return _Vector(self._builder, self._builder.shuffle_vector(self.value, other.value, order))
