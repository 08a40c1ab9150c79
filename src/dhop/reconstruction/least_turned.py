"""The volume whose spectrum stands for that of volumes which have turned."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.frames import motions

Array = NDArray[Any]


def least_turned(
    frames: Array, weights: Sequence[Array] | None, motion: Sequence[Any]
) -> tuple[Array, Array, list[Array]]:
    """The volume that has turned least, of those that have a weight, its shift and weight.

    What is chosen are noise and scene, however many volumes show them.
    """
    corner, middle = (
        np.array([motions.displacement(each, frames.shape[-3:], (place,) * 3) for each in motion])
        for place in (0.0, 0.5)
    )
    maps = list(weights or [np.ones(())] * len(frames))
    turn = np.where([np.any(w) for w in maps], np.abs(corner - middle).max(axis=1), np.inf)
    one = slice(int(turn.argmin()), int(turn.argmin()) + 1)
    return frames[one], np.zeros((1, 3)), maps[one]
