"""The separable method: the folded PSF as a short sum of products of a column and a row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.geometry import Axis, Index, Model, group_by
from dhop.kernels import GROUP, separable
from dhop.kernels.lanes import BYTES
from dhop.kernels.vector import LINKS
from dhop.methods import Plan, cost
from dhop.methods.lines import line_sums, reached
from dhop.parallel import share
from dhop.separation import separate

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
            a, b = separate(model.taps.astype(model.weights.dtype), dtype)
        self._costs = cost.separable(model, dtype, len(a))
        rows, columns, table = model.rows, model.columns, model.columns.split
        width = 2 * table.pixel.shape[1] - columns.outputs  # of a row of `y` between its margins
        count = max(1, RUN // (width * dtype.itemsize) // GROUP) * GROUP
        self._padded = count, width
        held = min(count, max(1, RUN // (width * dtype.itemsize)))
        phases, places = table.pixel.shape
        self._blurred, self._split = (GROUP, max(columns.size, places)), (phases, places)
        self._groups = -(-rows.outputs // GROUP), -(-rows.size // GROUP)
        phases, places = table.trimmed.pixel.shape
        self._held = held if 2 * width <= 3 * places else 1  # margins between rows are summed too
        self._line = phases, (count - 1) * width + places
        start, member = table.trimmed.by_pixel
        member = member // places * self._line[1] + member % places
        self._forward = (
            reached(rows.by_output), *line_sums(rows.by_output, a, columns.size, dtype),
            table.outer, table.inner, *_forward_taps(columns, b.astype(dtype)),
        )  # fmt: skip
        self._adjoint = (
            *line_sums(rows.by_pixel, a.conj(), columns.outputs, dtype),
            start, member, table.trimmed.single, *_adjoint_taps(columns, b.conj().astype(dtype)),
        )  # fmt: skip

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        far = int(x.nbytes + out.nbytes > NEAR)

        def work(shares: Index, own: int, board: Index) -> None:
            blurred = np.empty(self._blurred, x.dtype)
            line = np.empty(self._split, x.dtype)
            separable.forward(x, *self._forward, blurred, line, far, shares, own, board, out)

        return share(work, len(x) * self._groups[0], len(x) * self._costs[0], workers)

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        def work(shares: Index, own: int, board: Index) -> None:
            padded = np.zeros(self._padded, y.dtype)
            line = np.empty(self._line, y.dtype)
            separable.adjoint(y, *self._adjoint, padded, line, self._held, shares, own, board, out)

        return share(work, len(y) * self._groups[1], len(y) * self._costs[1], workers)


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
