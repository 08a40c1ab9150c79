r"""The weight of the regulariser, chosen from the data.

The choice is made on a problem next to the true one, whose closed form makes every `beta` cheap:
the frames wrap, their data have been made periodic, and only the interior is judged, out of reach
of the borders. What a good `beta` is, noise and scene decide, which both problems share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import fft

from dhop.closed.aliased import aliased_equations
from dhop.frames import FrameStack
from dhop.masks import filled
from dhop.normal import penalties
from dhop.operator import DHOperator
from dhop.regularisers import regulariser_operator
from dhop.stencils import Stencils

Array = NDArray[Any]
Rule: TypeAlias = Literal["auto", "gcv", "discrepancy", "lcurve"]

DECADES = range(-7, 3)  # of beta that are tried, around the balance of both terms
LEAST_FREE = 1e-3  # part of the observations that a solution must leave free to be judged
BORDER = 8  # one part in so many of a frame, on each side, is not judged


@dataclass(frozen=True, eq=False)
class BetaCurve:
    """How a choice of `beta` was made.

    Attributes
    ----------
    rule : str
    beta : float
        The choice.
    betas : ndarray
        The values that were looked at, ascending.
    scores : ndarray
        What the rule minimises.
    residuals, penalties : ndarray
        Root mean squares of the weighted ``A x - y`` and of ``S x``.
    """

    rule: Rule
    beta: float
    betas: Array
    scores: Array
    residuals: Array
    penalties: Array


def choose_beta(
    operators: Sequence[DHOperator],
    frames: Array,
    weights: Sequence[Any] | None,
    regulariser: Stencils,
    rule: Rule,
    noise: float | None = None,
) -> BetaCurve:
    r"""Choose `beta` by generalised cross-validation, the discrepancy principle or the L-curve.

    Generalised cross-validation minimises

    .. math:: \frac{\overline{w r^2}}
        {\left(1 - \frac{1}{M} \operatorname{tr} (N + \beta P)^{-1} N\right)^2},

    with `r` the residuals of the `M` pixels; the discrepancy principle makes their mean square that
    of the noise; the L-curve is followed to its corner, in logarithms.

    Parameters
    ----------
    operators : sequence of DHOperator
        One for each frame.
    frames : ndarray, shape (F, ..., m0, m1)
    weights : sequence of (float or ndarray), optional
        A number or a map of its shape for each frame.
    regulariser : str or array_like
    rule : {"auto", "gcv", "discrepancy", "lcurve"}
        ``"auto"`` is ``"gcv"``.
    noise : float, optional
        Standard deviation of the noise of a pixel of weight one, for ``"discrepancy"``.

    Returns
    -------
    BetaCurve

    Raises
    ------
    ValueError
        If the regulariser is unknown.

    References
    ----------
    G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a
    good ridge parameter", Technometrics 21 (1979) 215-223,
    https://doi.org/10.1080/00401706.1979.10489751.
    P. C. Hansen, "Analysis of discrete ill-posed problems by means of the L-curve", SIAM Rev. 34
    (1992) 561-580, https://doi.org/10.1137/1034115.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator, psf
    >>> from dhop.selection import choose_beta
    >>> A = DHOperator((64, 64), psf.gaussian(7, 1.0), 2, decimation="mean", boundary="wrap")
    >>> rng = np.random.default_rng(0)
    >>> frame = A.degrade(np.kron(rng.random((8, 8)), np.ones((8, 8))))
    >>> frame += 0.01 * rng.standard_normal(frame.shape)
    >>> curve = choose_beta([A], frame[None], None, "laplacian", "gcv")
    >>> bool(curve.betas[0] < curve.beta < curve.betas[-1])
    True
    """
    tiny = np.finfo(np.float64).tiny  # for data that are fitted exactly
    judge = _Judge(operators, frames, weights, regulariser)
    seen: dict[float, tuple[float, float, float]] = {}

    def score(log: float) -> float:
        if log not in seen:
            seen[log] = judge(10.0**log)
        residual, _, free = seen[log]
        if free < LEAST_FREE:
            return np.inf
        if rule == "discrepancy":
            return float(abs(np.log(residual + tiny) - 2 * np.log(noise)))  # type: ignore[arg-type]
        return float(np.log(residual + tiny) - 2 * np.log(free))

    grid = [float(np.log10(judge.balance)) + decade for decade in DECADES]
    if rule == "lcurve":
        grid = [low + part for low in grid for part in (0.0, 0.5)]
    scores = [score(log) for log in grid]
    if rule == "lcurve":
        best = _corner([(log, *seen[log][:2]) for log in grid if np.isfinite(score(log))])
    else:
        k = int(np.argmin(scores))
        bounds = grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)]
        with np.errstate(invalid="ignore"):  # of infinite scores
            least = scipy.optimize.minimize_scalar(score, bounds=bounds, options={"xatol": 0.03})
        best = float(least.x)
    logs = sorted(seen)
    residuals, sizes, _ = np.array([seen[log] for log in logs]).T
    return BetaCurve(
        rule=rule,
        beta=10.0**best,
        betas=10.0 ** np.array(logs),
        scores=np.array([score(log) for log in logs]),
        residuals=np.sqrt(residuals),
        penalties=np.sqrt(sizes),
    )


class _Judge:
    """Solutions of the periodic problem next to the true one."""

    def __init__(
        self,
        operators: Sequence[DHOperator],
        frames: Array,
        weights: Sequence[Any] | None,
        regulariser: Stencils,
    ) -> None:
        shape = frames.shape[1:]
        size = frames[0].size
        maps = [np.ones(shape)] * len(frames)
        if weights is not None:
            maps = [np.broadcast_to(weight, shape) for weight in weights]
        self._maps = np.stack(maps)
        means = [float(each.sum() / max(np.count_nonzero(each), 1)) for each in maps]
        dims = *shape[:-2], *(m * f for m, f in zip(shape[-2:], operators[0].factor, strict=True))
        wrapping = [
            DHOperator(
                dims, A.psf, A.factor, decimation=A.decimation, boundary="wrap",
                center=A.center, phase=A.phase,
            )
            for A in operators
        ]  # fmt: skip
        self._stack = FrameStack(wrapping)
        self._data = periodic(np.stack([filled(*pair) for pair in zip(frames, maps, strict=True)]))
        model = wrapping[0]._model
        stencils = penalties(regulariser, model)
        equations = aliased_equations(
            [(A._model, w) for A, w in zip(wrapping, means, strict=True)], stencils
        )
        assert equations is not None  # of operators that wrap there always are
        self._equations = equations
        self._regulariser = regulariser_operator(regulariser, dims, boundary="wrap")
        weighted = self._data * np.reshape(means, (-1,) + (1,) * len(shape))
        self._rhs = self._stack.backproject(weighted.reshape(-1)).reshape(dims)
        self._observed = np.count_nonzero(self._maps) / (size / np.prod(shape[-2:]))
        self._pixels = float(np.prod(dims[-2:]))
        cuts = [m // BORDER for m in shape[-2:]]
        self._inner: Any = (..., *(slice(c, m - c) for c, m in zip(cuts, shape[-2:], strict=True)))
        squares = [w * A.norm("fro") ** 2 for A, w in zip(wrapping, means, strict=True)]
        strength = sum(float(np.sum(np.abs(each.weights) ** 2)) for each in stencils)
        if not sum(squares):
            raise ValueError("beta cannot be chosen if psf or weights are zero; give it a number")
        self.balance = sum(squares) / (strength * float(np.prod(dims)))

    def __call__(self, beta: float) -> tuple[float, float, float]:
        """Mean squares of residual and penalty, the part of the observations that is left free."""
        inverse = self._equations.inverse(beta)
        x = inverse(self._rhs).reshape(-1)
        residual = (self._stack.matvec(x).reshape(self._data.shape) - self._data)[self._inner]
        maps = self._maps[self._inner]
        mean = float((maps * residual**2).sum() / max(np.count_nonzero(maps), 1))
        taken = self._pixels - beta * inverse.trace()
        free = 1 - taken / self._observed
        return mean, float(np.mean(self._regulariser.matvec(x) ** 2)), free


def periodic(images: Array) -> Array:
    """The images without what makes their opposite borders differ.

    The periodic component of L. Moisan, "Periodic plus smooth image decomposition", J. Math.
    Imaging Vis. 39 (2011) 161-179, https://doi.org/10.1007/s10851-010-0227-1: what is taken away is
    smooth in the interior.

    Parameters
    ----------
    images : ndarray, shape (..., m0, m1)
    """
    jump = np.zeros(images.shape)
    for axis in (-2, -1):
        line, source = np.moveaxis(jump, axis, 0), np.moveaxis(images, axis, 0)
        difference = source[-1] - source[0]
        line[0] += difference
        line[-1] -= difference
    waves = [2 * np.cos(2 * np.pi * fft.fftfreq(size)) - 2 for size in images.shape[-2:]]
    laplacian = np.add.outer(*waves)
    laplacian[0, 0] = 1
    smooth = fft.fft2(jump) / laplacian
    smooth[..., 0, 0] = 0
    return np.asarray(images - fft.ifft2(smooth).real)


def _corner(points: Sequence[tuple[float, float, float]]) -> float:
    """The first coordinate where the curve of the logarithms of the others is bent most."""
    logs, residual, penalty = np.array(points).T
    residual, penalty = np.log(residual), np.log(penalty)
    dx, dy = np.gradient(residual), np.gradient(penalty)
    curvature = dx * np.gradient(dy) - dy * np.gradient(dx)
    curvature /= (dx**2 + dy**2) ** 1.5
    return float(logs[1 + int(np.argmax(curvature[1:-1]))])
