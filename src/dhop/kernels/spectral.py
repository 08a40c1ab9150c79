"""Between images and the lines of points that `transform` takes; see `complex_vectors`.

Down the columns of an image a point holds a pixel of each of a few columns: a column in each lane
of a complex image; two of a real image, one in the real and one in the imaginary part, whose
transforms are separated by their symmetry. Along the rows a point holds a few frequencies of the
columns. So only squares of lanes by lanes are transposed ::

    points of a block of columns        spectra of a group of frequencies
    row 0      | re: c0 c1 c2 c3 |      column 0   | re: f0 f1 f2 f3 |
               | im: c0 c1 c2 c3 |                 | im: f0 f1 f2 f3 |
    row 1      | re: c0 c1 c2 c3 |      column 1   | re: f0 f1 f2 f3 |
    ...                                 ...
    transformed from row to row         transformed from column to column
"""

import numpy as np

from dhop.kernels.compile import kernel
from dhop.kernels.complex_vectors import (
    add_emitted,
    copy_emitted,
    join_real_pair_emitted,
    load_emitted,
    multiply_add_emitted,
    multiply_conj_emitted,
    multiply_emitted,
    prefetch_emitted,
    scale_emitted,
    split_real_pair_emitted,
    store_emitted,
    transpose_emitted,
)
from dhop.kernels.flat import flat, skip

AHEAD = 4, 8  # rows to prefetch, which processors do not predict; twice, since they drop requests


@kernel
def gather_rows(x, rows, first, points):
    """Copy a few columns of an image, continued by a table of its rows.

    Parameters
    ----------
    x : (n0, n1) array
    rows : (p,) int array
        Source row of each place, -1 for zeros.
    first : int
        Column of the first lane of the first of the `b` blocks.
    points : (b, p, 2, lanes) array
    """
    n1 = x.shape[1]
    blocks, places = points.shape[:2]
    size = points.shape[2] * points.shape[3]
    width = size * points.itemsize // x.itemsize
    pixels, target, edge = flat(x), flat(points), np.zeros(width, x.dtype)
    for s in range(places):
        for later in AHEAD:
            ahead = min(s + later, places - 1)
            if rows[ahead] >= 0:
                run = skip(pixels, rows[ahead] * n1 + first)
                for b in range(blocks):
                    prefetch_emitted(skip(run, b * width))
        for b in range(blocks):
            point = skip(target, (b * places + s) * size)
            column = first + b * width
            if rows[s] < 0:
                for i in range(size):
                    point[i] = 0
                continue
            run = skip(pixels, rows[s] * n1 + column)
            if column + width <= n1:
                load_emitted(run, point)
            else:
                for i in range(n1 - column):
                    edge[i] = run[i]
                load_emitted(flat(edge), point)


@kernel
def scatter_rows(points, row_start, row_place, first, out):
    """Transpose of `gather_rows`: each row of pixels sums its places.

    Parameters
    ----------
    points : (b, p, 2, lanes) array
    row_start, row_place : int arrays
        Places of each row of pixels.
    first : int
    out : (n0, n1) array

    Returns
    -------
    float
        Not finite if a pixel is not.
    """
    rows, n1 = out.shape
    blocks, places = points.shape[:2]
    size = points.shape[2] * points.shape[3]
    width = size * points.itemsize // out.itemsize
    source, pixels, edge = flat(points), flat(out), np.zeros(width, out.dtype)
    total, checked = np.zeros(size, points.dtype), np.zeros(size, points.dtype)
    for r in range(rows):
        for later in AHEAD:
            run = skip(pixels, min(r + later, rows - 1) * n1 + first)
            for b in range(blocks):
                prefetch_emitted(skip(run, b * width))
        begin, end = row_start[r], row_start[r + 1]
        for b in range(blocks):
            line = skip(source, b * places * size)
            if end - begin == 1:
                point = skip(line, row_place[begin] * size)
            else:
                total[:] = 0
                for e in range(begin, end):
                    add_emitted(skip(line, row_place[e] * size), flat(total))
                point = flat(total)
            add_emitted(point, flat(checked))
            column = first + b * width
            run = skip(pixels, r * n1 + column)
            if column + width <= n1:
                store_emitted(point, run)
            else:
                store_emitted(point, flat(edge))
                for i in range(n1 - column):
                    run[i] = edge[i]
    return checked.sum()


