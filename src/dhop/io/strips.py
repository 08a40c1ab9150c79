"""Images larger than memory, in strips of rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ROWS = 1024  # of a strip, about


def strips(pixels: Any, rows: int = ROWS, *, samples: bool = False) -> Iterator[Array]:
    """The rows of all pages of a Dask array of shape (..., rows, columns), in strips.

    With `samples` there is another axis behind the columns.
    """
    for place in np.ndindex(*pixels.shape[: pixels.ndim - 2 - samples]):
        page = pixels[place]
        for top in range(0, page.shape[0], rows):
            yield np.asarray(page[top : top + rows])
