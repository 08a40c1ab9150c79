"""OME-Zarr, microscopy's images of several resolutions in one store, a chunk at a time."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from dhop.dask.operator import DaskArray, da
from dhop.io import ngff, stores
from dhop.io.ngff import Grid
from dhop.io.replacement import replacing, require_replaceable


@dataclass(frozen=True, eq=False)
class OmeImage:
    """An image that `open_ome_zarr` found.

    Attributes
    ----------
    array : dask.array.Array
        Without axes of length one other than rows and columns.
    grid : Grid
        Where its pixels lie, with a letter for each axis in ``grid.axes``.
    """

    array: DaskArray
    grid: Grid


def open_ome_zarr(path: str | os.PathLike[str], level: int = 0) -> OmeImage:
    """Open an image of an OME-Zarr store, of which chunks are read when they are needed.

    Parameters
    ----------
    path : path or URL
        Of NGFF 0.4 (Zarr 2) or 0.5 (Zarr 3).
    level : int
        Of its resolutions, 0 for the finest.

    Returns
    -------
    OmeImage

    Raises
    ------
    FileNotFoundError
        If there is no store.
    ValueError
        If it holds no image, or none of that level.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> from dhop.dask import open_ome_zarr, write_ome_zarr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_ome_zarr(Path(folder) / "stack.ome.zarr", np.ones((5, 40, 50)))
    ...     image = open_ome_zarr(path)
    ...     print(image.grid.axes, image.array.shape)
    zyx (5, 40, 50)
    """
    stored, grid = stores.found(path, level)
    if grid is None:
        raise ValueError(f"{path} is an array of Zarr, not an OME-Zarr image")
    array = da.from_zarr(stored)
    kept = [k for k, axis in enumerate(grid.axes) if axis in "yx" or array.shape[k] > 1]
    shape = [array.shape[k] for k in kept]
    return OmeImage(array.reshape(shape), grid.chosen(kept))


def write_ome_zarr(
    path: str | os.PathLike[str], image: ArrayLike | DaskArray, grid: Grid | None = None
) -> Path:
    """Write an image as OME-Zarr 0.5, with coarser ones of half as many rows and columns each.

    It appears when it is complete, and nothing is replaced.

    Parameters
    ----------
    path : path
        Of the folder to make, usually ending in ``.ome.zarr``.
    image : array_like or dask.array.Array, shape ([times,] [channels,] [planes,] rows, columns)
    grid : Grid, optional
        Where its pixels lie: that of the frames after ``.resized(factor)``. If the image has fewer
        axes, they are the last ones, as after frames were put together.

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError
        If there is something at `path`.
    ValueError
        If the axes of image and grid do not fit.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> from dhop.dask import open_ome_zarr, write_ome_zarr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     coarse = write_ome_zarr(Path(folder) / "coarse.ome.zarr", np.ones((40, 50)))
    ...     grid = open_ome_zarr(coarse).grid.resized(2)
    ...     fine = write_ome_zarr(Path(folder) / "fine.ome.zarr", np.ones((80, 100)), grid)
    ...     found = open_ome_zarr(fine).grid
    >>> found.scale, found.translation
    ((0.5, 0.5), (-0.25, -0.25))
    """
    target = Path(path)
    require_replaceable(target, False)
    array = image if isinstance(image, da.Array) else da.from_array(np.asarray(image))
    if not 2 <= array.ndim <= len(ngff.AXES) or 0 in array.shape or array.dtype.kind not in "biuf":
        raise ValueError(f"an array of {array.dtype} and shape {array.shape} is no image")
    grid = Grid.plain(array.ndim) if grid is None else grid
    if len(grid.axes) < array.ndim:
        raise ValueError(f"the image has {array.ndim} axes, the grid has {grid.axes}")
    first = grid.chosen(range(len(grid.axes) - array.ndim, len(grid.axes)))
    with replacing(target, False, folders=True) as part:
        stores.fill(part, target.name, array, first)
    return target


def opened(path: str) -> DaskArray:
    """The array of a Zarr store, or of the image in an OME-Zarr one."""
    stored, grid = stores.found(path)
    return da.from_zarr(stored) if grid is None else open_ome_zarr(path).array
