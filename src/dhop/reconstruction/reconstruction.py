"""From frames that are prepared to an image: the problem, the choice of `beta`, the solution."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray

from dhop.cautions import PSFWarning, RangeWarning
from dhop.estimation.photometry import Terms, fitted
from dhop.operators.stack import FrameStack
from dhop.reconstruction import problem, ranges, solvers
from dhop.reconstruction.preparation import Preparation
from dhop.reconstruction.problem import Problem
from dhop.reconstruction.solvers import Callback, SolverResult
from dhop.reconstruction.variational import Variational, with_mean_weights
from dhop.runtime import arguments
from dhop.runtime.progress import Progress

Array = NDArray[Any]

ROUNDS = 2  # of a solution and of the brightness of the frames
ROUGH = 1e-3  # tolerance of these solutions
RAISED = 100.0  # times the beta of a volume, of which it must be said
DOUBLINGS = 8  # of a beta, for a PSF that was estimated, until the image is plausible


@dataclass
class Reconstruction:
    """What is known of the frames, their operators, and what is asked for.

    Attributes
    ----------
    known : Preparation
    operators : list of LinearOperator
        One for each frame.
    special : Variational or None
        How to solve what is not least squares.
    regulariser, boundary
        Of a `Problem`.
    solver : str
    nonnegative : bool
    axis : int or None
        Of the caller's channels.
    maxiter : int
    callback, progress : callable, optional
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
        """The problem for that `beta`, with the brightness that is known by now."""
        known = self.known
        stack = FrameStack(self.operators, known.photometry.weights(known.weights))
        corrected = known.photometry.corrected(known.frames)
        ndim = len(known.factor)
        return Problem(stack, corrected, self.regulariser, beta, self.boundary, ndim)

    def value_range(self, factor: tuple[float, ...]) -> tuple[float, float]:
        """Least and largest value that frames show, in the unit of the image."""
        known = self.known
        pixels = prod(factor) if known.decimation == "sum" else 1.0  # of the image in a frame's
        low, high = ranges.visible_range(known.frames, known.weights)
        return low / pixels, high / pixels

    def choose_beta(
        self, beta: Any, noise: Any, estimated: bool, span: tuple[float, float]
    ) -> float:
        """Take or choose `beta`; `estimated` tells whether the PSF is."""
        known, special = self.known, self.special
        chosen = isinstance(beta, str)
        stack = FrameStack(self.operators, known.weights)
        if chosen:
            problem.check_squares(stack, known.frames)
        else:
            beta = arguments.real("beta", beta)
        number = beta
        if chosen or special is not None:
            settings = sum(stack.strengths()), estimated, self.progress
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
        """The problem whose frames have the mean of their weights."""
        return with_mean_weights(self.problem(beta))

    def _raised(
        self,
        number: float,
        span: tuple[float, float],
        posed: Callable[[float], Problem],
        otherwise: str,
    ) -> float:
        """A `beta` or a larger one, for which the image of least squares is plausible.

        Of volumes, whose PSF was compared with no other, and of frames that are told to count
        photons, whose images do not ring downwards.
        """
        plausible = ranges.plausible(posed, number, span)
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
        """The frames' operator with the weights that a solution ended with."""
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
        """Plug and play, from the solution on."""
        from dhop.reconstruction.plug_and_play import plug_and_play

        given = self.known.variance() if noise is None else arguments.real("noise", noise) ** 2
        return plug_and_play(
            self.problem(beta), found, denoiser, given, self.axis,
            callback=solvers.user_callback(self.callback, self.axis), progress=self.progress,
        )  # fmt: skip

    def suppress_ringing(
        self, beta: float, found: SolverResult, rtol: float, span: tuple[float, float]
    ) -> tuple[float, SolverResult]:
        """A larger `beta`, if the image rings, as with an estimated PSF that is too wide."""
        for _ in range(DOUBLINGS):
            if not ranges.rings(found.x, span):
                break
            beta *= 2
            found = self.solve(beta, found.x, rtol)
        return beta, found

    def warn_if_implausible(
        self, found: SolverResult, chosen: bool, span: tuple[float, float]
    ) -> None:
        """Warn of images and frames that do not fit; `chosen` tells if `beta` or the PSF was."""
        far = ranges.caution(found.x, span) if chosen else None
        if far:
            self.known.warn(far, RangeWarning)
        if found.weights is not None:
            self.known.warn_of_outliers(found.weights)
