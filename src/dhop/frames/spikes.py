"""Single pixels that are outliers among their neighbours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from dhop.frames.masks import each_weight, filled
from dhop.frames.noise import quiet_noise

Array = NDArray[Any]

NOISE = 5.0  # standard deviations of the noise, and ...
BRIGHT = 3.0  # times the range of a frame without spikes: these outshine it
VARIES = 3.0  # times the variation of the neighbours: a spike is farther from their median


def despiked(frames: Array, weights: Sequence[Array] | None = None) -> Array:
    """The frames with the median of their neighbours in the place of spikes.

    A point of light that the optics have blurred is none, for its neighbours are bright, too. Ranks
    of the eight neighbours leave out the most extreme two, so that spikes may touch.

    Parameters
    ----------
    frames : ndarray, shape (F, ..., m0, m1)
    weights : sequence of ndarray, optional

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.outer(np.hanning(33), np.hanning(33))
    >>> struck = frame.copy()
    >>> struck[14, 20] = 9
    >>> bool(abs(despiked(struck[None])[0] - frame).max() < 0.1)
    True
    """
    maps = each_weight(weights, len(frames))
    result = frames.copy()
    for frame, weight in zip(result, maps, strict=True):
        known = filled(frame, np.broadcast_to(weight, frame.shape))
        for image, seen in zip(*(each.reshape(-1, *each.shape[-2:]) for each in (frame, known)),
                               strict=True):  # fmt: skip
            ring = scipy.ndimage.generate_binary_structure(2, 2)
            ring[1, 1] = False
            low, middle, high = (
                scipy.ndimage.rank_filter(seen, rank, footprint=ring) for rank in (2, 4, 5)
            )
            limit = VARIES * (high - low) + NOISE * quiet_noise(seen)
            np.copyto(image, middle, where=abs(seen - middle) > limit)
    return result


def without_bright_spikes(
    frames: Array, weights: Sequence[Array] | None = None
) -> tuple[Array, int]:
    """The frames without spikes, and how many of these outshine the rest of their frame by far.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.outer(np.hanning(33), np.hanning(33))
    >>> struck = frame.copy()
    >>> struck[14, 20] = 9
    >>> [without_bright_spikes(each[None])[1] for each in (frame, struck)]
    [0, 1]
    """
    clean = despiked(frames, weights)
    bright = 0
    for frame, calm, weight in zip(frames, clean, each_weight(weights, len(frames)), strict=True):
        seen = np.broadcast_to(weight > 0, frame.shape)
        if seen.any():
            change = abs(frame[seen] - calm[seen])
            bright += int(np.sum(change > BRIGHT * np.ptp(calm[seen])))
    return clean, bright
