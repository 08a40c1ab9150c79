r"""Motions of the least residual of the super-resolution.

Registration compares pairs of frames, whose aliases differ. Here all frames are compared with the
image `G` that they share (`dhop.reconstruction.crop`), in which aliases are resolved; image and
motions are improved in turn. Each frame takes Gauss-Newton steps, with a gain, an offset and a
Gaussian prior on the step: registration is right to a few hundredths of a pixel. Steps are
coordinates of `dhop.estimation.groups`, in pixels at the corners of a frame whatever the motion, so
that one prior serves all kinds.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.estimation import groups
from dhop.estimation.groups import Kind
from dhop.estimation.photometry import Photometry
from dhop.estimation.shift_alignment import slope
from dhop.operators.stack import FrameStack
from dhop.reconstruction.crop import Crop, common_image
from dhop.reconstruction.cross_validation import State, frame_residual, interior_weights

Array = NDArray[Any]

SPREAD = 0.03  # pixels: standard deviation of each coordinate of a registered motion
ROUNDS = 3  # of an image and of motions
STEPS = 2  # of the motions, for one image
LARGEST = 0.5  # pixels from where a motion began, beyond which the linearisation is wrong


def refine_motions(
    crop: Crop, kind: Kind, shape: tuple[int, ...], state: State, beta: float, start: Array
) -> State:
    """Improve motions that are right to a few hundredths of a pixel, also that of the reference.

    Parameters
    ----------
    crop : Crop
        Of frames as they came, which have a `shape` as a whole.
    kind : str
        Of the motions.
    state : State
        A first guess.
    beta : float
        Weight of the Laplacian in the least squares for `G`.
    start : ndarray, shape (N,)
        `G` for these motions.
    """
    steps = _Steps(crop, kind, shape)
    moved = np.zeros((len(state.motion), len(steps.among)))
    G = start
    for number in range(ROUNDS):
        if number:
            bright = crop.corrected(state.photometry)
            pairs = zip(bright.seen(state.motion), steps.robustness, strict=True)
            stack = FrameStack(crop.operators(state.motion), [w * r for w, r in pairs])
            G = common_image(stack, bright.frames, beta, G)
        state = steps.taken(state, moved, G)
    return state


class _Steps:
    """Gauss-Newton steps of the motions of frames to an image."""

    def __init__(self, crop: Crop, kind: Kind, shape: tuple[int, ...]) -> None:
        self.crop = crop
        self.robustness = [np.ones(w.shape) for w in crop.weights]
        there = groups.translation(crop.first)
        self.among = np.linalg.inv(there) @ groups.generators(kind, shape) @ there
        dtype = crop.frames.dtype
        lines = (each.astype(dtype) for each in crop.grid.lines())
        self.velocities = groups.velocities(
            self.among.astype(dtype), *np.meshgrid(*lines, indexing="ij")
        )

    def taken(self, state: State, moved: Array, G: Array) -> State:
        """The state after some steps of each frame, which are added to `moved`."""
        motion = list(state.motion)
        gains, offsets = state.photometry.gains.copy(), state.photometry.offsets.copy()
        for i, weights in enumerate(self.crop.weights):
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
        """A step of the motion of a frame, and the frame's gain and offset.

        None if no pixels are left in common, or the residual is zero.
        """
        crop, k = self.crop, len(self.among)
        weights = interior_weights(crop, i, [motion])
        if not weights.any():
            return None
        (A,) = crop.operators([motion])
        fine = A.right.degrade(G.reshape(A.right.dims))
        down, right = (f * slope(fine, axis) for f, axis in zip(crop.factor, (-2, -1), strict=True))
        columns = np.empty((k + 1, weights.size))  # of the Jacobian: the motion, then the gain
        for column, v, u in zip(columns, *self.velocities, strict=False):
            column[:] = A.left.degrade(v * down + u * right).reshape(-1)
        columns[k] = A.left.degrade(fine).reshape(-1)
        found = frame_residual(crop.frames[i], columns[k].reshape(weights.shape), weights)
        self.robustness[i] = np.where(weights > 0, found.robustness, 1)
        noise = float(np.sum(found.robustness * found.residual**2) / found.robustness.sum())
        if noise == 0 or found.gain <= 0:
            return None
        columns[:k] *= found.gain
        w = (weights * found.robustness).reshape(-1)
        means = columns @ w / w.sum()
        columns = np.sqrt(w) * (columns - means[:, None])
        normal = columns @ columns.T / noise
        score = columns @ (np.sqrt(found.robustness) * found.residual).reshape(-1) / noise
        normal[range(k), range(k)] += SPREAD**-2
        score[:k] -= moved / SPREAD**2
        change = np.linalg.lstsq(normal, score)[0]
        return change[:k], found.gain + change[k], found.offset - float(change @ means)
