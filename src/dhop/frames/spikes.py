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
BRIGHT = 3.0  # times the range of a frame without spikes, that a spike outshines it by
AGAIN, NEAR = 0.1, 5  # of its height in others, within as many pixels a side: it is a star
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
    frames: Array, shifts: Array, weights: Sequence[Array] | None = None
) -> tuple[Array, int]:
    """The frames without spikes that outshine all else by far, and how many these are.

    What most other frames show, too, is a star.

    Parameters
    ----------
    frames : ndarray, shape (F, ..., m0, m1)
    shifts : ndarray, shape (F, 2)
        Of the scene in each frame, to a pixel.
    weights : sequence of ndarray, optional

    Examples
    --------
    >>> import numpy as np
    >>> frames = np.stack([np.outer(np.hanning(33), np.hanning(33))] * 3)
    >>> frames[:, 8, 9] = 40
    >>> frames[1, 14, 20] = 40
    >>> clean, count = without_bright_spikes(frames, np.zeros((3, 2)))
    >>> count, float(clean[1, 8, 9]), bool(clean[1, 14, 20] < 1)
    (1, 40.0, True)
    """
    calm, result, count = despiked(frames, weights), frames.copy(), 0
    maps = [
        np.broadcast_to(w > 0, frame.shape)
        for w, frame in zip(each_weight(weights, len(frames)), frames, strict=True)
    ]
    near = (1,) * (frames.ndim - 3) + (NEAR, NEAR)
    around = [
        scipy.ndimage.maximum_filter(np.where(seen, abs(frame - np.median(one[seen])), 0), near)
        if seen.any() else np.zeros(frame.shape)
        for frame, one, seen in zip(frames, calm, maps, strict=True)
    ]  # fmt: skip
    whole = np.rint(shifts).astype(int)
    for i, seen in enumerate(maps):
        change = np.where(seen, abs(frames[i] - calm[i]), 0)
        places = np.nonzero(change > BRIGHT * np.ptp(calm[i][seen])) if seen.any() else ()
        if not places:
            continue
        inside, again = (np.zeros(places[0].size, int) for _ in range(2))
        for j in range(len(frames)):
            if j != i:
                *leading, row, column = places
                row, column = row + whole[j][0] - whole[i][0], column + whole[j][1] - whole[i][1]
                last = frames.shape[-2] - 1, frames.shape[-1] - 1
                within = (row >= 0) & (row <= last[0]) & (column >= 0) & (column <= last[1])
                there = (*leading, row.clip(0, last[0]), column.clip(0, last[1]))
                inside += within
                again += within & (around[j][there] > AGAIN * change[places])
        spikes = tuple(index[2 * again < inside] for index in places)
        result[i][spikes] = calm[i][spikes]
        count += spikes[0].size
    return result, count
