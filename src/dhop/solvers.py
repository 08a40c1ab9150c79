"""Super-resolution as regularised least squares."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator, lsqr

from dhop import arguments
from dhop.boundary import Boundary
from dhop.frames import FrameStack
from dhop.geometry import Decimation
from dhop.linear import dense
from dhop.operator import DHOperator

Regulariser: TypeAlias = Literal["laplacian", "identity"]

STENCILS: dict[Regulariser, NDArray[np.float64]] = {
    "laplacian": np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]),
    "identity": np.ones((1, 1)),
}
# scipy.sparse.linalg.lsqr stops with these when the tolerance or the machine precision is reached.
CONVERGED = (0, 1, 2, 4, 5)


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found.

    Attributes
    ----------
    image : ndarray, shape `dims`
        The super-resolved image.
    converged : bool
        Whether the tolerance was reached before the iteration limit.
    iterations : int
    residual_norm : float
        Euclidean norm of all ``A x - y_i`` together, the regulariser not included.
    solver : str
    operator : DHOperator
        The model `A` of a single frame.
    """

    image: NDArray[Any]
    converged: bool
    iterations: int
    residual_norm: float
    solver: str
    operator: DHOperator


def super_resolve(
    frames: ArrayLike,
    psf: ArrayLike,
    factor: int | Sequence[int],
    *,
    regulariser: Regulariser = "laplacian",
    beta: float = 0.01,
    boundary: Boundary | Sequence[Boundary] = "symmetric",
    decimation: Decimation = "mean",
    dims: Sequence[int] | None = None,
    x0: ArrayLike | None = None,
    maxiter: int = 500,
    rtol: float = 1e-6,
    progress: Callable[[int], object] | None = None,
) -> Solution:
    r"""Estimate the high-resolution image behind one or several low-resolution frames.

    Solves

    .. math:: \min_x \sum_i \|A x - y_i\|^2 + \beta \|S x\|^2

    with `A` the blur and decimation of `DHOperator` and `S` the regulariser, by LSQR on the frames
    and :math:`\sqrt\beta S` under each other.

    Parameters
    ----------
    frames : array_like, shape (m0, m1) or (F, m0, m1)
        One frame or a stack of them, all of the same view.
    psf : array_like, two-dimensional
        Point spread function in high-resolution pixels.
    factor : int or (int, int)
        High-resolution pixels per low-resolution pixel.
    regulariser : {"laplacian", "identity"}
        `S`: the five-point Laplacian, which prefers smooth images, or the identity, which prefers
        small values.
    beta : float
        Weight of the regulariser. It does not depend on the brightness scale; a good value is
        about the variance of the noise over the variance of ``S x``.
    boundary, decimation
        As for `DHOperator`.
    dims : (int, int), optional
        Shape of the result, by default `factor` times the shape of a frame.
    x0 : array_like, shape `dims`, optional
        First guess, by default zeros.
    maxiter : int
        Most iterations.
    rtol : float
        LSQR's `atol` and `btol`, relative to the norms of the operator and of the data.
    progress : callable, optional
        Called with the number of iterations done, after each.

    Returns
    -------
    Solution
        The image is float32 for float32 frames, else float64.

    Raises
    ------
    ValueError
        If the frames are not finite or do not have the shape that `dims` gives, or a number is out
        of range.
    TypeError
        If the frames are not real numbers.

    References
    ----------
    C. C. Paige and M. A. Saunders, "LSQR: An algorithm for sparse linear equations and sparse least
    squares", ACM Trans. Math. Softw. 8 (1982) 43-71, https://doi.org/10.1145/355984.355989.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import psf, super_resolve
    >>> frame = np.outer(np.hanning(16), np.hanning(16))
    >>> solution = super_resolve(frame, psf.gaussian(5, 1.0), 2, beta=1e-4)
    >>> solution.image.shape, solution.converged
    ((32, 32), True)
    """
    stack = dense(frames)
    if stack.ndim not in (2, 3) or stack.size == 0:
        raise ValueError(f"frames must have the shape (m0, m1) or (F, m0, m1), got {stack.shape}")
    if stack.dtype.kind == "c":
        raise TypeError("frames must be real")
    if not np.isfinite(stack).all():
        raise ValueError("frames must be finite, they contain NaN or Inf")
    if not (beta >= 0 and np.isfinite(beta)):
        raise ValueError(f"beta must not be negative, and be finite, got {beta!r}")
    if arguments.integer("maxiter", maxiter) < 1:
        raise ValueError(f"maxiter must be positive, got {maxiter}")
    stencil = STENCILS[arguments.choice("regulariser", regulariser, get_args(Regulariser))]
    dtype = np.dtype(np.float32 if stack.dtype == np.float32 else np.float64)
    stack = stack.reshape(-1, *stack.shape[-2:]).astype(dtype, copy=False)
    shape = stack.shape[1:]
    if dims is None:
        dims = [n * f for n, f in zip(shape, arguments.pair("factor", factor), strict=True)]

    A = DHOperator(dims, psf, factor, decimation=decimation, boundary=boundary, dtype=dtype)
    if A.dimsd != shape:
        raise ValueError(f"an image of shape {A.dims} gives frames of {A.dimsd}, not {shape}")
    S = DHOperator(A.dims, stencil, 1, boundary=boundary, dtype=dtype)
    stacked = FrameStack([*[A] * len(stack), np.sqrt(beta) * S])
    data = np.append(stack.reshape(-1), np.zeros(S.shape[0], dtype))
    image, stop, iterations = lsqr(
        _watched(stacked, progress) if progress else stacked,
        data,
        atol=rtol,
        btol=rtol,
        iter_lim=maxiter,
        x0=None if x0 is None else _start(x0, A),
    )[:3]
    residual = A.matvec(image) - stack.reshape(len(stack), -1)
    return Solution(
        image=image.reshape(A.dims).astype(dtype, copy=False),
        converged=stop in CONVERGED,
        iterations=iterations,
        residual_norm=float(np.linalg.norm(residual)),
        solver="lsqr",
        operator=A,
    )


def _start(x0: ArrayLike, A: DHOperator) -> NDArray[Any]:
    image = dense(x0)
    if image.shape != A.dims or image.dtype.kind == "c" or not np.isfinite(image).all():
        raise ValueError(f"x0 must be real, finite and of shape {A.dims}")
    return image.reshape(-1)


def _watched(operator: LinearOperator, progress: Callable[[int], object]) -> LinearOperator:
    """`operator`, reporting its adjoint products: LSQR makes one at the start and one each time."""
    count = itertools.count()

    def rmatvec(y: NDArray[Any]) -> NDArray[Any]:
        product = operator.rmatvec(y)
        if done := next(count):
            progress(done)
        return product

    return LinearOperator(operator.shape, operator.matvec, rmatvec, dtype=operator.dtype)
