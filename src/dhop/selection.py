r"""The weight of the regulariser, chosen from the data.

Every rule uses the spectra of windowed parts of the frames (`dhop.frames.spectra`), where a
solution for one `beta` is a small system for each class of aliases, and takes milliseconds. The
best `beta` depends on noise and scene, which the parts share with the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

from dhop.frames.scene import Scene
from dhop.frames.spectra import Spectra
from dhop.psf.stencils import Stencils, stencils

Array = NDArray[Any]
Rule: TypeAlias = Literal["auto", "gcv", "discrepancy", "lcurve"]

DECADES = range(-7, 4)  # of beta that are tried, around the balance of both terms
FURTHER = 3  # decades more at an end where the score is still falling
LEAST_FREE = 1e-3  # residual degrees of freedom for each observation that GCV needs
WORTH = 4.0  # times the least expected square error: the most for any rule
SAME = 1e-4  # difference of the logarithms of equal square errors
STEP = 0.25  # decades of beta
FALLBACK = 1e-2  # times the balance: beta for frames without any detail


@dataclass(frozen=True, eq=False)
class BetaCurve:
    """How a choice of `beta` was made.

    Attributes
    ----------
    rule : str
    beta : float
        The choice.
    betas : ndarray
        The values that were tried, ascending.
    scores : ndarray
        What the rule minimises.
    residuals, penalties : ndarray
        Root mean squares of the weighted ``A x - y`` and of ``S x``.
    errors : ndarray
        Root mean square errors of the image that are expected under the model of
        `dhop.frames.scene`.
    settled : bool
        Whether the data settle the choice: it is at no end of `betas`, and `errors` did not forbid
        what the rule would have chosen.
    """

    rule: Rule
    beta: float
    betas: Array
    scores: Array
    residuals: Array
    penalties: Array
    errors: Array
    settled: bool


def choose_beta(
    spectra: Spectra,
    transfers: Array,
    scenes: Sequence[tuple[float, Scene]],
    regulariser: Stencils,
    rule: Rule,
    noise: float | None = None,
) -> BetaCurve:
    r"""Choose `beta`.

    ``"auto"`` minimises the expected square error of the image, that is, of

    .. math:: R H - I \text{ on the scene}, \quad
        R \text{ on floor and noise}, \quad R = (N + \beta P)^{-1} A^H,

    under the model of scene, blur `H` and noise that fits the frames, see `dhop.frames.scene`; the
    PSF of `A` need not be that of the model. Generalised cross-validation minimises

    .. math:: \frac{\overline{w r^2}}
        {\left(1 - \frac{1}{M} \operatorname{tr} (N + \beta P)^{-1} N\right)^2},

    with `r` the residuals of the `M` pixels; the discrepancy principle makes their mean square that
    of the noise; the L-curve is followed to its corner, in logarithms. These three are held to
    values that cost no more than twice the least error (root mean square) that is expected.

    Parameters
    ----------
    spectra : Spectra
    transfers : ndarray, shape (C, a) or (F, C, a)
        Transfer function of the operator of all frames or of each, pixels included.
    scenes : sequence of (float, Scene)
        Models of scene and noise, and the part that each has in the expected error.
    regulariser : str or array_like
    rule : {"auto", "gcv", "discrepancy", "lcurve"}
    noise : float, optional
        Standard deviation of the noise of a pixel of weight one, for ``"discrepancy"``.

    Returns
    -------
    BetaCurve

    References
    ----------
    G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a
    good ridge parameter", Technometrics 21 (1979) 215-223,
    https://doi.org/10.1080/00401706.1979.10489751.
    P. C. Hansen, "Analysis of discrete ill-posed problems by means of the L-curve", SIAM Rev. 34
    (1992) 561-580, https://doi.org/10.1137/1034115.
    """
    solver = SpectralSolver(spectra, transfers, regulariser)
    known: dict[float, tuple[float, float, float, float]] = {}
    tiny = np.finfo(np.float64).tiny  # for data that are fitted exactly

    def evaluate(log: float) -> tuple[float, float, float, float]:
        if log not in known:
            expected = sum(part * solver.error(10.0**log, scene) for part, scene in scenes)
            known[log] = (*solver.terms(10.0**log), expected)
        return known[log]

    def error(log: float) -> float:
        return float(np.log(evaluate(log)[3] + tiny))

    def score(log: float) -> float:
        residual, _, free, _ = evaluate(log)
        if rule == "auto":
            return error(log)
        if rule == "discrepancy":
            return float(abs(np.log(residual + tiny) - 2 * np.log(noise)))  # type: ignore[arg-type]
        return np.inf if free < LEAST_FREE else float(np.log(residual + tiny) - 2 * np.log(free))

    grid = [float(np.log10(solver.balance)) + decade for decade in DECADES]
    least, inside = _least(error, grid)
    # Where noise hardly matters the errors are equal down to zero: the largest beta is soundest.
    start, same = least, error(least) + SAME
    while least + STEP < grid[-1] and error(least + STEP) < same:
        least += STEP
    inside |= least - start >= 1
    best, settled = least, inside
    if rule == "lcurve":
        fine = np.arange(grid[0], grid[-1], 0.5)
        best = _corner([(log, *evaluate(log)[:2]) for log in fine])
    elif rule != "auto":
        best, settled = _least(score, grid)
    allowed = error(least) + np.log(WORTH)
    if error(best) > allowed:
        settled = False
        best = float(
            scipy.optimize.brentq(
                lambda log: error(log) - allowed, *sorted((least, best)), xtol=0.01
            )
        )
    evaluate(best)
    logs = sorted(known)
    residuals, sizes, _, errors = np.array([known[log] for log in logs]).T
    return BetaCurve(
        rule=rule,
        beta=10.0**best,
        betas=10.0 ** np.array(logs),
        scores=np.array([score(log) for log in logs]),
        residuals=np.sqrt(residuals),
        penalties=np.sqrt(sizes),
        errors=np.sqrt(errors),
        settled=settled,
    )


class SpectralSolver:
    r"""Mean squares and errors of solutions for windowed parts of the frames.

    The solution for spectra `Y` is `R Y` with, for the weights `u` and the penalty `P`,

    .. math:: R = (T^H u T + \beta P)^{-1} T^H u
        = (\beta P)^{-1} T^H (u^{-1} + T (\beta P)^{-1} T^H)^{-1}.

    So a system for each class is as large as it has aliases, or as there are frames.

    Parameters
    ----------
    spectra, transfers, regulariser
        As for `choose_beta`.
    """

    def __init__(self, spectra: Spectra, transfers: Array, regulariser: Stencils) -> None:
        Y, self._copies = spectra.values, spectra.copies
        each = transfers if transfers.ndim == 3 else transfers[None]
        self._phases = spectra.phases
        self._seen = spectra.phases * np.moveaxis(
            np.broadcast_to(each, (len(spectra), *each.shape[1:])), 0, 1
        )
        self._back = self._seen.conj().swapaxes(1, 2)
        self._weighted = self._back * self._copies
        self._last: tuple[float, Array] | None = None  # beta and its solutions
        # Vectors with the mean squares of the spectra, as few as there are frames or tiles.
        triangle: Array = np.linalg.qr(Y.conj().swapaxes(0, 1) / np.sqrt(len(Y)), mode="r")  # type: ignore[assignment]
        self._data = triangle.conj().swapaxes(1, 2)
        self._count = float(self._copies.sum())
        parts = [
            np.abs(spectra.transfer(S)) ** 2 for S in stencils(regulariser, len(spectra.factor))
        ]
        self._penalty: Array = np.sum(parts, axis=0)
        self._traces = np.sum(np.abs(self._seen) ** 2 * self._copies[:, None], axis=(1, 2))
        normal, penalty = float(np.mean(self._traces)), float(np.mean(self._penalty))
        if not (normal and penalty):
            what = "psf or weights are" if not normal else "the regulariser is"
            raise ValueError(f"beta cannot be chosen if {what} zero; give it a number")
        self.balance = normal / (self._penalty.shape[1] * penalty)

    def terms(self, beta: float) -> tuple[float, float, float]:
        """Mean squares of residual and penalty, and residual degrees of freedom a pixel."""
        solve = self._solutions(beta)
        image = solve @ self._data
        left = self._data - self._seen @ image
        residual = _squares(left) @ self._copies
        size = np.mean(self._penalty * _squares(image))
        taken = np.sum(self._seen * solve.swapaxes(1, 2)).real / len(solve)
        return float(residual.mean()) / self._count, float(size), 1 - taken / self._count

    def error(self, beta: float, scene: Scene) -> float:
        """The expected mean square error of the image."""
        solve = self._solutions(beta)
        gram = solve.conj().swapaxes(1, 2) @ solve
        # Of the response R E the squares of its columns, and its diagonal.
        columns = np.sum(self._phases.conj() * (gram @ self._phases), axis=1).real
        own = np.sum(solve.swapaxes(1, 2) * self._phases, axis=1)
        wrong = np.abs(scene.transfer) ** 2 * columns - 2 * (scene.transfer * own).real + 1
        squares = float(np.sum(wrong * scene.power) + np.sum(columns * scene.floor))
        # Copies of a frame share their noise.
        squares += scene.noise * float(np.einsum("cff->", gram).real)
        return max(squares, 0.0) / self._penalty.size

    def _solutions(self, beta: float) -> Array:
        """What gives solutions from spectra, (C, a, F)."""
        if self._last is None or self._last[0] != beta:
            self._last = beta, self._solved(beta)
        return self._last[1]

    def _solved(self, beta: float) -> Array:
        # At least as much as rounding, so that no matrix is singular.
        penalty = beta * self._penalty + 1e-14 * self._traces[:, None]
        aliases, frames = self._back.shape[1:]
        if aliases <= frames:
            matrix = self._weighted @ self._seen
            diagonal = np.arange(aliases)
            matrix[:, diagonal, diagonal] += penalty
            return np.linalg.inv(matrix) @ self._weighted
        spread = self._back / penalty[:, :, None]
        matrix = self._seen @ spread
        diagonal = np.arange(frames)
        matrix[:, diagonal, diagonal] += 1 / self._copies
        return spread @ np.linalg.inv(matrix)


def _squares(vectors: Array) -> Array:
    """The sums over the vectors, which are columns, of the squares of each of their numbers."""
    return np.sum(np.abs(vectors) ** 2, axis=2)


def _least(score: Any, grid: Sequence[float]) -> tuple[float, bool]:
    """Where a score is least, and whether that is at no end of the grid, which is extended."""
    logs = list(grid)
    for _ in range(2):
        scores = [score(log) for log in logs]
        k = int(np.argmin(scores))
        if 0 < k < len(logs) - 1:
            break
        step = 1 if k else -1
        more = [logs[k] + step * (i + 1) for i in range(FURTHER)]
        logs = sorted([*logs, *more])
    scores = [score(log) for log in logs]
    k = int(np.argmin(scores))
    bounds = logs[max(k - 1, 0)], logs[min(k + 1, len(logs) - 1)]
    with np.errstate(invalid="ignore"):  # of infinite scores
        least = scipy.optimize.minimize_scalar(score, bounds=bounds, options={"xatol": 0.03})
    return float(least.x), 0 < k < len(logs) - 1


def _corner(points: Sequence[tuple[float, float, float]]) -> float:
    """The first coordinate at the largest curvature of the logarithms of the other two."""
    logs, residual, penalty = np.array(points).T
    tiny = np.finfo(np.float64).tiny
    residual, penalty = np.log(residual + tiny), np.log(penalty + tiny)
    dx, dy = np.gradient(residual), np.gradient(penalty)
    with np.errstate(divide="ignore", invalid="ignore"):  # where the curve stands still
        curvature = (dx * np.gradient(dy) - dy * np.gradient(dx)) / (dx**2 + dy**2) ** 1.5
    curvature = np.nan_to_num(curvature, nan=-np.inf, posinf=-np.inf)
    return float(logs[1 + int(np.argmax(curvature[1:-1]))])
