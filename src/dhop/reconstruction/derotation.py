"""Frames as if they had only been shifted.

Choices from the data are made on spectra (`dhop.frames.spectra`), for which frames may differ by
shifts alone. A frame that has turned is a motion `W_i` of an image `G` (`dhop.reconstruction.crop`)
and a residual, and if it were only shifted it would be about that shift `T_i` and the residual:

    y_i = D W_i G + r_i,    y_i' = D T_i G + r_i.

The errors of `G` count as far as rotation and shift differ: frames that are only shifted stay as
they are, whatever `G`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.frames import motions
from dhop.frames.masks import each_weight
from dhop.frames.spectra import Spectra
from dhop.operators.stack import FrameStack
from dhop.reconstruction.crop import Crop, beta_of_common_image, common_image

Array = NDArray[Any]

SMOOTH = 0.2  # weight of the Laplacian for the first `G`, in strengths of a frame
ROUNDS = 2  # of a better weight, chosen from the frames that the last `G` gave


class Derotated(NamedTuple):
    """Parts of frames that differ by shifts alone.

    Attributes
    ----------
    frames : ndarray, shape (F, ..., n0, n1)
    shifts : ndarray, shape (F, 2)
    weights : list of ndarray
    image : ndarray, shape (N,)
        `G`.
    beta : float
        Weight of the Laplacian in the least squares for `G`; zero for frames without weights.
    """

    frames: Array
    shifts: Array
    weights: list[Array]
    image: Array
    beta: float


def derotate(crop: Crop) -> Derotated:
    """The crop of each frame as if it had only been shifted."""
    known, factor = crop.frames, crop.factor
    shifts = np.array([motions.displacement(m, crop.size, (0.5, 0.5)) for m in crop.motion])
    maps = crop.seen(crop.motion)
    turned = crop.operators(crop.motion)
    still = crop.operators([motions.of_shift(shift) for shift in shifts])
    stack = FrameStack(turned, maps)
    beta = SMOOTH * float(np.mean(stack.strengths()))
    if not beta:
        return Derotated(known, shifts, maps, np.zeros(stack.shape[1], known.dtype), beta)
    G = None
    for last in range(ROUNDS + 1):
        G = common_image(stack, known, beta, G)
        found = Derotated(_replaced(known, maps, turned, still, G), shifts, maps, G, beta)
        spectra = Spectra(found.frames, factor, shifts, maps)
        if last == ROUNDS or not spectra.values.any():
            break
        beta = beta_of_common_image(spectra, crop.decimation)
    return found


def _replaced(frames: Array, weights: list[Array], turned: Any, still: Any, G: Array) -> Array:
    """The frames, with the prediction of shifted ones in the place of that of turned ones."""
    found = frames.copy()
    for own, w, A, T in zip(found, weights, turned, still, strict=True):
        own -= A.matvec(G).reshape(own.shape)
        own[w == 0] = 0
        own += T.matvec(G).reshape(own.shape)
    return found


def least_rotated(
    frames: Array, weights: Sequence[Array] | None, motion: Sequence[Any]
) -> tuple[Array, Array, list[Array]]:
    """The volume that has turned least, of those that have a weight, its shift and weight.

    One is enough: spectra are to show noise and scene, however many volumes have them.
    """
    corner, middle = (
        np.array([motions.displacement(each, frames.shape[-3:], (place,) * 3) for each in motion])
        for place in (0.0, 0.5)
    )
    maps = each_weight(weights, len(frames))
    turn = np.where([np.any(w) for w in maps], np.abs(corner - middle).max(axis=1), np.inf)
    one = slice(int(turn.argmin()), int(turn.argmin()) + 1)
    return frames[one], np.zeros((1, 3)), maps[one]
