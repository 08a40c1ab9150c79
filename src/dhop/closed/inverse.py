"""Inverses of normal equations, for one image after the other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Inverse:
    """A function of images, the last axes of its argument, two or three.

    Attributes
    ----------
    dtype : dtype
        Of the solution for real images.
    """

    dtype: np.dtype[Any] = np.dtype(np.float64)

    def __call__(self, images: Array, out: Array | None = None, axes: int = 2) -> Array:
        """Solve for images, which are real if the problem is; into `out` if that is given."""
        if out is None:
            out = np.empty(images.shape, np.result_type(images, self.dtype))
        for number, place in enumerate(np.ndindex(images.shape[:-axes])):
            out[place] = self._solved(images[place], number)
        return out

    def noise_product(self, images: Array, out: Array, axes: int = 2) -> None:
        r"""The products with the noise covariance :math:`K^{-1} N K^{-1}` into `out`.

        :math:`K^{-1}` is this inverse.
        """
        for place in np.ndindex(images.shape[:-axes]):
            out[place] = self._noise_product(images[place])

    def diagonal(self, noise: bool = False) -> Array:
        r"""The diagonal, as an image: of :math:`K^{-1}`, or for `noise` :math:`K^{-1} N K^{-1}`."""
        raise NotImplementedError

    def _solved(self, image: Array, number: int) -> Array:
        """The solution for one image, the `number`-th."""
        raise NotImplementedError

    def _noise_product(self, image: Array) -> Array:
        raise NotImplementedError
