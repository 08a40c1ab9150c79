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
        Finite where it has a weight. Of a single row differences are taken along it; of a volume
        in its planes.
    weights : ndarray, optional
        Parts with pixels of weight zero are left out.

    Returns
    -------
    float
        Zero for images of two rows, or of fewer than three columns.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop.frames.noise import quiet_noise
    >>> scene = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> noisy = scene + 0.5 * np.random.default_rng(0).standard_normal(scene.shape)
    >>> round(quiet_noise(noisy), 1)
    0.5
    """
    planes = image.reshape(-1, *image.shape[-2:])
    row = planes.shape[1] == 1
    if min(planes.shape[1 + row :]) < 3:
        return 0.0
    seen = np.ones(planes.shape, bool)
    if weights is not None:
        seen = np.broadcast_to(weights, image.shape).reshape(planes.shape)
    second = scipy.ndimage.convolve1d(np.where(seen > 0, planes, 0.0), SECOND, 2)[..., 1:-1]
    whole = scipy.ndimage.minimum_filter(seen, (1, 1 if row else 3, 3))[..., 1:-1] > 0
    if not row:
        second = scipy.ndimage.convolve1d(second, SECOND, 1)[:, 1:-1]
        whole = whole[:, 1:-1]
    second /= np.sqrt(6 if row else 36)
    parts = [_parts(each, (1, SIDE**2) if row else (SIDE, SIDE)) for each in (second, whole)]
    complete = parts[1].all(axis=1)
    if not complete.any():
        return 0.0
    powers = np.mean(parts[0][complete] ** 2, axis=1)
    if powers.any():
        powers = powers[powers > 0]  # what is constant is saturated
    return float(np.sqrt(np.quantile(powers, QUIET)) / SHARE)


def _parts(planes: Array, least: tuple[int, int]) -> Array:
    """Planes in parts of some rows and columns or a little more, (parts, pixels)."""
    count = [max(size // side, 1) for size, side in zip(planes.shape[1:], least, strict=True)]
    height, width = (size // n for size, n in zip(planes.shape[1:], count, strict=True))
    cut = planes[:, : count[0] * height, : count[1] * width]
    parts = cut.reshape(-1, count[0], height, count[1], width).swapaxes(2, 3)
    return parts.reshape(-1, height * width)