@kernel
def to_frequencies(points, order, first, columns, phases, spectra):
    """From transformed columns to frequencies, to be transformed along the rows.

    Parameters
    ----------
    points : (b * phases, p0, 2, lanes) array
    order : (k, 2) int array
        Places of each frequency and, for real images, of its opposite.
    first : int
        Place of the first column of the first block, which is that column unless it is a volume's.
    columns, phases : int
        Number of columns, of whole blocks, and of phases of the rows.
    spectra : (groups, n, 2, lanes) array
        `phases` rows of `columns` points, for each group of frequencies and of each plane in turn.
        Twice the spectra of real images.
    """
    blocks, places = points.shape[0] // phases, points.shape[1]
    groups, stride, _, side = spectra.shape
    count, lines = order.shape
    size = 2 * side
    source, target = flat(points), flat(spectra)
    both = np.zeros(side * lines * size, points.dtype)
    for g in range(groups):
        for s in range(phases):
            for b in range(blocks):
                line = skip(source, (b * phases + s) * places * size)
                column = s * columns + first + b * lines * side
                square = skip(target, (g * stride + column) * size)
                following = skip(square, (stride if g < groups - 1 else 0) * size)
                for k in range(g * side, min((g + 1) * side, count)):
                    point = skip(line, order[k, 0] * size)
                    one = skip(flat(both), k % side * lines * size)
                    for c in range(lines):
                        prefetch_emitted(skip(following, (k % side * lines + c) * size))
                    if lines == 2:
                        split_real_pair_emitted(point, skip(line, order[k, 1] * size), one)
                    else:
                        copy_emitted(point, one)
                transpose_emitted(flat(both), square, lines, False)


@kernel
def from_frequencies(spectra, order, first, columns, phases, points):
    """Back to columns to be transformed; the arguments are those of `to_frequencies`."""
    blocks, places = points.shape[0] // phases, points.shape[1]
    groups, stride, _, side = spectra.shape
    count, lines = order.shape
    size = 2 * side
    source, target = flat(spectra), flat(points)
    both = np.zeros(side * lines * size, points.dtype)
    for g in range(groups):
        for s in range(phases):
            for b in range(blocks):
                line = skip(target, (b * phases + s) * places * size)
                column = s * columns + first + b * lines * side
                square = skip(source, (g * stride + column) * size)
                following = skip(square, (stride if g < groups - 1 else 0) * size)
                transpose_emitted(square, flat(both), lines, True)
                for k in range(g * side, min((g + 1) * side, count)):
                    point = skip(line, order[k, 0] * size)
                    one = skip(flat(both), k % side * lines * size)
                    for c in range(lines):
                        prefetch_emitted(skip(following, (k % side * lines + c) * size))
                    if lines == 2:
                        join_real_pair_emitted(one, point, skip(line, order[k, 1] * size))
                    else:
                        copy_emitted(one, point)


@kernel
def gather_columns(spectra, columns, rows, table, points):
    """Copy rows of spectra, continued and split by a table of their columns.

    Parameters
    ----------
    spectra : (groups, n, 2, lanes) array
    columns, rows : int
        Number of points from one row to the next, and of rows.
    table : (f1 * p1,) int array
        Source column of each place, -1 for zeros.
    points : (groups * rows * f1, p1, 2, lanes) array
    """
    groups, places = len(spectra), table.size
    size = points.shape[2] * points.shape[3]
    source, target = flat(spectra), flat(points)
    for g in range(groups):
        for r in range(rows):
            row = skip(source, (g * spectra.shape[1] + r * columns) * size)
            line = skip(target, (g * rows + r) * places * size)
            for s in range(places):
                point = skip(line, s * size)
                if table[s] < 0:
                    for i in range(size):
                        point[i] = 0
                else:
                    copy_emitted(skip(row, table[s] * size), point)


