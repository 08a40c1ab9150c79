r"""Motions that leave the least residual of the super-resolution.

Registration compares pairs of frames, whose aliases differ. Here all frames are compared with the
image `G` that they show together (`dhop.reconstruction.crop`), in which their aliases are told
apart; image and motions are improved in turn. Each frame takes steps of Gauss and Newton to what
the image shows it, with a gain and an offset, and with a prior on the steps: registration is right
to a few hundredths of a pixel. Steps are amounts of `dhop.estimation.groups`, pixels at the corners
of a frame whatever the motion, so that one prior serves all kinds.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.estimation import groups
from dhop.estimation.groups import Kind
from dhop.estimation.photometry import Photometry
from dhop.operators.stack import FrameStack
from dhop.reconstruction.crop import Middle, image
from dhop.reconstruction.cross_validation import State, misfit, slope, telling

Array = NDArray[Any]

SPREAD = 0.03  # pixels: standard deviation of registered motions, of each of their amounts
ROUNDS = 3  # of an image and of motions
STEPS = 2  # of the motions, for one image
LARGEST = 0.5  # pixels from where a motion began, beyond which the residual tells nothing


def settled(
    middle: Middle, kind: Kind, shape: tuple[int, ...], state: State, beta: float, start: Array
) -> State:
    """Improve motions that are right to a few hundredths of a pixel.

    All may change, that of the frame which others were registered to as well.

    Parameters
    ----------
    middle : Middle
        Of frames as they came.
    kind : str
        Of the motions.
    shape : (int, int)
        Of whole frames.
    state : State
        Motions, and a first guess of gains and offsets.
    beta : float
        Weight of the regulariser of `G`.
    start : ndarray, shape (N,)
        `G` as these motions have it.
    """
    steps = _Steps(middle, kind, shape)
    moved = np.zeros((len(state.motion), len(steps.among)))
    G = start
    for number in range(ROUNDS):
        if number:
            bright = middle.corrected(state.photometry)
            seen = [w * t for w, t in zip(bright.seen(state.motion), steps.robustness, strict=True)]
            stack = FrameStack(middle.operators(state.motion), seen)
            G = image(stack, bright.frames, beta, G)
        state = steps.taken(state, moved, G)
    return state


class _Steps:
    """Steps of motions to an image."""

    def __init__(self, middle: Middle, kind: Kind, shape: tuple[int, ...]) -> None:
        self.middle = middle
        self.robustness = [np.ones(w.shape) for w in middle.weights]
        there = groups.shifted(middle.first)
        self.among = np.linalg.inv(there) @ groups.generators(kind, shape) @ there
        dtype = middle.frames.dtype
        lines = (each.astype(dtype) for each in middle.grid.lines())
        self.velocities = groups.velocities(
            self.among.astype(dtype), *np.meshgrid(*lines, indexing="ij")
        )

    def taken(self, state: State, moved: Array, G: Array) -> State:
        """Motions, gains and offsets that fit frames better; `moved` is brought up to date."""
        motion = list(state.motion)
        gains, offsets = state.photometry.gains.copy(), state.photometry.offsets.copy()
        for i, weights in enumerate(self.middle.weights):
            for _ in range(STEPS if weights.any() else 0):
                found = self._step(i, motion[i], moved[i], G)
                if found is None or np.abs(moved[i] + found[0]).max() > LARGEST:
                    break
                step, gains[i], offsets[i] = found
                motion[i] = groups.stepped(motion[i], self.among, step)
                moved[i] += step
        return State(motion, Photometry(gains, offsets))

    def _step(
        self, i: int, motion: Array, moved: Array, G: Array
    ) -> tuple[Array, float, float] | None:
        """Amounts to change the motion of a frame by, and its gain and offset.

        None if no pixels are left in common, or nothing is unexplained.
        """
        middle, k = self.middle, len(self.among)
        weights = telling(middle, i, [motion])
        if not weights.any():
            return None
        (A,) = middle.operators([motion])
        fine = A.right.degrade(G.reshape(A.right.dims))
        down, right = (
            f * slope(fine, axis) for f, axis in zip(middle.factor, (-2, -1), strict=True)
        )
        columns = np.empty((k + 1, weights.size))
        for column, v, u in zip(columns, *self.velocities, strict=False):
            column[:] = A.left.degrade(v * down + u * right).reshape(-1)
        columns[k] = A.left.degrade(fine).reshape(-1)
        found = misfit(middle.frames[i], columns[k].reshape(weights.shape), weights)
        self.robustness[i] = np.where(weights > 0, found.robustness, 1)
        noise = float(np.sum(found.robustness * found.left**2) / found.robustness.sum())
        if noise == 0 or found.gain <= 0:
            return None
        columns[:k] *= found.gain
        w = (weights * found.robustness).reshape(-1)
        means = columns @ w / w.sum()
        columns = np.sqrt(weights * found.robustness).reshape(-1) * (columns - means[:, None])
        normal = columns @ columns.T / noise
        score = columns @ (np.sqrt(found.robustness) * found.left).reshape(-1) / noise
        normal[range(k), range(k)] += SPREAD**-2
        score[:k] -= moved / SPREAD**2
        change = np.linalg.lstsq(normal, score)[0]
        return change[:k], found.gain + change[k], found.offset - float(change @ means)
