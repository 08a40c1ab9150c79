r"""The matrix of normal equations on chunked images: all of a chunk in one task.

A chunk of :math:`\sum_i A_i^H W_i A_i x` needs the outputs that read its pixels, and the pixels
that these outputs read. Outputs at the edges of chunks are computed for each of them; in exchange
nothing between the first product and the last is kept, moved or scheduled.
"""

from collections.abc import Sequence
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
        self._chunks, self._axes = operators[0].chunks, operators[0].image_axes
        self._terms = [_Term(A, w, dtype) for A, w in zip(operators, weights, strict=True)]
        self._cuts = dask.delayed([term.cuts for term in self._terms], pure=True, traverse=False)

    def __call__(self, x: DaskArray) -> DaskArray:
        """The product with an array of shape `dims`, not yet computed."""
        x = x.rechunk(self._chunks, method="tasks")
        maps = [term.weight for term in self._terms if isinstance(term.weight, da.Array)]
        weights = [getattr(term.weight, "name", term.weight) for term in self._terms]
        name = f"dhop-normal-{dask.base.tokenize(x.name, self._cuts.key, weights)}"
        whole = at_hand(x)
        image = Halo(f"{name}-edges", x, self._axes, whole)
        halos = {w.name: Halo(f"{name}-{w.name}-edges", w, self._axes, whole) for w in maps}
        tasks: dict[Key, Any] = {}
        for place in np.ndindex(*x.numblocks):
            at = tuple(place[axis] for axis in self._axes)
            recipes, sources = [], []
            for term, weight in zip(self._terms, weights, strict=True):
                recipe, needed = term.recipe(place, at, image, halos.get(weight))
                recipes.append(recipe)
                sources += needed
            chunk, key = Chunk(self._axes, at, recipes), (name, *place)
            tasks[key] = task(key, chunk.product, value(self._cuts.key), sources=sources)
        for halo in (image, *halos.values()):
            tasks |= halo.tasks()
        graph = HighLevelGraph.from_collections(name, tasks, dependencies=[x, self._cuts, *maps])
        return da.Array(graph, name, x.chunks, meta=x._meta)


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
        self.weight = weight
        if isinstance(weight, da.Array):
            others = {
                axis: sizes
                for axis, sizes in enumerate(operator.chunksd)
                if axis not in operator.image_axes
            }
            self.weight = weight.rechunk(others, method="tasks")

    def recipe(
        self, place: Sequence[int], at: Sequence[int], image: Halo, weights: Halo | None
    ) -> tuple["Recipe", list[Key]]:
        """What to do for a chunk, and its sources in the order in which they are needed."""
        observed, sources = [], []
        blocks = [some[k] for some, k in zip(self._blocks, at, strict=True)]
        for numbers in product(*blocks):
            lines = [some[k] for some, k in zip(self._pixels, numbers, strict=True)]
            mosaic, needed = image.block(place, lines)
            observed.append((numbers, mosaic))
            sources += needed
        counts = [len(some) for some in blocks]
        if weights is None:
            return Recipe(observed, counts, self.weight), sources
        lines = [some[k] for some, k in zip(self._outputs, at, strict=True)]
        mosaic, needed = weights.block(place, lines)
        return Recipe(observed, counts, mosaic), sources + needed


@dataclass(frozen=True)
class Recipe:
    """One term of the product in a chunk.

    Attributes
    ----------
    observed : list of (tuple of int, Mosaic)
        Places of blocks of outputs, in C order, and their pixels.
    counts : list of int
        How many of them there are along each axis.
    weight : float or Mosaic
        Of the outputs.
    """

    observed: list[tuple[tuple[int, ...], Mosaic]]
    counts: list[int]
    weight: Any


@dataclass(frozen=True)
class Chunk:
    """All terms of the product in a chunk."""

    axes: tuple[int, ...]
    place: tuple[int, ...]
    recipes: list[Recipe]

    def product(self, cuts: list[tuple[Cut, Cut]], sources: list[Any]) -> Array:
        """The chunk, from what `_Term.recipe` asks for."""
        given = iter(sources)
        total: Any = None
        for (forward, backward), recipe in zip(cuts, self.recipes, strict=True):
            blocks = [forward.product(each.assemble(given), at) for at, each in recipe.observed]
            outputs = join(blocks, recipe.counts)
            mapped = isinstance(recipe.weight, Mosaic)
            outputs *= recipe.weight.assemble(given) if mapped else recipe.weight
            term = backward.product(outputs, self.place)
            total = term if total is None else np.add(total, term, out=total)
        return back(total, self.axes)


def _runs(lines: Index) -> list[Ends]:
    """First and end of each run of ascending lines."""
    ends = np.flatnonzero(np.diff(lines) > 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(lines, ends)]
