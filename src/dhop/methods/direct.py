"""The direct method: multiply-adds of every non-zero tap."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import direct, direct_adjoint
from dhop.kernels.flat import pack
from dhop.methods import Multiply, Plan, cost
from dhop.methods.products import threaded
from dhop.model.axis import Axis
from dhop.model.boundary import OUTSIDE
from dhop.model.geometry import Model
from dhop.model.relations import Index, group_by

Array = NDArray[Any]

BAND = 2**20  # bytes that stay in the L2 cache
MORE = 32  # rows of a band beyond those that are needed, so that it is seldom begun again


class DirectPlan(Plan):
    """Strided convolution by polyphase windows, and its adjoint.

    Workspace: `forward` copies, per thread, the continued input rows of two output rows, three
    times as many if these overlap much, or `BAND` bytes of them if that is more; with factor 1 and
    few taps only at the ends of the image, and what the outputs at the ends of rows read. `adjoint`
    copies those of one image row, and as many again or up to `MORE` if `BAND` holds them.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        weights, times = model.taps.astype(dtype), cost.direct(model, dtype)
        self.forward = _forward(model, weights, times[0])
        self.adjoint = _adjoint(model, weights, times[1])


def _forward(model: Model, weights: Array, time: float) -> Multiply:
    plane, rows, columns = model.volume
    # Taps on one row of a window are side by side, those of all planes.
    box = weights.reshape(plane.taps, rows.taps, columns.taps).swapaxes(0, 1)
    u0, z, u1 = np.nonzero(box)
    # Without zeros among the taps, a row's windows are those of the row before, shifted.
    lag = u0.size
    if u0.size == weights.size:
        lag = min(rows.factor * plane.taps * columns.taps, u0.size)

    stack = _stack(model, u0.size)
    step = min(rows.factor, rows.taps)
    row = plane.taps * columns.split.pixel.size * weights.itemsize
    rows_in_band = (BAND / row - rows.taps) / step + 1
    # Under a high PSF a larger copy, so that few rows are copied twice.
    pairs = max(1, min(rows_in_band / 2, 16), rows.taps / step)
    most = min(2 * int(pairs), rows.outputs + 1)
    height = rows.taps + most
    band = (step * (most - 1) + rows.taps + 2) * stack.phases * stack.places
    table = direct.Forward(
        *model.shapes, plane.factor, plane.taps, stack.phases, stack.places, rows.factor, rows.taps,
        u0.size, lag, most, stack.whole, stack.margin, len(stack.outer), stack.border.size,
        len(stack.edge), plane.extended, rows.extended, stack.outer, stack.inner,
        z * band + stack.starts(u0, u1), stack.border, stack.edge, u1 * height + u0,
    )  # fmt: skip
    return threaded(
        direct.forward, pack(table), box[u0, z, u1],
        work=plane.taps * band + (stack.border.size + 2) * height,
        size=model.pixels, rows=plane.outputs * ((rows.outputs + 1) // 2), cost=time,
    )  # fmt: skip


def _adjoint(model: Model, weights: Array, time: float) -> Multiply:
    plane, rows, columns = model.volume
    split = columns.split
    reach, planes = -(-rows.taps // rows.factor), -(-plane.taps // plane.factor)
    width = 2 * split.pixel.shape[1] - columns.outputs
    height = reach + max(reach, min(BAND // (planes * width * weights.itemsize), MORE))
    phases, places = split.trimmed.pixel.shape
    offsets, used, group, reaches = adjoint_taps(weights, model, height * width)
    table = direct_adjoint.Adjoint(
        *model.shapes, plane.factor, planes, phases, places, rows.factor, reach, height, width,
        *group_by(plane.extended, plane.size), *group_by(rows.extended, rows.size),
        *split.trimmed.by_pixel, split.trimmed.single, offsets, group, reaches,
    )  # fmt: skip
    return threaded(
        direct_adjoint.adjoint, pack(table), weights.ravel()[used].conj(),
        work=planes * height * width + 2 * phases * places,
        size=model.outputs, rows=plane.size * ((rows.size + 1) // 2), cost=time,
    )  # fmt: skip


class _Stack(NamedTuple):
    """Rows that windows are read from; the names are those of `dhop.kernels.direct.Forward`."""

    phases: int
    places: int
    outer: Index
    inner: Index
    whole: bool
    margin: int
    first: int
    border: Index
    edge: Index

    def starts(self, u0: Index, u1: Index) -> Index:
        """Where the windows of taps begin."""
        place = u1 % self.phases * self.places + u1 // self.phases
        return u0 * self.phases * self.places + place + self.first


def _stack(model: Model, taps: int) -> _Stack:
    """Rows of pixels in place where that is quicker than copies."""
    plane, rows, columns = model.volume
    table = columns.split
    phases, places = table.pixel.shape
    one = plane.taps == 1 and (plane.extended != OUTSIDE).all()
    if one and phases == 1 and columns.outputs == columns.size and rows.factor <= rows.taps:
        border, edge = _edges(columns)
        # The outputs at the ends are computed from copies, twice.
        if not edge.size or (rows.factor == 1 and len(edge) * taps < columns.size):
            margin = max(0, -columns.start, columns.start + columns.taps - 1)
            inner = np.array([0, columns.size, 0])
            return _Stack(
                1, columns.size, table.outer[:0], inner, True, margin, margin + columns.start,
                border, edge,
            )  # fmt: skip
    nothing = np.zeros(0, np.intp)
    nowhere = nothing.reshape(0, 2)
    return _Stack(phases, places, table.outer, table.inner, False, 0, 0, nothing, nowhere)


def _edges(columns: Axis) -> tuple[Index, Index]:
    """The outputs whose windows leave the row of pixels, of an axis of factor 1.

    Returns
    -------
    border : ndarray of intp
        Source pixels that those at the left end read, and those at the right.
    edge : ndarray of intp, shape (k, 2)
        Where in `border` the window of an output begins, and the output.
    """
    m, places = columns.outputs, columns.extended
    first = min(max(0, -columns.start), m)
    last = min(max(first, columns.size - columns.start - columns.taps + 1), m)
    left = places[: first + columns.taps - 1 if first else 0]
    right = places[last if last < m else places.size :]
    begins = np.append(np.arange(first), left.size + np.arange(m - last))
    outputs = np.append(np.arange(first), np.arange(last, m))
    return np.append(left, right), np.column_stack([begins, outputs])


def adjoint_taps(weights: Array, model: Model, stack: int) -> tuple[Index, Index, Index, Index]:
    """Window starts in the band, indices into `weights`, and `group` and `reach` of the kernel.

    Place ``factor * s + p`` of a continued axis is read by tap ``factor * q + p`` of output
    ``s - q``: the places of one phase share their taps. Planes of the band have `stack` numbers.
    """
    plane, rows, columns = model.volume
    fz, f0, (f1, places) = plane.factor, rows.factor, columns.split.pixel.shape
    margin = places - columns.outputs
    box = weights.reshape(plane.taps, rows.taps, columns.taps)
    z, u0, u1 = np.nonzero(box)
    offsets = z // fz * stack - u0 // f0 * (columns.outputs + 2 * margin)
    offsets += margin + columns.skipped - u1 // f1
    reach = -(-rows.taps // f0)
    key = (((z % fz) * f0 + u0 % f0) * f1 + u1 % f1) * reach + u0 // f0
    start, order = group_by(key, fz * f0 * f1 * reach)
    first, last = (edge.reshape(fz * f0, f1, reach) for edge in (start[:-1], start[1:]))
    group = np.concatenate([first, last[:, :, -1:]], axis=2)
    reaches = np.maximum(rows.taps - np.arange(f0) + f0 - 1, 0) // f0 * weights.all()
    return offsets[order], np.flatnonzero(box)[order], group, reaches
