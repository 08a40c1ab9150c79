"""The direct method: every non-zero tap is multiplied and added, nothing else."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.geometry import Index, Model, group_by
from dhop.kernels import direct
from dhop.methods import Plan, cost
from dhop.parallel import row_blocks, run

Array = NDArray[Any]

BAND = 2**20  # bytes that stay in the L2 cache
MORE = 32  # rows beyond those that are needed; so a band is seldom begun again


class DirectPlan(Plan):
    """Strided convolution by polyphase windows, and its adjoint.

    Workspace: `forward` copies, per thread, the continued input rows of two output rows, three
    times as many if these overlap much, or `BAND` bytes of them if that is more; `adjoint` those of
    one image row, and as many again or up to `MORE` if `BAND` holds them.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        rows, columns, table = model.rows, model.columns, model.columns.split
        weights = model.taps.astype(dtype)
        self._cost = cost.direct(model, dtype)
        # Without zeros among the taps, a row's windows are those of the row before, shifted.
        taps = np.count_nonzero(weights)
        dense = taps == weights.size
        lag = min(rows.factor * columns.taps, taps) if dense else taps

        step = min(rows.factor, rows.taps)
        rows_in_band = (BAND / (table.pixel.size * dtype.itemsize) - rows.taps) / step + 1
        # Under a high PSF a larger copy, in which no row stands much more often than needed.
        pairs = max(1, min(rows_in_band / 2, 16), rows.taps / step)
        most = min(2 * int(pairs), rows.outputs + 1)
        self._band = step * (most - 1) + rows.taps, *table.pixel.shape
        self._forward = (
            rows.extended, table.outer, table.inner, *_forward_taps(weights, model),
            rows.factor, rows.taps, lag, most,
        )  # fmt: skip

        reach = -(-rows.taps // rows.factor)
        width = 2 * table.pixel.shape[1] - columns.outputs
        self._held = reach + max(reach, min(BAND // (width * dtype.itemsize), MORE)), width
        phase = np.arange(rows.factor)
        reaches = np.maximum(rows.taps - phase + rows.factor - 1, 0) // rows.factor * dense
        self._adjoint = (
            *group_by(rows.extended, rows.size), *table.trimmed.by_pixel, table.trimmed.single,
            *_adjoint_taps(weights, model), reaches,
        )  # fmt: skip

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        def block(start: int, stop: int) -> None:
            band = np.empty(self._band, x.dtype)
            direct.forward(x, *self._forward, band, start, stop, out)

        pairs = len(x) * ((self.model.rows.outputs + 1) // 2)
        run(block, row_blocks(pairs, len(x) * self._cost, workers), workers)
        return True

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        columns = self.model.columns
        margin = columns.split.pixel.shape[1] - columns.outputs
        phases, places = columns.split.trimmed.pixel.shape

        def block(start: int, stop: int) -> None:
            band = np.empty(self._held, y.dtype)
            band[:, :margin] = band[:, margin + columns.outputs :] = 0
            line = np.empty((2, phases, places), y.dtype)
            direct.adjoint(y, *self._adjoint, band, line, start, stop, out)

        pairs = len(y) * ((self.model.rows.size + 1) // 2)
        run(block, row_blocks(pairs, len(y) * self._cost, workers), workers)
        return True


def _forward_taps(weights: Array, model: Model) -> tuple[Index, Array]:
    """Window starts in a stack of split rows, and values, of the taps that are not zero."""
    phases, places = model.columns.split.pixel.shape
    u0, u1 = np.nonzero(weights)
    return (u0 * phases + u1 % phases) * places + u1 // phases, weights[u0, u1]


def _adjoint_taps(weights: Array, model: Model) -> tuple[Index, Array, Index]:
    """Window starts in the padded rows, conjugated values, and where each phase's taps lie.

    Place ``factor * s + p`` of a continued axis is read by tap ``factor * q + p`` of output
    ``s - q``: the places of one phase share their taps.
    """
    rows, columns = model.rows, model.columns
    f0, (f1, places) = rows.factor, columns.split.pixel.shape
    margin = places - columns.outputs
    u0, u1 = np.nonzero(weights)
    offsets = -(u0 // f0) * (columns.outputs + 2 * margin) + margin + columns.skipped - u1 // f1
    reach = -(-rows.taps // f0)
    key = ((u0 % f0) * f1 + u1 % f1) * reach + u0 // f0
    start, order = group_by(key, f0 * f1 * reach)
    first, last = (edge.reshape(f0, f1, reach) for edge in (start[:-1], start[1:]))
    group = np.concatenate([first, last[:, :, -1:]], axis=2)
    return offsets[order], weights[u0, u1].conj()[order], group
