"""The separable method: the folded PSF as a short sum of products of a column and a row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.geometry import Axis, Index, Model, Relation, group_by
from dhop.kernels import separable
from dhop.kernels.taps import LEAST_SHARED
from dhop.methods import cost
from dhop.parallel import row_blocks, run
from dhop.separation import separate

Array = NDArray[Any]


class SeparablePlan:
    """Down the columns, already decimated, one row at a time, then along that row.

    The error is bounded in norm: with a sum of several terms, outputs that are tiny beside others
    may be no more than a rounding of those.

    Workspace: a few rows per thread.
    """

    faithful = False

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.model = model
        if np.finfo(dtype).eps == np.finfo(model.dtype).eps:
            a, b = model.factors
        else:  # the rounded taps are what is asked for
            a, b = separate(model.taps.astype(model.weights.dtype), dtype)
        self._cost = cost.separable(model, dtype, len(a))
        rows, columns = model.rows, model.columns
        self._rows = _line_matrix(rows.by_output, a, columns.size, dtype)
        self._rows_adjoint = _line_matrix(rows.by_pixel, a.conj(), columns.outputs, dtype)
        self._lag = rows.factor
        self._shared = _shared_rows(rows)
        self._forward = _forward_taps(columns, b.astype(dtype))
        self._adjoint = _adjoint_taps(columns, b.conj().astype(dtype))

    def forward(self, x: Array, out: Array, workers: int | None) -> None:
        rows, columns = self.model.rows, self.model.columns
        table = columns.split
        constants = (
            x, *self._rows, self._shared, self._lag, table.pixel, table.inner, *self._forward,
        )  # fmt: skip
        blocks = row_blocks(len(x) * ((rows.outputs + 1) // 2), len(x) * self._cost, workers)
        run(lambda start, stop: separable.forward(*constants, start, stop, out), blocks, workers)

    def adjoint(self, y: Array, out: Array, workers: int | None) -> None:
        rows, columns = self.model.rows, self.model.columns
        table = columns.split
        constants = (
            y, *self._rows_adjoint, *table.by_pixel, table.single, *self._adjoint,
            table.pixel.shape[1],
        )  # fmt: skip
        blocks = row_blocks(len(y) * rows.size, len(y) * self._cost, workers)
        run(lambda start, stop: separable.adjoint(*constants, start, stop, out), blocks, workers)


def _line_matrix(
    relation: Relation, weights: Array, length: int, dtype: np.dtype[Any]
) -> tuple[Index, Index, Array]:
    """Start of each line, offset of the lines of `length` that it sums, and their weights."""
    if not relation.line.size:
        return relation.start, relation.line, np.zeros((len(weights), 0), dtype)
    begins = np.flatnonzero(relation.begins)
    merged = np.add.reduceat(weights[:, relation.tap], begins, axis=1)
    start = np.searchsorted(begins, relation.start)
    return start, relation.line[begins] * length, np.ascontiguousarray(merged, dtype)


def _shared_rows(rows: Axis) -> NDArray[np.bool_]:
    """Whether output `j` and its successor both read whole windows of the image itself."""
    first = rows.start + rows.factor * np.arange(rows.outputs)
    whole = (first >= 0) & (first + rows.taps <= rows.size)
    return whole & np.append(whole[1:], False) & (rows.taps - rows.factor >= LEAST_SHARED)


def _forward_taps(columns: Axis, b: Array) -> tuple[Index, Array]:
    """Window starts in a split row, and values, of the taps along the row."""
    phases, places = columns.split.pixel.shape
    used = np.flatnonzero(b.any(axis=0))
    return used % phases * places + used // phases, np.ascontiguousarray(b[:, used])


def _adjoint_taps(columns: Axis, b: Array) -> tuple[Index, Array, Index]:
    """Window starts in a padded row of `y`, values, and where each phase's taps begin."""
    phases, places = columns.split.pixel.shape
    used = np.flatnonzero(b.any(axis=0))
    start, order = group_by(used % phases, phases)
    used = used[order]
    return places - columns.outputs - used // phases, np.ascontiguousarray(b[:, used]), start
