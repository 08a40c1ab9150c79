"""Point spread functions as a sum of modes, each times a map."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.psf.stamps import checked_stamps, frozen
from dhop.runtime.arguments import numbers
from dhop.runtime.notebook import card

Array = NDArray[Any]


class Modes:
    """PSFs as a sum of modes, each times a map: eigen-PSFs, or polynomials of the position.

    Parameters
    ----------
    stamps : array_like, shape (R, K0, K1)
        Copied.
    weights : array_like, shape (R, n0, n1)
        Of each pixel of the scene. Real.

    Attributes
    ----------
    stamps, weights : ndarray
        Read-only.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, or numbers are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator, psf
    >>> stamps = [psf.gaussian(5, 0.5), psf.gaussian(5, 1.0)]
    >>> ramp = np.broadcast_to(np.linspace(0, 1, 8), (8, 8))
    >>> A = DHOperator((8, 8), psf.Modes(stamps, [1 - ramp, ramp]), 2)
    >>> A.shape
    (16, 64)
    """

    ndim = 2

    def __init__(self, stamps: ArrayLike, weights: ArrayLike) -> None:
        self.stamps = checked_stamps(stamps, "(R, K0, K1)", (3,))
        array = numbers("weights", weights)
        if array.ndim != 3 or len(array) != len(self.stamps):
            raise ValueError(
                f"weights must have the shape ({len(self.stamps)}, n0, n1), got {array.shape}"
            )
        if array.dtype.kind == "c" or not np.isfinite(array).all():
            raise ValueError("weights must be real and finite")
        self.weights = frozen(array.astype(np.float64))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Modes, (self.stamps, self.weights)

    def __repr__(self) -> str:
        return f"<Modes of {len(self.stamps)} psfs of {self.shape} over {self.weights.shape[1:]}>"

    def _repr_html_(self) -> str:
        return card(repr(self)[1:-1], {"dtype": str(self.dtype)}, self.mosaic)

    @property
    def mosaic(self) -> Array:
        """The PSFs side by side."""
        return np.hstack(list(self.stamps))

    @property
    def shape(self) -> tuple[int, int]:
        """Of a PSF."""
        return self.stamps.shape[1], self.stamps.shape[2]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the stamps."""
        return self.stamps.dtype

    def at(self, row: int, column: int) -> Array:
        """The PSF of one pixel of the scene, an array of shape (K0, K1)."""
        return np.asarray(np.tensordot(self.weights[:, row, column], self.stamps, 1))
