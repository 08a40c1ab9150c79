"""The direct method for a PSF that varies over the field."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import field as kernels
from dhop.kernels.flat import pack
from dhop.methods import Multiply, Plan, cost
from dhop.methods.direct import adjoint_taps
from dhop.methods.products import threaded
from dhop.model.boundary import OUTSIDE
from dhop.model.field import FieldModel, Hats
from dhop.model.relations import Index, group_by

Array = NDArray[Any]

BAND = 2**20  # bytes that stay in the L2 cache
MORE = 32  # rows of a band beyond those that are needed


class FieldPlan(Plan):
    """Strips of the image, one for each column of nodes, with taps for each row.

    A product costs about two with a single PSF, whatever the number of nodes, if the PSF is small
    beside their distances. Taps are interpolated in the dtype of the product.

    Workspace: per thread the rows of strips, twice as long as those of the image, that two rows of
    outputs read, and more of them up to `BAND` bytes.
    """

    def __init__(self, field: FieldModel, dtype: np.dtype[Any]) -> None:
        self.model = field.model
        times = cost.direct_field(field, dtype)
        self.forward = _forward(field, dtype, times[0])
        self.adjoint = _adjoint(field, dtype, times[1])


def _forward(field: FieldModel, dtype: np.dtype[Any], time: float) -> Multiply:
    model = field.model
    rows, columns = model.axes
    used = model.weights != 0
    u0, u1 = np.nonzero(used)
    lag = min(rows.factor * columns.taps, u0.size) if used.all() else u0.size
    phases = columns.factor
    strip, runs, hats = _forward_strips(field)
    width = hats.size
    places = width // phases
    step = rows.factor
    needed = step + rows.taps
    height = max(needed, min(BAND // max(width * dtype.itemsize, 1), needed + MORE * step))
    continued = np.maximum(rows.extended, 0)
    offsets = u0 * width + u1 % phases * places + u1 // phases
    longest = int(strip[:, 3].max(initial=0))
    table = kernels.Forward(
        rows.size, columns.size, rows.outputs, columns.outputs, step, rows.taps, phases,
        field.columns.nodes, field.rows.nodes, u0.size, lag, width, height, longest,
        len(runs), len(strip), rows.extended, field.rows.cell[continued],
        np.searchsorted(u0, np.arange(rows.taps + 1)), np.append(offsets, offsets), runs, strip,
    )  # fmt: skip
    values = np.concatenate(
        [field.taps[:, :, u0, u1].ravel(), hats, field.rows.fraction[continued]]
    )
    return threaded(
        kernels.forward, pack(table), values.astype(dtype),
        work=height * width + 4 * u0.size + 2 * longest,
        size=model.pixels, rows=(rows.outputs + 1) // 2, cost=time, clear=True,
    )  # fmt: skip


def _forward_strips(field: FieldModel) -> tuple[Index, Index, NDArray[np.float64]]:
    """The outputs that read the support of each node's hat, and how a row of the band is filled.

    Returns
    -------
    strip, run, hats
        As `dhop.kernels.field.Forward` has them.
    """
    columns = field.model.columns
    phases, reach = columns.factor, -(-columns.taps // columns.factor)
    windows = columns.windows
    found: list[tuple[int, int, int, int]] = []
    start, nothing = 0, np.zeros((phases, 0))
    pixels, hats = [nothing.astype(np.intp)], [nothing]
    extended = np.append(columns.extended, np.full(phases * reach, OUTSIDE))
    for node in range(field.columns.nodes):
        hat = np.append(field.columns.weights(node), 0)  # the last for `OUTSIDE`
        for left, right in _runs((hat[windows] != 0).any(axis=1)):
            places = right - left - 1 + reach
            own = extended[phases * left :][: phases * places].reshape(places, phases).T
            found.append((node, start, left, right - left))
            pixels.append(np.where(hat[own] != 0, own, OUTSIDE))
            hats.append(hat[own])
            start += places
    source = np.concatenate(pixels, axis=1).ravel()
    place = np.flatnonzero(source != OUTSIDE)
    pixel = source[place]
    # A run ends before a place that is not that of the next pixel of the phase.
    begins = np.flatnonzero(
        (np.diff(place, prepend=-2) != 1) | (np.diff(pixel, prepend=-2) != phases)
    )
    run = np.column_stack([place[begins], pixel[begins], np.diff(begins, append=place.size)])
    return np.array(found, np.intp).reshape(-1, 4), run, np.concatenate(hats, axis=1).ravel()


def _adjoint(field: FieldModel, dtype: np.dtype[Any], time: float) -> Multiply:
    model = field.model
    rows, columns = model.axes
    split = columns.split
    used = model.weights != 0
    reach = -(-rows.taps // rows.factor)
    width = 2 * split.pixel.shape[1] - columns.outputs
    height = reach + max(reach, min(BAND // (width * dtype.itemsize), MORE))
    phases, places = split.trimmed.pixel.shape
    offsets, chosen, group, reaches = adjoint_taps(used, model, height * width)
    strip, hats = _adjoint_strips(field.columns, split.trimmed.pixel)
    longest = int(strip[:, 2].max(initial=0))
    taps = field.taps.reshape(*field.taps.shape[:2], -1)[:, :, chosen].conj()
    table = kernels.Adjoint(
        rows.size, columns.size, rows.outputs, columns.outputs, phases, places, rows.factor, reach,
        height, width, field.columns.nodes, field.rows.nodes, chosen.size, longest, len(strip),
        hats.size, *group_by(rows.extended, rows.size), *split.trimmed.by_pixel,
        split.trimmed.single, np.append(offsets, offsets), group, reaches, field.rows.cell, strip,
    )  # fmt: skip
    return threaded(
        kernels.adjoint, pack(table),
        np.concatenate([taps.ravel(), hats, field.rows.fraction]).astype(dtype),
        work=height * width + 2 * phases * places + 2 * chosen.size + 2 * longest,
        size=model.outputs, rows=(rows.size + 1) // 2, cost=time,
    )  # fmt: skip


def _adjoint_strips(columns: Hats, pixel: Index) -> tuple[Index, NDArray[np.float64]]:
    """The places of the support of each node's hat, and the hats there, phase by phase."""
    found: list[tuple[int, int, int, int]] = []
    hats, start = [np.zeros(0)], 0
    for node in range(columns.nodes):
        hat = np.append(columns.weights(node), 0)[pixel]
        for left, right in _runs((hat != 0).any(axis=0)):
            found.append((node, left, right - left, start))
            hats.append(hat[:, left:right].ravel())
            start += hats[-1].size
    return np.array(found, np.intp).reshape(-1, 4), np.concatenate(hats)


def _runs(mask: NDArray[np.bool_]) -> list[list[int]]:
    """First and last, exclusive, of each run of True."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges.reshape(-1, 2).tolist()
