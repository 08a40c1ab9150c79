"""From prepared frames to an image: the choice of `beta`, the solution, what is wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray

from dhop.cautions import PSFWarning, RangeWarning
from dhop.estimation.photometry import Terms, fitted
from dhop.operators.stack import FrameStack
from dhop.reconstruction import ranges, solvers
from dhop.reconstruction.preparation import Preparation
from dhop.reconstruction.problem import Problem, check_squares
from dhop.reconstruction.solvers import Callback, SolverResult
from dhop.reconstruction.variational import Variational
from dhop.runtime import arguments
from dhop.runtime.progress import Progress

Array = NDArray[Any]

ROUNDS = 2  # of a solution and of the brightness of the frames
ROUGH = 1e-3  # tolerance of these solutions
RAISED = 100.0  # factor by which beta is raised, from which on a warning is due
DOUBLINGS = 8  # of beta at most, for an estimated PSF, until the image does not ring


@dataclass
class Reconstruction:
    """A super-resolution from prepared frames.

    Attributes
    ----------
    known : Preparation
    operators : list of LinearOperator
        One for each frame.
    special : Variational or None
        What solves it if not least squares.
    axis : int or None
        Of the caller's channels.
    regulariser, boundary, solver, nonnegative, maxiter, callback, progress
        As for `dhop.super_resolve`.
    """

    known: Preparation
    operators: list[Any]
    special: Variational | None
    regulariser: Any
    boundary: Any
    solver: solvers.Name
    nonnegative: bool
    axis: int | None
    maxiter: int
    callback: Callback | None
    progress: Progress

    def problem(self, beta: float) -> Problem:
        """The problem for a `beta`, with the photometry as it is known by now."""
        known = self.known
        stack = FrameStack(self.operators, known.photometry.weights(known.weights))
        corrected = known.photometry.corrected(known.frames)
        ndim = len(known.factor)
        return Problem(stack, corrected, self.regulariser, beta, self.boundary, ndim)

    def value_range(self, factor: tuple[float, ...]) -> tuple[float, float]:
        """Least and largest value of the frames, in the unit of the image."""
        known = self.known
        pixels = prod(factor) if known.decimation == "sum" else 1.0  # of the image in a frame's
        low, high = ranges.visible_range(known.frames, known.weights)
        return low / pixels, high / pixels

    def choose_beta(self, beta: Any, noise: Any, span: tuple[float, float]) -> float:
        """Take or choose `beta`, for an image that should stay near a range of values."""
        known, special = self.known, self.special
        chosen = isinstance(beta, str)
        if special is not None and special.solver == "richardson-lucy":
            return special.no_beta(known, beta if chosen else arguments.real("beta", beta))
        stack = FrameStack(self.operators, known.weights)
        if chosen:
            check_squares(stack, known.frames)
        else:
            beta = arguments.real("beta", beta)
        number = beta
        if chosen or special is not None:
            settings = sum(stack.strengths()), self.progress
            if special is not None:
                number = special.choose_beta(known, self.problem(1.0), beta, noise, *settings)
                if special.guards_beta(known, beta):
                    number = self._raised(number, span, self._even, "the frames no counts")
            else:
                number = known.choose_beta(self.regulariser, beta, noise, *settings)
                if len(known.factor) == 3 and beta == "auto" and not self.nonnegative:
                    number = self._raised(number, span, self.problem, "the noise photons'")
        if number < 0:
            raise ValueError(f"beta must not be negative, got {beta!r}")
        return float(number)

    def _even(self, beta: float) -> Problem:
        return self.problem(beta).with_mean_weights()

    def _raised(
        self,
        number: float,
        span: tuple[float, float],
        problem: Callable[[float], Problem],
        otherwise: str,
    ) -> float:
        """A `beta` large enough that the image of least squares is plausible.

        For volumes, whose PSF is not checked, and for photons, whose images cannot ring downwards.
        """
        plausible = ranges.plausible(problem, number, span)
        if plausible > RAISED * number:
            self.known.warn(
                f"beta was raised from {number:.3g} to {plausible:.3g}, so that the image stays "
                f"near the range of the frames; the psf may be too wide, or {otherwise}",
                PSFWarning,
            )
        return plausible

    def solve(self, beta: float, start: Array | None, rtol: float) -> SolverResult:
        """The solution for that `beta`."""
        given = self.problem(beta)
        settings: Any = {
            "x0": start, "maxiter": self.maxiter, "rtol": rtol, "progress": self.progress,
            "callback": solvers.user_callback(self.callback, self.axis),
        }  # fmt: skip
        if self.special is not None:
            return self.special.solve(given, **settings)
        return solvers.solve(given, self.solver, nonnegative=self.nonnegative, **settings)

    def operator(self, found: SolverResult) -> FrameStack:
        """The operator of the frames, with the weights that the solver ended with."""
        return found.operator or self.problem(0.0).operator

    def fit_photometry(
        self, terms: Terms, beta: float, start: Array | None, rtol: float
    ) -> Array | None:
        """Fit the brightness of several frames and an image in turn, and return the image."""
        known = self.known
        for _ in range(ROUNDS):
            found = self.solve(beta, start, max(rtol, ROUGH))
            start = found.x
            predictions = FrameStack(self.operators).matvec(start).reshape(known.frames.shape)
            counts = found.total_weights(known.weights)
            known.photometry = fitted(known.frames, predictions, counts, terms)
        return start

    def denoise(self, beta: float, found: SolverResult, denoiser: Any, noise: Any) -> SolverResult:
        """Plug and play, beginning with the solution."""
        from dhop.reconstruction.plug_and_play import plug_and_play

        given = self.known.variance() if noise is None else arguments.real("noise", noise) ** 2
        return plug_and_play(
            self.problem(beta), found, denoiser, given, self.axis,
            callback=solvers.user_callback(self.callback, self.axis), progress=self.progress,
        )  # fmt: skip

    def suppress_ringing(
        self, beta: float, found: SolverResult, rtol: float, span: tuple[float, float]
    ) -> tuple[float, SolverResult]:
        """Double `beta` while the image rings, as with an estimated PSF that is too wide."""
        for _ in range(DOUBLINGS):
            if not ranges.rings(found.x, span):
                break
            beta *= 2
            found = self.solve(beta, found.x, rtol)
        return beta, found

    def warn(self, found: SolverResult, estimated: bool, span: tuple[float, float]) -> None:
        """Warn of outlier frames and, if `beta` or the PSF was estimated, of implausible images."""
        text = ranges.caution(found.x, span) if estimated else None
        if text:
            self.known.warn(text, RangeWarning)
        if found.weights is not None:
            self.known.warn_of_outliers(found.weights)
