"""The motion between two images of one scene: a rotation, a scale, or any projective map.

Coarse copies of one, rotated and scaled on a grid, are compared with those of the other by masked
cross-correlation, and least squares from coarse to fine refine the best. On copies this small the
grid is quicker than spectra in polar coordinates; it takes masks, and needs no window that would
cut away the little that frames have in common.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from dhop.estimation import groups
from dhop.estimation.correlation import agreement, correlations, details, deviation, local_mean
from dhop.estimation.groups import Kind
from dhop.estimation.shift_alignment import (
    FIELD,
    Level,
    cauchy_weights,
    deming,
    fits,
    gradient,
    signal_share,
)

Array = NDArray[Any]
Matrix = NDArray[np.float64]

TURN, SCALE = np.radians(24.0), np.log(1.3)  # the largest of the grid
SEARCHED = 128  # pixels of the largest copy that is searched ...
STEP = 9.0  # pixels that its sides move from one node of the grid to the next
TRIED, MOST = 3, 9  # starting points at least, and at most if none fits
ROUGH = 64  # pixels: smaller copies determine no affine or projective map
STEPS, ENOUGH = 12, 0.005  # of the least squares; the last one is shorter, in pixels
FAR = 1.0  # pixels of a copy: the longest step
COMMON = 0.15  # of the frame, at least, lies on the reference
SEEN = 1e-4  # of the largest curvature: directions with less are left out


class MotionMatch(NamedTuple):
    """``frame(p) ~ gain * reference(matrix p) + offset``."""

    matrix: Matrix
    gain: float
    offset: float
    quality: float  # correlation of the details
    evidence: float  # nats, see `dhop.estimation.correlation.agreement`
    error: float  # predicted variance in pixels squared, up to a common factor

    def net_evidence(self, shape: tuple[int, ...]) -> float:
        """Evidence less that which the best of all motions up to this one may have by chance."""
        moved = np.abs(groups.coordinates(self.matrix, shape))
        return self.evidence - float(np.log1p(2 * moved).sum())

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether images of a shape that match like this show the same scene."""
        move = groups.center(shape) - (self.matrix @ [*groups.center(shape), 1])[:2]
        return fits(self.net_evidence(shape), self.quality, move, shape)


def match(
    reference: list[Level], frame: list[Level], kind: Kind, largest: int | None = None
) -> MotionMatch | None:
    """The motion of most evidence between images of one shape; None if there is none.

    At most `largest` pixels a side of the copies are compared.
    """
    shape = frame[0].image.shape
    best = None
    sizes = [max(level.image.shape) for level in frame]
    for k in range(len(frame) - 1, -1, -1):
        if sizes[k] > SEARCHED and k < len(frame) - 1:
            break
        if 2 * sizes[k] < ROUGH and k > 0:
            continue
        for number, matrix in enumerate(_proposals(reference[k], frame[k], kind, shape)):
            found = descend(reference, frame, k, k, matrix, kind)
            if found and (best is None or found.net_evidence(shape) > best.net_evidence(shape)):
                best = found
            if number + 1 >= TRIED and best and best.fits(shape):
                break
        if best and best.fits(shape):
            break
    if best is None:
        return None
    stop = 0 if largest is None else min(k, finest(frame, largest))
    return descend(reference, frame, k, stop, best.matrix, kind) or best


def finest(levels: list[Level], largest: int) -> int:
    """The finest copy of at most so many pixels a side."""
    last = len(levels) - 1
    return next((k for k in range(last) if max(levels[k].image.shape) <= largest), last)


def _proposals(reference: Level, frame: Level, kind: Kind, shape: tuple[int, ...]) -> list[Matrix]:
    """The rotations and scales of most evidence, each with its shift."""
    step = STEP / max(frame.image.shape)
    turns, scales = (
        np.linspace(-most, most, 1 + 2 * int(np.ceil(most / step))) if asked else np.zeros(1)
        for most, asked in ((TURN, kind != "shift"), (SCALE, kind not in ("shift", "euclidean")))
    )
    b = details(frame.smooth, frame.weights)
    found = []
    for angle in turns:
        for scale in scales:
            matrix = groups.rotation(angle, np.exp(scale), shape)
            image, weights = warped(reference, frame, matrix)
            if weights.sum() < 1:
                continue
            _, nats, origin = correlations(details(image, weights), weights, b, frame.weights)
            lags = [np.arange(-n, n + 1) * s for n, s in zip(origin, frame.step, strict=True)]
            chance = sum(np.ix_(*(np.log1p(2 * np.abs(lag)) for lag in lags)))
            best = np.unravel_index(np.argmax(nats - chance), nats.shape)
            back = groups.translation([-lag[n] for lag, n in zip(lags, best, strict=True)])
            found.append((float((nats - chance)[best]), matrix @ back))
    found.sort(key=lambda each: -each[0])
    return [matrix for nats, matrix in found[:MOST] if nats > 0]


