"""The separable method: the folded PSF as a short sum of products of a column and a row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import GROUP, separable
from dhop.kernels.flat import pack
from dhop.kernels.strips import LINKS
from dhop.kernels.vectors import BYTES
from dhop.methods import Multiply, Plan, cost
from dhop.methods.gather import gather
from dhop.methods.lines import line_sums, reached
from dhop.model.axis import Axis
from dhop.model.geometry import Model
from dhop.model.relations import Index, group_by
from dhop.model.separation import separate

Array = NDArray[Any]

RUN = 2**12  # bytes of short rows of the adjoint that are summed as one
NEAR = 2**23  # bytes of images that caches hold


class SeparablePlan(Plan):
    """Down the columns, already decimated, a few rows at a time, then along those rows.

    The error is bounded in norm: with a sum of several terms, outputs that are tiny beside others
    may be no more than a rounding of those.

    Workspace: a few rows per thread.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        if np.finfo(dtype).eps == np.finfo(model.dtype).eps:
            a, b = model.factors
        else:  # the rounded taps are what is asked for
            a, b = separate(model.rounded.weights, dtype)
        times = cost.separable(model, dtype, len(a))
        self.forward = _forward(model, a, b.astype(dtype), times[0])
        self.adjoint = _adjoint(model, a.conj(), b.conj().astype(dtype), times[1])


def _forward(model: Model, a: Array, b: Array, time: float) -> Multiply:
    _, rows, columns = model.volume
    shapes = rows.size, columns.size, rows.outputs, columns.outputs
    split = columns.split
    phases, places = split.pixel.shape
    lines = line_sums(rows.by_output, a, columns.size, b.dtype)
    windows, values, linked = _forward_taps(columns, b)
    table = separable.Forward(
        *shapes, phases, places, NEAR // b.itemsize, *lines.sizes, windows.size,
        len(split.outer), linked, reached(rows.by_output), *lines.tables, split.outer, split.inner,
        windows,
    )  # fmt: skip
    return gather(
        separable.forward, pack(table), lines.before(values),
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
    # Margins between rows are summed, too.
    held = max(1, min(run, height)) if 2 * width <= 3 * places else 1
    span = (height - 1) * width + places
    first, member = split.trimmed.by_pixel
    lines = line_sums(rows.by_pixel, a, columns.outputs, b.dtype)
    windows, values, linked, begin = _adjoint_taps(columns, b)
    table = separable.Adjoint(
        *shapes, phases, places, height, width, held, *lines.sizes, windows.size,
        *lines.tables, first, member // places * span + member % places, split.trimmed.single,
        windows, linked, begin,
    )  # fmt: skip
    return gather(
        separable.adjoint, pack(table), lines.before(values),
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
    """Order of taps that begins with links, and number of taps in those; see `sum_windows`.

    The taps alone decide, not the size of the image: parts of it have the same bits.

    Parameters
    ----------
    taps : ndarray of intp
        All different, in the order of their windows.
    step : int
        From one tap to that whose window is a vector further on.
    """
    left = {tap: k for k, tap in enumerate(taps.tolist())}
    order: list[int] = []
    for tap in sorted(left):
        link = range(tap, tap + LINKS * step, step)
        if left.keys() >= set(link):
            order += [left.pop(each) for each in link]
    return np.array(order + list(left.values()), np.intp), len(order)
