"""A PSF that varies over the field: the index map is one, the taps are those of the source.

The operator is a sum over the nodes of a grid, ``A = sum_k (D H_k) diag(w_k)``, in which `w_k` is a
product of two hats: 1 at its own node, 0 at the neighbours, linear between, and level beyond the
grid. So a pixel is blurred by four PSFs at most, and the hats of a pixel add up to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.model.boundary import Boundary
from dhop.model.decimation import Decimation, fold
from dhop.model.geometry import Model
from dhop.model.relations import Index

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Hats:
    """Linear interpolation along an axis: pixel `p` lies between two nodes of a grid.

    Attributes
    ----------
    nodes : int
    cell : ndarray of intp, shape (n,)
        The node before each pixel.
    fraction : ndarray of float64, shape (n,)
        How far the pixel is on the way to the next node, 0 to 1.
    """

    nodes: int
    cell: Index
    fraction: NDArray[np.float64]

    @classmethod
    def of(cls, positions: NDArray[np.float64], pixels: NDArray[Any]) -> "Hats":
        """Of pixels at some places; beyond the grid the nearest node counts alone."""
        if positions.size == 1:
            return cls(1, np.zeros(pixels.size, np.intp), np.zeros(pixels.size))
        cell = np.clip(np.searchsorted(positions, pixels, "right") - 1, 0, positions.size - 2)
        fraction = (pixels - positions[cell]) / np.diff(positions)[cell]
        return cls(positions.size, cell, np.clip(fraction, 0, 1))

    def weights(self, node: int) -> NDArray[np.float64]:
        """The hat of a node, at each pixel."""
        own = np.where(self.cell == node, 1 - self.fraction, 0)
        return np.asarray(own + np.where(self.cell == node - 1, self.fraction, 0))

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """The mean of each node's hat."""
        return np.array([self.weights(node).mean() for node in range(self.nodes)])


@dataclass(frozen=True, eq=False)
class FieldModel:
    """The operator as data: a `Model` of where taps are, and the taps of each node.

    Attributes
    ----------
    model : Model
        Its weights are 1 where any PSF has a tap that is not zero, else 0.
    taps : ndarray of float64 or complex128, shape (G0, G1, rows.taps, columns.taps)
        Reversed folded PSFs, zero where their rounding is.
    rows, columns : Hats
    """

    model: Model
    taps: Array
    rows: Hats
    columns: Hats

    @classmethod
    def build(
        cls,
        dims: tuple[int, ...],
        stamps: Array,
        positions: Sequence[NDArray[np.float64]],
        factor: tuple[int, ...],
        *,
        decimation: Decimation,
        boundary: tuple[Boundary, ...],
        center: tuple[int, ...],
        phase: tuple[int, ...],
        axes: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> "FieldModel":
        """Fold all PSFs and tabulate their axes; the arguments are those of `DHOperator`.

        Of lines or images; a line is an image of one row.
        """
        nodes = tuple(range(len(axes)))
        with np.errstate(over="ignore", invalid="ignore"):
            folded = fold(stamps, (*(1 for _ in nodes), *factor), decimation)
            rounded = folded.astype(dtype)
        if not np.isfinite(rounded).all():
            raise ValueError(f"the folded psf overflows {dtype}; scale it down")
        taps = np.flip(np.where(rounded == 0, 0, folded), tuple(range(len(nodes), stamps.ndim)))
        used: NDArray[np.bool_] = np.logical_or.reduce(taps != 0, axis=nodes)
        model = Model.tabulated(
            dims,
            used.astype(taps.dtype),
            stamps.shape[len(nodes) :],
            factor,
            decimation=decimation,
            boundary=boundary,
            center=center,
            phase=phase,
            axes=axes,
            dtype=dtype,
        )
        hats = [
            Hats.of(place, np.arange(dims[axis]))
            for place, axis in zip(positions, axes, strict=True)
        ]
        if len(axes) == 1:
            taps, used = taps[None, :, None], used[None]
            hats.insert(0, Hats.of(np.zeros(1), np.zeros(1)))
        elif axes[0] > axes[1]:
            taps, used, hats = taps.transpose(1, 0, 3, 2), used.T, hats[::-1]
        # The box of the taps is the one that the model has cut out.
        first = [int(np.argmax(used.any(axis=1 - k))) for k in (0, 1)]
        box = [slice(a, a + size) for a, size in zip(first, model.weights.shape, strict=True)]
        return cls(model, np.ascontiguousarray(taps[:, :, box[0], box[1]]), *hats)

    @cached_property
    def mean(self) -> Model:
        """The model of the mean PSF, of all pixels."""
        taps = np.einsum("g,h,ghij->ij", self.rows.means, self.columns.means, self.taps)
        return replace(self.model, weights=np.where(taps.astype(self.model.dtype) == 0, 0, taps))

    @cached_property
    def largest(self) -> Model:
        """The model of the largest absolute taps, which no PSF between nodes exceeds."""
        taps = np.abs(self.taps).max(axis=(0, 1)).astype(self.taps.dtype)
        return replace(self.model, weights=taps)
