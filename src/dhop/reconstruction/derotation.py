"""Frames as they would be if they had only been shifted.

What is chosen from frames is chosen from their spectra (`dhop.frames.spectra`), for which they may
differ by shifts alone. A frame that has turned is what an image `G` shows it of the scene, see
`dhop.reconstruction.crop`, and what that leaves unexplained:

    y_i = D W_i G + r_i,    and if it were only shifted, about    D T_i G + r_i.

The errors of `G` count as far as turn and shift differ: of frames that are but shifted every pixel
stays as it is, whatever `G`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.frames import motions
from dhop.frames.spectra import Spectra
from dhop.operators.stack import FrameStack
from dhop.reconstruction.crop import Middle, image, smoothness

Array = NDArray[Any]

SMOOTH = 0.2  # weight of the regulariser of the first `G`, in strengths of a frame
ROUNDS = 2  # of a better weight, from what the first frames show


class Stills(NamedTuple):
    """Parts of frames that differ by shifts.

    Attributes
    ----------
    frames : ndarray, shape (F, ..., n0, n1)
    shifts : ndarray, shape (F, 2)
    weights : list of ndarray
    image : ndarray, shape (N,)
        `G`.
    beta : float
        Weight of the regulariser that `G` has been found with; zero of frames without weights.
    """

    frames: Array
    shifts: Array
    weights: list[Array]
    image: Array
    beta: float


def stilled(middle: Middle) -> Stills:
    """The middle of frames, as if they had only been shifted."""
    known, factor = middle.frames, middle.factor
    shifts = np.array([motions.displacement(m, middle.size, (0.5, 0.5)) for m in middle.motion])
    maps = middle.seen(middle.motion)
    turned = middle.operators(middle.motion)
    still = middle.operators([motions.of_shift(shift) for shift in shifts])
    stack = FrameStack(turned, maps)
    beta = SMOOTH * float(np.mean(stack.strengths()))
    if not beta:
        return Stills(known, shifts, maps, np.zeros(stack.shape[1], known.dtype), beta)
    G = None
    for last in range(ROUNDS + 1):
        G = image(stack, known, beta, G)
        found = Stills(_exchanged(known, maps, turned, still, G), shifts, maps, G, beta)
        spectra = Spectra(found.frames, factor, shifts, maps)
        if last == ROUNDS or not spectra.values.any():
            break
        beta = smoothness(spectra, middle.decimation)
    return found


def _exchanged(frames: Array, weights: list[Array], turned: Any, still: Any, G: Array) -> Array:
    """What `G` does not explain of frames, on what it shows still ones."""
    found = frames.copy()
    for own, w, A, T in zip(found, weights, turned, still, strict=True):
        own -= A.matvec(G).reshape(own.shape)
        own[w == 0] = 0
        own += T.matvec(G).reshape(own.shape)
    return found
