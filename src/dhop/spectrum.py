"""Singular values of the operator, all of them, where its structure or its size allows it."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg

from dhop import facts
from dhop.geometry import Axis, Model
from dhop.operator import DHOperator

Values = NDArray[np.float64]

LARGEST = 3e9  # rows times rows times columns of a dense decomposition; a few seconds


def singular_values(A: DHOperator) -> Values:
    """All singular values of `A`, the largest first.

    - If the folded PSF is the product of a column and a row, the matrix is a Kronecker product and
      its singular values are the products of those of the two axes.
    - If the image wraps around and the factor divides it, they are read from the transfer function:
      the root of the mean square over each set of frequencies that alias to one, times the root of
      their number.
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
    >>> from dhop import DHOperator, psf
    >>> from dhop.spectrum import singular_values
    >>> values = singular_values(DHOperator((60, 80), psf.gaussian(5, 0.8), 2))
    >>> values.shape, float(values[0].round(4)), float(values[-1].round(4))
    ((1200,), 1.9961, 0.3386)
    """
    model = A._model
    rows, columns = model.rows, model.columns
    if len(model.factors[0]) == 1:
        column, row = (factor[0] for factor in model.factors)
        values = np.multiply.outer(_of_axis(rows, column), _of_axis(columns, row)).ravel()
    elif _circulant(rows) and _circulant(columns):
        values = _of_circulant(model)
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


def _circulant(axis: Axis) -> bool:
    return axis.boundary == "wrap" and axis.outputs * axis.factor == axis.size


def _of_circulant(model: Model) -> Values:
    axes = model.rows, model.columns
    kernel = np.zeros([axis.size for axis in axes], model.weights.dtype)
    places = [np.arange(axis.taps) % axis.size for axis in axes]
    np.add.at(kernel, np.ix_(*places), model.weights)
    power = np.abs(fft.fft2(kernel)) ** 2
    bands = power.reshape(axes[0].factor, axes[0].outputs, axes[1].factor, axes[1].outputs)
    return np.asarray(np.sqrt(bands.sum(axis=(0, 2)) / prod(axis.factor for axis in axes))).ravel()


def _of_matrix(A: DHOperator) -> Values:
    model = A._model
    size = model.rows.size * model.columns.size
    outputs = model.rows.outputs * model.columns.outputs
    if outputs**2 * size > LARGEST:
        raise _too_large((outputs, size))
    settings = A._settings() | {"axes": (0, 1)}
    dims = tuple(A.dims[axis] for axis in A.axes)
    single = DHOperator(dims, A.psf, A.factor, **settings)
    return np.asarray(
        linalg.svdvals(single.to_sparse().toarray().astype(np.result_type(A.dtype, float)))
    )


def _too_large(shape: tuple[int, int]) -> ValueError:
    return ValueError(
        f"a matrix of {shape[0]} x {shape[1]} is too large to find all its singular values; take a "
        'smaller image, which changes their decay little, or boundary="wrap" with an image that '
        "the factor divides"
    )
