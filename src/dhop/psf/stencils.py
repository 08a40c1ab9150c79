"""The stencils of regularisers."""

from typing import Literal, TypeAlias, get_args

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from dhop.psf import gaussian
from dhop.runtime import arguments

Name: TypeAlias = Literal["identity", "gradient", "laplacian", "laplacian-of-gaussian"]
Stencils: TypeAlias = Name | ArrayLike

DIFFERENCE = np.array([1.0, -1.0])
SECOND = np.array([1.0, -2.0, 1.0])


def stencils(regulariser: Stencils, ndim: int = 2) -> list[NDArray[np.number]]:
    """The stencils of a regulariser, applied one under the other.

    Parameters
    ----------
    regulariser : str or array_like
        ``"identity"`` prefers small values; ``"gradient"``, differences to the pixels before on
        each axis, small steps; ``"laplacian"``, the sum of second differences, small curvature;
        ``"laplacian-of-gaussian"`` the same of the image smoothed by a Gaussian of one pixel,
        without regard to the finest detail. An array is such a PSF itself.
    ndim : int
        Number of an image's axes.

    Raises
    ------
    ValueError
        For another name, or an array of another number of axes.
    """
    if not isinstance(regulariser, str):
        stencil = arguments.psf_array(regulariser, "regulariser", most=3)
        if stencil.ndim != ndim:
            raise ValueError(f"the regulariser must have {ndim} dimensions, got {stencil.ndim}")
        return [stencil]
    name = arguments.choice("regulariser", regulariser, get_args(Name))
    if name == "identity":
        return [np.ones((1,) * ndim)]
    if name == "gradient":
        return [_along(axis, ndim, DIFFERENCE) for axis in range(ndim)]
    if name == "laplacian":
        return [_laplacian(ndim)]
    smooth = gaussian((7,) * ndim, 1.0)
    return [scipy.ndimage.laplace(np.pad(smooth, 1), mode="constant")]


def _along(axis: int, ndim: int, line: NDArray[np.float64]) -> NDArray[np.float64]:
    return line.reshape([-1 if k == axis else 1 for k in range(ndim)])


def _laplacian(ndim: int) -> NDArray[np.float64]:
    stencil = np.zeros((3,) * ndim)
    for axis in range(ndim):
        middle = tuple(slice(None) if k == axis else slice(1, 2) for k in range(ndim))
        stencil[middle] += _along(axis, ndim, SECOND)
    return stencil
