"""Singular values of the operator, all of them, where its structure or its size allows it."""

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from dhop.closed.bases import Basis, common_basis
from dhop.matrix import facts
from dhop.model.axis import Axis
from dhop.model.separation import one_product
from dhop.operators.blur_decimate import DHOperator

Values = NDArray[np.float64]

LARGEST = 3e9  # rows times rows times columns of a dense decomposition; a few seconds


def singular_values(A: DHOperator) -> Values:
    """All singular values of `A`, the largest first.

    - If the folded PSF is the product of one factor for each axis, the matrix is a Kronecker
      product and its singular values are the products of those of the axes.
    - If the image wraps around, or continues symmetrically and so does the PSF, and the factor
      divides it, they are read from the transfer function: its norm over each set of frequencies
      that alias to one.
    - Else the matrix is decomposed, as long as it is small.

    They are exact to the rounding of the largest of them in the operator's dtype.

    Parameters
    ----------
    A : DHOperator

    Returns
    -------
    ndarray of float64, shape (min(M, N),)

    Raises
    ------
    ValueError
        If the matrix has no such structure and is too large to be decomposed.

    Examples
    --------
    >>> from dhop import DHOperator, psf, singular_values
    >>> values = singular_values(DHOperator((60, 80), psf.gaussian(5, 0.8), 2))
    >>> values.shape, float(values[0].round(4)), float(values[-1].round(4))
    ((1200,), 1.9961, 0.3386)
    """
    if A.terms() is None:  # no convolution
        copies = A.shape[1] // A.of_one_image().shape[1]
        return np.repeat(np.sort(_of_matrix(A))[::-1], copies)
    model = A.model
    factors = one_product(model.box)
    if factors is not None:
        values = reduce(np.multiply.outer, map(_of_axis, model.axes, factors)).ravel()
    elif (basis := common_basis([model])) is not None:
        values = _of_transfer(basis, basis.transfer(model))
    else:
        values = _of_matrix(A)
    return np.repeat(np.sort(values)[::-1], facts.batch(model))


def _of_axis(axis: Axis, weights: NDArray[Any]) -> Values:
    if axis.outputs**2 * axis.size > LARGEST:
        raise _too_large((axis.outputs, axis.size))
    matrix = np.zeros((axis.outputs, axis.size), weights.dtype)
    pixels = axis.windows
    output, tap = np.nonzero(pixels >= 0)
    np.add.at(matrix, (output, pixels[output, tap]), weights[tap])
    return np.asarray(linalg.svdvals(matrix))


def _of_transfer(basis: Basis, transfer: NDArray[Any]) -> Values:
    """A class of frequencies that alias to one is a row of the matrix, and orthogonal to others."""
    aliases = transfer[basis.rows[:, None, :, None], basis.columns[None, :, None, :]]
    return np.asarray(np.linalg.norm(aliases, axis=(2, 3))).ravel()


def _of_matrix(A: DHOperator) -> Values:
    single = A.of_one_image()
    outputs, size = single.shape
    if outputs**2 * size > LARGEST:
        raise _too_large((outputs, size))
    return np.asarray(
        linalg.svdvals(single.to_sparse().toarray().astype(np.result_type(A.dtype, float)))
    )


def _too_large(shape: tuple[int, int]) -> ValueError:
    return ValueError(
        f"a matrix of {shape[0]} x {shape[1]} is too large to find all its singular values; take a "
        'smaller image, which changes their decay little, or boundary="wrap" with an image that '
        "the factor divides"
    )