def descend(
    reference: list[Level], frame: list[Level], first: int, stop: int, matrix: Matrix, kind: Kind
) -> MotionMatch | None:
    """Least squares from level `first` to the finer `stop`; the motion of the least error."""
    best, last_rough = None, False
    for k in range(first, stop - 1, -1):
        rough = k > 0 and max(frame[k].image.shape) < ROUGH and kind in ("affine", "projective")
        found = align(reference[k], frame[k], matrix, "similarity" if rough else kind)
        if found is None:
            continue
        if best is not None and not last_rough:
            clear = max(found, best, key=lambda each: each.evidence)
            found = min(found, best, key=lambda each: each.error)
            found = found._replace(evidence=clear.evidence, quality=clear.quality)
        best, matrix, last_rough = found, found.matrix, rough
    return best


def align(reference: Level, frame: Level, matrix: Matrix, kind: Kind) -> MotionMatch | None:
    r"""Least squares for motion and gain, from a motion that is right to a pixel of the copies.

    .. math:: \min_{M, g} \sum_p w(p) [F (y(p) - g x(M p))]^2

    by steps of Gauss and Newton, :math:`M \leftarrow M \exp(\sum_k \delta_k G_k)` with the
    generators of the kind and the mean of the slopes of both images (S. Benhimane and E. Malis,
    Int. J. Robotics Research 26 (2007), 661-676, https://doi.org/10.1177/0278364907080252). Filter
    and weights are those of `dhop.estimation.shift_alignment.align`.

    Parameters
    ----------
    reference, frame : Level
        The reference may have another shape than the frame.
    matrix : ndarray, shape (3, 3)
    kind : str

    Returns
    -------
    MotionMatch or None
        None if hardly any pixels are left in common.
    """
    shape = tuple(int(m) for m in frame.image.shape * frame.step)
    among = groups.generators(kind, shape)
    grid = _grid(frame)
    local = np.linalg.inv(grid) @ among @ grid
    down, right = groups.velocities(
        local.astype(np.float32), *np.indices(frame.image.shape, np.float32)
    )
    least = COMMON * float(frame.weights.sum())
    w = frame.weights
    for _ in range(STEPS):
        A, weights = warped(reference, frame, matrix)
        both = weights * frame.weights
        if both.sum() <= least:
            return None
        residual, gain = regression_residual(A, frame.smooth, w)
        one, other = gradient(np.float32(gain) * A), gradient(frame.smooth)
        slopes, change = (one + other) / 2, other - one
        w = both * cauchy_weights(residual, np.hypot(*slopes), both)
        u = w * signal_share(np.hypot(*slopes), deviation(np.hypot(*change), both))
        slopes = np.stack([each - local_mean(each, w, FIELD) for each in slopes])
        columns = (down * slopes[0] + right * slopes[1]).reshape(len(among), -1)
        curvature = ((columns * u.ravel()) @ columns.T).astype(np.float64)
        score = (columns @ (u * residual).ravel()).astype(np.float64)
        values, vectors = np.linalg.eigh(curvature)
        some = values > SEEN * values.max(initial=0)
        inverse = (vectors[:, some] / values[some]) @ vectors[:, some].T
        step = inverse @ score
        step *= min(1.0, FAR / max(float(np.abs(step / frame.step.max()).max()), 1e-12))
        matrix = groups.stepped(matrix, among, step)
        if np.abs(step).max() < ENOUGH * frame.step.min():
            break
    offset = float(np.sum(w * (frame.smooth - np.float32(gain) * A)) / w.sum())
    quality, evidence = agreement(details(A, both), details(frame.smooth, both), both)
    error = float(np.sum(w * residual**2) / w.sum() * np.trace(inverse))
    return MotionMatch(matrix, gain, offset, quality, evidence, error)


def regression_residual(one: Array, other: Array, weights: Array) -> tuple[Array, float]:
    """The residual of one image on another, without illumination, and their gain."""
    a, b = (each - local_mean(each, weights, FIELD) for each in (one, other))
    gain = deming(a, b, weights)
    return b - np.float32(gain) * a, gain


def warped(reference: Level, frame: Level, matrix: Matrix) -> tuple[Array, Array]:
    """The reference at the pixels of the frame, and its weights there."""
    motion = np.linalg.inv(_grid(reference)) @ matrix @ _grid(frame)
    rows, columns = np.ogrid[: frame.image.shape[0], : frame.image.shape[1]]
    row, column, scale = (
        (a * rows + b * columns + c).astype(np.float32) for a, b, c in motion / motion[2, 2]
    )
    scale = np.maximum(scale, np.float32(1e-3))
    places = np.stack([row / scale, column / scale])
    image, weights = np.empty_like(row), np.empty_like(row)
    scipy.ndimage.map_coordinates(reference.splines, places, image, prefilter=False, mode="mirror")
    scipy.ndimage.map_coordinates(reference.weights, places, weights, order=1, mode="constant")
    return image, weights


def _grid(level: Level) -> Matrix:
    """The matrix from pixels of a copy to those of the image."""
    matrix = np.diag([*level.step, 1.0])
    matrix[:2, 2] = (level.step - 1) / 2
    return matrix
