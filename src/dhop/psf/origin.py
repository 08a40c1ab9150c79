"""Where a point spread function stands in its array."""

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[Any]
Place = tuple[float, ...]

OFF = 0.5  # pixels from its origin to the peak of a PSF, which nobody may have wanted ...
LEANS = 0.25  # ... unless its centroid is nearer
NO_SUM = 1e-3  # of the sum of absolute values: as good as no sum


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
    """The centre of mass; noise about zero cancels, as in the sum. Of complex values their size.

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
    """How far the peak is off the origin, ``(K - 1) // 2``, if it looks like an oversight.

    As half a pixel of an array of an even size, or what was cut out a pixel beside the star. A PSF
    that leans to one side, as that of a coma, has its centroid elsewhere than its peak.

    Examples
    --------
    >>> import numpy as np
    >>> displaced(np.ones((3, 2)))
    (0.0, 0.5)
    >>> displaced(np.array([[0.0, 0.0, 3.0]])), displaced(np.array([[0.5, 1.0, 3.0]]))
    ((0.0, 1.0), (0.0, 1.0))
    """
    if abs(psf.sum()) <= NO_SUM * np.abs(psf).sum():  # a difference stands nowhere
        return None
    origin = [(K - 1) // 2 for K in psf.shape]
    off, heavy = np.subtract(peak(psf), origin), np.subtract(centroid(psf), origin)
    if ((np.abs(off) >= OFF) & (heavy * np.sign(off) >= LEANS)).any():
        return tuple(map(float, off))
    return None
