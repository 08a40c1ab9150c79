"""Operators as functions of JAX, compiled and differentiated (``pip install "dhop[jax]"``)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dhop.operators.base import ArrayOperator
from dhop.runtime.extras import needed

__all__ = ["call"]


def call(A: ArrayOperator) -> Callable[[Any], Any]:
    """An operator as a function for `jax.jit`, `jax.grad` and `jax.vmap`.

    Its derivative is the product with ``A.T``, which is such a function again: gradients of
    gradients work. A function with a rule for the backward pass has no forward mode in JAX: take
    ``jax.jacrev(jax.grad(f))``, not ``jax.hessian(f)``.

    Parameters
    ----------
    A : DHOperator, or any other operator or expression of dhop

    Returns
    -------
    callable
        It takes arrays of shape ``(..., *A.dims)`` and gives ``(..., *A.dimsd)``: leading axes are
        batches and channels. The result has the dtype of the array, or with a complex operator the
        complex one of that precision. The product itself is computed on the CPU, in the precision
        of the operator or of the array, whichever is higher; JAX's arrays are float32 unless it is
        told otherwise, so take an operator of float32.

    Raises
    ------
    ModuleNotFoundError
        Without JAX.
    TypeError
        If `A` is no operator of dhop; by the function, if an array holds no floating-point numbers.
    ValueError
        By the function, if the shape of an array does not end in ``A.dims``.

    Examples
    --------
    >>> import jax, numpy as np  # doctest: +SKIP
    >>> from dhop import DHOperator
    >>> from dhop.jax import call
    >>> degrade = jax.jit(call(DHOperator((8, 8), np.ones((3, 3)), 2)))  # doctest: +SKIP
    >>> degrade(np.ones((16, 3, 8, 8), np.float32)).shape  # doctest: +SKIP
    (16, 3, 4, 4)
    """
    jax = needed("jax", "jax", "dhop.jax")
    if not isinstance(A, ArrayOperator):
        raise TypeError(f"a function is made of an operator of dhop, got {type(A).__name__}")
    product = _product(A)

    def function(x: Any) -> Any:
        x = jax.numpy.asarray(x)
        if not jax.numpy.issubdtype(x.dtype, jax.numpy.inexact):
            raise TypeError(f"the function takes floating-point arrays, got {x.dtype}")
        if x.shape[-len(A.dims) :] != A.dims:
            raise ValueError(f"the function takes arrays (..., {A.dims}), got {x.shape}")
        dtype = jax.numpy.promote_types(x.dtype, np.float32)  # half precision is computed as single
        if A.dtype.kind == "c":
            dtype = jax.numpy.promote_types(dtype, np.complex64)
        y = product(x.astype(dtype))
        return y if y.dtype.kind == "c" else y.astype(x.dtype)

    return function


def _product(A: ArrayOperator) -> Callable[[Any], Any]:
    """The product with its derivative, of arrays of the dtype that the result has."""
    import jax

    def shape(x: Any) -> tuple[int, ...]:
        return x.shape[: x.ndim - len(A.dims)] + A.dimsd

    def computed(x: Any) -> Any:
        array = np.asarray(x)
        return A.multiply(array, shape(array), False).astype(array.dtype, copy=False)

    def called(x: Any) -> Any:
        result = jax.ShapeDtypeStruct(shape(x), x.dtype)
        return jax.pure_callback(computed, result, x, vmap_method="expand_dims")

    product: Any = jax.custom_vjp(called)
    # JAX's cotangents are not conjugated, hence the transpose and not the adjoint.
    product.defvjp(lambda x: (product(x), None), lambda _, y: (_product(A.T)(y),))
    return product
