"""Compiled loops: numba and numpy only, plain arrays in, output arrays last.

Every kernel computes a range ``[start, stop)`` of its output serially and releases the GIL, so any
split of the work over threads gives the same bits.

Where to read first: `taps` has the multiply-adds, `polyphase` makes their windows contiguous, and
`direct` and `separable` are the two ways to use them. Words that they have in common:

=======  ===========================================================================================
lane     one number of a vector, which is as many numbers as a register holds
window   the contiguous numbers that one tap reads for contiguous outputs
phase    every `factor`-th pixel of a row, beginning with pixel 0, 1, ... or ``factor - 1``
place    index in a row that is continued past its ends and split into phases; pixels may have none
         or several, and places without a pixel are zeros
band     copied rows that the windows of the next outputs lie in
=======  ===========================================================================================
"""

GROUP = 4  # lines that are summed side by side: parts that begin at multiples have the same bits
AFFINE, PROJECTIVE, MAPPED = range(3)  # positions of warps: by a matrix, or by an array of them
# Indices of the arrays of `dhop.kernels.work_sharing`.
TAKEN, AT_ONCE, CALL, EDGES = range(4)
BEGUN = 0
# Of the Poisson loss: the least expected count; the counts over their mean from which on the
# loss is linear.
LEAST_MEAN, LARGEST_RATIO = 1e-12, 1e3
