"""Between images and the spectra of their phases, a few rows or columns at a time."""

import numpy as np

from dhop.kernels.compile import kernel
from dhop.kernels.flat import flat, skip
from dhop.kernels.polyphase import fold_row, split_row


@kernel
def split_rows(x, rows, columns, inner, out):
    """Continue rows of an image and split them into their phases.

    Parameters
    ----------
    x : (n0, n1) array
    rows : (k,) int array
        Source row of each row of `out`, -1 for a row of zeros.
    columns : (f1, p1) int array
    inner : (3,) int array
        Of `split_row`.
    out : (k, f1, p1) array
    """
    n1 = x.shape[1]
    f1, p1 = columns.shape
    pixels, target, table, inside = flat(x), flat(out), flat(columns), flat(inner)
    for k in range(rows.size):
        line = skip(target, k * f1 * p1)
        if rows[k] >= 0:
            split_row(skip(pixels, rows[k] * n1), table, inside, f1, p1, line)
        else:
            for i in range(f1 * p1):
                line[i] = 0


@kernel
def fold_rows(lines, column_start, column_place, inner, out):
    """Transpose of `split_rows` for rows that follow each other: each pixel sums its places.

    Parameters
    ----------
    lines : (k, f1, p1) array
    column_start, column_place : int arrays
    inner : (3,) int array
        Of `fold_row`.
    out : (k, n1) array
    """
    n1 = out.shape[1]
    f1, p1 = lines.shape[1:]
    source, target = flat(lines), flat(out)
    table, member, inside = flat(column_start), flat(column_place), flat(inner)
    for k in range(lines.shape[0]):
        fold_row(skip(source, k * f1 * p1), table, member, inside, f1, p1,
                 skip(target, k * n1), n1)  # fmt: skip


@kernel
def sum_places(spectra, row_start, row_place, first, out):
    """``out[k]`` is the sum of the rows of `spectra` that are places of the row ``first + k``.

    Parameters
    ----------
    spectra : (p, c) array
    row_start, row_place : int arrays
        Places of each row of pixels.
    first : int
    out : (k, c) array
    """
    size = spectra.shape[1]
    source, target = flat(spectra), flat(out)
    for k in range(out.shape[0]):
        total = skip(target, k * size)
        begin, end = row_start[first + k], row_start[first + k + 1]
        if begin == end:
            for i in range(size):
                total[i] = 0
        else:
            one = skip(source, row_place[begin] * size)
            for i in range(size):
                total[i] = one[i]
        for e in range(begin + 1, end):
            one = skip(source, row_place[e] * size)
            for i in range(size):
                total[i] += one[i]


@kernel
def add_products(spectra, weights, first, out):
    """``out[s, c] = sum_{p, q} spectra[p, s, q, c] * weights[p, s, q, first + c]``."""
    for s in range(out.shape[0]):
        total = out[s]
        total[:] = 0
        for p in range(spectra.shape[0]):
            for q in range(spectra.shape[2]):
                one, two = spectra[p, s, q], weights[p, s, q, first : first + total.size]
                for c in range(total.size):
                    total[c] += one[c] * two[c]


@kernel
def spread_products(spectrum, weights, first, out):
    """``out[p, s, q, c] = spectrum[s, c] * conj(weights[p, s, q, first + c])``."""
    for s in range(spectrum.shape[0]):
        one = spectrum[s]
        for p in range(out.shape[0]):
            for q in range(out.shape[2]):
                two, product = weights[p, s, q, first : first + one.size], out[p, s, q]
                for c in range(one.size):
                    product[c] = one[c] * np.conj(two[c])
