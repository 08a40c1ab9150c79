"""The weighted sum of the coefficients around one output of a warp, and its transpose.

::

    coefficients   . . . . . . .        weights along the rows      v0 v1 v2 v3
                   . o o o o . .    w0
                   . o o o o . .    w1  <- floor(p) is the second
                   . o o p o . .    w2
                   . o o o o . .    w3
                   . . . . . . .

A volume has four such planes, with a weight each. The weights of an output along an axis are the
four lanes of a vector.
"""

from dhop.kernels.compile import called
from dhop.kernels.emit import emitted
from dhop.kernels.flat import skip
from dhop.kernels.spline import cast


@called
def cubic(t, numbers):
    """The four values of the cubic B-spline at `t` beyond a coefficient, 0 <= t < 1."""
    half, sixth = cast(0.5, numbers), cast(1 / 6, numbers)
    square = t * t
    cube = square * t
    last = sixth * cube
    third = sixth + half * (t + square - cube)
    first = sixth - half * (t - square) - last
    return first, (cast(1, numbers) - last) - (first + third), third, last


@called
def linear(near, width, a, b):
    """The linear spline `a` rows and `b` columns on."""
    below = skip(near, width)
    one = near[0] + b * (near[1] - near[0])
    two = below[0] + b * (below[1] - below[0])
    return one + a * (two - one)


@called
def scatter_linear(near, width, a, b, value):
    """The transpose of `linear`, added."""
    low = a * value
    high = value - low
    near[0] += high - b * high
    near[1] += b * high
    near = skip(near, width)
    near[0] += low - b * low
    near[1] += b * low


@called
def gather(near, width, a, b, size, target):
    """Set ``target[0]`` to the spline `a` rows and `b` columns on, times `size`."""
    target[0] = size * _plane(near, width, a, b)


@called
def gather_volume(near, width, plane, deep, a, b, size, target):
    """As `gather`, `deep` planes of `plane` coefficients on."""
    total = 0 * size
    for w in cubic(deep, near):
        total += w * _plane(near, width, a, b)
        near = skip(near, plane)
    target[0] = size * total


@called
def _plane(near, width, a, b):
    v0, v1, v2, v3 = cubic(b, near)
    total = 0 * a
    for w in cubic(a, near):
        total += w * ((v0 * near[0] + v1 * near[1]) + (v2 * near[2] + v3 * near[3]))
        near = skip(near, width)
    return total


@emitted(gather)
def gather_emitted(emit, near, width, a, b, size, target):
    total = near.constant_four(0.0, 0.0, 0.0, 0.0)
    total = _columns(near, width, _cubic(near, a), total)
    _put_sum(target, total * _cubic(near, b) * near.broadcast_four(size))


@emitted(gather_volume)
def gather_volume_emitted(emit, near, width, plane, deep, a, b, size, target):
    planes, rows = _cubic(near, deep), _cubic(near, a)
    total = near.constant_four(0.0, 0.0, 0.0, 0.0)
    columns, factor = _cubic(near, b), near.broadcast_four(size)
    for k in range(4):
        total = _columns(near, width, rows * planes.shuffled(planes, [k] * 4), total)
        near = near.after(plane)
    _put_sum(target, total * columns * factor)


def _columns(near, width, rows, total):
    """Add four columns, in each lane the weighted sum of four rows."""
    for row in range(4):
        total = total.multiply_add(near.load_four(), rows.shuffled(rows, [row] * 4))
        near = near.after(width)
    return total


def _put_sum(target, lanes):
    lanes = lanes + lanes.shuffled(lanes, [2, 3, 0, 1])
    lanes = lanes + lanes.shuffled(lanes, [1, 0, 3, 2])
    target.store_lane(lanes, 0)


def _cubic(place, t):
    """As `cubic`, in four lanes."""
    t = place.broadcast_four(t)
    third, half = (
        place.constant_four(-1 / 6, 1 / 2, -1 / 2, 1 / 6),
        place.constant_four(0.5, -1, 0.5, 0),
    )
    first, start = place.constant_four(-0.5, 0, 0.5, 0), place.constant_four(1 / 6, 4 / 6, 1 / 6, 0)
    return start.multiply_add(t, first.multiply_add(t, half.multiply_add(t, third)))


@called
def scatter(near, width, a, b, value):
    """The transpose of `gather`, added."""
    v0, v1, v2, v3 = cubic(b, near)
    v0, v1, v2, v3 = value * v0, value * v1, value * v2, value * v3
    for w in cubic(a, near):
        near[0] += w * v0
        near[1] += w * v1
        near[2] += w * v2
        near[3] += w * v3
        near = skip(near, width)


@called
def scatter_volume(near, width, plane, deep, a, b, value):
    """The transpose of `gather_volume`, added."""
    for w in cubic(deep, near):
        scatter(near, width, a, b, w * value)
        near = skip(near, plane)


@emitted(scatter)
def scatter_emitted(emit, near, width, a, b, value):
    _add(near, width, _cubic(near, a), _cubic(near, b) * near.broadcast_four(value))


@emitted(scatter_volume)
def scatter_volume_emitted(emit, near, width, plane, deep, a, b, value):
    planes, rows = _cubic(near, deep), _cubic(near, a)
    columns = _cubic(near, b) * near.broadcast_four(value)
    for k in range(4):
        _add(near, width, rows * planes.shuffled(planes, [k] * 4), columns)
        near = near.after(plane)


def _add(near, width, rows, columns):
    for row in range(4):
        near.store_four(near.load_four().multiply_add(columns, rows.shuffled(rows, [row] * 4)))
        near = near.after(width)
