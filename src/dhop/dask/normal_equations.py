r"""Normal equations of chunked images, their matrix and residual: all of a chunk in one task.

A chunk of :math:`\sum_i A_i^H W_i A_i x` needs the outputs that read its pixels, and the pixels
that these outputs read. Outputs at the edges of chunks are computed for each of them; in exchange
nothing between the first product and the last is kept, moved or scheduled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.dask.blocks import Cut
from dhop.dask.halo import Halo, Mosaic, back, join
from dhop.dask.operator import DaskArray, DaskDHOperator, HighLevelGraph, at_hand, da, dask
from dhop.dask.tasks import Key, task, value
from dhop.model.relations import Index

Array = NDArray[Any]
Ends = tuple[int, int]


class NormalMatrix:
    """The sum of ``A^H W A`` over operators.

    Parameters
    ----------
    operators : sequence of DaskDHOperator
        Of the same `dims` and `chunks`.
    weights : sequence of (float or dask.array.Array)
        The diagonal of each `W`: a number, or an array of shape ``A.dimsd``.
    dtype : dtype
        Of the images.
    """

    def __init__(
        self, operators: Sequence[DaskDHOperator], weights: Sequence[Any], dtype: np.dtype[Any]
    ) -> None:
        self._dims, self._chunks, self._dtype = operators[0].dims, operators[0].chunks, dtype
        self._axes = operators[0].image_axes
        self._terms = [_Term(A, w, dtype) for A, w in zip(operators, weights, strict=True)]
        self._cuts = dask.delayed([term.cuts for term in self._terms], pure=True, traverse=False)

    def __call__(self, x: DaskArray) -> DaskArray:
        """The product with an array of shape `dims`, not yet computed."""
        return self._computed("normal", x, [None] * len(self._terms))

    def residual(self, frames: Sequence[DaskArray | None], x: DaskArray | None) -> DaskArray:
        """The sum of ``A^H W (y - A x)``, not yet computed.

        Images and frames are converted to the matrix's dtype where they are used, so that those
        that wait in memory stay small.

        Parameters
        ----------
        frames : sequence of (dask.array.Array or None)
            Each `y`, None for zeros. Where its weight is zero it may hold anything.
        x : dask.array.Array or None
            None for zeros.
        """
        given = [
            None if y is None else term.in_batches(y)
            for y, term in zip(frames, self._terms, strict=True)
        ]
        return self._computed("residual", x, given)

    def _computed(
        self, kind: str, x: DaskArray | None, frames: Sequence[DaskArray | None]
    ) -> DaskArray:
        """The product with `x`, or the residual."""
        if x is not None:
            x = x.rechunk(self._chunks, method="tasks")
        maps = [term.weight for term in self._terms if isinstance(term.weight, da.Array)]
        weights = [getattr(term.weight, "name", term.weight) for term in self._terms]
        seen = [getattr(y, "name", None) for y in frames]
        token = dask.base.tokenize(getattr(x, "name", None), self._cuts.key, weights, seen)
        name = f"dhop-{kind}-{token}"
        given = [each for each in (x, *maps, *frames) if each is not None]
        whole = at_hand(given[0])
        halos = {y.name: Halo(f"{name}-{y.name}-edges", y, self._axes, whole) for y in given}
        image = None if x is None else halos[x.name]
        tasks: dict[Key, Any] = {}
        for place in np.ndindex(*map(len, self._chunks)):
            at = tuple(place[axis] for axis in self._axes)
            recipes: list[Recipe | None] = []
            sources: list[Key] = []
            for term, weight, y in zip(self._terms, weights, seen, strict=True):
                frame = None if y is None else halos[y]
                if image is None and frame is None:
                    recipes.append(None)
                    continue
                recipe, needed = term.recipe(place, at, image, frame, halos.get(weight))
                recipes.append(recipe)
                sources += needed
            chunk = Chunk(self._axes, at, recipes, self._dtype, kind == "residual")
            key = name, *place
            tasks[key] = task(key, chunk.product, value(self._cuts.key), sources=sources)
        for halo in halos.values():
            tasks |= halo.tasks()
        graph = HighLevelGraph.from_collections(name, tasks, dependencies=[self._cuts, *given])
        meta = np.empty((0,) * len(self._dims), self._dtype)
        return da.Array(graph, name, self._chunks, meta=meta)


class _Term:
    """``A^H W A`` of one operator.

    Attributes
    ----------
    cuts : (Cut, Cut)
        Of `A` into blocks of outputs, of `A^H` into chunks of pixels.
    weight : float or dask.array.Array
    """

    def __init__(self, operator: DaskDHOperator, weight: Any, dtype: np.dtype[Any]) -> None:
        self._outputs, backward = operator.cut(dtype, True)
        # A chunk needs one run of outputs along an axis, or both ends of it.
        runs = [[_runs(lines) for lines in some] for some in self._outputs]
        self._blocks = [
            [range(*ends) for ends in pairwise(accumulate(map(len, some), initial=0))]
            for some in runs
        ]
        ranges = [[ends for each in some for ends in each] for some in runs]
        self._pixels, forward = operator.cut(dtype, False, ranges)
        self.cuts = forward, backward
        self._batches = {
            axis: sizes
            for axis, sizes in enumerate(operator.chunksd)
            if axis not in operator.image_axes
        }
        self.weight = self.in_batches(weight) if isinstance(weight, da.Array) else weight

    def in_batches(self, frame: DaskArray) -> DaskArray:
        """An array of outputs, in the chunks of the operator along axes that it does not blur."""
        return frame.rechunk(self._batches, method="tasks")

    def recipe(
        self,
        place: Sequence[int],
        at: Sequence[int],
        image: Halo | None,
        frame: Halo | None,
        weights: Halo | None,
    ) -> tuple["Recipe", list[Key]]:
        """What to do for a chunk, and its sources in the order in which they are needed."""
        observed: list[tuple[tuple[int, ...], Mosaic]] = []
        sources: list[Key] = []
        blocks = [some[k] for some, k in zip(self._blocks, at, strict=True)]
        if image is not None:
            for numbers in product(*blocks):
                lines = [some[k] for some, k in zip(self._pixels, numbers, strict=True)]
                mosaic, needed = image.block(place, lines)
                observed.append((numbers, mosaic))
                sources += needed
        counts = [len(some) for some in blocks]
        lines = [some[k] for some, k in zip(self._outputs, at, strict=True)]
        mosaics: list[Any] = [None, self.weight]
        for number, halo in enumerate((frame, weights)):
            if halo is not None:
                mosaics[number], needed = halo.block(place, lines)
                sources += needed
        return Recipe(observed, counts, *mosaics), sources


@dataclass(frozen=True)
class Recipe:
    """One term of a chunk: what its adjoint is applied to, ``W (A x - y)``.

    Attributes
    ----------
    observed : list of (tuple of int, Mosaic)
        Places of blocks of outputs, in C order, and their pixels; none if `x` is zero.
    counts : list of int
        How many blocks there are along each axis.
    frame : Mosaic or None
        Each `y`, None for zeros.
    weight : float or Mosaic
        Of the outputs.
    """

    observed: list[tuple[tuple[int, ...], Mosaic]]
    counts: list[int]
    frame: Mosaic | None
    weight: Any

    def outputs(self, forward: Cut, given: Iterator[Any], dtype: np.dtype[Any]) -> Array:
        """These outputs, from the sources that `_Term.recipe` asks for."""
        blocks = [
            forward.product(each.assemble(given).astype(dtype, copy=False), at)
            for at, each in self.observed
        ]
        frame = None if self.frame is None else self.frame.assemble(given)
        weight = self.weight.assemble(given) if isinstance(self.weight, Mosaic) else self.weight
        found = join(blocks, self.counts) if blocks else None
        if frame is not None:
            frame = np.where(weight == 0, 0, frame)
            found = -frame.astype(dtype) if found is None else np.subtract(found, frame, out=found)
        found *= weight
        return found


@dataclass(frozen=True)
class Chunk:
    """All terms of the product in a chunk, or of the residual, its negative."""

    axes: tuple[int, ...]
    place: tuple[int, ...]
    recipes: list[Recipe | None]
    dtype: np.dtype[Any]
    negative: bool

    def product(self, cuts: list[tuple[Cut, Cut]], sources: list[Any]) -> Array:
        """The chunk, from what `_Term.recipe` asks for."""
        given = iter(sources)
        total: Any = None
        for (forward, backward), recipe in zip(cuts, self.recipes, strict=True):
            if recipe is not None:
                outputs = recipe.outputs(forward, given, self.dtype)
                term = backward.product(outputs, self.place)
                total = term if total is None else np.add(total, term, out=total)
        if self.negative:
            np.negative(total, out=total)
        return back(total, self.axes)


def _runs(lines: Index) -> list[Ends]:
    """First and end of each run of ascending lines."""
    ends = np.flatnonzero(np.diff(lines) > 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(lines, ends)]
