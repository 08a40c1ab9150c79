"""Arrays as flat memory, which inner loops read and write without bounds or references.

::

    an array      x[0, 0] x[0, 1] x[0, 2] x[1, 0] x[1, 1] x[1, 2]
    flat(x)       |
    skip(flat(x), 3)                      |
"""

import inspect
from typing import Any

import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.extending import lower_builtin, overload, type_callable
from numpy.typing import NDArray

from dhop.kernels.compile import called
from dhop.kernels.emit import PLAIN

Array = NDArray[Any]
Index = NDArray[np.intp]


class Strict(np.ndarray):
    """An array that refuses negative indices, with which a compiled pointer reads other memory."""

    def __getitem__(self, key):
        return super().__getitem__(_not_negative(key))

    def __setitem__(self, key, value):
        super().__setitem__(_not_negative(key), value)


def _not_negative(key):
    for index in (key.start, key.stop) if type(key) is slice else (key,):
        if isinstance(index, int | np.integer) and index < 0:
            raise IndexError(f"{key} is before the numbers")
    return key


INTERPRETED: type[np.ndarray] = np.ndarray  # of which tests make `Strict`, twice as slow


def flat(array):
    """The numbers of a C-contiguous array one after the other, for as long as its owner lives.

    Compiled, it is a bare pointer: indices are not checked, and no references are counted, which
    takes longer than a short row of numbers. Numba frees an array after the last line that names
    it, so an array made in a kernel becomes flat inside the loop that uses it: that is cheap, and
    the loop keeps the array.
    """
    return array.reshape(-1).view(INTERPRETED)


def skip(numbers, count):
    """`flat` numbers without the first `count`."""
    return numbers[count:]


def between(numbers, first, last):
    """`flat` numbers from `first` to before `last`."""
    return numbers[first:last]


def pack(bundle: tuple[Any, ...]) -> Array:
    """A NamedTuple of integers, and then of arrays of them, as one array.

    ::

        n0 n1 ... factor | edges of the arrays | first array | second array | ...

    Each argument that is an array takes a call of a kernel 40 ns.
    """
    arrays = [each.ravel() for each in bundle if isinstance(each, np.ndarray)]
    numbers = bundle[: len(bundle) - len(arrays)]
    edges = np.cumsum([len(bundle) + 1, *(array.size for array in arrays)])
    return np.concatenate([np.asarray(numbers, np.int64), edges, *arrays])


def unpacking(kind: type) -> Any:
    """A compiled function from a packed and `flat` bundle to the bundle, a NamedTuple `kind`."""
    fields = inspect.get_annotations(kind)
    numbers = sum(each is int for each in fields.values())
    parts = [
        f"table[{k}]" if k < numbers else f"between(table, table[{k}], table[{k + 1}])"
        for k in range(len(fields))
    ]
    names = {"kind": kind, "between": between}
    exec(f"def unpack(table): return kind({', '.join(parts)})", names)
    return called(names["unpack"])


def _checked(array):
    if not (isinstance(array, types.Array) and array.layout == "C"):
        raise TypingError(f"a C-contiguous array is needed, not {array}")
    return array


if PLAIN:

    @overload(flat)
    def _plain_flat(array):
        _checked(array)
        return lambda array: array.reshape(-1)

    @overload(skip)
    def _plain_skip(numbers, count):
        return lambda numbers, count: numbers[count:]

    @overload(between)
    def _plain_between(numbers, first, last):
        return lambda numbers, first, last: numbers[first:last]

else:
    # Their types, and below their instructions: an `overload` takes as long as any function.
    type_callable(flat)(lambda context: lambda array: types.CPointer(_checked(array).dtype))
    type_callable(skip)(lambda context: lambda numbers, count: numbers)
    type_callable(between)(lambda context: lambda numbers, first, last: numbers)


@lower_builtin(flat, types.Array)
def _pointer(context, builder, signature, arguments):
    return context.make_array(signature.args[0])(context, builder, arguments[0]).data


@lower_builtin(skip, types.CPointer, types.Integer)
@lower_builtin(between, types.CPointer, types.Integer, types.Integer)
def _advanced(context, builder, signature, arguments):
    count = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return builder.gep(arguments[0], [count])
