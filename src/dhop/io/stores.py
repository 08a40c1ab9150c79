"""Zarr: an array in a folder, or OME-Zarr, microscopy's images of several resolutions."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from dhop.io import ngff
from dhop.io.errors import ContentError
from dhop.io.formats import Format, Options, Part, flat_or_deep
from dhop.io.ngff import Grid
from dhop.io.picture import Metadatum, Original, Picture, white_of
from dhop.runtime.extras import needed

COARSEST = 256  # rows or columns, below which no coarser image is made
CHUNKS = {1: 2**20, 2: 1024, 3: 128}  # pixels along each axis of space, by their number
HALF = Fraction(1, 2)
GRID = "grid of OME-Zarr"
LETTERS = {"t": "T", "c": "C", "z": "Z", "y": "Y", "x": "X"}  # of pictures, by those of grids
TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "f8", "f4")


@dataclass(frozen=True)
class Placed(Metadatum):
    """Where the pixels of an OME-Zarr lie."""

    grid: Grid

    def resized(self, scales: Mapping[str, Fraction], *, sampled: bool = False) -> "Placed":
        return replace(self, grid=self.grid.resized(list(scales.values()), sampled=sampled))


def found(path: str | os.PathLike[str], level: int = 0) -> tuple[Any, Grid | None]:
    """A stored array, that of a resolution if it is OME-Zarr, and its grid."""
    zarr = needed("zarr", "dask", "Zarr")
    stored = zarr.open(os.fspath(path), mode="r")
    if not isinstance(stored, zarr.Group):
        return stored, None
    try:
        levels = ngff.levels(stored.attrs.asdict())
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ContentError(f"{path} cannot be read: {error}") from error
    if not 0 <= level < len(levels):
        raise ContentError(f"{path} has resolutions 0 to {len(levels) - 1}, got level={level}")
    name, grid = levels[level]
    array = stored[name]
    if array.ndim != len(grid.axes):
        raise ContentError(f"{path} holds an array of shape {array.shape} with axes {grid.axes}")
    return array, grid


def opened(path: Path, part: Part = None) -> Picture:
    """The array in a folder, or the finest image of an OME-Zarr."""
    try:
        array, grid = found(path)
    except (ContentError, ImportError):
        raise
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no Zarr array or image {path}") from None
    except Exception as error:  # of what is no Zarr, or broken, anything
        why = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"cannot read {path}, it is broken or no Zarr: {why}") from error
    axes = "?" * array.ndim if grid is None else "".join(LETTERS[each] for each in grid.axes)
    kept: dict[str, Metadatum] = {} if grid is None else {GRID: Placed(grid)}
    return Picture(array, axes, Original(array.dtype, white_of(array.dtype), kept))


def read(path: Path, part: Part = None) -> Picture:
    picture = opened(path, part)
    return replace(picture, pixels=np.asarray(picture.pixels[...]))


def write(path: Path, picture: Picture, ending: str, options: Options) -> None:
    letters = "".join(axis for axis in "CZYX" if axis in picture.axes)
    placed = picture.original.kept.get(GRID)
    known = placed.grid if isinstance(placed, Placed) else Grid.plain(len(ngff.AXES))
    fill(path, path.name, picture.arranged(letters), known.named(letters.lower()))


def fill(folder: Path, name: str, array: Any, grid: Grid) -> None:
    """Write an image, of NumPy or Dask, and coarser ones, into a folder that is not there yet."""
    zarr, da = (needed(module, "dask", "writing Zarr") for module in ("zarr", "dask.array"))
    array = da.asarray(array)
    try:
        group = zarr.open_group(str(folder), mode="w", zarr_format=3)
        grids = [grid]
        stored = _stored(da, group, "0", array, grid.axes)
        while max(stored.shape[-2:]) > COARSEST:
            halved = (HALF if stored.shape[-2] > 1 else 1, HALF if stored.shape[-1] > 1 else 1)
            grids.append(grids[-1].resized(halved))
            coarser = _coarser(da, da.from_zarr(stored))
            stored = _stored(da, group, str(len(grids) - 1), coarser, grid.axes)
        group.attrs.update(ngff.attributes(name.partition(".")[0], grids))
    except BaseException:  # of what is cut short nothing is left
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _stored(da: Any, group: Any, name: str, array: Any, axes: str) -> Any:
    """Write an array in chunks that fit those in memory, so that no two writers share one."""
    side = CHUNKS[sum(axis in "zyx" for axis in axes)]
    chunks = tuple(
        min(length, side) if axis in "zyx" else 1
        for axis, length in zip(axes, array.shape, strict=True)
    )
    target = group.create_array(
        name, shape=array.shape, chunks=chunks, dtype=array.dtype, dimension_names=list(axes)
    )
    da.store(array.rechunk(chunks), target, lock=False)
    return target


def _coarser(da: Any, array: Any) -> Any:
    """Means of two by two pixels, rounded where they are integers."""
    factors = {k: 2 for k in (array.ndim - 2, array.ndim - 1) if array.shape[k] > 1}
    means = da.coarsen(np.mean, array, factors, trim_excess=True)
    return (means if array.dtype.kind == "f" else da.rint(means)).astype(array.dtype)


NAMES = (".zarr", ".ome.zarr")
ZARR = Format(NAMES, TYPES, frozenset({GRID}), read, write, flat_or_deep, opened, chunks=NAMES)
