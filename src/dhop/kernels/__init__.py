"""Compiled loops: numba and numpy only, plain arrays in, output arrays last.

Every kernel computes a range ``[start, stop)`` of its output serially and releases the GIL, so any
split of the work over threads gives the same bits.
"""

GROUP = 4  # lines that are summed side by side: parts that begin at multiples have the same bits
# Where shares and the board have what, see `dhop.kernels.shares`.
TAKEN, AT_ONCE, CALL, EDGES = range(4)
BEGUN = 0
