"""Spikes of a single frame, and trails of them, which no other frame contradicts."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.estimation.photometry import Photometry
from dhop.reconstruction.preparation import Preparation
from dhop.reconstruction.problem import Problem
from dhop.reconstruction.robust import robust_prediction

Array = NDArray[Any]

SMOOTH = 1e4  # times a moderate weight: in such an image no trail of spikes is left
FALL = 0.1  # the least that remains of it from pass to pass
PASSES, SETTLED = 6, 0.7  # at most, and what the weight falls to that is chosen in the last
SPIKED = 20.0  # times more or less is chosen for a frame that has its spikes back


def without_trails(
    known: Preparation, problem: Problem, despiked: Callable[[Array], Array], strength: float
) -> Array:
    """A single frame without spikes in the residuals of images that are smooth at first.

    A sharp image fits all that a frame holds. So the weight falls from a large one to that which is
    chosen for the frame without the spikes that have been found. A trail of them loses its ends in
    each pass. What the last image explains after all comes back, unless the weight, or a PSF that
    is contradicted then, says that it was spikes.

    Parameters
    ----------
    known : Preparation
        With a frame without single spikes.
    problem : Problem
        Of the frame as it is.
    despiked : callable
        Takes single spikes out of frames.
    strength : float
        As for `Preparation.choose_beta`.
    """
    start = SMOOTH * known.fallback_beta(problem.regulariser)

    def chosen(clean: Array, trusted: bool = True) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seen = replace(known, frames=clean, photometry=Photometry.none(1))
            return seen.choose_beta(problem.regulariser, "auto", None, strength, trusted, None)

    def without(frames: Array, beta: float) -> Array:
        fit = robust_prediction(replace(problem, frames=frames, beta=beta))
        return np.asarray((fit + despiked(frames - fit)).astype(frames.dtype))

    clean, beta = known.photometry.corrected(known.frames), np.inf
    for _ in range(PASSES):
        better = chosen(clean)
        if better > SETTLED * beta:
            break
        beta = max(better, min(FALL * beta, start))
        clean = without(clean, beta)
    whole = without(problem.frames, better)
    return whole if 1 / SPIKED < chosen(whole, False) / better < SPIKED else clean
