"""Compiled loops: numba and numpy only, plain arrays in, output arrays last.

Every kernel computes a range ``[start, stop)`` of its output serially and releases the GIL, so any
split of the work over threads gives the same bits.

The words of the kernels:

============  ======================================================================================
lane          one number of a vector, which is as many numbers as a register holds
point         a complex number for every lane: a vector of real parts, then one of imaginary parts
run           numbers that follow each other in memory; mostly a row, or a part of one
window        the run of the source that one tap reads for a run of outputs
strip         the few vectors of outputs whose sums are in registers at the same time
pass          up to `PASS` windows, summed in registers before the sums go to memory
step          what a pass adds at once: a window for each of the outputs summed side by side
link          two taps whose windows begin a vector apart, and so share what is loaded
phase         every `factor`-th pixel of a row, beginning with pixel 0, 1, ... or ``factor - 1``
place         where a pixel stands in a row that is continued and split into phases; some pixels
              have several, some places none
margin        zeros before and behind a row, so that every window is whole
band          the copied rows that the windows of the next outputs lie in
group         the `GROUP` lines that are summed side by side
share         a range of rows of a result that one thread computes at a time
board         where threads see what the others are at
position      where an output of a warp lies in the image, in pixels
tile          what the hat of a node lights of a scene, on which the PSF varies
tail          positions beyond the coefficients of a spline that these depend on
============  ======================================================================================

Where to read first: `taps` has the multiply-adds, `polyphase` makes their windows contiguous, and
`direct` and `separable` are the two ways to use them.
"""

GROUP = 4  # lines that are summed side by side: parts that begin at multiples have the same bits
AFFINE, PROJECTIVE, MAPPED = range(3)  # what positions of warps are told by: a matrix, an array
# Where shares and the board have what, see `dhop.kernels.shares`.
TAKEN, AT_ONCE, CALL, EDGES = range(4)
BEGUN = 0
# Of the likelihood of photons: those that are expected, at least; counts over their mean, from
# which on it goes on as a straight line; the part of an expected frame that a step may leave.
DARKEST, STEEPEST, NEAR = 1e-12, 1e3, 1e-3
