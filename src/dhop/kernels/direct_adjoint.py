"""The adjoint of the strided convolution: every row of the image sums the outputs that read it.

The band has rows of `y` between margins of zeros. From it the phases of two rows of the image are
summed, and the phases of each folded into a row of pixels. Factor 2 ::

    band     | 0 | y0 y1 y2 | 0 |    split row   | phase 0 | phase 1 |    pixels  e0 e1 e2 e3 ...

Of a volume the band has one such stack for each plane of `y` that a plane of pixels reads.
"""

from typing import NamedTuple

from dhop.kernels.compile import called, kernel
from dhop.kernels.flat import Index, flat, skip, unpacking
from dhop.kernels.polyphase import clear_margins, fold_row
from dhop.kernels.taps import sum_pair, sum_taps
from dhop.kernels.work_sharing import take


class Adjoint(NamedTuple):
    """The tables of `adjoint`."""

    # Shapes of the volume and of the result of `forward`.
    depth: int
    n0: int
    n1: int
    layers: int
    m0: int
    m1: int
    step: int  # decimation factor along the planes
    planes: int  # planes of `y` that a plane of pixels reads
    phases: int
    places: int
    factor: int  # decimation factor along the rows axis
    most: int  # rows of `y` that a pixel row reads
    # Of the band of rows of `y`, with margins that let every window be whole; ``height > most``.
    height: int
    width: int
    begin_plane: Index  # as `begin` and `place`, of the planes
    plane: Index
    begin: Index  # (n0 + 1,): pixel row `i` has the places ``place[begin[i]:begin[i + 1]]``
    place: Index
    starts: Index  # of `fold_row`, as the next two
    member: Index
    inside: Index
    offsets: Index  # window start of each tap relative to the row ``place // factor`` of the band
    # (step, factor, phases, most + 1): taps ``group[z, p0, p1, q]:group[z, p0, p1, q + 1]`` have
    # the phase ``(z, p0, p1)`` and read the row `q` above.
    group: Index
    # (factor,): number of rows above that phase ``p0`` reads; all zeros if taps are missing, and
    # then no windows are shared.
    reach: Index


_unpack_adjoint = unpacking(Adjoint)


