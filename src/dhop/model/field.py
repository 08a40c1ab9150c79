"""A PSF that varies over the field: one index map, and taps that depend on the source pixel.

The operator is a sum over the nodes of a grid, ``A = sum_k (D H_k) diag(w_k)``. The weights `w_k`
are products of hat functions, one for each axis: 1 at the own node, 0 at its neighbours, linear in
between, and constant beyond the grid. So a pixel lies between two PSFs along each axis, and its
hats add up to 1.
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
    """The nodes around each line of pixels, and their weights in its PSF, of shape (n, k)."""

    node: Index
    part: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hats:
    """Linear interpolation between the nodes of an axis, at each pixel.

    Attributes
    ----------
    nodes : int
    cell : ndarray of intp, shape (n,)
        The node before each pixel.
    fraction : ndarray of float64, shape (n,)
        Position of the pixel between this node and the next, 0 to 1.
    """

    nodes: int
    cell: Index
    fraction: NDArray[np.float64]

    @classmethod
    def of(cls, positions: NDArray[np.float64], pixels: NDArray[Any]) -> "Hats":
        """Hats at some pixels; beyond the grid the nearest node counts alone."""
        if positions.size == 1:
            return cls(1, np.zeros(pixels.size, np.intp), np.zeros(pixels.size))
        cell = np.clip(np.searchsorted(positions, pixels, "right") - 1, 0, positions.size - 2)
        fraction = (pixels - positions[cell]) / np.diff(positions)[cell]
        return cls(positions.size, cell, np.clip(fraction, 0, 1))

    def weights(self, node: int) -> NDArray[np.float64]:
        """The hat of a node at each pixel."""
        own = np.where(self.cell == node, 1 - self.fraction, 0)
        return np.asarray(own + np.where(self.cell == node - 1, self.fraction, 0))

    @property
    def mixture(self) -> Mixture:
        """The nodes of each pixel and their weights."""
        after = np.minimum(self.cell + 1, self.nodes - 1)
        parts = np.column_stack([1 - self.fraction, self.fraction])
        return Mixture(np.column_stack([self.cell, after]), parts)

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """The mean of each node's hat."""
        return np.array([self.weights(node).mean() for node in range(self.nodes)])


@dataclass(frozen=True, eq=False)
class FieldModel:
    """The operator of a field as data: a `Model` of the index map, and the taps of each node.

    Attributes
    ----------
    model : Model
        With weights 1 where any PSF has a nonzero tap, else 0.
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
        # The model has cropped its taps to the same box.
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
        """`taps` with all axes but the last joined into one, of nodes and of taps."""
        *_, nodes = grid = self.taps.shape[: len(self.hats)]
        return self.taps.reshape(prod(grid) // nodes, nodes, *self.model.weights.shape)

    @cached_property
    def mixtures(self) -> tuple[Mixture, Mixture]:
        """Of the model's `rows` and `columns`."""
        *others, columns = self.hats
        return reduce(self._joined, range(1, len(others)), others[0].mixture), columns.mixture

    def _joined(self, before: Mixture, axis: int) -> Mixture:
        """The mixture of lines with one more axis, and the batch between."""
        hats, batch = self.hats[axis], self.model.around[axis]
        own = hats.mixture
        node, part = (np.repeat(each, batch, axis=0)[:, None, :, None] for each in before)
        nodes = np.asarray(node * hats.nodes + own.node[None, :, None])
        parts = np.asarray(part * own.part[None, :, None])
        return Mixture(*(each.reshape(len(node) * len(own.node), -1) for each in (nodes, parts)))

    def node(self, place: tuple[int, ...]) -> Array:
        """The taps of a node in the layout of `Model.weights`."""
        return self.taps[place].reshape(self.model.weights.shape)

    @cached_property
    def mean(self) -> Model:
        """The model of the mean PSF over all pixels."""
        nodes = "ghk"[: len(self.hats)]  # the axes that are summed, and those that stay
        means = [hats.means for hats in self.hats]
        taps = np.einsum(f"{','.join(nodes)},{nodes}...->...", *means, self.taps)
        weights = np.where(taps.astype(self.model.dtype) == 0, 0, taps)
        return replace(self.model, weights=weights.reshape(self.model.weights.shape))

    @cached_property
    def largest(self) -> Model:
        """The model of the largest absolute taps, an upper bound for all PSFs."""
        nodes = tuple(range(len(self.hats)))
        taps = np.abs(self.taps).max(axis=nodes).astype(self.taps.dtype)
        return replace(self.model, weights=taps.reshape(self.model.weights.shape))
