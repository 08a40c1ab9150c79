"""Singular values of an operator: all, if its structure or size allows it, or a few."""

from functools import reduce
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from dhop.closed.bases import Basis, common_basis
from dhop.matrix import facts
from dhop.model.axis import Axis
from dhop.model.separation import one_product
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.lanczos import extreme_values
from dhop.operators.normal import NormalOperator
from dhop.runtime import arguments

Values = NDArray[np.float64]
Which: TypeAlias = Literal["largest", "smallest"]

LARGEST = 3e9  # rows times rows times columns of a dense decomposition; a few seconds


class _TooLargeError(ValueError):
    """A matrix that is too large to be decomposed."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__(
            f"a matrix of {shape[0]} x {shape[1]} is too large to find all its singular values; "
            "give k for a few of them, take a smaller image, which changes their decay little, or "
            'boundary="wrap" with an image that the factor divides'
        )


def singular_values(A: NormalOperator, k: int | None = None, *, which: Which = "largest") -> Values:
    """The singular values of `A`, all or some, the largest first.

    - If the folded PSF is the product of one factor for each axis, the matrix is a Kronecker
      product and its singular values are the products of those of the axes.
    - If the image wraps around, or continues symmetrically and so does the PSF, and the factor
      divides it, they are read from the transfer function: its norm over each set of frequencies
      that alias to one.
    - Else the matrix is decomposed, as long as it is small.
    - Else the largest or the smallest few are found by Lanczos' iteration.

    Errors are at most the rounding of the largest value in the operator's dtype. What the iteration
    finds below 1e-7 of the largest is an upper bound.

    Parameters
    ----------
    A : operator of dhop
        A `DHOperator`, a stack or an expression; structure is seen of the first only.
    k : int, optional
        How many; all by default.
    which : {"largest", "smallest"}
        Of the ``min(M, N)`` values, zeros among them.

    Returns
    -------
    ndarray of float64, shape (min(M, N),) or (k,)

    Raises
    ------
    ValueError
        If all are asked for, and the matrix has no such structure and is too large to be
        decomposed; or there are less than `k`.
    RuntimeError
        If the iteration does not converge.

    Examples
    --------
    >>> from dhop import DHOperator, FrameStack, psf, singular_values
    >>> values = singular_values(DHOperator((60, 80), psf.gaussian(5, 0.8), 2))
    >>> values.shape, float(values[0].round(4)), float(values[-1].round(4))
    ((1200,), 1.9961, 0.3386)

    Of the normal equations of a camera and of one that is out of focus, without structure:

    >>> blurs = psf.gaussian(5, 0.8), psf.disk(3.3)
    >>> B = FrameStack([DHOperator((60, 80), blur, 2) for blur in blurs])
    >>> singular_values(B, 2).round(4)
    array([2.8169, 2.8045])
    """
    if not isinstance(A, NormalOperator):
        raise TypeError(f"an operator of dhop has singular values, got {type(A).__name__}")
    arguments.choice("which", which, get_args(Which))
    least = min(A.shape)
    count = least if k is None else arguments.positive("k", k)
    if count > least:
        raise ValueError(f"a matrix of {A.shape[0]} x {A.shape[1]} has {least} values, not {k}")
    try:
        values = _all(A)
    except _TooLargeError:
        if k is None:
            raise
        return _some(A, count, which)
    return values[:count] if which == "largest" else values[-count:]


def _all(A: NormalOperator) -> Values:
    if not isinstance(A, DHOperator):
        return np.sort(_of_matrix(A))[::-1]
    if A.terms() is None:  # no convolution
        copies = A.shape[1] // A.of_one_image().shape[1]
        return np.repeat(np.sort(_of_matrix(A.of_one_image()))[::-1], copies)
    model = A.model
    factors = one_product(model.box)
    if factors is not None:
        values = reduce(np.multiply.outer, map(_of_axis, model.axes, factors)).ravel()
    elif (basis := common_basis([model])) is not None:
        values = _of_transfer(basis, basis.transfer(model))
    else:
        values = _of_matrix(A.of_one_image())
    return np.repeat(np.sort(values)[::-1], facts.batch(model))


def _some(A: NormalOperator, k: int, which: Which) -> Values:
    one = A.of_one_image() if isinstance(A, DHOperator) else A
    copies = A.shape[0] // one.shape[0]
    found = np.repeat(extreme_values(one, -(-k // copies), which == "smallest"), copies)
    return found[:k] if which == "largest" else found[-k:]


def _of_axis(axis: Axis, weights: NDArray[Any]) -> Values:
    if axis.outputs**2 * axis.size > LARGEST:
        raise _TooLargeError((axis.outputs, axis.size))
    matrix = np.zeros((axis.outputs, axis.size), weights.dtype)
    pixels = axis.windows
    output, tap = np.nonzero(pixels >= 0)
    np.add.at(matrix, (output, pixels[output, tap]), weights[tap])
    return np.asarray(linalg.svdvals(matrix))


def _of_transfer(basis: Basis, transfer: NDArray[Any]) -> Values:
    """Norms over classes of aliased frequencies, which are orthogonal rows of the matrix."""
    aliases = transfer[basis.rows[:, None, :, None], basis.columns[None, :, None, :]]
    return np.asarray(np.linalg.norm(aliases, axis=(2, 3))).ravel()


def _of_matrix(A: NormalOperator) -> Values:
    if min(A.shape) ** 2 * max(A.shape) > LARGEST:
        raise _TooLargeError(A.shape)
    return np.asarray(
        linalg.svdvals(A.to_sparse().toarray().astype(np.result_type(A.dtype, float)))
    )