@kernel
def adjoint(y, table, weights, work, shares, own, status, out):
    """Conjugate transpose of `dhop.kernels.direct.forward`.

    Parameters
    ----------
    y : (B * layers * m0 * m1,) array
    table : int array
        A packed `Adjoint`.
    weights : array
        Conjugated value of each tap.
    work : (planes * height * width + 2 * phases * places,) array
        The band, and two rows that are split.
    shares, own, status : int arrays and int
        Of pairs of image rows, counted through the batch.
    out : (B * depth * n0 * n1,) array

    Returns
    -------
    bool
        True, as in `forward`.
    """
    t = _unpack_adjoint(flat(table))
    size = t.phases * t.places
    pairs = (t.n0 + 1) // 2
    source, target, values, stack = flat(y), flat(out), flat(weights), flat(work)
    split = skip(stack, t.planes * t.height * t.width)
    clear_margins(stack, t.planes * t.height, t.width, (t.width - t.m1) // 2)
    held, top, bottom = -1, 0, 0  # planes, and rows of them, that the band holds
    taken = 0
    pair, stop = take(shares, own, status, taken)
    while pair < stop:
        image, i = pair // pairs, pair % pairs * 2
        count = min(2, t.n0 - i)
        pixels = skip(target, (image * t.n0 + i) * t.n1)
        volume = image // t.depth * t.layers
        first, last = t.begin[i], t.begin[i + count]
        first_plane, last_plane = t.begin_plane[image % t.depth], t.begin_plane[image % t.depth + 1]
        together = count == 2 and last_plane == first_plane + 1
        together = together and are_adjacent(t.begin, t.place, i)
        for r in range(count):
            if t.begin[i + r] == t.begin[i + r + 1] or first_plane == last_plane:
                for s in range(size):
                    split[r * size + s] = 0
        for z in range(first_plane, last_plane):
            layer, groups = t.plane[z] // t.step, t.plane[z] % t.step * t.factor
            here = image // t.depth * (t.layers + t.planes) + layer
            if here != held:
                held, top, bottom = here, 0, 0
            for e in range(first, first + 1 if together else last):
                j0, p0 = t.place[e] // t.factor, t.place[e] % t.factor
                next_ = t.place[e + 1] if together else t.place[e]
                j1, p1 = next_ // t.factor, next_ % t.factor
                upper, lower = max(0, j0 - t.most + 1), min(j1 + 1, t.m0)
                if upper < top or bottom < lower:
                    top, bottom = _fill_band(skip(source, volume * t.m0 * t.m1), layer, t.layers,
                                             t.planes, t.m0, t.m1, upper, lower, top, bottom,
                                             stack, t.height, t.width)  # fmt: skip
                if together:
                    for p in range(t.phases):
                        upper_taps = skip(t.group, ((groups + p0) * t.phases + p) * (t.most + 1))
                        lower_taps = skip(t.group, ((groups + p1) * t.phases + p) * (t.most + 1))
                        begin, end, shared = pair_ranges(
                            t.m0, t.most, t.reach, j0, p0, upper_taps, 0, j1, p1, lower_taps
                        )
                        # Rows of y that only the lower row reads come first among its taps.
                        sum_pair(skip(split, size + p * t.places), skip(split, p * t.places),
                                 t.places, stack, (j1 - top) * t.width, (j0 - j1) * t.width,
                                 t.offsets, values, begin, end, shared,
                                 (skip(pixels, p * 2 * t.n1 // t.phases), 2))  # fmt: skip
                else:
                    first0, last0 = max(j0 - t.m0 + 1, 0), min(j0 + 1, t.most)
                    r = 0 if e < t.begin[i + 1] else 1
                    for p in range(t.phases):
                        taps = skip(t.group, ((groups + p0) * t.phases + p) * (t.most + 1))
                        sum_taps(skip(split, r * size + p * t.places), t.places, stack,
                                 (j0 - top) * t.width, skip(t.offsets, taps[first0]),
                                 skip(values, taps[first0]), 0, taps[last0] - taps[first0],
                                 z > first_plane or e > t.begin[i + r])  # fmt: skip
        for r in range(count):
            fold_row(skip(split, r * size), t.starts, t.member, t.inside, t.phases, t.places,
                     skip(pixels, r * t.n1), t.n1)  # fmt: skip
        pair += 1
        if pair == stop:
            taken += 1
            pair, stop = take(shares, own, status, taken)
    return True


@called
def are_adjacent(begin, place, i):
    """Whether pixel rows `i` and ``i + 1`` have one place each, next to each other."""
    first = begin[i]
    alone = begin[i + 1] == first + 1 and begin[i + 2] == first + 2
    return alone and place[first + 1] == place[first] + 1


@called
def pair_ranges(m0, most, reach, j0, p0, taps0, skipped, j1, p1, taps1):
    """Arguments `first`, `last` and `shared` of `sum_pair` for two adjacent pixel rows.

    The lower one is the first total. Row `j` of `y` is the last that a place reads, `p` its phase,
    and `taps` the taps of that, which begin `skipped` taps later for the upper one.
    """
    first0, last0 = max(j0 - m0 + 1, 0), min(j0 + 1, most)
    first1, last1 = max(j1 - m0 + 1, 0), min(j1 + 1, most)
    # The same row of y is q above the one and q + j1 - j0 above the other.
    low = max(first0, first1 + j0 - j1)
    high = max(low, min(last0, reach[p0], min(last1, reach[p1]) + j0 - j1))
    a, end = taps0[min(low, most)], taps0[min(high, most)]
    return (
        (taps1[first1], skipped + taps0[first0]),
        (taps1[last1], skipped + taps0[last0]),
        (taps1[min(low + j1 - j0, most)], skipped + a, end - a),
    )


@called
def _fill_band(image, layer, layers, planes, m, n, first, last, top, bottom, band, height, width):
    """Copy the rows from `first` to `last` into the band, which holds those from `top` to `bottom`.

    They are rows of the plane `layer` and of `planes - 1` before it, zeros where there is none, of
    `m` rows of `n` numbers each; those of the band have margins. Rows are added if there is room.

    Returns
    -------
    top, bottom : int
    """
    margin = (width - n) // 2
    if first < top or first > bottom or last > top + height:
        top = bottom = first
    for z in range(planes):
        inside = 0 <= layer - z < layers
        for j in range(bottom, last):
            pixels = skip(image, ((layer - z) * m + j) * n if inside else 0)
            row = skip(band, (z * height + j - top) * width + margin)
            for i in range(n):
                row[i] = pixels[i] if inside else 0
    return top, max(bottom, last)
