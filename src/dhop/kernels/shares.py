"""Shares of a product, which its threads take one by one without returning to the interpreter.

An array of integers has a row for each thread: how many of its shares have been taken, and from
`EDGES` on the edges of the shares, which are ranges of rows of the result, perhaps with empty ones
at the end. The first row holds what is said once, too: how many shares one call of a kernel may
take, and the number of the product. A product of a single share only reads them. All products have
one board: how often one has begun, and for each thread of the pool the number of the one it helps
with, else zero ::

    shares, row 0    taken | at once | call | edges of the shares of thread 0
            row 1    taken |    -    |  -   | edges of the shares of thread 1
    board            begun | call of thread 1 | call of thread 2 | ...

The plain loops count without locks. Then two threads may compute the same share, to the same bits;
none is left out.
"""

from numba import config, types

from dhop.kernels import AT_ONCE, BEGUN, CALL, EDGES, TAKEN
from dhop.kernels.compile import called, kernel
from dhop.kernels.emit import emitted
from dhop.kernels.flat import flat, skip

PATIENCE = 1 if config.DISABLE_JIT else 2**20  # how often a thread looks, in about 0.3 ms


@called
def _count(numbers, k):
    """Add one to a number; no other thread gets the same value."""
    before = numbers[k]
    numbers[k] = before + 1
    return before


@emitted(_count, types.int64)
def _count_emitted(emit, numbers, k):
    place = numbers.after(k).pointer
    return emit.builder.atomic_rmw("add", place, emit.integer(1), "seq_cst")


@called
def _now(numbers, k):
    """A number as another thread has left it by now."""
    return numbers[k]


@emitted(_now, types.int64)
def _now_emitted(emit, numbers, k):
    return emit.builder.load_atomic(numbers.after(k).pointer, "seq_cst", 8)


@called
def _put(numbers, k, number):
    """Set a number, after everything else that this thread has written."""
    numbers[k] = number


@emitted(_put)
def _put_emitted(emit, numbers, k, number):
    emit.builder.store_atomic(number, numbers.after(k).pointer, "seq_cst", 8)


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
        _count_emitted(flat(board), BEGUN)
    if count < number[AT_ONCE]:
        for p in range(parts):
            row = skip(number, (own + p) % parts * length)
            if _now_emitted(row, TAKEN) + EDGES + 1 < length:
                k = EDGES + _count_emitted(row, TAKEN)
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
    _put_emitted(line, number, 0)
    for _ in range(PATIENCE):
        if _now_emitted(line, BEGUN) != begun:
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
        while k < size and _now_emitted(board, k) != call:
            k += 1
        if k >= size:
            return True
    return False
