"""Shares of a product, which its threads take one by one without returning to the interpreter.

An array of integers has a row for each thread: how many of its shares have been taken, and from
`EDGES` on the edges of the shares, which are ranges of rows of the result, perhaps with empty ones
at the end. The first row holds what is said once, too: how many shares one call of a kernel may
take, and the number of the product. A product of a single share only reads them. All products have
one board: how often one has begun, and for each thread of the pool the number of the one it helps
with, else zero.
"""

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from dhop.kernels import AT_ONCE, BEGUN, CALL, EDGES, TAKEN
from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip

PATIENCE = 1 if config.DISABLE_JIT else 2**20  # how often a thread looks, in about 0.3 ms


@called
def take(shares, own, board, count):
    """The next range of rows, an empty one if there is none, after `count` of this call.

    A thread takes those of its `own` row first. The caller, which has row 0, says that it begins,
    and when no share is left it waits a moment for those that help it.
    """
    parts, length = shares.shape
    number = flat(shares)
    if shares.size == EDGES + 2:
        return number[EDGES], number[EDGES if count else EDGES + 1]
    if count == 0 and own == 0 and board.size > 0:
        _count(flat(board), BEGUN)
    if count < number[AT_ONCE]:
        for p in range(parts):
            row = skip(number, (own + p) % parts * length)
            if _now(row, TAKEN) + EDGES + 1 < length:
                k = EDGES + _count(row, TAKEN)
                if k + 1 < length and row[k] < row[k + 1]:
                    return row[k], row[k + 1]
        if own == 0:
            _wait(flat(board), board.size, number[CALL])
    return 0, 0


@kernel
def look_out(board, number, begun):
    """Have ended what thread `number` was at, and wait a moment for another product to begin.

    To be woken takes longer than many a product. The thread has left the interpreter to others by
    now: a caller that wants it while another has it would have to be woken, too.
    """
    line = flat(board)
    _put(line, number, 0)
    for _ in range(PATIENCE):
        if _now(line, BEGUN) != begun:
            break


@kernel
def wait(board, call):
    """Wait a moment for threads that help `call`, which are about to end.

    To sleep and to be woken would take longer than what they usually have left to do.

    Returns
    -------
    bool
        Whether they have ended.
    """
    return _wait(flat(board), board.size, call)


@called
def _wait(board, size, call):
    k = BEGUN + 1
    for _ in range(PATIENCE):
        while k < size and _now(board, k) != call:
            k += 1
        if k >= size:
            return True
    return False


def _count(numbers, k):
    """Add one to a number, of which, compiled, no other thread gets the same value."""
    before = numbers[k]
    numbers[k] = before + 1
    return before


def _now(numbers, k):
    """A number as another thread has left it by now."""
    return numbers[k]


def _put(numbers, k, number):
    """Set a number, after everything else that this thread has written."""
    numbers[k] = number


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


@intrinsic
def _emitted_put(typingctx, numbers, k, number):
    def generate(context, builder, signature, arguments):
        numbers, k, number = arguments
        builder.store_atomic(number, builder.gep(numbers, [k]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(numbers, types.intp, types.int64), generate


if not config.DISABLE_JIT:
    _count, _now, _put = _emitted_count, _emitted_now, _emitted_put
