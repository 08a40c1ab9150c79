"""Pages of images larger than memory, some rows of them at a time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ROWS = 1024  # of a page that are in memory, about


def bands(pixels: Any, rows: int = ROWS, *, samples: bool = False) -> Iterator[Array]:
    """All rows of all pages of a Dask array, so many at a time.

    Parameters
    ----------
    pixels : dask.array.Array, shape (..., rows, columns[, samples])
    rows : int
    samples : bool
        Whether there is an axis behind columns.
    """
    for place in np.ndindex(*pixels.shape[: pixels.ndim - 2 - samples]):
        page = pixels[place]
        for top in range(0, page.shape[0], rows):
            yield np.asarray(page[top : top + rows])
