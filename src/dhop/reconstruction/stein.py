r"""The weight of a prior that is not quadratic, by Stein's unbiased estimate of the risk.

Of all `beta` the best expects the least :math:`\|A \hat x - A x\|^2`, whose unbiased estimate needs
no truth:

.. math:: \sum w r^2 - \sum w \sigma^2
    + 2 \operatorname{tr} w \sigma^2 \frac{\partial A \hat x}{\partial y}

for pixels of any noise. The trace is that of one random direction: how far the prediction moves
along it if the frames do.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.selection import BetaCurve

Array = NDArray[Any]

MOVED = 0.5  # standard deviations by which the frames move
FACTOR = 2.0  # between neighbours
MOST = 8  # weights that are tried on the way to the least


class Risk:
    """The estimate for one weight after the other.

    Parameters
    ----------
    solve : callable
        Gives from frames, a weight and a first guess an image.
    predict : callable
        Gives from an image the frames without noise, times the roots of their weights.
    frames, roots : ndarray, shape (F, ...)
        The data, and the roots of their weights.
    variances : ndarray
        Of the noise of each pixel, of the shape of the frames or one that they have.
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
        solve: Callable[[Array, float, Array], Array],
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
        self._frames, self._moved = frames, (frames + MOVED * noise).astype(frames.dtype)
        self._noise = (roots * noise).reshape(-1)
        self._power = float(np.sum(self._noise**2))
        self._x = [x, x]
        self.seen: dict[float, tuple[float, float]] = {}

    def __call__(self, beta: float) -> float:
        """The estimated square error of predictions, over that of the frames."""
        if beta not in self.seen:
            self._x = [
                self._solve(frames, beta, x)
                for frames, x in zip((self._frames, self._moved), self._x, strict=True)
            ]
            one, other = (self._predict(x) for x in self._x)
            trace = float(self._noise @ (other - one)) / MOVED
            square = float(np.sum((one - self._data) ** 2))
            risk = square - self._power + 2 * trace
            self.seen[beta] = (risk / self._power, square / self._power)
        return self.seen[beta][0]


def choose(
    risk: Risk, beta: float, advance: Callable[[int], None], least: float = 0.0
) -> BetaCurve:
    """The `beta` of the least risk, beginning with a guess: three around it, and a parabola.

    It is larger if need be, so that at least this part of the squared noise remains as residuals.
    """

    def look(k: int) -> float:
        advance(1)
        return risk(beta * FACTOR**k)

    at, settled = 0, False
    way = 1 if look(1) < look(0) else -1
    for _ in range(MOST):
        if look(at + way) >= look(at):
            settled = True
            break
        at += way
    logs = np.array([at - 1, at, at + 1])
    scores = np.array([look(k) for k in logs])
    bend = scores[0] - 2 * scores[1] + scores[2]
    shift = 0.5 * (scores[0] - scores[2]) / bend if settled and bend > 0 else 0.0
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
