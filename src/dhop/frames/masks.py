"""Weights of pixels, and values for those without one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from dhop.runtime import workspace
from dhop.runtime.parallel import row_blocks, run

Array = NDArray[Any]

NEAR = 5  # pixels a side of local means
COST = 12.0  # nanoseconds a pixel of these


def each_weight(weights: Sequence[Array] | None, count: int) -> list[Array]:
    """The weights of so many frames, ones by default."""
    return list(weights) if weights else [np.ones(())] * count


def seen(frame: Array, weights: Array) -> Array:
    """The pixels of a frame that have a weight.

    Examples
    --------
    >>> import numpy as np
    >>> seen(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 0.0]))
    array([1., 3.])
    """
    return frame if weights.all() else frame[np.broadcast_to(weights > 0, frame.shape)]


def filled(frame: Array, weights: Array) -> Array:
    """The frame with the nearest pixel that has a weight in the place of those that have none.

    Parameters
    ----------
    frame, weights : ndarray, shape (..., m0, m1)

    Returns
    -------
    ndarray
        Zeros if no pixel has a weight; the frame itself if all have.

    Examples
    --------
    >>> import numpy as np
    >>> filled(np.array([[1.0, np.nan, np.nan, 4.0]]), np.array([[1, 0, 0, 1]]))
    array([[1., 1., 4., 4.]])
    """
    weights = np.broadcast_to(weights, frame.shape)
    if weights.all():
        return frame
    if frame.ndim > 2:
        return np.stack([filled(*pair) for pair in zip(frame, weights, strict=True)])
    missing = weights == 0
    if missing.all():
        return np.zeros_like(frame)
    nearest = scipy.ndimage.distance_transform_edt(
        missing, return_distances=False, return_indices=True
    )
    return np.asarray(frame[tuple(nearest)])


def surroundings(image: Array, weights: Array) -> Array:
    """Local means in each plane, with the nearest pixel for one without a weight.

    They have the precision of the image, and integers double precision.

    Examples
    --------
    >>> import numpy as np
    >>> float(surroundings(np.arange(25.0).reshape(5, 5), np.ones((5, 5)))[2, 2])
    12.0
    """
    known = filled(image if image.dtype.kind == "f" else image.astype(np.float64), weights)
    means = workspace.empty(known.shape, known.dtype)
    planes = [each.reshape(-1, *each.shape[-2:]) for each in (known, means)]

    def part(first: int, end: int) -> None:
        for plane, mean in zip(*(each[first:end] for each in planes), strict=True):
            scipy.ndimage.uniform_filter(plane, NEAR, output=mean)

    run(part, row_blocks(len(planes[0]), COST * known.size))
    return means
