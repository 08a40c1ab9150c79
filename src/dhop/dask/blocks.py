"""One operator cut into blocks, each with the pixels and outputs that it has to do with.

Bits of images are kept: every sum of a block has the terms of the whole operator's, in the same
order. For that the taps and factors of the whole are handed on, and blocks of rows are computed
with the few rows more that kernels sum side by side with theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.dask.halo import LARGE
from dhop.kernels import GROUP
from dhop.methods import prepare_field
from dhop.methods.products import Products
from dhop.model.axis import Axis
from dhop.model.boundary import OUTSIDE
from dhop.model.field import FieldModel, Hats
from dhop.model.geometry import Model
from dhop.model.relations import Index
from dhop.operators.base import ArrayOperator
from dhop.runtime import workspace

Array = NDArray[Any]
Ends = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Window(Axis):
    """A part of an axis, whose index table is given.

    Attributes
    ----------
    table : ndarray of intp
        Source pixel of each position, counted within the part, -1 for a zero.
    """

    table: Index

    @property
    def extended(self) -> Index:
        return self.table


@dataclass(frozen=True, eq=False)
class Part:
    """What a range of outputs depends on along an axis, or of the adjoint a range of pixels.

    Attributes
    ----------
    needed : ndarray of intp
        Lines of the other side, pixels or outputs, ascending.
    window : Window
        The axis from the pixels to the outputs that take part.
    """

    needed: Index
    window: Window


def output_part(axis: Axis, start: int, stop: int, own: Ends | None = None) -> Part:
    """The pixels that outputs ``start, ..., stop - 1`` read, or a range of pixels alone."""
    first, last = axis.factor * start, axis.factor * (stop - 1) + axis.taps
    source = axis.extended[first:last]
    if own is not None:
        table = np.where((source >= own[0]) & (source < own[1]), source - own[0], OUTSIDE)
        return Part(np.arange(*own), _window(axis, own[1] - own[0], stop - start, table))
    pixels = _or_first(np.unique(source[source != OUTSIDE]))
    table = np.where(source == OUTSIDE, OUTSIDE, np.searchsorted(pixels, source))
    return Part(pixels, _window(axis, pixels.size, stop - start, table))


def pixel_part(axis: Axis, start: int, stop: int, own: Ends | None = None) -> Part:
    """The outputs that pixels ``start, ..., stop - 1`` are read by, or a range of outputs alone.

    Outputs that read none of these pixels are left out of the table. Those before and after a gap
    come to stand side by side then, and the positions of their taps overlap; but only such that
    read no pixel of the block, so that each position has one pixel at most.
    """
    if own is not None:
        source = axis.extended[axis.factor * own[0] : axis.factor * (own[1] - 1) + axis.taps]
        table = np.where((source >= start) & (source < stop), source - start, OUTSIDE)
        return Part(np.arange(*own), _window(axis, stop - start, own[1] - own[0], table))
    place = np.flatnonzero((axis.extended >= start) & (axis.extended < stop))
    reached = np.zeros(axis.outputs + 1, np.intp)  # where reading begins and ends
    np.add.at(reached, np.maximum(-((axis.taps - 1 - place) // axis.factor), 0), 1)
    np.add.at(reached, np.minimum(place // axis.factor, axis.outputs - 1) + 1, -1)
    outputs = _or_first(np.flatnonzero(np.cumsum(reached)[:-1] > 0))
    position = axis.factor * np.arange(outputs.size)[:, None] + np.arange(axis.taps)
    source = axis.extended[axis.factor * outputs[:, None] + np.arange(axis.taps)]
    table = np.full(axis.factor * (outputs.size - 1) + axis.taps, OUTSIDE)
    inside = (source >= start) & (source < stop)
    table[position[inside]] = source[inside] - start
    return Part(outputs, _window(axis, stop - start, outputs.size, table))


def _window(axis: Axis, size: int, outputs: int, table: Index) -> Window:
    """Pixel 0 stands where most pixels follow each other in the order of the positions."""
    shifts = (table - np.arange(table.size))[table != OUTSIDE]
    values, counts = np.unique(shifts, return_counts=True)
    start = int(values[np.argmax(counts)]) if values.size else 0
    return Window(size, outputs, axis.factor, axis.taps, start, "constant", table)


def _or_first(lines: Index) -> Index:
    """The lines, or line 0 if there are none: a block of nothing is no array for a kernel."""
    return lines if lines.size else np.zeros(1, np.intp)


class Block(ArrayOperator):
    """The product of one block with lines, images or volumes, on one thread."""

    def __init__(
        self,
        model: Model,
        method: str,
        chosen: Mapping[np.dtype[Any], str],
        ndim: int,
        field: FieldModel | None,
    ) -> None:
        axes = model.axes[-ndim:]  # a line has another one, that of its single row
        dims, dimsd = tuple(axis.size for axis in axes), tuple(axis.outputs for axis in axes)
        super().__init__(model.dtype, dims, dimsd)
        if field is None:
            self._products = Products(model, method, 1, chosen)
        else:
            self._products = Products(model, method, 1, chosen, partial(prepare_field, field))

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        self._products.apply(x, "adjoint" if adjoint else "forward", out)


class Varying(NamedTuple):
    """A PSF that varies: the taps of all nodes, and the hats of the pixels of each block.

    A line is an image of one row, whose hat is that of all blocks.
    """

    taps: Array
    row: tuple[Hats, ...]
    hats: Sequence[Sequence[Hats]]


class Cut:
    """The blocks of an operator's products in one direction.

    It travels to where blocks are computed, with the taps and the distinct tables; plans are
    prepared there.

    Parameters
    ----------
    model : Model
    method : str
        As it was asked for.
    chosen : mapping of dtype to str
        The methods of products, as chosen for the whole.
    adjoint : bool
    windows : sequence of sequences of Window
        Of each axis, without repetitions.
    kinds : sequence of sequences of int
        Which of them each block along an axis has.
    kept : sequence of slice
        What each block along the first axis keeps of what is computed.
    varying : Varying or None
    """

    def __init__(
        self,
        model: Model,
        method: str,
        chosen: Mapping[np.dtype[Any], str],
        adjoint: bool,
        windows: Sequence[Sequence[Window]],
        kinds: Sequence[Sequence[int]],
        kept: Sequence[slice],
        varying: Varying | None = None,
    ) -> None:
        self.args = model, method, chosen, adjoint, windows, kinds, kept, varying
        self._blocks: dict[tuple[int, ...], Block] = {}

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Cut, self.args

    def product(self, x: Array, place: Sequence[int]) -> Array:
        """The block at a place among blocks, from the lines it needs.

        Parameters
        ----------
        x : ndarray, whose last axes are those of the PSF
        place : sequence of int
        """
        adjoint, kept, ndim = self.args[3], self.args[6][place[0]], len(place)
        block = self._block(place)
        shape = block.dims if adjoint else block.dimsd
        shape = *x.shape[:-ndim], *shape
        out = workspace.empty(shape, np.result_type(block.dtype, x.dtype), LARGE)
        product = block.multiply(x, shape, adjoint, out)
        index: tuple[Any, ...] = (..., kept, *[slice(None)] * (ndim - 1))
        return product[index]

    def _block(self, place: Sequence[int]) -> Block:
        model, method, chosen, _, windows, kinds, _, varying = self.args
        kind = tuple(some[k] for some, k in zip(kinds, place, strict=True))
        if kind not in self._blocks:
            own = _on(model, [some[k] for some, k in zip(windows, kind, strict=True)])
            field = None
            if varying is not None:
                hats = (some[k] for some, k in zip(varying.hats, kind, strict=True))
                field = FieldModel(own, varying.taps, (*varying.row, *hats))
            self._blocks[kind] = Block(own, method, chosen, len(windows), field)
        return self._blocks[kind]


def cut(
    model: Model,
    method: str,
    chosen: Mapping[np.dtype[Any], str],
    adjoint: bool,
    ranges: Sequence[Sequence[Ends]],
    field: FieldModel | None = None,
    own: Sequence[Sequence[Ends | None]] | None = None,
) -> tuple[list[list[Index]], Cut]:
    """Cut the products of a model in one direction into blocks.

    Parameters
    ----------
    model, method, chosen, adjoint
        Of `Cut`.
    ranges : sequence of sequences of (int, int)
        Where each block along an axis begins and ends: of pixels if `adjoint`, else of outputs.
    field : FieldModel, optional
        Of a PSF that varies.
    own : sequence of sequences of ((int, int) or None), optional
        Lines of the other side that a block takes for all that there are, zeros being around them;
        None where it takes what it needs.

    Returns
    -------
    needed : list of lists of ndarray
        The lines along an axis that each block needs.
    cut : Cut
    """
    if "separable" in chosen.values():
        model.factors  # noqa: B018 - found once, here, and handed on
    make = pixel_part if adjoint else output_part
    axes = model.axes[-len(ranges) :]  # a line has another one, that of its single row
    height = axes[0].size if adjoint else axes[0].outputs
    group = GROUP if len(axes) == 2 else 1
    wider = [
        (start - start % group, min(stop + -stop % group, height)) for start, stop in ranges[0]
    ]
    kept = [
        slice(start - first, stop - first)
        for (start, stop), (first, _) in zip(ranges[0], wider, strict=True)
    ]
    given = own or [[None] * len(some) for some in ranges]
    parts = [
        [make(axis, *ends, lines) for ends, lines in zip(some, mine, strict=True)]
        for axis, some, mine in zip(axes, (wider, *ranges[1:]), given, strict=True)
    ]
    varying = None
    if field is None:
        distinct = [_distinct([part.window for part in some]) for some in parts]
    else:  # no two blocks are blurred the same way
        distinct = [([part.window for part in some], list(range(len(some)))) for some in parts]
        pixels = [
            [np.arange(*ends) if adjoint else part.needed
             for ends, part in zip(each, some, strict=True)]
            for each, some in zip((wider, *ranges[1:]), parts, strict=True)
        ]  # fmt: skip
        hats = [
            [replace(own, cell=own.cell[some], fraction=own.fraction[some]) for some in lines]
            for own, lines in zip(field.hats[-len(axes) :], pixels, strict=True)
        ]
        varying = Varying(field.taps, field.hats[: -len(axes)], hats)
    windows, kinds = [each[0] for each in distinct], [each[1] for each in distinct]
    needed = [[part.needed for part in some] for some in parts]
    model = _on(model, [some[0] for some in windows])  # the tables of the whole stay here
    return needed, Cut(model, method, chosen, adjoint, windows, kinds, kept, varying)


def _on(model: Model, axes: Sequence[Axis]) -> Model:
    """The same taps on other axes."""
    whole = (*model.axes[: -len(axes)], *axes)
    other = replace(model, axes=whole, around=(1,) * (len(whole) + 1))
    if "factors" in vars(model):  # found elsewhere, they could be rounded otherwise
        vars(other)["factors"] = model.factors
    return other


def _distinct(windows: list[Window]) -> tuple[list[Window], list[int]]:
    """The windows without repetitions, and the number of each."""
    found: dict[Any, int] = {}
    keys = [(w.size, w.outputs, w.table.tobytes()) for w in windows]
    kinds = [found.setdefault(key, len(found)) for key in keys]
    return [windows[kinds.index(kind)] for kind in range(len(found))], kinds
