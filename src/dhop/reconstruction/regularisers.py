"""What a regulariser looks at, as an operator."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse.linalg import LinearOperator

from dhop.model.boundary import Boundary
from dhop.operators.blur_decimate import DHOperator, Method
from dhop.operators.stack import FrameStack
from dhop.psf.stencils import Stencils, stencils

Regulariser: TypeAlias = Stencils | LinearOperator


def regulariser_operator(
    regulariser: Regulariser,
    dims: Sequence[int],
    *,
    boundary: Boundary | Sequence[Boundary] = "symmetric",
    dtype: DTypeLike = np.float64,
    ndim: int = 2,
    method: Method = "auto",
) -> LinearOperator:
    """The operator `S` of the penalty ``beta * ||S x||^2``.

    Parameters
    ----------
    regulariser : str, array_like or LinearOperator
        A name or PSF, see `dhop.super_resolve`; an operator is taken as it is.
    dims : sequence of int
        Shape of the images, the last axes of which are looked at.
    boundary, dtype, method
        As for `DHOperator`.
    ndim : int
        How many axes are looked at: one of spectra, two of images, three of volumes.

    Returns
    -------
    LinearOperator
        With as many columns as `dims` has pixels.

    Raises
    ------
    ValueError
        If the name is unknown or the operator has another number of columns.

    Examples
    --------
    >>> from dhop import regulariser_operator
    >>> regulariser_operator("laplacian", (1, 4)) @ [0.0, 0.0, 1.0, 1.0]
    array([ 0.,  1., -1.,  0.])
    """
    if isinstance(regulariser, LinearOperator):
        if regulariser.shape[1] != np.prod(dims):
            raise ValueError(
                f"the regulariser has {regulariser.shape[1]} columns, "
                f"an image of shape {tuple(dims)} has {np.prod(dims)} pixels"
            )
        return regulariser
    operators = [
        DHOperator(dims, stencil, 1, boundary=boundary, dtype=dtype, method=method)
        for stencil in stencils(regulariser, ndim)
    ]
    return operators[0] if len(operators) == 1 else FrameStack(operators)
