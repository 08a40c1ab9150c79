"""The separable method: the folded PSF as a sum of few products of a column and a row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import GROUP, separable
from dhop.kernels.flat import pack
from dhop.kernels.register_blocks import LINKS
from dhop.kernels.vectors import BYTES
from dhop.methods import Multiply, Plan, cost
from dhop.methods.column_pass import column_pass, reached
from dhop.methods.products import threaded
from dhop.model.axis import Axis
from dhop.model.geometry import Model
from dhop.model.relations import Index, group_by
from dhop.model.separation import separate

Array = NDArray[Any]

RUN = 2**12  # bytes of short rows of the adjoint whose row passes are one
NEAR = 2**23  # bytes of images that caches hold


class SeparablePlan(Plan):
    """A decimating pass down the columns, a few rows at a time, then a pass along those rows.

    The error is bounded in norm: with several terms, outputs that are tiny beside others may be no
    more than rounding errors of those.

    Workspace: a few rows per thread.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        if np.finfo(dtype).eps == np.finfo(model.dtype).eps:
            a, b = model.factors
        else:  # the operator is that of the rounded taps
            a, b = separate(model.rounded.weights, dtype)
        times = cost.separable(model, dtype, len(a))
        self.forward = _forward(model, a, b.astype(dtype), times[0])
        self.adjoint = _adjoint(model, a.conj(), b.conj().astype(dtype), times[1])


def _forward(model: Model, a: Array, b: Array, time: float) -> Multiply:
    _, rows, columns = model.volume
    shapes = rows.size, columns.size, rows.outputs, columns.outputs
    split = columns.split
    phases, places = split.pixel.shape
    down = column_pass(rows.by_output, a, columns.size, b.dtype)
    windows, values, linked = _forward_taps(columns, b)
    table = separable.Forward(
        *shapes, phases, places, NEAR // b.itemsize, *down.sizes, windows.size,
        len(split.outer), linked, reached(rows.by_output), *down.tables, split.outer, split.inner,
        windows,
    )  # fmt: skip
    return threaded(
        separable.forward, pack(table), down.before(values),
        work=GROUP * max(columns.size, places) + phases * places,
        size=model.pixels, rows=-(-rows.outputs // GROUP), cost=time,
    )  # fmt: skip


def _adjoint(model: Model, a: Array, b: Array, time: float) -> Multiply:
    _, rows, columns = model.volume
    shapes = rows.size, columns.size, rows.outputs, columns.outputs
    split = columns.split
    width = 2 * split.pixel.shape[1] - columns.outputs  # of a row of `y` between its margins
    run = RUN // (width * b.itemsize)
    height = max(1, run // GROUP) * GROUP
    phases, places = split.trimmed.pixel.shape
    # Row passes that are one sum the margins between rows, too.
    held = max(1, min(run, height)) if 2 * width <= 3 * places else 1
    span = (height - 1) * width + places
    first, member = split.trimmed.by_pixel
    down = column_pass(rows.by_pixel, a, columns.outputs, b.dtype)
    windows, values, linked, begin = _adjoint_taps(columns, b)
    table = separable.Adjoint(
        *shapes, phases, places, height, width, held, *down.sizes, windows.size,
        *down.tables, first, member // places * span + member % places, split.trimmed.single,
        windows, linked, begin,
    )  # fmt: skip
    return threaded(
        separable.adjoint, pack(table), down.before(values),
        work=height * width + phases * span,
        size=model.outputs, rows=-(-rows.size // GROUP), cost=time,
    )  # fmt: skip


def _forward_taps(columns: Axis, b: Array) -> tuple[Index, Array, int]:
    """Window starts in a split row, values, and number of linked taps along the row."""
    phases, places = columns.split.pixel.shape
    used = np.flatnonzero(b.any(axis=0))
    order, linked = _linked(used, phases * BYTES // b.itemsize)
    used = used[order]
    return used % phases * places + used // phases, np.ascontiguousarray(b[:, used]), linked


def _adjoint_taps(columns: Axis, b: Array) -> tuple[Index, Array, Index, Index]:
    """Window starts in a padded row of `y`, values, and linked taps and beginning of each phase."""
    phases, places = columns.split.pixel.shape
    used = np.flatnonzero(b.any(axis=0))
    start, order = group_by(used % phases, phases)
    linked = np.zeros(phases, np.intp)
    for p in range(phases):
        group = order[start[p] : start[p + 1]]
        again, linked[p] = _linked(-used[group], phases * BYTES // b.itemsize)
        order[start[p] : start[p + 1]] = group[again]
    used = used[order]
    starts = places - columns.outputs + columns.skipped - used // phases
    return starts, np.ascontiguousarray(b[:, used]), linked, start


def _linked(taps: Index, step: int) -> tuple[Index, int]:
    """Order of taps that begins with links, and number of taps in those; see `register_blocks`.

    It does not depend on the size of the image: parts of one have the same bits.

    Parameters
    ----------
    taps : ndarray of intp
        All different, in the order of their windows.
    step : int
        From one tap to the one whose window begins a vector further on.
    """
    left = {tap: k for k, tap in enumerate(taps.tolist())}
    order: list[int] = []
    for tap in sorted(left):
        link = range(tap, tap + LINKS * step, step)
        if left.keys() >= set(link):
            order += [left.pop(each) for each in link]
    return np.array(order + list(left.values()), np.intp), len(order)
