"""Shifts and motions of the least residual of the super-resolution, where these are better."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.estimation import groups
from dhop.estimation.photometry import Photometry, matched
from dhop.estimation.refinement import refine
from dhop.frames import motions
from dhop.frames.spectra import Spectra
from dhop.model.decimation import Decimation
from dhop.reconstruction.crop import Middle, smoothness
from dhop.reconstruction.cross_validation import State, better
from dhop.reconstruction.derotation import stilled
from dhop.reconstruction.motion_refinement import settled
from dhop.registration import Registration

Array = NDArray[Any]

REGISTERED = 0.02  # pixels: standard deviation of shifts that were found in pairs of frames ...
GIVEN = 0.5  # ... and of what is to be refined
ROUGH = 8_000.0  # work of `dhop.frames.spectra`: images that only compare need no exact `beta`
SHIFTED = 128  # pixels a side of the part of frames that tells whether shifts are better ...
TURNED = 192  # ... and of that which tells of motions ...
FEWEST = 8  # ... if it has so many


def refined_shifts(
    frames: Array,
    weights: Sequence[Array] | None,
    factor: tuple[int, ...],
    decimation: Decimation,
    shifts: Array,
    gains: Array,
    spread: float,
) -> tuple[Array, Array]:
    """Shifts and gains of `dhop.estimation.refinement.refine`, where they predict frames better.

    Frames that differ by more than shifts have some of which the residual of spectra is least, and
    the image worse.

    Parameters
    ----------
    frames, weights, factor, decimation, shifts, gains, spread
        As for that.

    Returns
    -------
    shifts : ndarray, shape (F, 2)
    gains : ndarray, shape (F,)
        Those that came, of frames that keep them.
    """
    new, bright = refine(frames, factor, shifts, weights, decimation, gains, spread)
    if np.array_equal(new, shifts):
        return shifts, bright
    moves = [[*map(motions.of_shift, some)] for some in (shifts, new)]
    middle = Middle.build(frames, weights, moves[0], factor, decimation, SHIFTED)
    before, after = (
        State(motion, middle.centred(matched(frames, weights, some, level, "both")))
        for motion, some, level in zip(moves, (shifts, new), (gains, bright), strict=True)
    )
    level = before.photometry
    spectra = Spectra(level.corrected(frames), factor, shifts, level.weights(weights), ROUGH)
    beta = smoothness(spectra, decimation)
    some = better(middle, before, after, beta, 2)
    return np.where(some[:, None], new, shifts), np.where(some, bright, gains)


def refined_motions(
    frames: Array,
    weights: Sequence[Array] | None,
    factor: tuple[int, ...],
    decimation: Decimation,
    found: Registration,
) -> tuple[Array, Array]:
    """Motions and gains of registered frames.

    Parameters
    ----------
    frames, weights, factor, decimation
        As for `dhop.reconstruction.crop.Middle.build`.
    found : Registration

    Returns
    -------
    motions : ndarray, shape (F, 3, 3)
        Where the pixels of the frames lie in the reference.
    gains : ndarray, shape (F,)
    """
    middle = Middle.build(frames, weights, list(found.motions), factor, decimation, TURNED)
    if min(middle.size) < FEWEST:
        return found.motions, found.gains
    terms = middle.centred(Photometry(found.gains, found.offsets))
    before = State(middle.motion, terms)
    stills = stilled(middle.corrected(terms))
    if not stills.beta:
        return found.motions, found.gains
    shape, kind = frames.shape[-2:], found.model
    after = settled(middle, kind, shape, before, stills.beta, stills.image)
    numbers = len(groups.generators(kind, shape))
    some = better(middle, before, after, stills.beta, numbers)
    if not some.any():
        return found.motions, found.gains
    moved = np.where(some[:, None, None], after.motion, before.motion)
    there = groups.shifted(middle.first)
    whole = there @ np.linalg.solve(moved[found.reference], moved) @ np.linalg.inv(there)
    whole /= whole[:, 2:, 2:]
    for i, weight in enumerate(middle.weights):
        if i == found.reference or not weight.any():
            whole[i] = found.motions[i]
    gains = np.where(some, after.photometry.gains, found.gains)
    return whole, gains / gains[found.reference]
