"""Warps of chunked arrays.

A chunk of a result is a warp of its own, of the box of pixels that its positions lie in and of the
pixels around that the filter reaches. Backwards, a chunk of pixels sums what each chunk of outputs
brings it, of which the rows and columns take part whose positions are near.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.dask.halo import Halo, Mosaic
from dhop.dask.operator import (
    Chunks,
    DaskArray,
    HighLevelGraph,
    at_hand,
    checked_chunks,
    da,
    dask,
    operand,
)
from dhop.dask.tasks import task
from dhop.dask.warp_parts import (
    Box,
    Part,
    Share,
    boxes,
    index,
    moved,
    near_outputs,
    on,
    reached,
    reaches,
    read,
)
from dhop.model.relations import Index
from dhop.model.warping import Warp
from dhop.operators.warp import WarpOperator, warp_of

Array = NDArray[Any]


class DaskWarpOperator:
    """Chunked images, signals or volumes at other positions, as `dhop.WarpOperator` has them.

    Each chunk of a result is computed on one thread from the pixels that it depends on, and nothing
    before Dask is asked to. Results agree with those in memory up to rounding.

    Parameters
    ----------
    dims, dimsd, coordinates
        As for `WarpOperator`. An array of positions stays in memory, in float64; a matrix takes
        none.
    chunks, chunksd : int, tuple or str
        Chunks of either side, in any form that Dask knows.
    **settings
        The other arguments of `WarpOperator`.

    Attributes
    ----------
    operator : WarpOperator
        The same operator for arrays in memory.
    dims, dimsd : tuple of int
    chunks, chunksd : tuple of tuple of int
    dtype : dtype

    Raises
    ------
    ValueError, TypeError
        As for `WarpOperator`, or if chunks do not fit their array.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop.dask import DaskWarpOperator
    >>> turn = [[0, 1, 0], [-1, 0, 3], [0, 0, 1]]
    >>> W = DaskWarpOperator((2, 4), (4, 2), turn, chunks=2, chunksd=2)
    >>> W
    <DaskWarpOperator (2, 4) -> (4, 2) in 1x2 and 2x1 chunks, float64>
    >>> W.degrade(np.arange(8.0).reshape(2, 4)).compute()
    array([[3., 7.],
           [2., 6.],
           [1., 5.],
           [0., 4.]])
    """

    def __init__(
        self,
        dims: Sequence[int],
        dimsd: Sequence[int],
        coordinates: ArrayLike,
        *,
        chunks: Any = "auto",
        chunksd: Any = "auto",
        **settings: Any,
    ) -> None:
        self._begin(WarpOperator(dims, dimsd, coordinates, **settings), chunks, chunksd)

    @classmethod
    def of(cls, operator: WarpOperator, chunks: Any, chunksd: Any) -> "DaskWarpOperator":
        """That of an operator in memory."""
        made = cls.__new__(cls)
        made._begin(operator, chunks, chunksd)
        return made

    def _begin(self, operator: WarpOperator, chunks: Any, chunksd: Any) -> None:
        """Tabulate the chunks of an operator in memory."""
        self.operator = operator
        self.dims, self.dimsd = self.operator.dims, self.operator.dimsd
        self.dtype = self.operator.dtype
        self._count = self.operator.warped
        self.chunks = checked_chunks(chunks, self.dims, self.dtype)
        given = checked_chunks(chunksd, self.dimsd, self.dtype)
        self.chunksd = (*self.chunks[: -self._count], *given[-self._count :])

    def __repr__(self) -> str:
        one, two = (
            "x".join(str(len(sizes)) for sizes in chunks) for chunks in (self.chunks, self.chunksd)
        )
        what = f"in {one} and {two} chunks, {self.dtype}"
        return f"<DaskWarpOperator {self.dims} -> {self.dimsd} {what}>"

    @property
    def shape(self) -> tuple[int, int]:
        """``(prod(dimsd), prod(dims))``."""
        return self.operator.shape

    def degrade(self, image: Any) -> DaskArray:
        """Apply the operator to an array.

        Parameters
        ----------
        image : dask.array.Array or array_like, shape `dims`
            Of any chunks. What can be sliced, as an array of Zarr or of h5py, is read in chunks.

        Returns
        -------
        dask.array.Array, shape `dimsd`
            In `chunksd`.

        Raises
        ------
        ValueError
            If the shape is wrong.
        TypeError
            If `image` is not an array of numbers.
        """
        x, dtype = self._given(image, self.chunks)
        name, chunks = f"dhop-warp-{self._token(x)}", self.chunksd
        halo = Halo(f"{name}-edges", x, self._axes, at_hand(x))
        tasks: dict[Any, Any] = {}
        for place, lines, part in self._forwards:
            for batch in np.ndindex(*map(len, chunks[: -self._count])):
                block, sources = halo.block((*batch, *place), lines)
                key = name, *batch, *place
                tasks[key] = task(key, _forward, part, block, sources=sources)
        tasks |= halo.tasks()
        return self._array(name, tasks, x, chunks, dtype)

    def backproject(self, image: Any) -> DaskArray:
        """Apply the adjoint to an array.

        Parameters
        ----------
        image : dask.array.Array or array_like, shape `dimsd`

        Returns
        -------
        dask.array.Array, shape `dims`
            In `chunks`.

        Raises
        ------
        ValueError, TypeError
            As for `degrade`.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop.dask import DaskWarpOperator
        >>> half = np.diag([1, 0.5, 1])
        >>> W = DaskWarpOperator((1, 2), (1, 3), half, order=1, chunks=1, chunksd=2)
        >>> W.backproject(np.array([[1.0, 4.0, 2.0]])).compute()
        array([[3., 4.]])
        """
        y, dtype = self._given(image, self.chunksd)
        name, chunks = f"dhop-warp-back-{self._token(y)}", self.chunks
        tasks: dict[Any, Any] = {}
        for place, shares in self._backwards.items():
            for batch in np.ndindex(*map(len, chunks[: -self._count])):
                at = zip(chunks, (*batch, *place), strict=True)
                shape = tuple(sizes[k] for sizes, k in at)
                sources = [(y.name, *batch, *share.source) for share in shares]
                key = name, *batch, *place
                tasks[key] = task(key, _backward, shares, shape, dtype, sources=sources)
        return self._array(name, tasks, y, chunks, dtype)

    @cached_property
    def _forwards(self) -> list[tuple[tuple[int, ...], list[Index], Part]]:
        """For each chunk of outputs its number, the pixels that it reads, and its warp."""
        found = []
        for place, box in boxes(self.chunksd[-self._count :]):
            warp = self._warp(box)
            lines = [read(axis) for axis in warp.axes[-self._count :]]
            found.append((place, lines, Part(on(warp, lines), self.dtype)))
        return found

    @cached_property
    def _backwards(self) -> dict[tuple[int, ...], list[Share]]:
        """For each chunk of pixels what chunks of outputs bring it."""
        pixels = dict(boxes(self.chunks[-self._count :]))
        found: dict[tuple[int, ...], list[Share]] = {place: [] for place in pixels}
        for source, box in boxes(self.chunksd[-self._count :]):
            whole = self._warp(box)
            sides, first = reaches(whole, self._count), [start for start, _ in box]
            for place in reached(whole, self.chunks[-self._count :]):
                own = pixels[place]
                near = near_outputs(sides, own)
                if near is None:
                    continue
                warp = self._warp(moved(near, first, 1))
                lines = [read(axis) for axis in warp.axes[-self._count :]]
                lines = [
                    some[(some >= start) & (some < stop)]
                    for some, (start, stop) in zip(lines, own, strict=True)
                ]
                if all(some.size for some in lines):
                    there = tuple((int(some[0]), int(some[-1]) + 1) for some in lines)
                    part = Part(on(warp, [np.arange(*ends) for ends in there]), self.dtype)
                    to = moved(there, [start for start, _ in own], -1)
                    found[place].append(Share(source, near, to, part))
        return found

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(len(self.dims) - self._count, len(self.dims)))

    def _given(self, image: Any, chunks: Chunks) -> tuple[DaskArray, np.dtype[Any]]:
        """The array in our chunks, and the dtype of the result."""
        x, dtype = operand(image, chunks, self.dtype)
        return x.rechunk(chunks, method="tasks"), dtype

    def _token(self, x: DaskArray) -> str:
        W = self.operator
        kept = self.dims, self.dimsd, W.coordinates, W.settings(), self.chunks, self.chunksd
        return str(dask.base.tokenize(x.name, *kept))

    def _array(
        self, name: str, tasks: Any, x: DaskArray, chunks: Any, dtype: np.dtype[Any]
    ) -> DaskArray:
        graph = HighLevelGraph.from_collections(name, tasks, dependencies=[x])
        return da.Array(graph, name, chunks, meta=np.empty((0,) * x.ndim, dtype))

    def _warp(self, box: Box) -> Warp:
        """The warp of a box of the outputs, from all pixels."""
        W, coordinates = self.operator, self.operator.coordinates
        shape = tuple(stop - start for start, stop in box)
        if W.mapped:
            coordinates = coordinates[(slice(None), *(slice(*ends) for ends in box))]
        else:
            start = np.eye(self._count + 1)
            start[:-1, -1] = [first for first, _ in box]
            coordinates = coordinates @ start
        dims, flux = self.dims[-self._count :], W.conserve == "flux"
        warp = warp_of(dims, shape, coordinates, W.order, W.boundary, flux)
        if W.mapped and flux:
            whole = W.warp.area.reshape(self.dimsd[-self._count :])
            warp = replace(warp, area=whole[tuple(slice(*ends) for ends in box)].flatten())
        return warp


def _forward(part: Part, block: Mosaic, sources: list[Any]) -> Array:
    x = block.assemble(iter(sources))
    count = len(block.axes)
    shape = (*x.shape[:-count], *part.warp.shape[-count:])
    return part.multiply(x, shape, False)


def _backward(
    shares: list[Share], shape: tuple[int, ...], dtype: np.dtype[Any], sources: list[Array]
) -> Array:
    whole = np.zeros(shape, dtype)
    for share, y in zip(shares, sources, strict=True):
        target = whole[index(share.to)]
        target += share.part.multiply(y[index(share.near)], target.shape, True)
    return whole
