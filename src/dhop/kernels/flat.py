"""Arrays as flat memory: what the inner loops are written against."""

from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload


def flat(array):
    """The numbers of a C-contiguous array one after the other, for as long as its owner lives.

    Compiled, it is a bare pointer: indices are neither counted from the end nor checked, and no
    references are counted, which takes longer than a short row of numbers.
    """
    return array.reshape(-1)


def skip(numbers, count):
    """What follows the first `count` of `flat` numbers."""
    return numbers[count:]


@overload(flat)
def _compiled_flat(array):
    if not (isinstance(array, types.Array) and array.layout == "C"):
        raise TypingError(f"a C-contiguous array is needed, not {array}")
    return lambda array: _pointer(array)


@overload(skip)
def _compiled_skip(numbers, count):
    return lambda numbers, count: _advanced(numbers, count)


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
