"""A PSF that varies over the field: the index map is one, the taps are those of the source.

The operator is a sum over the nodes of a grid, ``A = sum_k (D H_k) diag(w_k)``, in which `w_k` is a
product of hats, one for each axis: 1 at its own node, 0 at the neighbours, linear between, and
level beyond the grid. So a pixel lies between two PSFs along each axis, and its hats add up to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.model.geometry import Model, Rules, folded
from dhop.model.relations import Index

Array = NDArray[Any]


class Mixture(NamedTuple):
    """The nodes between which a line of pixels lies, and the part that each has in its PSF.

    Attributes
    ----------
    node : ndarray of intp, shape (n, k)
    part : ndarray of float64, shape (n, k)
    """

    node: Index
    part: NDArray[np.float64]


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

    @property
    def mixture(self) -> Mixture:
        """What the PSF of each pixel is mixed of."""
        after = np.minimum(self.cell + 1, self.nodes - 1)
        parts = np.column_stack([1 - self.fraction, self.fraction])
        return Mixture(np.column_stack([self.cell, after]), parts)

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
    taps : ndarray of float64 or complex128
        Reversed folded PSFs, zero where their rounding is: an axis of nodes for each of the model's
        axes, and then one of taps for each.
    hats : tuple of Hats
        Of the model's axes.
    """

    model: Model
    taps: Array
    hats: tuple[Hats, ...]

    @classmethod
    def build(
        cls,
        dims: tuple[int, ...],
        stamps: Array,
        positions: Sequence[NDArray[np.float64]],
        factor: tuple[int, ...],
        rules: Rules,
    ) -> "FieldModel":
        """Fold all PSFs and tabulate their axes."""
        axes, ndim = rules.axes, len(rules.axes)
        taps = folded(stamps, (1,) * ndim + factor, rules)
        taps = np.flip(taps, tuple(range(ndim, stamps.ndim)))
        used: NDArray[np.bool_] = np.logical_or.reduce(taps != 0, axis=tuple(range(ndim)))
        model = Model.tabulated(dims, used.astype(taps.dtype), stamps.shape[ndim:], factor, rules)
        hats = [
            Hats.of(place, np.arange(dims[axis]))
            for place, axis in zip(positions, axes, strict=True)
        ]
        order = np.argsort(axes).tolist()
        taps = taps.transpose(order + [len(order) + k for k in order])
        used, hats = used.transpose(order), [hats[k] for k in order]
        if len(axes) == 1:  # a line is an image of one row
            taps, used = taps[None, :, None], used[None]
            hats.insert(0, Hats.of(np.zeros(1), np.zeros(1)))
        # The box of the taps is the one that the model has cut out.
        box = tuple(
            slice(int(hits[0]), int(hits[0]) + axis.taps) if hits.size else slice(axis.taps)
            for hits, axis in zip(map(np.sort, np.nonzero(used)), model.axes, strict=True)
        )
        return cls(model, np.ascontiguousarray(taps[(..., *box)]), tuple(hats))

    @property
    def rows(self) -> Hats:
        """Of the axis before the last."""
        return self.hats[-2]

    @property
    def columns(self) -> Hats:
        """Of the last axis."""
        return self.hats[-1]

    @cached_property
    def lines(self) -> Array:
        """`taps` with all axes but the last seen as one, of nodes and of taps."""
        *_, nodes = grid = self.taps.shape[: len(self.hats)]
        return self.taps.reshape(prod(grid) // nodes, nodes, *self.model.weights.shape)

    @cached_property
    def mixtures(self) -> tuple[Mixture, Mixture]:
        """Of the model's `rows` and `columns`."""
        *others, columns = self.hats
        return reduce(self._joined, range(1, len(others)), others[0].mixture), columns.mixture

    def _joined(self, before: Mixture, axis: int) -> Mixture:
        """Of all lines of one more axis, and of the batch between."""
        hats, batch = self.hats[axis], self.model.around[axis]
        own = hats.mixture
        node, part = (np.repeat(each, batch, axis=0)[:, None, :, None] for each in before)
        nodes = np.asarray(node * hats.nodes + own.node[None, :, None])
        parts = np.asarray(part * own.part[None, :, None])
        return Mixture(*(each.reshape(len(node) * len(own.node), -1) for each in (nodes, parts)))

    def node(self, place: tuple[int, ...]) -> Array:
        """The taps of a node, as a `Model` has them."""
        return self.taps[place].reshape(self.model.weights.shape)

    @cached_property
    def mean(self) -> Model:
        """The model of the mean PSF, of all pixels."""
        nodes = "ghk"[: len(self.hats)]  # the axes that are summed, and those that stay
        means = [hats.means for hats in self.hats]
        taps = np.einsum(f"{','.join(nodes)},{nodes}...->...", *means, self.taps)
        weights = np.where(taps.astype(self.model.dtype) == 0, 0, taps)
        return replace(self.model, weights=weights.reshape(self.model.weights.shape))

    @cached_property
    def largest(self) -> Model:
        """The model of the largest absolute taps, which no PSF between nodes exceeds."""
        nodes = tuple(range(len(self.hats)))
        taps = np.abs(self.taps).max(axis=nodes).astype(self.taps.dtype)
        return replace(self.model, weights=taps.reshape(self.model.weights.shape))
