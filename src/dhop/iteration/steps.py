"""Iterations that solve normal equations, written against the array interface alone.

`normal` is the product with a Hermitian matrix `N` that is positive semidefinite, `b` the
right-hand side. Each function is an endless generator of iterates and norms of the residual; its
caller decides when to stop. An iterate is overwritten by the next; `save` is called with an
iterate, and its norm, when the next is worse.

Arrays have any shape, and may be lazy: `keep` is called with those that several steps need, at once
with the sums over them, so that one pass over the chunks computes all, and returns them computed.
"""

from collections.abc import Callable, Iterator
from math import hypot, inf, isfinite, sqrt
from typing import Any, Literal

import numpy as np
from scipy.sparse.linalg import LinearOperator

Array = Any
Product = Callable[[Array], Array]
Keep = Callable[..., tuple[Array, ...]]
Save = Callable[[Array, float], object]

RTOL = 1e-6  # of the norm of the gradient: where iterations end if nothing else is said


def as_they_are(*arrays: Array) -> tuple[Array, ...]:
    """The arrays, which are computed already."""
    return arrays


def save_nothing(x: Array, residual: float) -> None:
    """Keep nothing of an iterate that is left for a worse one."""


def conjugate_gradients(
    normal: Product,
    b: Array,
    x: Array | None = None,
    precondition: Product | None = None,
    keep: Keep = as_they_are,
    save: Save = save_nothing,
) -> Iterator[tuple[Array, float]]:
    """Conjugate gradients, with an approximate inverse of `N` if `precondition` is given.

    Parameters
    ----------
    normal : callable
    b : array
        The right-hand side; overwritten if there is no `x`.
    x : array, optional
        The first guess, which is overwritten. Zeros by default.
    precondition, keep, save : callable, optional

    Yields
    ------
    x : array
    residual : float
        Norm of ``b - N x``, first of the guess itself.

    References
    ----------
    M. R. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving linear systems",
    J. Res. Natl. Bur. Stand. 49 (1952) 409-436, https://doi.org/10.6028/jres.049.044.
    """
    r = b if x is None else b - normal(x)
    r, square = keep(r, inner(r, r))
    p = 0 * r
    x = 0 * r if x is None else x
    before = 1.0
    while True:
        yield x, sqrt(square)
        z, now = r, square
        if precondition is not None:
            z = precondition(r)
            z, now = keep(z, inner(r, z))
        p = z + (now / before) * p
        q = normal(p)
        x, p, q, curvature = keep(x, p, q, inner(p, q))
        if curvature > 0:
            step = now / float(curvature)
        else:  # nothing is left to gain, up to rounding
            p, step, now = 0 * p, 0.0, 0.0
        r -= step * q
        last = square
        r, square = keep(r, inner(r, r))
        if not square <= last:
            save(x, sqrt(last))
        x += step * p
        before = now or 1.0


def projected_gradients(
    normal: Product,
    b: Array,
    x: Array | None,
    lipschitz: float,
    keep: Keep = as_they_are,
    save: Save = save_nothing,
    low: Array | float = 0.0,
) -> Iterator[tuple[Array, float]]:
    """Accelerated projected gradients for ``x >= low``, restarted when they climb.

    Parameters
    ----------
    normal : callable
    b : array
        Real.
    x : array or None
        The first guess, not less than `low`; None for zeros.
    lipschitz : float
        Not less than the largest eigenvalue of `N`.
    keep, save : callable, optional
    low : array or float

    Yields
    ------
    x : array
    residual : float
        Norm of the gradient mapping: of the gradient, without the parts that the constraint holds.

    References
    ----------
    A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse
    problems", SIAM J. Imaging Sci. 2 (2009) 183-202, https://doi.org/10.1137/080716542.
    B. O'Donoghue and E. Candes, "Adaptive restart for accelerated gradient schemes", Found. Comput.
    Math. 15 (2015) 715-732, https://doi.org/10.1007/s10208-013-9150-3.
    """
    fall = b if x is None else b - normal(x)
    x = 0 * b if x is None else x
    ahead = x
    t = 1.0
    last = inf
    while True:
        new = np.maximum(ahead + fall / lipschitz, low)
        back = ahead - new
        new, square, climb = keep(new, inner(back, back), inner(back, new - x))
        if not square <= last:
            save(x, lipschitz * sqrt(last))
        last = square
        yield new, lipschitz * sqrt(square)
        if climb > 0:
            ahead, t = new, 1.0
        else:
            t_new = (1 + sqrt(1 + 4 * t * t)) / 2
            ahead, t = new + (t - 1) / t_new * (new - x), t_new
        x = new
        fall = b - normal(ahead)


