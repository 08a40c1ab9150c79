r"""The weight of a prior that is not quadratic, by Stein's unbiased estimate of the risk.

The risk is the expected :math:`\|A \hat x - A x\|^2`. Its unbiased estimate needs no truth:

.. math:: \sum w r^2 - \sum w \sigma^2
    + 2 \operatorname{tr} w \sigma^2 \frac{\partial A \hat x}{\partial y}

for any noise variances. The trace is estimated from one random perturbation of the frames.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.selection import BetaCurve

Array = NDArray[Any]
Solve: TypeAlias = Callable[[Array, float, Array], Array]

STEP = 0.5  # of the perturbation, in standard deviations of the noise
FACTOR = 2.0  # between neighbouring weights
MOST = 8  # weights that are tried at most on the way to the least risk


class Risk:
    """The estimated risk as a function of the weight, each warm-started at the one before.

    Parameters
    ----------
    solve : callable
        Gives an image, from frames, a weight and a first guess.
    predict : callable
        Gives the frames without noise, times the roots of their weights, from an image.
    frames, roots : ndarray, shape (F, ...)
        The data, and the roots of their weights.
    variances : ndarray
        Of the noise of each pixel.
    x : ndarray
        The first guess.

    References
    ----------
    C. M. Stein, "Estimation of the mean of a multivariate normal distribution", Ann. Statist. 9
    (1981) 1135-1151, https://doi.org/10.1214/aos/1176345632.
    S. Ramani, T. Blu and M. Unser, "Monte-Carlo SURE: a black-box optimization of regularization
    parameters", IEEE Trans. Image Process. 17 (2008) 1540-1554,
    https://doi.org/10.1109/TIP.2008.2001404.
    """

    def __init__(
        self,
        solve: Solve,
        predict: Callable[[Array], Array],
        frames: Array,
        roots: Array,
        variances: Array,
        x: Array,
    ) -> None:
        self._solve, self._predict = solve, predict
        self._data = np.where(roots > 0, roots * frames, 0).reshape(-1)
        signs = np.random.default_rng(0).choice([-1.0, 1.0], frames.shape)
        noise = np.where(roots > 0, signs * np.sqrt(variances), 0.0)
        self._frames, self._perturbed = frames, (frames + STEP * noise).astype(frames.dtype)
        self._noise = (roots * noise).reshape(-1)
        self._power = float(np.sum(self._noise**2))
        self._x = [x, x]
        self.seen: dict[float, tuple[float, float]] = {}

    def __call__(self, beta: float) -> float:
        """The estimated risk, relative to the squared noise of the frames."""
        if beta not in self.seen:
            self._x = [
                self._solve(frames, beta, x)
                for frames, x in zip((self._frames, self._perturbed), self._x, strict=True)
            ]
            one, other = (self._predict(x) for x in self._x)
            trace = float(self._noise @ (other - one)) / STEP
            square = float(np.sum((one - self._data) ** 2))
            risk = square - self._power + 2 * trace
            self.seen[beta] = (risk / self._power, square / self._power)
        return self.seen[beta][0]


def choose(
    risk: Risk, beta: float, advance: Callable[[int], None], least: float = 0.0
) -> BetaCurve:
    """The `beta` of least risk, from a first guess: downhill to a minimum, then by a parabola.

    It is increased until the squared residuals are at least the part `least` of the squared noise.
    """

    def look(k: int) -> float:
        advance(1)
        return risk(beta * FACTOR**k)

    at, settled = 0, False
    direction = 1 if look(1) < look(0) else -1
    for _ in range(MOST):
        if look(at + direction) >= look(at):
            settled = True
            break
        at += direction
    logs = np.array([at - 1, at, at + 1])
    scores = np.array([look(k) for k in logs])
    curvature = scores[0] - 2 * scores[1] + scores[2]
    shift = 0.5 * (scores[0] - scores[2]) / curvature if settled and curvature > 0 else 0.0
    best = beta * FACTOR ** (at + float(np.clip(shift, -0.5, 0.5)))
    for _ in range(MOST if least else 0):
        risk(best)
        if risk.seen[best][1] >= least:
            break
        best *= FACTOR
    betas = np.array(sorted(risk.seen))
    table = np.array([risk.seen[each] for each in betas])
    unknown = np.full(len(betas), np.nan)
    return BetaCurve(
        "auto", float(best), betas, table[:, 0], np.sqrt(table[:, 1]), unknown, unknown, settled
    )
