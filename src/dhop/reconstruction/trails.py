"""Outliers of a single frame: spikes, and trails of them, as of cosmic rays."""

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

SMOOTH = 1e4  # times a moderate weight: such an image fits no trail
FALL = 0.1  # factor by which the weight falls from pass to pass, at least
PASSES, SETTLED = 6, 0.7  # at most; passes end when the weight falls by less than this factor
SPIKED = 20.0  # factor between the weights chosen with and without spikes


def without_trails(
    known: Preparation, problem: Problem, despiked: Callable[[Array], Array], strength: float
) -> Array:
    """A single frame without the spikes in the residuals of images that are smooth at first.

    A sharp image would fit the spikes, too. So the weight of the regulariser falls from a large one
    to that which is chosen for the frame without the spikes found so far. A trail loses its ends in
    each pass. At last the spikes of the final residuals alone are removed from the original frame,
    unless the weight that is chosen for that, or a check of the PSF, shows that more were left.

    Parameters
    ----------
    known : Preparation
        Of the frame without single spikes.
    problem : Problem
        Of the frame as it is.
    despiked : callable
        Removes single spikes.
    strength : float
        As for `Preparation.choose_beta`.
    """
    start = SMOOTH * known.fallback_beta(problem.regulariser)

    def chosen(clean: Array, check_psf: bool = False) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            none = Photometry.none(1)
            seen = replace(known, frames=clean, photometry=none, check_psf=check_psf)
            return seen.choose_beta(problem.regulariser, "auto", None, strength, None)

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
    return whole if 1 / SPIKED < chosen(whole, True) / better < SPIKED else clean
