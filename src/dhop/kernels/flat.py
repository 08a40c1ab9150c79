"""Arrays as flat memory: what the inner loops are written against.

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
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from dhop.kernels.compile import called
from dhop.kernels.emit import PLAIN

Array = NDArray[Any]


class Strict(np.ndarray):
    """Numbers that are not counted from the end, so that what begins before them is refused.

    A compiled pointer would read what is not ours there. Interpreted loops see arrays as `SEEN`,
    and a test has them see this, which takes twice as long.
    """

    def __getitem__(self, key):
        return super().__getitem__(_ahead(key))

    def __setitem__(self, key, value):
        super().__setitem__(_ahead(key), value)


def _ahead(key):
    if type(key) is slice:
        start, stop = key.start, key.stop
        behind = (start is not None and start < 0) or (stop is not None and stop < 0)
    else:
        behind = isinstance(key, int | np.integer) and key < 0
    if behind:
        raise IndexError(f"{key} is before the numbers")
    return key


SEEN: type[np.ndarray] = np.ndarray


def flat(array):
    """The numbers of a C-contiguous array one after the other, for as long as its owner lives.

    Compiled, it is a bare pointer: indices are neither counted from the end nor checked, and no
    references are counted, which takes longer than a short row of numbers.
    """
    return array.reshape(-1).view(SEEN)


def skip(numbers, count):
    """What follows the first `count` of `flat` numbers."""
    return numbers[count:]


def between(numbers, first, last):
    """Some of `flat` numbers."""
    return numbers[first:last]


def pack(bundle: tuple[Any, ...]) -> Array:
    """A NamedTuple of integers, and then of arrays of them, as one array.

    ::

        n0 n1 ... factor | edges of the arrays | first array | second array | ...

    Each array costs a call of a kernel 40 ns, and a kernel needs a dozen.
    """
    arrays = [each.ravel() for each in bundle if isinstance(each, np.ndarray)]
    numbers = bundle[: len(bundle) - len(arrays)]
    edges = np.cumsum([len(bundle) + 1, *(array.size for array in arrays)])
    return np.concatenate([np.asarray(numbers, np.int64), edges, *arrays])


def unpacking(kind: type) -> Any:
    """A function for kernels that makes a bundle of that kind of what is `flat` and packed."""
    fields = inspect.get_annotations(kind)
    numbers = sum(each is int for each in fields.values())
    parts = [
        f"table[{k}]" if k < numbers else f"between(table, table[{k}], table[{k + 1}])"
        for k in range(len(fields))
    ]
    names = {"kind": kind, "between": between}
    exec(f"def unpack(table): return kind({', '.join(parts)})", names)
    return called(names["unpack"])


@overload(flat)
def _compiled_flat(array):
    if not (isinstance(array, types.Array) and array.layout == "C"):
        raise TypingError(f"a C-contiguous array is needed, not {array}")
    if PLAIN:
        return lambda array: array.reshape(-1)
    return lambda array: _pointer(array)


@overload(skip)
def _compiled_skip(numbers, count):
    if PLAIN:
        return lambda numbers, count: numbers[count:]
    return lambda numbers, count: _advanced(numbers, count)


@overload(between)
def _compiled_between(numbers, first, last):
    if PLAIN:
        return lambda numbers, first, last: numbers[first:last]
    return lambda numbers, first, last: _advanced(numbers, first)


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
