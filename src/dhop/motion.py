"""Motions: where the pixels of a frame lie in frame 0.

A motion takes the place ``(row, column)`` of a pixel of the frame, counted from 0 in the middle of
the first one, to the place in frame 0 that shows the same of the scene, in pixels of the frames;
of a volume ``(plane, row, column)``, and of a line ``column`` alone. It is one of

- a 3 x 3 matrix that multiplies ``(row, column, 1)``; the result is divided by its last number, so
  that projective maps are matrices too. A scene that appears `dy` rows further down and `dx`
  columns further right than in frame 0 has ``[[1, 0, -dy], [0, 1, -dx], [0, 0, 1]]``. Of a volume
  4 x 4, of a line 2 x 2;
- an array (2, m0, m1), the rows and the columns in frame 0 of all pixels of the frame; NaN for
  those that are nowhere in it, which have no weight in a super-resolution. Of a volume
  (3, m0, m1, m2), of a line (1, m);
- a function ``(rows, columns) -> (rows, columns)`` of arrays, of which a volume has three, and a
  line one.

Other packages count x, along the columns, first; some give the way back. `from_skimage`,
`from_opencv`, `from_pixmap` and `from_wcs` make motions of what they have.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.frames import motions
from dhop.frames.motions import Motion
from dhop.runtime import arguments
from dhop.runtime.extras import needed
from dhop.runtime.signatures import shorten

Array = NDArray[Any]

EXACT = 1e-8  # pixels, to which distortions are inverted; astropy's own default is 1e-4
FLAT = 1e-12  # areas in frame 0 of a pixel that no motion has
SWAP = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])


@shorten
def positions(motion: Motion, shape: Sequence[int]) -> NDArray[np.float64]:
    """Where the pixels of a frame lie in frame 0.

    Parameters
    ----------
    motion : array_like, shape (3, 3) or (2, m0, m1), or callable
        Of a volume or a line with as many axes more or less.
    shape : sequence of int
        Rows and columns of the frame, before them planes of a volume.

    Returns
    -------
    ndarray, shape (2, m0, m1)

    Raises
    ------
    ValueError, TypeError
        If the motion is none, is infinite or all NaN, or has its horizon in the frame.

    Examples
    --------
    >>> from dhop.motion import positions
    >>> positions([[1, 0, -0.5], [0, 1, 2], [0, 0, 1]], (2, 3))
    array([[[-0.5, -0.5, -0.5],
            [ 0.5,  0.5,  0.5]],
    <BLANKLINE>
           [[ 2. ,  3. ,  4. ],
            [ 2. ,  3. ,  4. ]]])
    >>> positions([[0.5, 1], [0, 1]], (4,))  # of a line
    array([[1. , 1.5, 2. , 2.5]])
    """
    size = arguments.shape("shape", shape)
    if len(size) > 3:
        raise ValueError(f"a frame has one to three axes, got {size}")
    (given,) = motions.checked_motions([motion], 1, size)
    return np.asarray(motions.centres(given, size), np.float64)


@shorten
def from_skimage(transform: Any) -> Motion:
    """The motion that a transform of scikit-image means.

    It is to take ``(x, y)`` of the frame to ``(x, y)`` of frame 0, as one does that was estimated
    from points of the frame as `src` and of frame 0 as `dst`. What is given to
    ``skimage.transform.warp`` to lay the frame on frame 0 is the way back; take its ``.inverse``.

    Parameters
    ----------
    transform : transform of two dimensions
        Euclidean, similar, affine, projective: gives a matrix. Of others, as piecewise affine,
        polynomial and thin-plate ones: a function.

    Returns
    -------
    ndarray, shape (3, 3), or callable

    Raises
    ------
    TypeError
        If it does not take points of a plane to points.

    Examples
    --------
    >>> from skimage.transform import EuclideanTransform
    >>> from dhop.motion import from_skimage
    >>> from_skimage(EuclideanTransform(translation=(2, -0.5)))  # 2 to the right, half a row up
    array([[ 1. ,  0. , -0.5],
           [ 0. ,  1. ,  2. ],
           [ 0. ,  0. ,  1. ]])
    """
    try:
        flat = np.shape(transform(np.zeros((1, 2)))) == (1, 2)
    except (TypeError, ValueError):
        flat = False
    if not flat:
        raise TypeError(f"transform must take points (x, y) to such, got {transform!r}")
    matrix = np.asarray(getattr(transform, "params", None))
    if matrix.shape == (3, 3):
        return _checked(SWAP @ matrix @ SWAP)

    def motion(rows: Array, columns: Array) -> Array:
        points = np.stack([columns, rows], axis=-1).reshape(-1, 2)
        return np.asarray(transform(points)).T[::-1].reshape(2, *rows.shape)

    return motion


@shorten
def from_opencv(matrix: ArrayLike) -> NDArray[np.float64]:
    """The motion that a matrix of OpenCV means.

    It is to take ``(x, y, 1)`` of the frame to frame 0, as those of ``estimateAffine2D(frame,
    frame0)`` and ``findHomography(frame, frame0)`` do, and as ``warpAffine`` takes it to lay the
    frame on frame 0. ``findTransformECC(frame0, frame, ...)`` finds the way back: so does whatever
    goes with ``WARP_INVERSE_MAP``. Give ``cv2.invertAffineTransform`` of it, or `numpy.linalg.inv`.

    Parameters
    ----------
    matrix : array_like, shape (2, 3) or (3, 3)

    Returns
    -------
    ndarray, shape (3, 3)

    Raises
    ------
    ValueError, TypeError
        If the matrix has another shape, or no inverse.

    Examples
    --------
    >>> from dhop.motion import from_opencv
    >>> from_opencv([[1, 0, 2], [0, 1, -0.5]])  # 2 to the right, half a row up
    array([[ 1. ,  0. , -0.5],
           [ 0. ,  1. ,  2. ],
           [ 0. ,  0. ,  1. ]])
    """
    given = arguments.numbers("matrix", matrix)
    if given.shape not in ((2, 3), (3, 3)):
        raise ValueError(f"matrix must have shape (2, 3) or (3, 3), got {given.shape}")
    whole = given if len(given) == 3 else np.vstack([given, [0, 0, 1]])
    return _checked(SWAP @ whole @ SWAP)


@shorten
def from_pixmap(pixmap: ArrayLike) -> NDArray[np.float64]:
    """The motion that a pixel map of drizzle means.

    Parameters
    ----------
    pixmap : array_like, shape (m0, m1, 2)
        ``pixmap[row, column]`` is ``(x, y)`` in the image that is drizzled to, which takes the
        place of frame 0. NaN where a pixel has no place there; it has no weight then.

    Returns
    -------
    ndarray, shape (2, m0, m1)

    Raises
    ------
    ValueError, TypeError
        If the map has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop.motion import from_pixmap
    >>> from_pixmap([[(10.5, 3), (11.5, 3)]])  # one row of two pixels
    array([[[ 3. ,  3. ]],
    <BLANKLINE>
           [[10.5, 11.5]]])
    """
    given = arguments.numbers("pixmap", pixmap)
    if given.ndim != 3 or given.shape[2] != 2:
        raise ValueError(f"pixmap must have shape (m0, m1, 2), got {given.shape}")
    return np.moveaxis(given, -1, 0)[::-1].astype(np.float64)


@shorten
def from_wcs(frame: Any, reference: Any, shape: Sequence[int]) -> NDArray[np.float64]:
    """The motion by which a frame and a reference show the same of the sky.

    All that astropy knows of distortions counts: SIP, TPV, tables of detectors and of columns.
    Systems of coordinates may differ, as galactic and equatorial ones.

    Parameters
    ----------
    frame, reference : astropy.wcs.WCS or astropy.io.fits.Header
        Of the frame, and of what takes the place of frame 0. Tables of distortions are not in the
        header; there, give ``WCS(header, hdus)``.
    shape : (int, int)
        Rows and columns of the frame.

    Returns
    -------
    ndarray, shape (2, m0, m1)
        NaN where a pixel of the frame is nowhere in the projection of the reference, as on the
        other side of the sky; it has no weight then.

    Raises
    ------
    ValueError
        If either has no two axes of the sky, or distortions of the reference cannot be inverted.
    ModuleNotFoundError
        Without astropy: ``pip install "dhop[fits]"``.

    Examples
    --------
    >>> from astropy.wcs import WCS
    >>> from dhop.motion import from_wcs
    >>> sky, finer = WCS(naxis=2), WCS(naxis=2)
    >>> for each, step in ((sky, 1e-4), (finer, 0.5e-4)):
    ...     each.wcs.ctype, each.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [-step, step]
    ...     each.wcs.crpix = 1, 1
    >>> from_wcs(sky, finer, (1, 3)).round(6) + 0.0  # pixels of half the size
    array([[[0., 0., 0.]],
    <BLANKLINE>
           [[0., 2., 4.]]])
    """
    one, other = _sky("frame", frame), _sky("reference", reference)
    size = _size(shape)
    rows, columns = np.indices(size, np.float64).reshape(2, -1)
    world = np.stack(one.all_pix2world(columns, rows, 0))
    world = _sky_to_sky(world, one, other)
    try:
        found = other.all_world2pix(*world, 0, tolerance=EXACT)
    except needed("astropy.wcs", "fits", "from_wcs").NoConvergence as error:
        raise ValueError(
            "distortions of the reference cannot be inverted for all pixels of the frame; take a "
            f"reference without distortions ({str(error).splitlines()[0]})"
        ) from None
    return np.stack([found[1], found[0]]).reshape(2, *size)


def _checked(matrix: Array) -> NDArray[np.float64]:
    """A real, finite and invertible matrix, its last number made 1."""
    if matrix.dtype.kind == "c" or not np.isfinite(matrix).all():
        raise ValueError(f"a matrix must be real and finite, got {matrix}")
    scaled = matrix / matrix[2, 2] if matrix[2, 2] else np.zeros((3, 3))
    if abs(np.linalg.det(scaled)) < FLAT:
        raise ValueError(f"a motion must be invertible, got {matrix}")
    return np.asarray(scaled, np.float64)


def _size(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a frame."""
    size = arguments.shape("shape", shape)
    if len(size) != 2:
        raise ValueError(f"shape must be rows and columns of a frame, got {size}")
    return size[0], size[1]


