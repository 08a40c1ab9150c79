"""Comparison of an image with a known one."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.runtime.extras import needed
from dhop.runtime.signatures import shorten

Array = NDArray[Any]

WINDOW = 7  # side of the window of the structural similarity


@shorten
def compare(image: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    r"""Peak signal-to-noise ratio, structural similarity and relative error.

    The first two are those of images scaled so that `truth` covers [0, 1].

    Parameters
    ----------
    image, truth : array_like, shape (..., n0, n1)
        Of one shape; leading axes are channels.

    Returns
    -------
    dict
        ``"psnr"`` in decibels, infinite if the images are the same; ``"ssim"`` by scikit-image
        (``dhop[cli]``), with a window of seven pixels or the largest odd number that the image has
        room for, NaN if that is one; and ``"relative_rmse"``, :math:`\|x - t\| / \|t\|`.

    Raises
    ------
    ValueError
        If the shapes differ, or `truth` is constant or not finite.
    ImportError
        If scikit-image is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop.metrics import compare
    >>> truth = np.eye(8)
    >>> round(compare(truth + 0.1, truth)["psnr"], 6)
    20.0
    """
    skimage = needed("skimage.metrics", "cli", "comparing images")
    x, t = np.asarray(image, np.float64), np.asarray(truth, np.float64)
    if x.shape != t.shape:
        raise ValueError(f"the images have shapes {x.shape} and {t.shape}")
    low, high = t.min(), t.max()
    unit = unit_of(low, high)
    relative = float(np.linalg.norm((x - t) / unit) / np.linalg.norm(t / unit))
    x, t = (x - low) / (high - low), (t - low) / (high - low)
    square = float(np.mean((x - t) ** 2))
    return {
        "psnr": np.inf if square == 0 else float(-10 * np.log10(square)),
        "ssim": _similarity(skimage, x, t),
        "relative_rmse": relative,
    }


def unit_of(low: float, high: float) -> float:
    """A divisor for true images of this range, so that squares do not overflow."""
    if not np.isfinite(high - low):
        raise ValueError("the true image must be finite, it has NaN or Inf")
    if not high > low:
        raise ValueError("the true image is constant, there is nothing to compare with")
    return max(abs(low), abs(high))


def window_of(shape: tuple[int, ...]) -> int:
    """The side of the window of the structural similarity."""
    room = min(WINDOW, *shape[-2:])
    return room - 1 + room % 2


def _similarity(skimage: Any, x: Array, t: Array) -> float:
    window = window_of(t.shape)
    if window < 2:
        return np.nan
    flat = [each.reshape(-1, *each.shape[-2:]) for each in (t, x)]
    options = {"win_size": window, "data_range": 1, "channel_axis": 0}
    return float(skimage.structural_similarity(*flat, **options))
