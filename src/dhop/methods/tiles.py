"""Products with a PSF that varies, tile by tile, by any method for one PSF."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.kernels import tiles as kernels
from dhop.kernels.flat import pack
from dhop.methods import Plan, cost, prepare
from dhop.model.field import FieldModel
from dhop.model.relations import Index
from dhop.model.tiling import Tile
from dhop.runtime.parallel import run, threads
from dhop.runtime.workspace import Borrowed

Array = NDArray[Any]
Slices = tuple[slice, ...]

FEW = 4  # tiles of a group for each thread; fewer are computed one by one, each by all threads


class _PreparedTile(NamedTuple):
    """A tile's plan, shapes, tables of `dhop.kernels.tiles`, and outputs."""

    plan: Plan
    size: tuple[int, ...]
    low: tuple[int, ...]
    table: Index
    hats: Array
    seen: Slices
    outputs: Slices


class TilesPlan(Plan):
    """Multiply tiles by their hats, blur each with its PSF, and add the results.

    Every pixel is in two tiles for each axis, so that a product costs as many with a single PSF,
    and the margins of tiles. Tiles of a group do not overlap, so that threads can share them; the
    groups have a fixed order.

    Workspace: per thread a tile and its outputs, and that of its plan. The plans of the Fourier
    method hold the spectra of all nodes, see `cost.SPECTRA`.
    """

    def __init__(self, field: FieldModel, dtype: np.dtype[Any], method: str) -> None:
        self.model = field.model
        self._dtype = dtype
        tiling = cost.tiling(field, dtype, method)
        self._cost = cost.tiled(tiling, dtype, method)
        plans = {tile.node: tiling.models[tile.node] for tile in tiling.tiles}
        prepared = {node: prepare(method, model, dtype) for node, model in plans.items()}
        own = {tile: self._prepared(tile, prepared[tile.node]) for tile in tiling.tiles}
        self._forward = [[own[tile] for tile in group] for group in tiling.by_outputs]
        self._adjoint = [[own[tile] for tile in group] for group in tiling.by_pixels]

    def _prepared(self, tile: Tile, plan: Plan) -> _PreparedTile:
        *planes, rows, columns = tile.pieces
        plane, thick = (planes[0].pixel, planes[0].hat) if planes else (_NOTHING, _ONE)
        n1, n2 = self.model.size[-2:]
        table = kernels.Tile(
            n1, n2, plane.size, rows.pixel.size, columns.pixel.size, len(columns.runs),
            plane, rows.pixel, columns.runs,
        )  # fmt: skip
        hats = np.concatenate([thick, rows.hat, columns.hat]).astype(self._dtype.type(0).real.dtype)
        return _PreparedTile(
            plan, plan.model.size, plan.model.low, pack(table), hats, tile.seen, tile.outputs
        )

    def forward(self, x: Array, out: Array, workers: int | None) -> bool:
        images, results = x.reshape(-1, self.model.pixels), out.reshape(-1, *self.model.low)
        return self._each(_blur, self._forward, images, results, workers)

    def adjoint(self, y: Array, out: Array, workers: int | None) -> bool:
        images, results = y.reshape(-1, *self.model.low), out.reshape(-1, self.model.pixels)
        return self._each(_gather, self._adjoint, images, results, workers)

    def _each(
        self,
        function: Any,
        groups: list[list[_PreparedTile]],
        images: Array,
        results: Array,
        workers: int | None,
    ) -> bool:
        """Call ``function(reliable, dtype, image, result, workers, tile)`` for all tiles."""
        results[:] = 0
        reliable: list[bool] = []
        count = threads(self._cost, workers)
        for image, result in zip(images, results, strict=True):
            for group in groups:
                alone = len(group) < FEW * count
                own = workers if alone else 1
                part = partial(function, reliable, self._dtype, image, result, own)
                run(part, [(tile,) for tile in group], 1 if alone else workers)
        return all(reliable)


_NOTHING, _ONE = np.zeros(1, np.intp), np.ones(1)


def _blur(
    reliable: list[bool], dtype: np.dtype[Any], image: Array, result: Array, workers: int | None,
    tile: _PreparedTile,
) -> None:  # fmt: skip
    """Add the outputs of a tile."""
    with Borrowed(dtype, tile.size, tile.low) as (lit, found):
        kernels.multiply_hats(image, tile.table, tile.hats, lit.reshape(-1))
        lit.flags.writeable = False
        reliable.append(tile.plan.forward(lit.reshape(-1), found.reshape(-1), workers))
        result[tile.outputs] += found[tile.seen]


def _gather(
    reliable: list[bool], dtype: np.dtype[Any], image: Array, result: Array, workers: int | None,
    tile: _PreparedTile,
) -> None:  # fmt: skip
    """Add the adjoint of a tile to its pixels."""
    with Borrowed(dtype, tile.low, tile.size) as (given, found):
        given[...] = 0
        given[tile.seen] = image[tile.outputs]
        given.flags.writeable = False
        reliable.append(tile.plan.adjoint(given.reshape(-1), found.reshape(-1), workers))
        kernels.add_tile(found.reshape(-1), tile.table, tile.hats, result)
