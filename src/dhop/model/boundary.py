"""The boundary rules: which pixel is at each position of an axis continued past its ends.

This is the only place that knows what ``"wrap"`` or ``"symmetric"`` mean. Everything else works on
the integer vectors made here.
"""

from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Boundary: TypeAlias = Literal["constant", "wrap", "symmetric", "reflect", "edge"]
BOUNDARIES: Final[tuple[Boundary, ...]] = get_args(Boundary)
OUTSIDE: Final = -1

# What scipy.ndimage and others call the boundaries of numpy.pad.
BOUNDARY_NAMES: dict[str, Boundary] = {
    "nearest": "edge",
    "mirror": "reflect",
    "grid-wrap": "wrap",
    "grid-mirror": "symmetric",
    "grid-constant": "constant",
    "zero": "constant",
    "zeros": "constant",
    "periodic": "wrap",
    "circular": "wrap",
    "replicate": "edge",
    "fill": "constant",
    "border_constant": "constant",
    "border_wrap": "wrap",
    "border_reflect": "symmetric",
    "border_reflect_101": "reflect",
    "border_replicate": "edge",
}
BOUNDARY_NOTE = (
    " (numpy.pad's names; scipy.ndimage's 'reflect' is 'symmetric' here, its 'mirror' is 'reflect')"
)


def extended_index(size: int, start: int, stop: int, boundary: Boundary) -> NDArray[np.intp]:
    """Source pixel of each position ``start, ..., stop - 1`` of a continued axis.

    Equals ``numpy.pad(numpy.arange(size), ..., mode=boundary)`` however far the positions reach,
    with `OUTSIDE` for the positions that ``"constant"`` fills with zeros.

    Parameters
    ----------
    size : int
        Number of pixels; they stand at positions ``0, ..., size - 1``.
    start, stop : int
        Range of positions, of any sign and order of magnitude.
    boundary : str
        One of `BOUNDARIES`, `numpy.pad`'s names::

            constant   0 0 0 0 | a b c d | 0 0 0 0
            wrap       a b c d | a b c d | a b c d
            symmetric  d c b a | a b c d | d c b a
            reflect    c d c b | a b c d | c b a b
            edge       a a a a | a b c d | d d d d

    Returns
    -------
    ndarray of intp, shape (stop - start,)

    Examples
    --------
    >>> extended_index(4, -3, 6, "reflect")
    array([3, 2, 1, 0, 1, 2, 3, 2, 1])
    """
    position = np.arange(start, stop)
    match boundary:
        case "constant":
            return np.where((position >= 0) & (position < size), position, OUTSIDE)
        case "wrap":
            return position % size
        case "symmetric":
            lap = position % (2 * size)
            return np.minimum(lap, 2 * size - 1 - lap)
        case "reflect":
            period = max(2 * size - 2, 1)
            lap = position % period
            return np.minimum(lap, period - lap)
        case "edge":
            return position.clip(0, size - 1)
