"""NumPy's own files."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dhop.io.errors import ContentError, in_words
from dhop.io.formats import Format, Options, Part
from dhop.io.picture import Original, Picture, white_of
from dhop.io.replacement import open_whole
from dhop.runtime.extras import needed

Array = NDArray[Any]

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def load(path: Path) -> Array:
    """An array of numbers, in native byte order."""
    with in_words(path):
        _require_whole(path)
        array = np.load(path, allow_pickle=False)
    if array.dtype.kind not in "biufc":
        raise ContentError(f"{path} holds {array.dtype}, not one image of numbers")
    return np.asarray(array.astype(array.dtype.newbyteorder("="), copy=False))


def read(path: Path, part: Part = None) -> Picture:
    array = load(path)
    return Picture(array, "?" * array.ndim, Original(array.dtype, white_of(array.dtype)))


def opened(path: Path, part: Part = None) -> Picture:
    with in_words(path):
        _require_whole(path)
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    kind = array.dtype.newbyteorder("=")
    return Picture(array, "?" * array.ndim, Original(kind, white_of(kind)))


def write(path: Path, picture: Picture, ending: str, options: Options) -> None:
    array = picture.arranged("ZYXC")
    if isinstance(array, np.ndarray):
        with open_whole(path) as file:
            np.save(file, array, allow_pickle=False)
        return
    da = needed("dask.array", "dask", f"writing {path.name} in chunks")
    target = npy.open_memmap(path, mode="w+", dtype=array.dtype, shape=array.shape)
    da.store(array, target, lock=False)
    target.flush()


def _require_whole(path: Path) -> None:
    """Refuse a file shorter than its header claims, before NumPy allocates the array."""
    with open(path, "rb") as file:
        version = npy.read_magic(file)
        if version not in HEADERS:
            return
        shape, _, dtype = HEADERS[version](file)
        claimed, there = math.prod(shape) * dtype.itemsize, path.stat().st_size - file.tell()
    if claimed > there and not dtype.hasobject:  # which NumPy refuses
        raise ContentError(f"{path} claims {claimed:,} bytes of numbers and holds {there:,}")


NPY = Format((".npy",), ("f4", "f8"), frozenset(), read, write, opened=opened, chunks=(".npy",))
