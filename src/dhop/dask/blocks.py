"""One operator cut into blocks, each with the pixels and outputs that it has to do with.

Bits are kept: every sum of a block has the terms of the whole operator's, in the same order. For
that the taps and factors of the whole are handed on, and blocks of rows are computed with the few
rows more that kernels sum side by side with theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import GROUP
from dhop.methods.products import Products
from dhop.model.axis import Axis
from dhop.model.boundary import OUTSIDE
from dhop.model.geometry import Model
from dhop.model.relations import Index
from dhop.operators.base import ArrayOperator

Array = NDArray[Any]


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
    """A block of an axis: lines ``needed`` of the one side give a range of lines of the other.

    Attributes
    ----------
    needed : ndarray of intp
        Ascending.
    window : Window
        The axis from the pixels to the outputs that take part.
    """

    needed: Index
    window: Window


def output_part(axis: Axis, start: int, stop: int) -> Part:
    """The pixels that outputs ``start, ..., stop - 1`` read."""
    first, last = axis.factor * start, axis.factor * (stop - 1) + axis.taps
    source = axis.extended[first:last]
    pixels = _or_first(np.unique(source[source != OUTSIDE]))
    table = np.where(source == OUTSIDE, OUTSIDE, np.searchsorted(pixels, source))
    return Part(pixels, _window(axis, pixels.size, stop - start, table))


def pixel_part(axis: Axis, start: int, stop: int) -> Part:
    """The outputs that pixels ``start, ..., stop - 1`` are read by.

    Windows of outputs that become neighbours by leaving out others overlap only where they read no
    pixel of the block.
    """
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
    """The product of one block with images of two axes, on one thread."""

    def __init__(self, model: Model, method: str, chosen: Mapping[np.dtype[Any], str]) -> None:
        rows, columns = model.rows, model.columns
        dims, dimsd = (rows.size, columns.size), (rows.outputs, columns.outputs)
        super().__init__(model.dtype, dims, dimsd)
        self._products = Products(model, method, 1, chosen)

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        self._products.apply(x, "adjoint" if adjoint else "forward", out)


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
    windows : two sequences of Window
        Of rows and of columns, without repetitions.
    kinds : two sequences of int
        Which of them each block of rows and of columns has.
    rows : sequence of slice
        What each block of rows keeps of what is computed.
    """

    def __init__(
        self,
        model: Model,
        method: str,
        chosen: Mapping[np.dtype[Any], str],
        adjoint: bool,
        windows: Sequence[Sequence[Window]],
        kinds: Sequence[Sequence[int]],
        rows: Sequence[slice],
    ) -> None:
        self.args = model, method, chosen, adjoint, windows, kinds, rows
        self._blocks: dict[tuple[int, int], Block] = {}

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Cut, self.args

    def product(self, x: Array, row: int, column: int) -> Array:
        """The block in a row and a column of blocks, from the lines it needs.

        Parameters
        ----------
        x : ndarray, shape (..., rows, columns)
        row, column : int
        """
        adjoint, rows = self.args[3], self.args[6]
        block = self._block(row, column)
        shape = block.dims if adjoint else block.dimsd
        return block.multiply(x, (*x.shape[:-2], *shape), adjoint)[..., rows[row], :]

    def _block(self, row: int, column: int) -> Block:
        model, method, chosen, _, windows, kinds, _ = self.args
        kind = kinds[0][row], kinds[1][column]
        if kind not in self._blocks:
            own = _on(model, windows[0][kind[0]], windows[1][kind[1]])
            self._blocks[kind] = Block(own, method, chosen)
        return self._blocks[kind]


def cut(
    model: Model,
    method: str,
    chosen: Mapping[np.dtype[Any], str],
    adjoint: bool,
    ranges: Sequence[Sequence[tuple[int, int]]],
) -> tuple[list[list[Index]], Cut]:
    """Cut the products of a model in one direction into blocks.

    Parameters
    ----------
    model, method, chosen, adjoint
        Of `Cut`.
    ranges : two sequences of (int, int)
        Where each block of rows and of columns begins and ends: of pixels if `adjoint`, else of
        outputs.

    Returns
    -------
    needed : two lists of ndarray
        The lines that each block of rows and of columns needs.
    cut : Cut
    """
    if "separable" in chosen.values():
        model.factors  # noqa: B018 - found once, here, and handed on
    make = pixel_part if adjoint else output_part
    height = (model.size if adjoint else model.low)[0]
    wider = [
        (start - start % GROUP, min(stop + -stop % GROUP, height)) for start, stop in ranges[0]
    ]
    rows = [
        slice(start - first, stop - first)
        for (start, stop), (first, _) in zip(ranges[0], wider, strict=True)
    ]
    parts = [
        [make(axis, *ends) for ends in some]
        for axis, some in zip(model.axes, (wider, ranges[1]), strict=True)
    ]
    distinct = [_distinct([part.window for part in some]) for some in parts]
    windows, kinds = [each[0] for each in distinct], [each[1] for each in distinct]
    needed = [[part.needed for part in some] for some in parts]
    model = _on(model, windows[0][0], windows[1][0])  # the tables of the whole stay here
    return needed, Cut(model, method, chosen, adjoint, windows, kinds, rows)


def _on(model: Model, rows: Axis, columns: Axis) -> Model:
    """The same taps on other axes."""
    other = replace(model, axes=(rows, columns), around=(1, 1, 1))
    if "factors" in vars(model):  # found elsewhere, they could be rounded otherwise
        vars(other)["factors"] = model.factors
    return other


def _distinct(windows: list[Window]) -> tuple[list[Window], list[int]]:
    """The windows without repetitions, and the number of each."""
    found: dict[Any, int] = {}
    keys = [(w.size, w.outputs, w.table.tobytes()) for w in windows]
    kinds = [found.setdefault(key, len(found)) for key in keys]
    return [windows[kinds.index(kind)] for kind in range(len(found))], kinds
