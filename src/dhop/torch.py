"""Operators as layers of torch, differentiable (``pip install "dhop[torch]"``)."""

from functools import cache
from typing import Any

import numpy as np

from dhop.operators.base import ArrayOperator
from dhop.runtime.extras import needed

__all__ = ["layer"]


def layer(A: ArrayOperator) -> Any:
    """An operator as a layer without parameters.

    Its gradient is the product with ``A.H``, which is a layer again. `torch.func` and forward
    differentiation know it too.

    Parameters
    ----------
    A : DHOperator, or any other operator or expression of dhop

    Returns
    -------
    torch.nn.Module
        It takes tensors of shape ``(..., *A.dims)`` and gives ``(..., *A.dimsd)``: leading axes are
        batches and channels. The result is on the tensor's device and has its dtype, or with a
        complex operator the complex one of that precision. The product itself is computed on the
        CPU, in the precision of the operator or of the tensor, whichever is higher; for float32
        tensors take an operator of float32.

    Raises
    ------
    ModuleNotFoundError
        Without torch.
    TypeError
        If `A` is no operator of dhop; by the layer, if a tensor holds no floating-point numbers.
    ValueError
        By the layer, if the shape of a tensor does not end in ``A.dims``.

    Examples
    --------
    >>> import numpy as np, torch  # doctest: +SKIP
    >>> from dhop import DHOperator
    >>> from dhop.torch import layer
    >>> degrade = layer(DHOperator((8, 8), np.ones((3, 3)), 2))  # doctest: +SKIP
    >>> degrade(torch.ones(16, 3, 8, 8)).shape  # doctest: +SKIP
    torch.Size([16, 3, 4, 4])
    """
    needed("torch", "torch", "dhop.torch")
    if not isinstance(A, ArrayOperator):
        raise TypeError(f"a layer is made of an operator of dhop, got {type(A).__name__}")
    return _module()(A)


@cache
def _module() -> Any:
    """The class of layers, which needs torch to be defined."""
    import torch

    computed_as = {torch.float16: torch.float32, torch.bfloat16: torch.float32}
    complex_of = {torch.float32: torch.complex64, torch.float64: torch.complex128}

    class Layer(torch.nn.Module):
        def __init__(self, A: ArrayOperator) -> None:
            super().__init__()
            self.A = A

        def __reduce__(self) -> Any:
            return layer, (self.A,)

        def extra_repr(self) -> str:
            return repr(self.A)

        def forward(self, x: Any) -> Any:
            if not (x.is_floating_point() or x.is_complex()):
                raise TypeError(f"the layer takes floating-point tensors, got {x.dtype}")
            dims = self.A.dims
            if tuple(x.shape[-len(dims) :]) != dims:
                raise ValueError(f"the layer takes tensors (..., {dims}), got {tuple(x.shape)}")
            dtype = computed_as.get(x.dtype, x.dtype)
            if self.A.dtype.kind == "c":
                dtype = complex_of.get(dtype, dtype)
            y = _product().apply(x.to(dtype), self.A)
            return y if y.is_complex() else y.to(x.dtype)

    return Layer


@cache
def _product() -> Any:
    """The product with its derivatives: it is linear, so they are products too."""
    import torch

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(x: Any, A: ArrayOperator) -> Any:
            array = x.numpy(force=True)
            shape = array.shape[: array.ndim - len(A.dims)] + A.dimsd
            y = A.multiply(array, shape, False).astype(array.dtype, copy=False)
            return torch.from_numpy(np.ascontiguousarray(y)).to(x.device)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.A = inputs[1]

        @staticmethod
        def backward(ctx: Any, y: Any) -> Any:
            return Product.apply(y, ctx.A.H), None

        @staticmethod
        def jvp(ctx: Any, x: Any, _: Any) -> Any:
            return Product.apply(x, ctx.A)

        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any, A: ArrayOperator) -> Any:
            return Product.apply(x.movedim(in_dims[0], 0), A), 0

    return Product
