"""The convolutions that regularisers look at."""

from typing import Literal, TypeAlias, get_args

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from dhop.psf import gaussian
from dhop.runtime import arguments

Name: TypeAlias = Literal["identity", "gradient", "laplacian", "laplacian-of-gaussian"]
Stencils: TypeAlias = Name | ArrayLike

LAPLACIAN = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


def stencils(regulariser: Stencils) -> list[NDArray[np.number]]:
    """The PSFs, of factor one, that a regulariser puts under each other.

    Parameters
    ----------
    regulariser : str or array_like
        ``"identity"`` prefers small values; ``"gradient"``, differences to the pixels above and on
        the left, small steps; ``"laplacian"``, the five-point stencil, small curvature;
        ``"laplacian-of-gaussian"`` the same of the image smoothed by a Gaussian of one pixel,
        without regard to the finest detail. An array is such a PSF itself.

    Raises
    ------
    ValueError
        For another name.
    """
    if not isinstance(regulariser, str):
        return [arguments.psf_array(regulariser, "regulariser")]
    difference = np.array([[1.0, -1.0]])
    return {
        "identity": [np.ones((1, 1))],
        "gradient": [difference.T, difference],
        "laplacian": [LAPLACIAN],
        "laplacian-of-gaussian": [
            scipy.ndimage.laplace(np.pad(gaussian(7, 1.0), 1), mode="constant")
        ],
    }[arguments.choice("regulariser", regulariser, get_args(Name))]
