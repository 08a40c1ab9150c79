"""The noise of a single image, from its quietest parts."""

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[Any]

SECOND = np.array([1.0, -2.0, 1.0])  # a difference that planes and edges along an axis leave zero
SIDE = 8  # pixels of a part
QUIET = 0.1  # of all parts are at most as noisy as the one that is taken
SHARE = 0.82  # of the true noise is what that one shows where there is noise alone


def quiet_noise(image: Array, weights: Array | None = None) -> float:
    r"""An upper bound of the noise that fine texture of the scene does not raise.

    The standard deviation of :math:`(1, -2, 1) \otimes (1, -2, 1)` differences, in those of
    8 x 8 parts of the image where it is low: of white noise the noise itself. J. Immerkaer, "Fast
    noise variance estimation", Comput. Vis. Image Underst. 64 (1996) 300-302,
    https://doi.org/10.1006/cviu.1996.0060, takes all parts.

    Parameters
    ----------
    image : ndarray, shape (m0, m1)
        Finite where it has a weight.
    weights : ndarray, optional
        Parts with pixels of weight zero are left out.

    Returns
    -------
    float
        Zero for images of fewer than three rows or columns.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop.frames.noise import quiet_noise
    >>> scene = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> noisy = scene + 0.5 * np.random.default_rng(0).standard_normal(scene.shape)
    >>> round(quiet_noise(noisy), 1)
    0.5
    """
    if min(image.shape) < 3:
        return 0.0
    seen = np.ones(image.shape, bool) if weights is None else np.broadcast_to(weights, image.shape)
    known = np.where(seen > 0, image, 0.0)
    across = scipy.ndimage.convolve1d(known, SECOND, 1)
    second = scipy.ndimage.convolve1d(across, SECOND, 0)[1:-1, 1:-1] / 6
    whole = scipy.ndimage.minimum_filter(seen, 3)[1:-1, 1:-1] > 0
    count = [max(size // SIDE, 1) for size in second.shape]
    sides = [size // n for size, n in zip(second.shape, count, strict=True)]
    cut = tuple(slice(n * side) for n, side in zip(count, sides, strict=True))
    parts = [
        each[cut].reshape(count[0], sides[0], count[1], sides[1]).swapaxes(1, 2).reshape(-1, *sides)
        for each in (second, whole)
    ]
    complete = parts[1].all(axis=(1, 2))
    if not complete.any():
        return 0.0
    powers = np.mean(parts[0][complete] ** 2, axis=(1, 2))
    if powers.any():
        powers = powers[powers > 0]  # what is constant is saturated
    return float(np.sqrt(np.quantile(powers, QUIET)) / SHARE)
