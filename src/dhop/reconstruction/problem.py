r"""What the solvers solve: :math:`\min_x \|B x - y\|^2 + \beta \|S x\|^2`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from dhop.closed import Equations
from dhop.frames.observations import NOTHING_SEEN
from dhop.iteration.steps import Product, norm
from dhop.operators.blur_decimate import DHOperator, Method
from dhop.operators.channels import ChannelOperator
from dhop.operators.inverse import closed_form, even_form, inverse_of, nearest_form
from dhop.operators.stack import FrameStack
from dhop.psf.stencils import Stencils, stencils
from dhop.reconstruction.regularisers import Regulariser, regulariser_operator

Array = NDArray[Any]

SMALL = 1e-140  # norm of weighted frames, whose squares are still far from underflow


@dataclass(frozen=True, eq=False)
class Problem:
    """A regularised least-squares problem.

    Attributes
    ----------
    operator : FrameStack
    frames : ndarray, shape (F, ...)
        Without their weights, which the operator has.
    regulariser : str, array_like or LinearOperator
    beta : float
    boundary : str or (str, str)
        That the regulariser continues images by.
    ndim : int
        Axes of an image, 2 or 3.
    method : str
        By which the regulariser multiplies.
    """

    operator: FrameStack
    frames: Array
    regulariser: Regulariser
    beta: float
    boundary: Any
    ndim: int = 2
    method: Method = "auto"

    @cached_property
    def S(self) -> LinearOperator:
        """The regulariser as an operator."""
        B = self.operator
        options = {"boundary": self.boundary, "dtype": B.dtype, "ndim": self.ndim}
        return regulariser_operator(self.regulariser, B.dims, method=self.method, **options)

    def normal(self, x: Array) -> Array:
        """The product with the matrix of the normal equations."""
        product = self.operator.rmatvec(self.operator.matvec(x))
        if self.beta:
            product += self.beta * self.S.rmatvec(self.S.matvec(x))
        return np.asarray(product)

    def normal_residual(self, x: Array | None = None) -> tuple[Array, float]:
        """The residual of the normal equations, and the norm of the weighted residuals of the data.

        Both are in double precision, by default those of the zero image. Images of channels are
        taken one by one, to save memory.
        """
        r = np.zeros(self.operator.shape[1])
        norms = []
        for number, (one, own) in enumerate(
            zip(self.images, r.reshape(len(self.images), -1), strict=True)
        ):
            image = None
            if x is not None:
                image = x.reshape(len(self.images), -1)[number].astype(np.float64, copy=False)
            for A, residual, root in one.residuals(image):
                norms.append(norm(residual))
                residual *= root
                own += A.rmatvec(residual)
            if image is not None and self.beta:
                own -= self.beta * one.S.rmatvec(one.S.matvec(image))
        return r, hypot(*norms)

    @cached_property
    def images(self) -> list["Problem"]:
        """The problems of the images that are solved together but independent, as of channels."""
        B = self.operator
        count = int(np.prod(B.dims[: -self.ndim]))
        if count == 1 or isinstance(self.regulariser, LinearOperator):
            return [self]
        made = {id(A): _of_each_image(A, count) for A in B.operators}
        frames = self.frames.reshape(len(B.operators), count, -1)
        weights = [w if w.ndim == 0 else w.reshape(count, -1) for w in B.weights or ()]

        def one(k: int) -> FrameStack:
            operators = [made[id(A)][k] for A in B.operators]
            return FrameStack(operators, [w if w.ndim == 0 else w[k] for w in weights] or None)

        return [replace(self, operator=one(k), frames=frames[:, k]) for k in range(count)]

    def residuals(self, x: Array | None) -> Iterator[tuple[LinearOperator, Array, Any]]:
        """The operator, the weighted residuals and the roots of the weights of each frame."""
        B = self.operator
        for number, (A, frame) in enumerate(zip(B.operators, self.frames, strict=True)):
            root = B.root(number, np.dtype(np.float64))
            residual = frame.reshape(-1).astype(np.float64)
            residual[np.broadcast_to(root == 0, residual.shape)] = 0
            if x is not None:
                residual -= A.matvec(x)
            residual *= root
            yield A, residual, root

    def equations(self, exact: bool) -> Equations | None:
        """The closed form of the normal equations, or if not `exact` the nearest one."""
        if self.beta == 0 or isinstance(self.regulariser, LinearOperator):
            return None
        if exact:
            return closed_form(self.operator.terms(), self.regulariser)
        return nearest_form(self.operator.similar(), self.regulariser)

    def inverse(self, equations: Equations) -> Product:
        """The product with the inverse of equations, in the precision of the operator."""
        return inverse_of(self.operator, equations, self.beta).rounded

    def nearest_inverse(self) -> Product | None:
        """The product with the inverse of the nearest closed form, if there is any."""
        near = self.equations(exact=False)
        return None if near is None else self.inverse(near)

    def in_double_precision(self) -> "Problem":
        """The same for a few products in double precision, by the kernels of the frames."""
        wide = np.dtype(np.float64)
        shared = isinstance(self.regulariser, str) and all(
            isinstance(A, DHOperator) and A.products.method(wide) == "separable"
            for A in self.operator.operators
        )
        return replace(self, method="separable") if shared else self

    def even_equations(self) -> Equations | None:
        """The nearest closed form for frames whose pixels all have one weight."""
        if self.beta == 0 or isinstance(self.regulariser, LinearOperator):
            return None
        return even_form(self.operator.terms(), self.regulariser)

    def scales(self) -> list[float]:
        """About the largest eigenvalue of each term of the normal equations."""
        return [
            *self.operator.strengths(),
            self.beta * regulariser_strength(self.regulariser, self.operator, self.ndim),
        ]

    def divided(self, root: float) -> "Problem":
        """The problem of the same solution, its terms divided by the square of a number."""
        if root == 1:
            return self
        return replace(self, operator=self.operator.scaled(1 / root), beta=self.beta / root**2)

    def with_mean_weights(self) -> "Problem":
        """The problem whose frames have the mean of their weights where they have any.

        For equal weights there may be a closed form.
        """
        B = self.operator
        even = []
        for weight in B.weights or ():
            mean = np.mean(weight, where=weight > 0) if weight.any() else np.zeros(())
            even.append(mean if weight.all() else np.where(weight > 0, mean, 0.0))
        return replace(self, operator=FrameStack(B.operators, even))


def _of_each_image(A: Any, count: int) -> Sequence[Any]:
    return A.operators if isinstance(A, ChannelOperator) else [A.of_one_image()] * count


def check(weights: Sequence[Array] | None, regulariser: Regulariser, ndim: int = 2) -> None:
    """Refuse weights and regularisers that make no problem, before anything is estimated.

    Raises
    ------
    ValueError, TypeError
        If all weights are zero, or the regulariser is complex or zero everywhere.
    """
    if weights is not None and not any(weight.any() for weight in weights):
        raise ValueError(NOTHING_SEEN)
    if not isinstance(regulariser, LinearOperator):
        real_stencils(regulariser, ndim)


def check_squares(operator: FrameStack, frames: Array) -> None:
    """Refuse frames whose squares a rule for `beta` cannot hold.

    Raises
    ------
    ValueError
        If they overflow or underflow.
    """
    with np.errstate(over="ignore"):
        size = norm(operator.data(frames.astype(np.float64, copy=False)))
    if size and not SMALL < size < 1 / SMALL:
        flow = "overflow" if size > 1 else "underflow"
        raise ValueError(
            f"the squares of frames times weights {flow}; scale them or give beta a number"
        )


def regulariser_strength(regulariser: Regulariser, operator: FrameStack, ndim: int = 2) -> float:
    """About the largest eigenvalue of ``S^H S``, for images of an operator.

    Raises
    ------
    ValueError, TypeError
        If the regulariser is not real, zero everywhere, not finite, or has no adjoint.
    """
    if isinstance(regulariser, LinearOperator):
        return _probed(regulariser_operator(regulariser, operator.dims), operator.dtype)
    given = real_stencils(regulariser, ndim)
    return sum(float(np.abs(stencil.astype(np.float64)).sum()) ** 2 for stencil in given)


def real_stencils(regulariser: Stencils, ndim: int = 2) -> list[NDArray[np.number]]:
    """The PSFs of a regulariser, see `dhop.psf.stencils.stencils`.

    Raises
    ------
    ValueError, TypeError
        If they are complex or all zero.
    """
    given = stencils(regulariser, ndim)
    if any(stencil.dtype.kind == "c" for stencil in given):
        raise TypeError("regulariser must be real, got complex numbers")
    if not any(stencil.any() for stencil in given):
        raise ValueError("regulariser must not be zero everywhere; beta=0 leaves it out")
    return given


def _probed(S: LinearOperator, dtype: np.dtype[Any]) -> float:
    """The strength of any operator, from one product of each kind with a random image."""
    if np.dtype(S.dtype).kind not in "biuf":
        raise TypeError(f"regulariser must be real, got an operator of dtype {S.dtype}")
    x = np.random.default_rng(0).standard_normal(S.shape[1]).astype(dtype)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            product = np.asarray(S.rmatvec(S.matvec(x)))
    except NotImplementedError:
        raise TypeError("regulariser must have an adjoint product, rmatvec") from None
    except ValueError as error:
        raise ValueError(f"regulariser cannot be multiplied with an image: {error}") from error
    if product.dtype.kind == "c" or not np.isfinite(product).all():
        raise ValueError("regulariser must give real and finite numbers")
    return norm(product) / norm(x)
