"""Shares of a product, which its threads take one by one without returning to the interpreter.

An array of integers holds how many shares have been taken, how many one call may take, whether a
result is spoilt, and then the edges of the shares, which are ranges of rows. Another one holds for
each thread that helps the caller whether it is busy.
"""

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from dhop.kernels import AT_ONCE, EDGES, TAKEN
from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat

PATIENCE = 1 if config.DISABLE_JIT else 2**17  # how often a thread looks, in about 0.1 ms


@called
def take(shares, busy, count):
    """The next range of rows, an empty one if there is none, after `count` of this call.

    When none is left, a caller waits a moment for those that help it.
    """
    number = flat(shares)
    if count < number[AT_ONCE]:
        k = _count(number, TAKEN)
        if k + 1 < shares.size - EDGES:
            return number[EDGES + k], number[EDGES + k + 1]
        _wait(busy)
    return 0, 0


@kernel
def wait(busy):
    """Wait a moment for threads that are about to end.

    To sleep and to be woken would take longer than what they usually have left to do, and to take
    the interpreter from them while they end is to put them to sleep.
    """
    _wait(busy)


@called
def _wait(busy):
    number, k = flat(busy), 0
    for _ in range(PATIENCE):
        while k < busy.size and _now(number, k) == 0:
            k += 1
        if k == busy.size:
            break


def _count(numbers, k):
    """Add one to a number, of which no other thread gets the same value."""
    before = numbers[k]
    numbers[k] += 1
    return before


def _now(numbers, k):
    """A number as another thread has left it by now."""
    return numbers[k]


@intrinsic
def _emitted_count(typingctx, numbers, k):
    def generate(context, builder, signature, arguments):
        place = builder.gep(arguments[0], [arguments[1]])
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(numbers, types.intp), generate


@intrinsic
def _emitted_now(typingctx, numbers, k):
    def generate(context, builder, signature, arguments):
        return builder.load_atomic(builder.gep(arguments[0], [arguments[1]]), "seq_cst", 8)

    return types.int64(numbers, types.intp), generate


if not config.DISABLE_JIT:
    _count, _now = _emitted_count, _emitted_now
