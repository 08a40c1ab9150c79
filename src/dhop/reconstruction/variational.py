"""Super-resolution by losses, priors and bounds other than least squares.

`dhop.super_resolve` asks a `Variational` for frames to register, for the weight of the prior, and
for the solution.
"""

from dataclasses import dataclass, replace
from math import sqrt
from statistics import harmonic_mean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from dhop.cautions import BetaWarning, CountWarning, PriorWarning
from dhop.estimation.photometry import Photometry
from dhop.frames.masks import each_weight
from dhop.frames.spikes import despiked
from dhop.iteration.steps import RTOL
from dhop.operators.stack import FrameStack
from dhop.reconstruction import losses, penalties, solvers, stein
from dhop.reconstruction.bounds import EVERYTHING, Box
from dhop.reconstruction.data_terms import DataTerm, ResidualLoss
from dhop.reconstruction.minimising import descending, minimise, multiplying, reweighted
from dhop.reconstruction.objective import Objective
from dhop.reconstruction.photon_noise import PhotonNoise
from dhop.reconstruction.pixel_noise import reduced_chi_square, variances, with_noise_bound
from dhop.reconstruction.preconditioning import inverse_for_maps
from dhop.reconstruction.preparation import SMALLEST, Preparation
from dhop.reconstruction.priors import prior_of
from dhop.reconstruction.problem import Problem
from dhop.reconstruction.ranges import visible_range
from dhop.reconstruction.robust import robust_fit, without_outliers
from dhop.reconstruction.solvers import Callback, SolverResult, checked_start, root_of_two
from dhop.reconstruction.trails import without_trails
from dhop.runtime import arguments
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]

EDGE = 3.0  # standard deviations of an image's noise: what is more is an edge, or a source
FLAT = 0.5  # about the part of an image that is flatter than an edge
FIRST = 0.7  # times the noise variance over the mean cost of a pixel: the first weight tried
ROUGH = 1e-3  # tolerance of the first image
CHOICE = 60, 1e-4  # iterations and tolerance of the images that are compared
LESS = 0.93  # times the risk of the prior: with less risk by the Laplacian a warning is due
OTHER = 5.0  # factor between noise and photon noise, from which on a warning is due
QUIET = 0.5  # of the variance of photon noise: frames with less count no photons
ENOUGH = 2**20  # pixels of all frames together that their noise is estimated from
DARK = 1e-3  # of the mean brightness is the least of a first guess for photons
SOLVERS = ("auto", "reweighted", "quasi-newton", "richardson-lucy")


