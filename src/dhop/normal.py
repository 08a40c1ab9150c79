"""What every operator offers of its normal equations."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.cautions import ConvergenceWarning
from dhop.closed import Inverse, exact_equations, nearest_equations
from dhop.explicit import ExplicitOperator
from dhop.geometry import Model
from dhop.gram import GramOperator, Part
from dhop.iterations import norm
from dhop.linear import ArrayOperator, dense
from dhop.rounds import Rounds, Verdict, forgiven
from dhop.stencils import Stencils, stencils

Array = NDArray[Any]


class NormalOperator(ExplicitOperator):
    """An operator `A`, made of one or several frames, whose normal equations are to be solved."""

    def _gram_parts(self, weights: NDArray[Any] | None) -> list[Part]:
        """Frames of the operator and the weights of their rows, `weights` taken in."""
        raise NotImplementedError

    def gram(self, weights: ArrayLike | None = None) -> GramOperator:
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
        return GramOperator(self, weights)

    def preconditioner(self, beta: float, regulariser: Stencils = "identity") -> ArrayOperator:
        r"""An approximate inverse of :math:`A^H A + \beta S^H S`, to be `M` of scipy's `cg`.

        It is the inverse itself where `dhop.super_resolve` solves directly: where the frames wrap,
        for one frame with a symmetric PSF that continues symmetrically, for one frame with a
        separable PSF and the identity. Elsewhere it is that of a similar operator, for several
        shifted frames a diagonal in a basis of waves; how many iterations that saves is told in
        docs/explanation/solving.md.

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
        parts = self._gram_parts(None)
        equations = nearest_equations(weighted_frames(parts), penalties(regulariser, parts[0][0]))
        if equations is None:
            raise ValueError(
                "these frames are far from any operator whose inverse is known; use cg without a "
                "preconditioner"
            )
        return InverseOperator(self, equations.inverse(beta, once=True))

    def prox_l2(
        self, z: ArrayLike, y: ArrayLike, gamma: float, *, rtol: float = 1e-8, maxiter: int = 1000
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
        parts = self._gram_parts(None)
        identity = penalties("identity", parts[0][0])
        exact = exact_equations(mean_frames(parts), identity) if uniform(parts) else None
        strength = sum(strengths(parts)) + 1 / gamma
        if exact is not None and np.finfo(np.float64).eps * strength * gamma <= rtol:
            inverse = InverseOperator(self, exact.inverse(1 / gamma, once=True))
            return np.asarray(inverse.degrade(rhs))
        near = exact or nearest_equations(weighted_frames(parts), identity)
        known = None
        if near is not None:
            known = InverseOperator(self, near.inverse(1 / gamma, once=True))
        target, data, gram = start.reshape(-1), dense(y, "y").reshape(-1), self.gram()
        scale = norm(rhs)

        def judge(x: Array) -> Verdict:
            wide = x.astype(np.result_type(x, np.float64), copy=False)
            r = self.rmatvec(data - self.matvec(wide)) + (target - wide) / gamma
            return Verdict(r, norm(r), forgiven(x.dtype, strength, norm(x), scale))

        x = target.astype(rhs.dtype)
        rounds = Rounds(judge, x, judge(x), rtol * scale, maxiter)
        rounds.solve(
            lambda x: gram.matvec(x) + x / gamma,
            None if known is None else known.matvec,
            exact=exact is not None,
        )
        if not rounds.converged:
            warnings.warn(
                f"prox_l2 stopped after {rounds.taken} iterations at a residual of "
                f"{rounds.norm / scale:.1e}, relative to that of zeros, above rtol={rtol:g}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return np.asarray(rounds.x).reshape(self.dims)


class InverseOperator(ArrayOperator):
    """The Hermitian inverse of normal equations, as the function that solves for images."""

    def __init__(self, operator: NormalOperator, solve: Inverse) -> None:
        super().__init__(operator.dtype, operator.dims, operator.dims)
        self.args = (operator, solve)
        axes = getattr(operator, "axes", None) or operator.operators[0].axes
        self._axes: Sequence[int] = [1 + axis for axis in sorted(axes)]
        self._solve = solve

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return InverseOperator, self.args

    def _apply(self, x: Array, adjoint: bool, out: Array) -> None:
        images, solved = (
            np.moveaxis(each.reshape(-1, *self.dims), self._axes, (-2, -1)) for each in (x, out)
        )
        self._solve(images, solved)

    def _adjoint(self) -> "InverseOperator":
        return self


def weighted_frames(parts: Sequence[Part]) -> list[tuple[Model, float | NDArray[np.float64]]]:
    """The models of an operator and their weights, numbers or arrays."""
    return [(model, 1.0 if w is None else w) for model, w in parts]


def mean_frames(parts: Sequence[Part]) -> list[tuple[Model, float]]:
    """The models of an operator and the mean weights of their pixels."""
    return [(model, 1.0 if w is None else float(np.mean(w))) for model, w in parts]


def uniform(parts: Sequence[Part]) -> bool:
    """Whether all pixels of a frame have one weight."""
    return all(w is None or w.min() == w.max() for _, w in parts)


def strengths(parts: Sequence[Part]) -> list[float]:
    """About the largest eigenvalue of ``A^H W A`` of each frame.

    It is the product of the largest weight and of the largest sums of absolute values in a row and
    in a column away from borders.
    """
    found = []
    for model, w in parts:
        taps = np.abs(model.weights)
        f0, f1 = model.rows.factor, model.columns.factor
        column = max(float(taps[i::f0, j::f1].sum()) for i in range(f0) for j in range(f1))
        found.append(float(taps.sum()) * column * (1.0 if w is None else float(w.max())))
    return found


def penalties(regulariser: Stencils, model: Model) -> list[Model]:
    """The regulariser on the images of a model, with its boundaries."""
    boundary = model.rows.boundary, model.columns.boundary
    return [
        Model.build(
            (model.rows.size, model.columns.size),
            stencil,
            (1, 1),
            decimation="sample",
            boundary=boundary,
            center=((stencil.shape[0] - 1) // 2, (stencil.shape[1] - 1) // 2),
            phase=(0, 0),
            axes=(0, 1),
            dtype=np.dtype(np.complex128 if stencil.dtype.kind == "c" else np.float64),
        )
        for stencil in stencils(regulariser)
    ]


def _positive(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive, got {value!r}")
