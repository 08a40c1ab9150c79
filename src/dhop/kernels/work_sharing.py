"""Work sharing: the threads of a product take shares of its rows inside compiled code.

`shares` has a row for each thread: how many of its shares are taken, and their edges, as rows of
the result, perhaps with empty shares at the end. Its first row also has how many shares one call of
a kernel may take, and the number of the product. `status` is that of all threads: how many products
have begun, and for each thread of the pool the number of the one it helps with, else zero ::

    shares, row 0    taken | at once | call | edges of the shares of thread 0
            row 1    taken |    -    |  -   | edges of the shares of thread 1
    status           begun | call of thread 1 | call of thread 2 | ...

The plain loops count without locks. Then two threads may compute the same share, to the same bits;
none is left out.
"""

from numba import config, types

from dhop.kernels import AT_ONCE, BEGUN, CALL, EDGES, TAKEN
from dhop.kernels.compile import called, kernel
from dhop.kernels.emit import emitted
from dhop.kernels.flat import flat, skip

SPINS = 1 if config.DISABLE_JIT else 2**20  # of about 0.3 ms


@called
def _fetch_add(numbers, k):
    """Add one to a number, and return what it was: to no two threads the same."""
    before = numbers[k]
    numbers[k] = before + 1
    return before


@emitted(_fetch_add, types.int64)
def _fetch_add_emitted(emit, numbers, k):
    place = numbers.after(k).pointer
    return emit.builder.atomic_rmw("add", place, emit.integer(1), "seq_cst")


@called
def _atomic_load(numbers, k):
    return numbers[k]


@emitted(_atomic_load, types.int64)
def _atomic_load_emitted(emit, numbers, k):
    return emit.builder.load_atomic(numbers.after(k).pointer, "seq_cst", 8)


@called
def _atomic_store(numbers, k, number):
    numbers[k] = number


@emitted(_atomic_store)
def _atomic_store_emitted(emit, numbers, k, number):
    emit.builder.store_atomic(number, numbers.after(k).pointer, "seq_cst", 8)


@called
def take(shares, own, status, count):
    """The next range of rows, after `count` of this call of a kernel; empty if there is none.

    A thread takes the shares of its `own` row first. The caller, which has row 0, counts its
    product as begun, and when no share is left it waits a moment for its helpers.
    """
    parts, length = shares.shape
    number = flat(shares)
    if shares.size == EDGES + 2:
        return number[EDGES], number[EDGES if count else EDGES + 1]
    if count == 0 and own == 0 and status.size > 0:
        _fetch_add_emitted(flat(status), BEGUN)
    if count < number[AT_ONCE]:
        for p in range(parts):
            row = skip(number, (own + p) % parts * length)
            if _atomic_load_emitted(row, TAKEN) + EDGES + 1 < length:
                k = EDGES + _fetch_add_emitted(row, TAKEN)
                if k + 1 < length and row[k] < row[k + 1]:
                    return row[k], row[k + 1]
        if own == 0:
            _await_helpers(flat(status), status.size, number[CALL])
    return 0, 0


@kernel
def await_product(status, number, begun):
    """Mark thread `number` as free, and spin until another product has begun, for a moment.

    To be woken takes longer than many a product; so does a caller that has to wait for the GIL,
    which this thread has released.
    """
    line = flat(status)
    _atomic_store_emitted(line, number, 0)
    for _ in range(SPINS):
        if _atomic_load_emitted(line, BEGUN) != begun:
            break


@kernel
def await_helpers(status, call):
    """Spin until no thread helps `call`, for a moment; returns whether that is so."""
    return _await_helpers(flat(status), status.size, call)


@called
def _await_helpers(status, size, call):
    k = BEGUN + 1
    for _ in range(SPINS):
        while k < size and _atomic_load_emitted(status, k) != call:
            k += 1
        if k >= size:
            return True
    return False