@dataclass
class Variational:
    """How to solve for one loss, one prior and one set of images.

    Attributes
    ----------
    loss : {"gaussian", "huber", "l1", "poisson"}
    threshold : float or None
        Of a robust loss; None for one that is estimated.
    prior : {"tv", "huber-tv", "starlet"} or None
        None for squares.
    box : (float, float)
        Least and largest value of an image.
    photon_noise : PhotonNoise or None
        Of photons.
    weights : list of ndarray
        Of the frames, as the caller gave them.
    solver : str
    edge : float
        The size up to which tips of the prior are rounded, as `weigh` finds it.
    """

    loss: losses.Name
    threshold: float | None
    prior: penalties.Name | None
    box: Box
    photon_noise: PhotonNoise | None
    weights: list[Array]
    solver: str
    edge: float = 0.0

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise ValueError(
                f'solver={self.solver!r} is for loss="gaussian", squares and no bounds but zero; '
                'leave it at "auto"'
            )
        squares = self.prior is None and self.box == EVERYTHING
        if self.solver == "reweighted" and not (self.robust and squares):
            raise ValueError(
                'solver="reweighted" is for loss="huber" and "l1" with a regulariser of squares '
                'and without bounds; "quasi-newton" does the others'
            )
        if self.solver == "richardson-lucy" and not (
            self.photon_noise and self.prior is None and self.box == (0, np.inf)
        ):
            raise ValueError(
                'solver="richardson-lucy" is for loss="poisson" without a prior and without bounds '
                'but zero; "quasi-newton" has these'
            )
        if self.solver == "auto":
            # The absolute value has too sharp a tip for weights from the last image.
            self.solver = "reweighted" if self.loss == "huber" and squares else "quasi-newton"

    @property
    def robust(self) -> bool:
        """Whether the loss is robust to outliers."""
        return self.loss in ("huber", "l1")

    def despiked(self, frames: Array) -> Array:
        """The frames for registration and estimation of the PSF, without spikes."""
        return despiked(frames, self.weights) if self.robust else frames

    def guards_beta(self, known: Preparation, beta: float | str) -> bool:
        """Whether a chosen `beta` must be large enough for a plausible image without bounds.

        So it is for frames that count no photons, which have far less noise than photons would: an
        image that is not negative cannot ring downwards, and would not show it.
        """
        if self.photon_noise is None or self.prior is not None or beta != "auto":
            return False
        return reduced_chi_square(*self._central_part(known)) < QUIET

    def quadratic_regulariser(self, regulariser: Any) -> Any:
        """The quadratic regulariser in the place of the prior, for choices from spectra."""
        return regulariser if self.prior is None else "gradient"

    def choose_beta(
        self,
        known: Preparation,
        problem: Problem,
        beta: float | str,
        noise: Any,
        strength: float,
        progress: Progress,
    ) -> float:
        """Take or choose `beta`, from frames without outliers; see `Preparation.choose_beta`."""
        if self.solver == "richardson-lucy":
            return self.no_beta(known, beta)
        self._check_counts(known)
        if not isinstance(beta, str) and (self.prior is None or beta == 0):
            return beta
        if isinstance(problem.regulariser, LinearOperator):
            return known.choose_beta(problem.regulariser, str(beta), noise, strength, progress)
        clean, problem = self._without_outliers(known, problem, strength)
        clean = with_noise_bound(clean)
        if self.prior is None:
            S = problem.regulariser
            number = clean.choose_beta(S, str(beta), noise, strength, progress)
        else:
            number = self._choose_prior_weight(clean, problem, beta, noise, strength, progress)
        known.curve = clean.curve
        return number

    def no_beta(self, known: Preparation, beta: float | str) -> float:
        """That of a solver without a prior, which needs no problem to choose it from."""
        self._check_counts(known)
        if not (beta == "auto" or beta == 0):
            raise ValueError('solver="richardson-lucy" has no prior: leave beta out')
        return 0.0

    def _check_counts(self, known: Preparation) -> None:
        """Warn of frames that count no photons."""
        if self.photon_noise is None:
            return
        text = self.photon_noise.caution(known.frames, self.weights)
        if text is None and min(known.frames.shape[-2:]) >= SMALLEST:
            ratio = reduced_chi_square(*self._central_part(known))
            if ratio and not 1 / OTHER < ratio < OTHER:
                text = self.photon_noise.variance_text(ratio)
        if text is not None:
            known.warn(text, CountWarning)

    def _central_part(self, known: Preparation) -> tuple[Array, list[Array]]:
        """A part of the frames that their noise is estimated from, and its weights."""
        shape = known.frames.shape
        side = max(round((ENOUGH / len(known.frames)) ** (1 / len(known.factor))), SMALLEST)
        sizes = shape[-len(known.factor) :]
        first = [max(n - side, 0) // 2 for n in sizes]
        part: Any = (..., *(slice(k, k + side) for k in first))
        weights = [np.broadcast_to(w, shape[1:])[part] for w in known.weights or ()]
        return known.frames[part], weights

    def _without_outliers(
        self, known: Preparation, problem: Problem, strength: float
    ) -> tuple[Preparation, Problem]:
        weights = each_weight(problem.operator.weights, len(problem.frames))
        frames = problem.frames
        if self.robust:
            first = replace(known, frames=self.despiked(known.frames), notes=[])
            if len(frames) > 1:
                moderate = replace(problem, beta=first.fallback_beta(problem.regulariser))
                frames, trust = without_outliers(moderate, self.threshold)
                weights = [w * t for w, t in zip(weights, trust, strict=True)]
            else:
                frames = without_trails(first, problem, self.despiked, strength)
        shape = frames.shape[1:]
        maps = [w if w.ndim == 0 else w.reshape(shape) for w in weights]
        photometry = Photometry.none(len(frames))
        return (
            replace(known, frames=frames, weights=maps, photometry=photometry),
            replace(problem, frames=frames, operator=FrameStack(problem.operator.operators, maps)),
        )

    def _choose_prior_weight(
        self,
        known: Preparation,
        problem: Problem,
        beta: float | str,
        noise: Any,
        strength: float,
        progress: Progress,
    ) -> float:
        """Take or choose the weight of the prior, and the size up to which its tips are rounded."""
        if isinstance(beta, str) and beta != "auto":
            raise ValueError(f'beta={beta!r} is for regularisers of squares; take "auto"')
        B, frames = problem.operator, problem.frames
        roots = np.stack(
            [np.sqrt(np.broadcast_to(w, frames.shape[1:])) for w in known.weights or ()]
        )
        seen = roots > 0
        if noise is None:
            each = variances(known)
        else:
            least = arguments.real("noise", noise) ** 2
            each = np.divide(least, roots**2, out=np.zeros(roots.shape), where=seen)
        means = [float(own[on].mean()) for own, on in zip(each, seen, strict=True) if on.any()]
        usual = harmonic_mean(means)  # frames that are noisy count little
        self._set_edge(known, problem, usual)
        if not isinstance(beta, str):
            return beta
        squares = known.choose_beta("laplacian", "auto", None, strength, progress)
        smooth = replace(problem.with_mean_weights(), regulariser="laplacian", beta=squares)
        x = solvers.solve(smooth, "auto", rtol=ROUGH).x
        cost = self._prior(problem).mean_cost(x.astype(np.float64))
        if not (cost and usual):
            known.curve = None
            return squares
        # The residual of the best smooth image is noise or, by a wrong PSF, as good as noise.
        residual = np.where(seen, roots * frames, 0).reshape(-1) - B.matvec(x)
        excess = max(float(residual @ residual) / float(np.sum(each * roots**2, where=seen)), 1.0)
        each *= excess
        first = FIRST * float(np.mean(each * roots**2, where=seen)) / cost
        given = B.matvec, frames, roots, each, x
        with reporting(progress, stein.MOST, "choosing beta") as advance:
            risk = stein.Risk(self._solver_of(problem), *given)
            known.curve = stein.choose(risk, first, advance, 1 - 1 / excess)
            without = stein.Risk(_laplacian_solver(smooth), *given)(squares)
        if without < LESS * known.curve.scores.min():
            known.warn(
                f"the Laplacian predicts the frames better than {self.prior!r}: with "
                "regulariser='laplacian' the image may err less",
                PriorWarning,
            )
        if not known.curve.settled:
            known.warn(
                f"the data do not settle beta by 'auto': {known.curve.beta:.3g} is at the end of "
                "what was looked at; look at the image, and try others",
                BetaWarning,
            )
        return known.curve.beta

    def _set_edge(self, known: Preparation, problem: Problem, variance: float) -> None:
        """Set the size up to which tips are rounded, for noise of a variance."""
        B, frames = problem.operator, problem.frames
        block = B.shape[1] * len(frames) / B.shape[0]  # pixels of the image in one of a frame
        sums = block if known.decimation == "sum" else 1.0
        low, high = visible_range(frames, known.weights)
        self.edge = penalties.ROUND * (high - low or abs(high) or 1.0) / sums
        if self.prior != "tv":
            self.edge = max(EDGE * sqrt(variance) / sums, self.edge)

    def _solver_of(self, problem: Problem) -> stein.Solve:
        """What solves with the prior, for a Gaussian loss and without bounds."""
        gaussian = replace(self, loss="gaussian", photon_noise=None, box=EVERYTHING)
        gaussian.solver = "quasi-newton"

        def solve(frames: Array, beta: float, x: Array) -> Array:
            given = replace(problem, frames=frames, beta=beta)
            return gaussian.solve(given, x0=x, maxiter=CHOICE[0], rtol=CHOICE[1]).x

        return solve

    def _prior(self, problem: Problem) -> penalties.SmoothedNorm:
        assert self.prior is not None
        return prior_of(self.prior, problem.operator.dims, problem.ndim, self.edge)

    def quadratic(self, problem: Problem) -> Problem:
        """The problem with a quadratic regulariser of about the same curvature."""
        if self.prior is not None:
            problem = replace(problem, regulariser=self._prior(problem).quadratic)
        return replace(problem, beta=self.curvature(problem.beta))

    def curvature(self, beta: float) -> float:
        """The weight of the quadratic regulariser whose curvature is about that of the prior."""
        return beta if self.prior is None or not beta else FLAT * beta / (2 * self.edge)

    def solve(
        self,
        problem: Problem,
        *,
        x0: Array | None = None,
        maxiter: int = 500,
        rtol: float = RTOL,
        callback: Callback | None = None,
        progress: Progress = None,
    ) -> SolverResult:
        """See `dhop.reconstruction.solvers.solve`."""
        beta, problem = problem.beta, self.quadratic(problem)
        root = root_of_two(max(problem.scales()))
        problem, beta = problem.divided(root), beta / root**2
        weights = [weight / root**2 for weight in self.weights]
        sensitivity: Any = None
        if self.photon_noise is not None:
            sensitivity = self.photon_noise.sensitivity(problem.operator.operators, weights)
        origin = self._origin(problem, weights, sensitivity)
        x = self._start(x0, origin)
        frames = None
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            threshold = 0.0
            if self.robust:
                x, problem, threshold, frames = robust_fit(problem, x)
                x = x.clip(*self.box)
                threshold = threshold if self.threshold is None else self.threshold / root
            squares = self.prior is None
            penalty = penalties.Squares(problem.S) if squares else self._prior(problem)
            data = self._data(problem, weights, threshold)
            near = None if self.solver == "richardson-lucy" else inverse_for_maps(problem)
            objective = Objective(problem, data, penalty, beta, near)
            goal = -np.inf
            if self.solver == "reweighted":
                iterates = reweighted(objective, x)
            elif self.solver == "richardson-lucy" and self.photon_noise is not None:
                goal = self.photon_noise.discrepancy(problem.frames, weights) if rtol > 0 else 0.0
                iterates = multiplying(objective, x, sensitivity, goal)
            else:
                iterates = descending(objective, x, self.box)
            return minimise(
                objective, iterates, self.solver, box=self.box, maxiter=maxiter, rtol=rtol,
                origin=None if x is origin else origin, callback=callback, progress=progress,
                goal=goal,
            ).scaled(root, frames)  # fmt: skip

    def _origin(self, problem: Problem, weights: list[Array], sensitivity: Any) -> Array:
        """The zero image; for photons, where the loss is infinite there, an even one."""
        start = 0.0
        if self.photon_noise is not None:
            start = self.photon_noise.level(problem.frames, weights, sensitivity)
        B = problem.operator
        return np.full(B.shape[1], np.clip(start, *self.box), B.dtype)

    def _start(self, x0: Array | None, origin: Array) -> Array:
        if x0 is None:
            return origin
        x = checked_start(x0, origin.dtype, False).clip(*self.box)
        return x if self.photon_noise is None else np.maximum(x, DARK * origin)

    def _data(self, problem: Problem, weights: list[Array], threshold: float) -> DataTerm:
        if self.photon_noise is not None:
            return self.photon_noise.loss(problem.frames, weights)
        loss = losses.robust(self.loss, threshold) if self.robust else losses.Square()
        return ResidualLoss(problem.operator, problem.frames, loss)


def _laplacian_solver(smooth: Problem) -> stein.Solve:
    def solve(frames: Array, beta: float, x: Array) -> Array:
        given = replace(smooth, frames=frames, beta=beta)
        return solvers.solve(given, "auto", x0=x, rtol=CHOICE[1]).x

    return solve