def _sky(name: str, given: Any) -> Any:
    """The two axes of the sky."""
    wcs = needed("astropy.wcs", "fits", "from_wcs")
    if not isinstance(given, wcs.WCS):
        with warnings.catch_warnings():  # of cards that were put right
            warnings.simplefilter("ignore", wcs.FITSFixedWarning)
            given = wcs.WCS(given)
    if not given.has_celestial:
        raise ValueError(f"the {name} has no coordinates of the sky: {list(given.wcs.ctype)}")
    return given if given.naxis == 2 else given.celestial


def _sky_to_sky(world: Array, one: Any, other: Any) -> Array:
    """Coordinates of one system as those of another, each with its own axis first."""
    to_frame = needed("astropy.wcs.utils", "fits", "from_wcs").wcs_to_celestial_frame
    first, second = to_frame(one), to_frame(other)
    longitude, latitude = world[[one.wcs.lng, one.wcs.lat]]
    if not first.is_equivalent_frame(second):
        sky = needed("astropy.coordinates", "fits", "from_wcs").SkyCoord
        there = sky(longitude, latitude, unit="deg", frame=first).transform_to(second).spherical
        longitude, latitude = there.lon.deg, there.lat.deg
    found = np.empty_like(world)
    found[[other.wcs.lng, other.wcs.lat]] = longitude, latitude
    return found
