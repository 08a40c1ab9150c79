"""The position of a point spread function in its array."""

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[Any]
Place = tuple[float, ...]

OFF = 0.5  # pixels from origin to peak that may be a mistake ...
LEANS = 0.25  # ... unless the centroid is nearer
NO_SUM = 1e-3  # of the sum of absolute values: a sum that counts as zero


def peak(psf: Array) -> Place:
    """The middle of the largest patch of pixels that have the largest absolute value.

    Examples
    --------
    >>> import numpy as np
    >>> peak(np.array([[0.0, 1.0, 3.0, 3.0, 3.0]]))
    (0.0, 3.0)
    """
    size = np.abs(psf)
    patches, _ = scipy.ndimage.label(size == size.max(), np.ones((3,) * psf.ndim))
    largest = 1 + np.argmax(np.bincount(patches.ravel())[1:])
    return tuple(map(float, scipy.ndimage.center_of_mass(patches == largest)))


def centroid(psf: Array) -> Place:
    """The centre of mass; noise about zero cancels. Complex values count by their size.

    Raises
    ------
    ValueError
        If the sum is zero.

    Examples
    --------
    >>> import numpy as np
    >>> centroid(np.array([[0.0, 2.0, 2.0]]))
    (0.0, 1.5)
    """
    mass = np.abs(psf) if psf.dtype.kind == "c" else psf
    if not mass.sum():
        raise ValueError("a psf whose sum is zero has no centroid")
    return tuple(map(float, scipy.ndimage.center_of_mass(mass)))


def displaced(psf: Array) -> Place | None:
    """Distance of the peak from the origin, ``(K - 1) // 2``, if it looks like a mistake.

    Such as half a pixel in an array of even size, or a stamp cut out beside the star. In a skewed
    PSF, such as coma, the centroid is not displaced with the peak.

    Examples
    --------
    >>> import numpy as np
    >>> displaced(np.ones((3, 2)))
    (0.0, 0.5)
    >>> displaced(np.array([[0.0, 0.0, 3.0]])), displaced(np.array([[0.5, 1.0, 3.0]]))
    ((0.0, 1.0), (0.0, 1.0))
    """
    if abs(psf.sum()) <= NO_SUM * np.abs(psf).sum():  # a difference operator has no position
        return None
    origin = [(K - 1) // 2 for K in psf.shape]
    off, heavy = np.subtract(peak(psf), origin), np.subtract(centroid(psf), origin)
    if ((np.abs(off) >= OFF) & (heavy * np.sign(off) >= LEANS)).any():
        return tuple(map(float, off))
    return None
