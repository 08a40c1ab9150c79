"""The simplest kind of motions that explains the frames.

Each kind is fitted by itself. With residuals `r` that count as `n` independent normal variables, a
kind of `k` parameters has the Bayesian information criterion ``n log(sum(r**2)) + k log(n)`` for
each frame. The best has the least sum over the frames.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.estimation import groups, motion_alignment
from dhop.estimation.correlation import repeats
from dhop.estimation.groups import KINDS, Kind
from dhop.estimation.shift_alignment import Level, cauchy_weights, gradient

Array = NDArray[Any]

LARGEST = 512  # pixels of the copies that are compared
ALIKE = 0.03  # pixels: motions that differ by less, at the corners, are the same


class Trial(NamedTuple):
    """The fits of all kinds to a frame."""

    criteria: Array
    places: Array  # of the corners of the frame in the reference, for each kind


def simplest(trials: list[Trial]) -> Kind:
    """The first kind whose motions are about those of the best."""
    if not trials:
        return "shift"
    best = int(np.argmin(sum(each.criteria for each in trials)))
    apart = np.max([np.abs(each.places - each.places[best]).max(axis=(1, 2)) for each in trials], 0)
    return KINDS[int(np.argmax(apart < ALIKE))]


def trial(reference: list[Level], frame: list[Level]) -> Trial | None:
    """Fits of each kind; None if the frame does not show the scene of the reference."""
    shape = frame[0].image.shape
    start = motion_alignment.match(reference, frame, "similarity", LARGEST)
    if start is None or not start.fits(shape):
        return None
    k = motion_alignment.finest(frame, LARGEST)
    one, other = reference[k], frame[k]
    found = []
    for kind in KINDS:
        fitted = motion_alignment.align(one, other, groups.nearest(start.matrix, kind, shape), kind)
        if fitted is None:
            return None
        found.append(fitted.matrix)
    image, weights = motion_alignment.warped(one, other, found[-1])
    both = weights * other.weights
    residual, gain = motion_alignment.regression_residual(image, other.smooth, both)
    weights = both * cauchy_weights(residual, np.hypot(*gradient(np.float32(gain) * image)), both)
    n = float(weights.sum()) / repeats(residual, weights, residual, weights)
    criteria = []
    for kind, matrix in zip(KINDS, found, strict=True):
        image, _ = motion_alignment.warped(one, other, matrix)
        residual, _ = motion_alignment.regression_residual(image, other.smooth, weights)
        power = float(np.sum(weights * np.square(residual)))
        unknowns = len(groups.generators(kind, shape))
        criteria.append(n * np.log(max(power, 1e-30)) + unknowns * np.log(max(n, 2.0)))
    corners = np.array([[r, c, 1] for r in (0, shape[0] - 1) for c in (0, shape[1] - 1)])
    places = np.array(found) @ corners.T
    return Trial(np.array(criteria), places[:, :2] / places[:, 2:])
