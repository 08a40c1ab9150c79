"""Refined shifts and motions, where the error of held-out frames confirms them."""

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
from dhop.reconstruction.crop import Crop, beta_of_common_image
from dhop.reconstruction.cross_validation import State, validated
from dhop.reconstruction.derotation import derotate
from dhop.reconstruction.motion_refinement import refine_motions
from dhop.registration import Registration

Array = NDArray[Any]

REGISTERED = 0.02  # pixels: standard deviation of registered shifts ...
GIVEN = 0.5  # ... and of given ones
ROUGH = 8_000.0  # work of `dhop.frames.spectra`: to compare shifts a rough `beta` will do
SHIFTED = 128  # pixels a side of the crop that shifts are validated on ...
TURNED = 192  # ... and of that for motions ...
FEWEST = 8  # ... at least


def refined_shifts(
    frames: Array,
    weights: Sequence[Array] | None,
    factor: tuple[int, ...],
    decimation: Decimation,
    shifts: Array,
    gains: Array,
    spread: float,
) -> tuple[Array, Array]:
    """Shifts and gains of `dhop.estimation.refinement.refine`, where these are validated.

    Frames that differ by more than shifts have a least residual, too, but a worse image there.
    """
    new, bright = refine(frames, factor, shifts, weights, decimation, gains, spread)
    if np.array_equal(new, shifts):
        return shifts, bright
    moves = [[*map(motions.of_shift, some)] for some in (shifts, new)]
    crop = Crop.build(frames, weights, moves[0], factor, decimation, SHIFTED)
    before, after = (
        State(motion, crop.centred(matched(frames, weights, some, level, "both")))
        for motion, some, level in zip(moves, (shifts, new), (gains, bright), strict=True)
    )
    level = before.photometry
    spectra = Spectra(level.corrected(frames), factor, shifts, level.weights(weights), ROUGH)
    beta = beta_of_common_image(spectra, decimation)
    some = validated(crop, before, after, beta, 2)
    return np.where(some[:, None], new, shifts), np.where(some, bright, gains)


def refined_motions(
    frames: Array,
    weights: Sequence[Array] | None,
    factor: tuple[int, ...],
    decimation: Decimation,
    found: Registration,
) -> tuple[Array, Array]:
    """Refined motions and gains of registered frames, where these are validated."""
    crop = Crop.build(frames, weights, list(found.motions), factor, decimation, TURNED)
    if min(crop.size) < FEWEST:
        return found.motions, found.gains
    terms = crop.centred(Photometry(found.gains, found.offsets))
    before = State(crop.motion, terms)
    derotated = derotate(crop.corrected(terms))
    if not derotated.beta:
        return found.motions, found.gains
    shape, kind = frames.shape[-2:], found.model
    after = refine_motions(crop, kind, shape, before, derotated.beta, derotated.image)
    numbers = len(groups.generators(kind, shape))
    some = validated(crop, before, after, derotated.beta, numbers)
    if not some.any():
        return found.motions, found.gains
    moved = np.where(some[:, None, None], after.motion, before.motion)
    there = groups.translation(crop.first)
    whole = there @ np.linalg.solve(moved[found.reference], moved) @ np.linalg.inv(there)
    whole /= whole[:, 2:, 2:]
    for i, weight in enumerate(crop.weights):
        if i == found.reference or not weight.any():
            whole[i] = found.motions[i]
    gains = np.where(some, after.photometry.gains, found.gains)
    return whole, gains / gains[found.reference]
