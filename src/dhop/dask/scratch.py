"""Vectors of an iteration on disk, a file for each chunk."""

import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from dhop.dask.operator import DaskArray, da, dask
from dhop.iteration.steps import Keep


class Folder:
    """A folder that is deleted when no array of this process needs its files.

    Graphs hold it; what travels to a worker is its name.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        self.path = str(path)
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.path,)

    def __dask_tokenize__(self) -> str:
        return self.path


class Scratch:
    """Keeps arrays in a folder as long as they are used.

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

    def keep(self, *arrays: DaskArray) -> tuple[DaskArray, ...]:
        """Compute all arrays in one pass; those without axes are returned as numbers."""
        folder = Folder(self._folder / uuid4().hex)
        found = _computed(arrays, folder.path)
        return tuple(
            number if array.ndim == 0 else _lazy(array, folder, k)
            for k, (array, number) in enumerate(zip(arrays, found, strict=True))
        )


class Vectors:
    """Who keeps the vectors of a solution, and its image.

    Parameters
    ----------
    folder : path, optional
        Of files. Dask keeps all in memory if there is none.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self.folder = None if folder is None else Path(folder)
        self.keep: Keep = _persisted if folder is None else Scratch(self._of("vectors")).keep

    def hold(self, array: DaskArray) -> DaskArray:
        """One array, kept."""
        (kept,) = self.keep(array)
        return kept

    def image(self, array: DaskArray) -> DaskArray:
        """The image, whose files stay."""
        if self.folder is None:
            return self.hold(array)
        path = self._of("image") / uuid4().hex
        path.mkdir(parents=True)
        _computed((array,), str(path))
        return _lazy(array, str(path), 0)

    def _of(self, name: str) -> Path:
        assert self.folder is not None
        return (self.folder / name).absolute()


@contextmanager
def vectors(folder: str | os.PathLike[str] | None) -> Iterator[Vectors]:
    """See `Vectors`; in the end all files are deleted but those of the image."""
    made = Vectors(folder)
    try:
        yield made
    finally:
        if made.folder is not None:
            shutil.rmtree(made.folder / "vectors")


def _persisted(*arrays: DaskArray) -> tuple[DaskArray, ...]:
    """The arrays in the memory of workers, and those without axes as numbers, computed at once."""
    kept = dask.persist(*arrays)
    numbers = iter(dask.compute(*[each for each in kept if not each.ndim]))
    return tuple(each if each.ndim else next(numbers) for each in kept)


def _computed(arrays: tuple[DaskArray, ...], folder: str) -> tuple[Any, ...]:
    """Numbers as they are; images are saved."""
    given = [_saved(array, folder, k) if array.ndim else array for k, array in enumerate(arrays)]
    found: tuple[Any, ...] = dask.compute(*given)
    return found


def _saved(image: DaskArray, folder: str, number: int) -> DaskArray:
    """A number that is known when all chunks are saved."""
    ones = tuple((1,) * count for count in image.numblocks)
    return da.map_blocks(_save, image, folder, number, chunks=ones, dtype=bool).any()


def _lazy(image: DaskArray, folder: Any, number: int) -> DaskArray:
    return da.map_blocks(_load, folder, number, chunks=image.chunks, meta=image._meta)


def _save(
    block: NDArray[np.number], folder: str, number: int, block_id: tuple[int, ...] = ()
) -> NDArray[np.bool_]:
    np.save(_file(folder, number, block_id), block)
    return np.zeros((1,) * block.ndim, bool)


def _load(folder: Any, number: int, block_id: tuple[int, ...] = ()) -> NDArray[np.number]:
    block: NDArray[np.number] = np.load(_file(folder, number, block_id))
    return block


def _file(folder: Any, number: int, block_id: tuple[int, ...]) -> Path:
    return Path(getattr(folder, "path", folder), "-".join(map(str, (number, *block_id))) + ".npy")
