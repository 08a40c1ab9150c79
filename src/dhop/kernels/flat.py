"""Arrays as flat memory: what the inner loops are written against."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

Array = NDArray[Any]


def flat(array):
    """The numbers of a C-contiguous array one after the other, for as long as its owner lives.

    Compiled, it is a bare pointer: indices are neither counted from the end nor checked, and no
    references are counted, which takes longer than a short row of numbers.
    """
    return array.reshape(-1)


def skip(numbers, count):
    """What follows the first `count` of `flat` numbers."""
    return numbers[count:]


def bundle(numbers: Iterable[int], arrays: Iterable[Array]) -> Array:
    """Integers, and arrays of them, as one array: each array costs a call of a kernel 40 ns."""
    numbers, arrays = list(numbers), [array.ravel() for array in arrays]
    edges = np.cumsum([len(numbers) + len(arrays) + 1, *(array.size for array in arrays)])
    return np.concatenate([np.asarray(numbers, np.int64), edges, *arrays])


def unbundle(table, numbers, arrays):
    """The so many numbers and arrays, flat, of a flat `bundle`; both counts are literals."""
    edges = table[numbers : numbers + arrays + 1]
    parts = [table[edges[k] : edges[k + 1]] for k in range(arrays)]
    return *table[:numbers].tolist(), *parts


@overload(flat)
def _compiled_flat(array):
    if not (isinstance(array, types.Array) and array.layout == "C"):
        raise TypingError(f"a C-contiguous array is needed, not {array}")
    return lambda array: _pointer(array)


@overload(skip)
def _compiled_skip(numbers, count):
    return lambda numbers, count: _advanced(numbers, count)


@overload(unbundle, prefer_literal=True)
def _compiled_unbundle(table, numbers, arrays):
    return lambda table, numbers, arrays: _unbundled(table, numbers, arrays)


@intrinsic(prefer_literal=True)
def _unbundled(typingctx, table, numbers, arrays):
    count = numbers.literal_value
    items = types.Tuple([table.dtype] * count + [table] * arrays.literal_value)

    def generate(context, builder, signature, arguments):
        parts = []
        for k in range(len(items)):
            number = builder.load(cgutils.gep_inbounds(builder, arguments[0], k))
            parts.append(number if k < count else builder.gep(arguments[0], [number]))
        return context.make_tuple(builder, items, parts)

    return items(table, numbers, arrays), generate


@intrinsic
def _pointer(typingctx, array):
    def generate(context, builder, signature, arguments):
        return context.make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def _advanced(typingctx, pointer, count):
    def generate(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.intp), generate
