"""The normal equations of an operator."""

from math import inf, prod
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.cautions import ConvergenceWarning, warn
from dhop.iteration.iterative_refinement import (
    IterativeRefinement,
    TrueResidual,
    attainable_residual,
)
from dhop.iteration.steps import RTOL, norm
from dhop.operators.base import ArrayOperator, algebra, dense
from dhop.operators.explicit import ExplicitOperator
from dhop.operators.inverse import closed_form, inverse_of, nearest_form
from dhop.psf.stencils import Stencils

Array = NDArray[Any]


class NormalOperator(ExplicitOperator):
    """An operator `A` with its normal equations, preconditioners and proximal operator."""

    def strengths(self) -> list[float]:
        """Estimates of the largest eigenvalue of each term of ``A^H A``, or one upper bound."""
        terms = self.similar()
        return [prod(self.bounds())] if terms is None else [term.strength for term in terms]

    def gram(self, weights: ArrayLike | None = None) -> "NormalOperator":
        """The Hermitian operator ``A^H W A`` of the (weighted) normal equations.

        Parameters
        ----------
        weights : array_like, shape `dimsd` or (M,), optional
            Real weight of each observed pixel, the diagonal of `W`; all one by default.

        Returns
        -------
        LinearOperator, shape (N, N)

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> from scipy.sparse.linalg import cg
        >>> A = DHOperator((4, 4), np.ones((1, 1)), 2, decimation="mean")
        >>> x, info = cg(A.gram(), A.rmatvec(np.ones(4)))
        >>> np.allclose(A @ x, 1)
        True
        """
        gram: NormalOperator = algebra().GramOperator(self, weights)
        return gram

    def preconditioner(self, beta: float, regulariser: Stencils = "identity") -> ArrayOperator:
        r"""An approximate inverse of :math:`A^H A + \beta S^H S`, to be `M` of scipy's `cg`.

        It is the inverse itself where `dhop.super_resolve` solves directly: where the frames wrap,
        for one frame with a symmetric PSF that continues symmetrically, for one frame with a
        separable PSF and the identity. Elsewhere it is that of a similar operator, for several
        shifted frames a diagonal in a basis of waves; see docs/explanation/solving.md for the
        iterations that this saves.

        Parameters
        ----------
        beta : float
            Positive.
        regulariser : str or array_like
            `S`, as for `dhop.super_resolve`, with the boundary of the (first) operator.

        Returns
        -------
        LinearOperator, shape (N, N)

        Raises
        ------
        ValueError
            If no such operator is near; solve without a preconditioner then.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy.sparse.linalg import cg
        >>> from dhop import DHOperator, psf
        >>> A = DHOperator((16, 16), psf.gaussian(5, 1.0), 2, boundary="symmetric")
        >>> M = A.preconditioner(0.1)
        >>> b = A.rmatvec(np.ones(64))
        >>> np.allclose(A.gram() @ (M @ b) + 0.1 * (M @ b), b)
        True
        """
        _positive("beta", beta)
        equations = nearest_form(self.similar(), regulariser)
        if equations is None:
            raise ValueError(
                "these frames are far from any operator whose inverse is known; use cg without a "
                "preconditioner"
            )
        return inverse_of(self, equations, beta)

    def prox_l2(
        self, z: ArrayLike, y: ArrayLike, gamma: float, *, rtol: float = RTOL, maxiter: int = 1000
    ) -> Array:
        r"""The proximal operator of the data term, for ADMM and plug-and-play methods.

        .. math:: \operatorname*{argmin}_x \frac{\gamma}{2} \|A x - y\|^2
            + \frac{1}{2} \|x - z\|^2

        In closed form where there is one (see `preconditioner`), else by conjugate gradients.

        Parameters
        ----------
        z : array_like, shape `dims`
        y : array_like, shape `dimsd`
            For a stack of frames what its `data` returns.
        gamma : float
            Positive.
        rtol : float
            Of the residual of the normal equations, relative to that of the zero image, where
            iterations are needed.
        maxiter : int
            Most iterations.

        Returns
        -------
        ndarray, shape `dims`

        Raises
        ------
        ValueError
            If a shape is wrong, `gamma` not positive, or `z` or `y` not finite.

        Warns
        -----
        dhop.cautions.ConvergenceWarning
            If the residual is above `rtol`, and above what rounding leaves, in the end. The image
            is that of the least residual then.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> A = DHOperator((2, 2), [[1.0]], 2)
        >>> A.prox_l2(np.zeros((2, 2)), [[8.0]], 1.0)
        array([[1.6, 1.6],
               [1.6, 1.6]])
        """
        _positive("gamma", gamma)
        start = dense(z, "z")
        if start.shape != self.dims:
            raise ValueError(f"z must have the shape {self.dims}, got {start.shape}")
        with np.errstate(over="ignore"):
            rhs = self.backproject(y) + start / gamma
        if not np.isfinite(rhs).all():
            raise ValueError("z, y and 1 / gamma must be finite")
        exact = closed_form(self.terms(), "identity")
        strength = sum(self.strengths()) + 1 / gamma
        if exact is not None and np.finfo(np.float64).eps * strength * gamma <= rtol:
            return np.asarray(inverse_of(self, exact, 1 / gamma).degrade(rhs))
        near = exact or nearest_form(self.similar(), "identity")
        known = None if near is None else inverse_of(self, near, 1 / gamma)
        target, data, gram = start.reshape(-1), dense(y, "y").reshape(-1), self.gram()
        scale = norm(rhs)

        def true_residual(x: Array) -> TrueResidual:
            wide = x.astype(np.result_type(x, np.float64), copy=False)
            r = self.rmatvec(data - self.matvec(wide)) + (target - wide) / gamma
            return TrueResidual(r, norm(r), attainable_residual(x.dtype, strength, norm(x), scale))

        x = target.astype(rhs.dtype)
        rounds = IterativeRefinement(true_residual, x, true_residual(x), rtol * scale, maxiter)
        rounds.solve(
            lambda x: gram.matvec(x) + x / gamma,
            None if known is None else known.rounded,
            exact=exact is not None,
        )
        if not rounds.converged:
            warn(
                f"prox_l2 stopped after {rounds.taken} iterations at a residual of "
                f"{rounds.norm / scale:.1e}, relative to that of zeros, above rtol={rtol:g}",
                ConvergenceWarning,
            )
        return np.asarray(rounds.x).reshape(self.dims)


def _positive(name: str, value: Any) -> None:
    if not isinstance(value, Real) or not 0 < float(value) < inf:
        raise ValueError(f"{name} must be positive, got {value!r}")
