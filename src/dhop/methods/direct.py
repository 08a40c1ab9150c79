"""The direct method: every non-zero tap is multiplied and added, nothing else."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.geometry import Axis, Groups, Model, group_by
from dhop.kernels import polyphase
from dhop.parallel import row_blocks, run


class DirectPlan:
    """Strided convolution by polyphase windows, and its adjoint.

    Workspace: `forward` copies ``polyphase.BAND`` output rows' worth of continued input rows per
    thread, `adjoint` one copy of its (low-resolution) input.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any]) -> None:
        self.rows, self.columns = model.rows, model.columns
        weights = model.taps.astype(dtype)
        self.taps = int(np.count_nonzero(weights))
        self._forward = _forward_taps(weights, self.columns)
        self._adjoint = _adjoint_taps(weights, self.rows, self.columns)
        self._row_places = group_by(self.rows.extended, self.rows.size)
        self._column_places = group_by(self.columns.split.ravel(), self.columns.size)

    def forward(self, x: NDArray[Any], out: NDArray[Any], workers: int | None) -> None:
        rows, columns = self.rows, self.columns
        offsets, weights = self._forward
        kernel = partial(
            polyphase.forward, x, rows.extended, columns.split, offsets, weights,
            rows.factor, rows.taps,
        )  # fmt: skip
        blocks = row_blocks(len(x) * rows.outputs, self.taps * columns.outputs, workers)
        run(lambda start, stop: kernel(start, stop, out), blocks, workers)

    def adjoint(self, y: NDArray[Any], out: NDArray[Any], workers: int | None) -> None:
        rows, columns = self.rows, self.columns
        offsets, weights, group = self._adjoint
        phases, places = columns.split.shape
        margin = places - columns.outputs
        padded = np.pad(y, ((0, 0), (0, 0), (margin, margin)))
        kernel = partial(
            polyphase.adjoint, padded, *self._row_places, *self._column_places,
            offsets, weights, group, phases, places,
        )  # fmt: skip
        work = self.taps * places / rows.factor
        blocks = row_blocks(len(y) * rows.size, work, workers)
        run(lambda start, stop: kernel(start, stop, out), blocks, workers)


def _forward_taps(weights: NDArray[Any], columns: Axis) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Window starts in a stack of split rows, and values, of the taps that are not zero."""
    phases, places = columns.split.shape
    u0, u1 = np.nonzero(weights)
    offsets = (u0 * phases + u1 % phases) * places + u1 // phases
    return offsets, weights[u0, u1]


def _adjoint_taps(
    weights: NDArray[Any], rows: Axis, columns: Axis
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.intp]]:
    """Window starts in the padded input, conjugated values, and where each phase's taps lie.

    Place ``factor * s + p`` of a continued axis is read by tap ``factor * q + p`` of output
    ``s - q``: the places of one phase share their taps.
    """
    f0, (f1, places) = rows.factor, columns.split.shape
    margin = places - columns.outputs
    u0, u1 = np.nonzero(weights)
    offsets = -(u0 // f0) * (columns.outputs + 2 * margin) + margin - u1 // f1
    reach = -(-rows.taps // f0)
    key = ((u0 % f0) * f1 + u1 % f1) * reach + u0 // f0
    groups: Groups = group_by(key, f0 * f1 * reach)
    first = groups.start[:-1].reshape(f0, f1, reach)
    last = groups.start[1:].reshape(f0, f1, reach)
    bounds = np.concatenate([first, last[:, :, -1:]], axis=2)
    order = groups.member
    return offsets[order], weights[u0, u1].conj()[order], bounds
