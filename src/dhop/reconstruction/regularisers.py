"""The operators of quadratic regularisers."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.sparse.linalg import LinearOperator

from dhop.model.boundary import Boundary
from dhop.operators.blur_decimate import DHOperator, Method
from dhop.operators.diagonal import DiagonalOperator
from dhop.operators.stack import FrameStack
from dhop.psf.stencils import Stencils, stencils
from dhop.runtime import arguments

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
        Shape of the images, which are the last axes.
    boundary, dtype, method
        As for `DHOperator`.
    ndim : int
        Axes of an image: one for spectra, two for images, three for volumes.

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


def guided_regulariser(
    guide: ArrayLike,
    *,
    edge: float = 0.5,
    boundary: Boundary | Sequence[Boundary] = "symmetric",
    dtype: DTypeLike = np.float64,
) -> FrameStack:
    r"""A regulariser by a sharper picture of the same scene, such as a band of finer pixels.

    It takes the gradient of the image and leaves out what points across the edges of the guide, so
    that the image may have edges there, of either sign and any height, and is smooth elsewhere:
    with :math:`J = \sum_g \nabla g \, \nabla g^T` of the guides,

    .. math:: S x = \Bigl(I - \frac{J}{\operatorname{tr} J + \mathrm{edge}^2}\Bigr) \nabla x.

    Parameters
    ----------
    guide : array_like, shape ([G,] rows, columns)
        One or several pictures on the pixels of the image that is sought, in any units.
    edge : float
        How large a gradient is half an edge, relative to the root mean square of the guide's. Large
        for a guide that is noisy or not quite in place: beyond half a pixel it does harm.
    boundary, dtype
        As for `DHOperator`.

    Returns
    -------
    FrameStack
        For ``super_resolve(regulariser=...)``, which needs a number for `beta` then.

    Raises
    ------
    ValueError
        If the guide is no picture of finite numbers, or `edge` is not positive.

    Examples
    --------
    Across the edge of the guide nothing is left of a step, elsewhere all:

    >>> import numpy as np
    >>> from dhop import guided_regulariser
    >>> S = guided_regulariser([[0.0, 0.0, 1.0, 1.0, 1.0]], edge=0.01)
    >>> along, across = (S @ np.array([5.0, 5.0, 9.0, 9.0, 8.0])).reshape(2, 5)
    >>> across.round(2).tolist()
    [0.0, 0.0, 0.0, 0.0, -1.0]
    """
    guides = arguments.numbers("guide", guide)
    guides = guides[None] if guides.ndim == 2 else guides
    if guides.ndim != 3 or 0 in guides.shape or guides.dtype.kind == "c":
        raise ValueError(f"guide must be real, of shape ([G,] rows, columns), got {guides.shape}")
    if not np.isfinite(guides).all():
        raise ValueError("guide must be finite")
    if not edge > 0:
        raise ValueError(f"edge must be positive, got {edge}")
    nabla = [
        DHOperator(guides.shape[1:], stencil, 1, boundary=boundary, dtype=dtype)
        for stencil in stencils("gradient", 2)
    ]
    slopes = np.array([[D.degrade(each) for D in nabla] for each in guides.astype(np.float64)])
    size = np.sqrt((slopes**2).sum(axis=1).mean(axis=(1, 2)))
    slopes /= np.where(size > 0, size, 1.0)[:, None, None, None]
    J = np.einsum("ga...,gb...->ab...", slopes, slopes)
    J /= np.trace(J) + len(guides) * edge**2
    kept = [
        [DiagonalOperator(((a == b) - J[a, b]).astype(dtype)) @ nabla[b] for b in range(2)]
        for a in range(2)
    ]
    return FrameStack([along + across for along, across in kept])