@kernel
def scatter_columns(points, column_start, column_place, factor, columns, rows, spectra):
    """Transpose of `gather_columns`, times a factor: each column sums its places.

    Parameters
    ----------
    points : (groups * rows * f1, p1, 2, lanes) array
    column_start, column_place : int arrays
        Places of each column.
    factor : (1,) array
    columns, rows : int
        Number of points of a row; those that have no places become zero.
    spectra : (groups, n, 2, lanes) array
    """
    groups, size = len(spectra), points.shape[2] * points.shape[3]
    places = points.shape[0] * points.shape[1] // (groups * rows)
    source, target, total = flat(points), flat(spectra), np.zeros(size, points.dtype)
    for g in range(groups):
        for r in range(rows):
            line = skip(source, (g * rows + r) * places * size)
            row = skip(target, (g * spectra.shape[1] + r * columns) * size)
            for c in range(columns):
                begin = end = 0
                if c < column_start.size - 1:
                    begin, end = column_start[c], column_start[c + 1]
                point = skip(row, c * size)
                if begin == end:
                    for i in range(size):
                        point[i] = 0
                elif end == begin + 1:
                    scale_emitted(skip(line, column_place[begin] * size), flat(factor), point)
                else:
                    total[:] = 0
                    for e in range(begin, end):
                        add_emitted(skip(line, column_place[e] * size), flat(total))
                    scale_emitted(flat(total), flat(factor), point)


@kernel
def gather_planes(points, first, table, lines):
    """Copy lines across the planes of a volume, continued and split by a table of its planes.

    Parameters
    ----------
    points : (planes, phases, p1, 2, lanes) array
    first : int
        The point of a row that the first line goes through; the others go through the next.
    table : (f * p,) int array
        Source plane of each place, -1 for zeros.
    lines : (b * phases * f, p, 2, lanes) array
        For each of `b` points the `phases`, of each the `f` of the planes.
    """
    phases, along = points.shape[1:3]
    places, size = table.size, points.shape[3] * points.shape[4]
    count = lines.shape[0] * lines.shape[1] // (phases * places)
    source, target = flat(points), flat(lines)
    for p in range(phases):
        for s in range(places):
            row = skip(source, ((max(table[s], 0) * phases + p) * along + first) * size)
            for b in range(count):
                point = skip(target, ((b * phases + p) * places + s) * size)
                if table[s] < 0:
                    for i in range(size):
                        point[i] = 0
                else:
                    copy_emitted(skip(row, b * size), point)


@kernel
def scatter_planes(lines, plane_start, plane_place, first, count, points):
    """Transpose of `gather_planes`: each plane sums its places.

    Parameters
    ----------
    lines : (b * phases * f, p, 2, lanes) array
    plane_start, plane_place : int arrays
        Places of each plane.
    first, count : int
        Which `b` points of a row the lines go through.
    points : (planes, phases, p1, 2, lanes) array
    """
    planes, phases, along = points.shape[:3]
    size = points.shape[3] * points.shape[4]
    places = lines.shape[0] * lines.shape[1] // (count * phases)
    source, target = flat(lines), flat(points)
    for z in range(planes):
        begin, end = plane_start[z], plane_start[z + 1]
        for p in range(phases):
            row = skip(target, ((z * phases + p) * along + first) * size)
            for b in range(count):
                line = skip(source, (b * phases + p) * places * size)
                point = skip(row, b * size)
                if begin == end:
                    for i in range(size):
                        point[i] = 0
                    continue
                copy_emitted(skip(line, plane_place[begin] * size), point)
                for e in range(begin + 1, end):
                    add_emitted(skip(line, plane_place[e] * size), point)


@kernel
def add_products(points, weights, total):
    """``total[n] = sum_s points[n, s] * weights[n, s]``.

    Parameters
    ----------
    points : (n * s, p, 2, lanes) array
    weights : (n, s, p, 2, lanes) array
    total : (n, p, 2, lanes) array
    """
    count, phases, places = weights.shape[:3]
    size = weights.shape[3] * weights.shape[4]
    one, two, out = flat(points), flat(weights), flat(total)
    for n in range(count):
        for s in range(phases):
            for k in range(places):
                place = ((n * phases + s) * places + k) * size
                sum_ = skip(out, (n * places + k) * size)
                if s == 0:
                    multiply_emitted(skip(one, place), skip(two, place), sum_)
                else:
                    multiply_add_emitted(skip(one, place), skip(two, place), sum_)


@kernel
def spread_products(total, weights, points):
    """``points[n, s] = total[n] * conj(weights[n, s])``; shapes are those of `add_products`."""
    count, phases, places = weights.shape[:3]
    size = weights.shape[3] * weights.shape[4]
    one, two, out = flat(total), flat(weights), flat(points)
    for n in range(count):
        for s in range(phases):
            for k in range(places):
                place = ((n * phases + s) * places + k) * size
                multiply_conj_emitted(
                    skip(one, (n * places + k) * size), skip(two, place), skip(out, place)
                )
