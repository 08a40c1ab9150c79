"""The convergence of scipy's `lsqr` and `lsmr`, which report nothing themselves."""

from collections.abc import Callable
from math import hypot, sqrt
from typing import Any, Literal

from scipy.sparse.linalg import LinearOperator

from dhop.iteration.steps import inner

Array = Any


class Bidiagonalisation:
    r"""An operator that reports the convergence of the solver that multiplies with it.

    The unit vectors :math:`v_k` and :math:`u_k` of the products give the bidiagonal matrix of Golub
    and Kahan, and from that the recurrences of both papers give the norm of :math:`B^H (y - B x)`
    after each iteration. `lsqr` and `lsmr` make one adjoint product at the start and one of each
    kind in each iteration.

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
