"""Vectors of an iteration on disk, a file for each chunk."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from dhop.dask.operator import DaskArray, da, dask
from dhop.iteration.steps import Keep

LAST = 2  # what this and the previous step of an iteration kept


class Scratch:
    """Keeps arrays in a folder; what was kept by all calls but the last two is deleted.

    Unlike what workers move to disk when memory is short, every chunk is written once and read
    where it is needed, by any scheduler, and nothing has a history to be computed again from.

    Parameters
    ----------
    folder : path
        All workers reach it. It is created.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder).absolute()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._kept: list[Path] = []

    def keep(self, *arrays: DaskArray) -> tuple[DaskArray, ...]:
        """Compute all arrays in one pass; those without axes are returned as numbers."""
        folder = self._folder / uuid4().hex
        folder.mkdir()
        images = [array for array in arrays if array.ndim]
        numbers = [array for array in arrays if not array.ndim]
        saved = [_saved(image, str(folder), k) for k, image in enumerate(images)]
        _, found = dask.compute(saved, numbers)
        self._kept.append(folder)
        for old in self._kept[:-LAST]:
            shutil.rmtree(old)
        del self._kept[:-LAST]
        kept = (
            da.map_blocks(_load, str(folder), k, chunks=image.chunks, meta=image._meta)
            for k, image in enumerate(images)
        )
        values = iter(found)
        return tuple(next(kept) if array.ndim else next(values) for array in arrays)


@contextmanager
def keepers(folder: str | os.PathLike[str] | None) -> Iterator[Callable[[str], Keep]]:
    """Gives who keeps arrays of a name; files are deleted in the end but those of the image.

    Parameters
    ----------
    folder : path, optional
        Of files. Dask keeps all in memory if there is none.
    """
    if folder is None:
        yield lambda name: dask.persist
        return
    known: dict[str, Scratch] = {}

    def keeper(name: str) -> Keep:
        if name not in known:
            known[name] = Scratch(Path(folder, name))
        return known[name].keep

    try:
        yield keeper
    finally:
        for name in known.keys() - {"image"}:
            shutil.rmtree(Path(folder, name))


def _saved(image: DaskArray, folder: str, number: int) -> DaskArray:
    """A number that is known when all chunks are saved."""
    ones = tuple((1,) * count for count in image.numblocks)
    return da.map_blocks(_save, image, folder, number, chunks=ones, dtype=bool).any()


def _save(
    block: NDArray[np.number], folder: str, number: int, block_id: tuple[int, ...] = ()
) -> NDArray[np.bool_]:
    np.save(_file(folder, number, block_id), block)
    return np.zeros((1,) * block.ndim, bool)


def _load(folder: str, number: int, block_id: tuple[int, ...] = ()) -> NDArray[np.number]:
    block: NDArray[np.number] = np.load(_file(folder, number, block_id))
    return block


def _file(folder: str, number: int, block_id: tuple[int, ...]) -> Path:
    return Path(folder, "-".join(map(str, (number, *block_id))) + ".npy")
