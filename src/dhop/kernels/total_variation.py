"""Total variation with a Huber norm, and its gradient, row by row.

Images are channels of three axes, the first ones of one pixel where there are less. Steps go from a
pixel to the next along each axis; there is none from the last one.
"""

from math import sqrt

from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip


@kernel
def huber_weights(image, threshold, start, stop, weights, sums):
    """Huber norms of the steps from the pixels of some rows, and half their derivatives over size.

    Parameters
    ----------
    image : (C, n0, n1, n2) array
    threshold : float
        A smaller size costs its square over twice this, others themselves less half of it.
    start, stop : int
        Range of the ``n0 * n1`` rows.
    weights : (n0, n1, n2) array
    sums : (n0 * n1,) array
    """
    channels, n0, n1, n2 = image.shape
    for row in range(start, stop):
        i, j = row // n1, row % n1
        squares = skip(flat(weights), row * n2)
        for k in range(n2):
            squares[k] = 0
        for c in range(channels):
            x = skip(flat(image), (c * n0 * n1 + row) * n2)
            if i < n0 - 1:
                _add_squares(x, n1 * n2, n2, squares)
            if j < n1 - 1:
                _add_squares(x, n2, n2, squares)
            _add_squares(x, 1, n2 - 1, squares)
        total = 0.0
        for k in range(n2):
            size = sqrt(squares[k])
            if size < threshold:
                total += squares[k] / (2 * threshold)
                squares[k] = 1 / (2 * threshold)
            else:
                total += size - threshold / 2
                squares[k] = 1 / (2 * size)
        sums[row] = total


@kernel
def weighted_laplacian(image, weights, start, stop, gradient):
    """The sum of the weighted steps to each pixel of some rows, less those from it.

    Parameters
    ----------
    image : (C, n0, n1, n2) array
    weights : (n0, n1, n2) array
    start, stop : int
        Range of the ``n0 * n1`` rows.
    gradient : (C, n0, n1, n2) array
    """
    channels, n0, n1, n2 = image.shape
    for row in range(start, stop):
        i, j = row // n1, row % n1
        for c in range(channels):
            place = (c * n0 * n1 + row) * n2
            x, out = skip(flat(image), place), skip(flat(gradient), place)
            for k in range(n2):
                out[k] = 0
            for stride, before, after in (
                (n1 * n2, i > 0, i < n0 - 1),
                (n2, j > 0, j < n1 - 1),
            ):
                if after:
                    _add_steps(x, skip(flat(weights), row * n2), stride, n2, -1.0, out)
                if before:
                    last = skip(flat(image), place - stride)
                    _add_steps(last, skip(flat(weights), row * n2 - stride), stride, n2, 1.0, out)
            _add_steps(x, skip(flat(weights), row * n2), 1, n2 - 1, -1.0, out)
            _add_steps(x, skip(flat(weights), row * n2), 1, n2 - 1, 1.0, skip(out, 1))


@called
def _add_squares(x, stride, count, squares):
    for k in range(count):
        step = x[k + stride] - x[k]
        squares[k] += step * step


@called
def _add_steps(x, weights, stride, count, sign, out):
    for k in range(count):
        out[k] += sign * (weights[k] * (x[k + stride] - x[k]))
