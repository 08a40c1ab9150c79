"""A folded PSF that is a short sum of products: down the columns first, then along the rows."""

from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import flat, skip
from dhop.kernels.polyphase import fold_row, split_row, sum_row
from dhop.kernels.taps import PASS, add_pair, add_taps


@kernel
def forward(x, start0, offset0, weight0, common, most, outer, inner, offset1, weight1, linked,
            blurred, line, far, start, stop, out):  # fmt: skip
    """Blur and decimate the columns into two rows at a time, then those rows.

    Parameters
    ----------
    x : (B, n0, n1) array
    start0, offset0, weight0, common, most : arrays and int
        Of `_sum_lines`, for each output row; ``weight0`` of shape (rank, entries).
    outer, inner : int arrays
        Of `split_row`.
    offset1 : (k,) int array
    weight1 : (rank, k) array
        Window start in the split row, and value, of each tap along the row.
    linked : int
        Of `add_taps`.
    blurred, line : (2, n1) and (factor, places) arrays
        Workspace.
    far : bool
        Whether `x` is in no cache, so that its rows are asked for before they are needed: a
        processor does not guess which ones come next while it reads many at a time.
    start, stop : int
        Range of pairs of output rows, counted through the batch.
    out : (B, m0, m1) array

    Returns
    -------
    number
        The sum of all outputs, not finite if one of them is not.
    """
    n0, n1 = x.shape[1:]
    m0, m1 = out.shape[1:]
    factor, places = line.shape
    rank, entries = weight0.shape
    taps = offset1.size
    pairs = (m0 + 1) // 2
    source, row, split, target = flat(x), flat(blurred), flat(line), flat(out)
    starts, offsets, weights, shared = flat(start0), flat(offset0), flat(weight0), flat(common)
    edge, inside, offsets1, weights1 = flat(outer), flat(inner), flat(offset1), flat(weight1)
    checksum = out.dtype.type(0)
    for pair in range(start, stop):
        batch, j = pair // pairs, pair % pairs * 2
        count = min(2, m0 - j)
        end = _end(starts, offsets, min(j + 1, m0 - 1), n1)
        later = max(end, _end(starts, offsets, min(j + 3, m0 - 1), n1))
        ahead = skip(source, batch * n0 * n1 + end), (later - end) // n1 if far else 0
        for k in range(rank):
            _sum_lines(source, batch * n0 * n1, starts, offsets, skip(weights, k * entries), shared,
                       most, j, count, row, n1, n1, ahead)  # fmt: skip
            for r in range(count):
                split_row(skip(row, r * n1), edge, len(outer), inside, factor, places, split)
                add_taps(skip(target, (batch * m0 + j + r) * m1), m1, split, 0, offsets1,
                         skip(weights1, k * taps), linked, taps, k > 0, PASS)  # fmt: skip
        checksum += sum_row(skip(target, (batch * m0 + j) * m1), count * m1)
    return checksum


@kernel
def adjoint(y, start0, offset0, weight0, common, most, column_start, column_place, inner,
            offset1, weight1, linked, group, padded, line, far, start, stop, out):  # fmt: skip
    """Conjugate transpose of `forward`: gather the rows of `y`, then spread along the row.

    Parameters
    ----------
    y : (B, m0, m1) array
    start0, offset0, weight0, common, most : arrays and int
        Of `_sum_lines`, for each pixel row.
    column_start, column_place, inner : int arrays
        Of `fold_row`, for a row of which the phases begin as far apart as those of `line`.
    offset1, weight1 : (k,) and (rank, k) arrays
        Window start in the padded row, and value; taps of one phase side by side.
    linked : (phases,) int array
        Of `add_taps`.
    group : (phases + 1,) int array
        Where the taps of each phase begin.
    padded : (rows, margin + m1 + margin) array
        Workspace for an even number of rows, with zeros in the margins.
    line : (phases, (rows - 1) * width + places) array
        Workspace for as many rows, as far behind each other as in `padded`, so that each tap's
        windows of all of them are one.
    far : bool
        As in `forward`, of the rows of `out`.
    start, stop : int
        Range of pairs of pixel rows, counted through the batch.
    out : (B, n0, n1) array

    Returns
    -------
    number
        The sum of all pixels, not finite if one of them is not.
    """
    m0, m1 = y.shape[1:]
    n0, n1 = out.shape[1:]
    phases, span = line.shape
    rows, width = padded.shape
    places = span - (rows - 1) * width
    rank, entries = weight0.shape
    taps = offset1.size
    pairs = (n0 + 1) // 2
    source, row, split, target = flat(y), flat(padded), flat(line), flat(out)
    starts, offsets, weights, shared = flat(start0), flat(offset0), flat(weight0), flat(common)
    table, member, inside = flat(column_start), flat(column_place), flat(inner)
    offsets1, weights1, phase = flat(offset1), flat(weight1), flat(group)
    checksum = out.dtype.type(0)
    pair = start
    while pair < stop:
        batch, i = pair // pairs, pair % pairs * 2
        count = min(rows, n0 - i, 2 * (stop - pair))
        for k in range(rank):
            for r in range(0, count, 2):
                here = i + r
                later = min(2, max(0, n0 - here - 2)) * n1
                ahead = skip(target, (batch * n0 + here + 2) * n1), later // m1 if far else 0
                _sum_lines(source, batch * m0 * m1, starts, offsets, skip(weights, k * entries),
                           shared, most, here, min(2, count - r),
                           skip(row, r * width + places - m1), width, m1, ahead)  # fmt: skip
            for p in range(phases):
                first, last = phase[p], phase[p + 1]
                add_taps(skip(split, p * span), (count - 1) * width + places, row, 0,
                         skip(offsets1, first), skip(weights1, k * taps + first),
                         linked[p], last - first, k > 0, PASS)  # fmt: skip
        for r in range(count):
            fold_row(skip(split, r * width), table, member, inside, phases, span,
                     skip(target, (batch * n0 + i + r) * n1), n1)  # fmt: skip
        checksum += sum_row(skip(target, (batch * n0 + i) * n1), count * n1)
        pair += (count + 1) // 2
    return checksum


@called
def _sum_lines(source, base, start, offset, weight, common, most, line, count,
               total, stride, n, ahead):  # fmt: skip
    """Sum whole lines of an image: one or two output lines from `line`, an even number, on.

    Parameters
    ----------
    source : array
        The image begins at `base`.
    start, offset, weight : arrays
        Line `j` sums what begins at ``offset[e]`` in the image with the weights ``weight[e]``,
        ``start[j] <= e < start[j + 1]``.
    common : int array
        Three numbers ``a, b, shared`` for each pair of lines: entry ``a + i`` of the one has the
        offset of entry ``b + i`` of the other for ``0 <= i < shared``.
    most : int
        Of `add_taps`.
    line, count : int
    total : array
        The `n` sums of the second line are written `stride` numbers after those of the first.
    ahead
        Of `add_pair`.
    """
    pair = 3 * (line // 2)
    first, last = start[line], start[line + 1]
    if count == 2:
        add_pair(total, skip(total, stride), n, source, base, 0, offset, weight,
                 (first, last), (last, start[line + 2]),
                 (common[pair], common[pair + 1], common[pair + 2]), most, ahead)  # fmt: skip
    else:
        add_taps(total, n, source, base, skip(offset, first), skip(weight, first),
                 0, last - first, False, most)  # fmt: skip


@called
def _end(start, offset, line, n):
    """Where the last of the lines of `n` numbers ends that `line` sums."""
    return offset[start[line + 1] - 1] + n if start[line] < start[line + 1] else 0
