"""Long lines in segments, each with the pixels that its outputs read."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dhop.methods import Plan
from dhop.model.axis import Axis
from dhop.model.boundary import OUTSIDE
from dhop.model.geometry import Model
from dhop.runtime import workspace

Array = NDArray[Any]


class SegmentsPlan(Plan):
    """The outputs of a line in segments, which are lines of a batch for the plan of a segment.

    So threads share a line, and Fourier transforms have the best length for the PSF. Segments
    overlap, since the outputs of one read the first pixels of the next; `adjoint` adds overlaps ::

        line          | 0 . . . . | 1 . . . . | 2 . . . . |   steps
        segment 0     |-----------|--|
        segment 1                 |-----------|--|
        segment 2                             |-----------|--|

    Workspace: the continued line, and its segments.

    Parameters
    ----------
    model : Model
        Of lines.
    dtype : dtype
    plan : type
        Of the segments.
    outputs : int
        Of a segment.
    """

    def __init__(self, model: Model, dtype: np.dtype[Any], plan: Any, outputs: int) -> None:
        axis = model.columns
        self.model = model
        self._outputs = outputs
        self._count = -(-axis.outputs // outputs)
        self._step = axis.factor * outputs
        self._overlap = axis.taps - axis.factor
        size = self._step + self._overlap
        segment = Axis(size, outputs, axis.factor, axis.taps, 0, "constant")
        own = Model((model.axes[0], segment), model.weights, model.dtype, (1, 1, 1))
        self._plan: Plan = plan(own, dtype)
        self._length = self._count * self._step + self._overlap

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        axis = self.model.columns
        lines, results = x.reshape(-1, axis.size), out.reshape(-1, axis.outputs)
        whole = np.zeros((len(lines), self._length), x.dtype)
        _continued(lines, axis, whole)
        segments = sliding_window_view(whole, self._step + self._overlap, 1)[:, :: self._step]
        given = np.ascontiguousarray(segments).reshape(-1)
        given.flags.writeable = False
        found = workspace.empty((len(lines), self._count * self._outputs), x.dtype)
        reliable = self._plan.forward(given, found.reshape(-1), workers)
        results[:] = found[:, : axis.outputs]
        return reliable

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        axis = self.model.columns
        lines, results = y.reshape(-1, axis.outputs), out.reshape(-1, axis.size)
        given = np.zeros((len(lines), self._count * self._outputs), y.dtype)
        given[:, : axis.outputs] = lines
        given.flags.writeable = False
        size = self._step + self._overlap
        parts = workspace.empty((len(lines), self._count, size), y.dtype)
        reliable = self._plan.adjoint(given.reshape(-1), parts.reshape(-1), workers)
        whole = np.zeros((len(lines), self._length), y.dtype)
        steps = whole[:, : self._count * self._step].reshape(len(lines), self._count, -1)
        steps[:] = parts[:, :, : self._step]
        if self._overlap > 0:
            steps[:, 1:, : self._overlap] += parts[:, :-1, self._step :]
            whole[:, -self._overlap :] = parts[:, -1, self._step :]
        _folded(whole, axis, results)
        return reliable


def _middle(axis: Axis) -> tuple[slice, slice]:
    """Places of the continued axis inside the line, and the pixels there."""
    first, last = max(-axis.start, 0), min(axis.size - axis.start, axis.extended.size)
    if first >= last:
        return slice(0), slice(0)
    return slice(first, last), slice(first + axis.start, last + axis.start)


def _continued(lines: Array, axis: Axis, whole: Array) -> None:
    """Write the continued lines, as far as outputs read."""
    places, pixels = _middle(axis)
    whole[:, places] = lines[:, pixels]
    for others in slice(places.start), slice(places.stop, axis.extended.size):
        source = axis.extended[others]
        whole[:, others] = np.where(source == OUTSIDE, 0, lines[:, source.clip(0)])


def _folded(whole: Array, axis: Axis, lines: Array) -> None:
    """Add all places of each pixel."""
    places, pixels = _middle(axis)
    lines[:] = 0
    lines[:, pixels] = whole[:, places]
    for others in slice(places.start), slice(places.stop, axis.extended.size):
        source = axis.extended[others]
        inside = source != OUTSIDE
        np.add.at(lines.T, source[inside], whole[:, others][:, inside].T)