def inner(one: Array, other: Array) -> Any:
    """The real part of the inner product of arrays of one shape, a scalar that may be lazy."""
    return np.tensordot(one.conj(), other, one.ndim).real


def norm(x: Array) -> float:
    """Euclidean norm, whose squares neither underflow nor overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(inner(x, x))
    low, high = (getattr(np.finfo(x.dtype), name) ** 0.5 for name in ("tiny", "max"))
    if low < square < high:
        return sqrt(square)
    largest = float(abs(x).max())
    if not (largest > 0 and isfinite(largest)):
        return largest
    wide = x / np.float64(largest)
    return largest * sqrt(inner(wide, wide))


class Bidiagonalisation:
    r"""An operator that watches scipy's `lsqr` or `lsmr` at work, since they tell nothing of it.

    The unit vectors :math:`v_k` and :math:`u_k` that the solver multiplies with give the bidiagonal
    matrix of Golub and Kahan; the recurrences of both papers, that of the norm of
    :math:`B^H (y - B x)` after each iteration. `lsqr` and `lsmr` make one adjoint product at the
    start and one of each kind in each iteration.

    Parameters
    ----------
    operator : LinearOperator
        `B`.
    start : float
        Norm of `y`; the first guess is zero.
    solver : {"lsqr", "lsmr"}
    report : callable
        Called with the norm after each iteration.

    References
    ----------
    C. C. Paige and M. A. Saunders, "LSQR: An algorithm for sparse linear equations and sparse least
    squares", ACM Trans. Math. Softw. 8 (1982) 43-71, https://doi.org/10.1145/355984.355989.
    D. C.-L. Fong and M. Saunders, "LSMR: An iterative algorithm for sparse least-squares problems",
    SIAM J. Sci. Comput. 33 (2011) 2950-2971, https://doi.org/10.1137/10079687X.
    """

    def __init__(
        self,
        operator: LinearOperator,
        start: float,
        solver: Literal["lsqr", "lsmr"],
        report: Callable[[float], object],
    ) -> None:
        self._operator = operator
        self._report = report
        self._solver = solver
        self._product: Array = None
        self._norm = start  # of the residual that lsqr minimises
        self._diagonal = 0.0  # rho-bar of lsqr, alpha-bar of lsmr: they are the same
        self._gradient = 0.0  # zeta-bar of lsmr
        self._cosine, self._sine = 1.0, 0.0  # of lsmr's second rotation

    def operator(self) -> LinearOperator:
        """The operator to be given to the solver."""
        B = self._operator
        return LinearOperator(B.shape, matvec=self._forward, rmatvec=self._adjoint, dtype=B.dtype)

    def _forward(self, v: Array) -> Array:
        self._product = self._operator.matvec(v)
        return self._product

    def _adjoint(self, u: Array) -> Array:
        product = self._operator.rmatvec(u)
        size = sqrt(inner(product, product))
        if self._product is None:
            self._diagonal = size
            self._gradient = size * self._norm
        else:
            # beta u_{k+1} = B v_k - alpha_k u_k and alpha v_{k+1} = B^H u_{k+1} - beta v_k
            beta = float(inner(u, self._product))
            alpha = sqrt(max(size**2 - beta**2, 0.0))
            self._report(self._rotate(alpha, beta))
        return product

    def _rotate(self, alpha: float, beta: float) -> float:
        rho = hypot(self._diagonal, beta) or 1.0
        c, s = self._diagonal / rho, beta / rho
        self._diagonal = c * alpha
        self._norm *= s
        if self._solver == "lsqr":
            return self._norm * alpha * c
        rho_bar = hypot(self._cosine * rho, s * alpha) or 1.0
        self._cosine, self._sine = self._cosine * rho / rho_bar, s * alpha / rho_bar
        self._gradient *= self._sine
        return self._gradient
