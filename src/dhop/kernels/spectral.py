"""Between images and the spectra of their phases."""

import numpy as np

from dhop.kernels.compile import kernel
from dhop.kernels.polyphase import fold_row, split_row


@kernel
def split_image(x, rows, columns, inner, start, stop, out):
    """Continue an image and split it into its phases, rows and columns.

    Parameters
    ----------
    x : (n0, n1) array
    rows : (f0, p0) int array
        Source row of each place, -1 for a row of zeros.
    columns, inner : int arrays
        Of `split_row`.
    start, stop : int
        Range of the ``f0 * p0`` rows.
    out : (f0, f1, p0, p1) array
    """
    f1, p1 = columns.shape
    line = np.empty(f1 * p1, x.dtype)
    for row in range(start, stop):
        p, s = divmod(row, rows.shape[1])
        source = rows[p, s]
        if source < 0:
            out[p, :, s] = 0
            continue
        split_row(x[source], columns, inner, line)
        for q in range(f1):
            out[p, q, s] = line[q * p1 : (q + 1) * p1]


@kernel
def fold_image(z, row_start, row_place, column_start, column_place, single, start, stop, out):
    """Transpose of `split_image`: each pixel is the sum of its places.

    Parameters
    ----------
    z : (f0, f1, p0, p1) array
    row_start, row_place, column_start, column_place : int arrays
        Places of each row and column of pixels, counted through the phases.
    single : (int, int)
        Of `fold_row`.
    start, stop : int
        Range of rows of `out`.
    out : (n0, n1) array
    """
    f1, p0, p1 = z.shape[1:]
    line = np.empty(f1 * p1, z.dtype)
    for row in range(start, stop):
        line[:] = 0
        for e in range(row_start[row], row_start[row + 1]):
            p, s = divmod(row_place[e], p0)
            for q in range(f1):
                phase = line[q * p1 : (q + 1) * p1]
                places = z[p, q, s]
                for k in range(p1):
                    phase[k] += places[k]
        fold_row(line, column_start, column_place, single, f1, out[row])


@kernel
def add_products(spectra, weights, start, stop, out):
    """``out[k] = sum_p spectra[p, k] * weights[p, k]`` for the rows ``start <= k < stop``."""
    for k in range(start, stop):
        total = out[k]
        total[:] = 0
        for p in range(spectra.shape[0]):
            one, two = spectra[p, k], weights[p, k]
            for i in range(total.size):
                total[i] += one[i] * two[i]


@kernel
def spread_products(spectrum, weights, start, stop, out):
    """``out[p, k] = spectrum[k] * conj(weights[p, k])`` for the rows ``start <= k < stop``."""
    for k in range(start, stop):
        one = spectrum[k]
        for p in range(out.shape[0]):
            two, product = weights[p, k], out[p, k]
            for i in range(one.size):
                product[i] = one[i] * np.conj(two[i])
