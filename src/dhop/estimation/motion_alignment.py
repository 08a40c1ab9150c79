"""Two images of one scene, of which one is turned, scaled or tilted.

Small copies of one, turned and scaled by steps of a grid, are laid on those of the other by masked
cross-correlation, and least squares from coarse to fine make the best of them exact. The grid is
quicker than a spectrum in polar coordinates on copies this small, knows of masks, and needs no
window that would take the little that frames have in common.
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
    above,
    deming,
    fits,
    gradient,
    trust,
)

Array = NDArray[Any]
Matrix = NDArray[np.float64]

TURN, SCALE = np.radians(24.0), np.log(1.3)  # the largest that are looked for
SEARCHED = 128  # pixels of the largest copy that is turned ...
STEP = 9.0  # pixels that its sides move from one turn to the next
TRIED, MOST = 3, 9  # turns to go on from; until one fits
ROUGH = 64  # pixels of copies too small to tell of tilts
STEPS, ENOUGH = 12, 0.005  # of the least squares; a step in pixels not worth another
FAR = 1.0  # pixels of a copy that a step goes at most
COMMON = 0.15  # of the frame, at least, lies on the reference
SEEN = 1e-4  # of the largest curvature: what is less is not seen to move


class Placement(NamedTuple):
    """``frame(p) ~ gain * reference(matrix p) + offset``."""

    matrix: Matrix
    gain: float
    offset: float
    quality: float  # correlation of the details
    evidence: float  # nats, see `dhop.estimation.correlation.agreement`
    error: float  # predicted variance in pixels squared, up to a common factor

    def beyond(self, shape: tuple[int, ...]) -> float:
        """Evidence beyond what the choice between all motions up to this one may have brought."""
        return self.evidence - float(np.log1p(2 * np.abs(groups.amounts(self.matrix, shape))).sum())

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether images of a shape that are placed like this show the same."""
        move = groups.center(shape) - (self.matrix @ [*groups.center(shape), 1])[:2]
        return fits(self.beyond(shape), self.quality, move, shape)


def place(
    reference: list[Level], frame: list[Level], kind: Kind, largest: int | None = None
) -> Placement | None:
    """The motion that the images speak for most; None if nothing in them agrees.

    Parameters
    ----------
    reference, frame : list of Level
        Pyramids of images of one shape.
    kind : str
    largest : int, optional
        Pixels a side of the finest copies that are looked at, by default those of the images.
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
            if found and (best is None or found.beyond(shape) > best.beyond(shape)):
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
    """The first of the copies that are no larger than so many pixels a side."""
    last = len(levels) - 1
    return next((k for k in range(last) if max(levels[k].image.shape) <= largest), last)


def _proposals(reference: Level, frame: Level, kind: Kind, shape: tuple[int, ...]) -> list[Matrix]:
    """The turns and scales of most evidence, each with its shift."""
    step = STEP / max(frame.image.shape)
    turns, scales = (
        np.linspace(-most, most, 1 + 2 * int(np.ceil(most / step))) if asked else np.zeros(1)
        for most, asked in ((TURN, kind != "shift"), (SCALE, kind not in ("shift", "euclidean")))
    )
    b = details(frame.smooth, frame.sure)
    found = []
    for angle in turns:
        for scale in scales:
            matrix = groups.turned(angle, np.exp(scale), shape)
            image, sure = laid(reference, frame, matrix)
            if sure.sum() < 1:
                continue
            _, nats, origin = correlations(details(image, sure), sure, b, frame.sure)
            lags = [np.arange(-n, n + 1) * s for n, s in zip(origin, frame.step, strict=True)]
            chance = sum(np.ix_(*(np.log1p(2 * np.abs(lag)) for lag in lags)))
            best = np.unravel_index(np.argmax(nats - chance), nats.shape)
            back = groups.shifted([-lag[n] for lag, n in zip(lags, best, strict=True)])
            found.append((float((nats - chance)[best]), matrix @ back))
    found.sort(key=lambda each: -each[0])
    return [matrix for nats, matrix in found[:MOST] if nats > 0]


def descend(
    reference: list[Level], frame: list[Level], first: int, stop: int, matrix: Matrix, kind: Kind
) -> Placement | None:
    """Least squares from level `first` to the finer `stop`; the motion of the least error."""
    best, turning = None, False
    for k in range(first, stop - 1, -1):
        rough = k > 0 and max(frame[k].image.shape) < ROUGH and kind in ("affine", "projective")
        found = align(reference[k], frame[k], matrix, "similarity" if rough else kind)
        if found is None:
            continue
        if best is not None and not turning:
            clear = max(found, best, key=lambda each: each.evidence)
            found = min(found, best, key=lambda each: each.error)
            found = found._replace(evidence=clear.evidence, quality=clear.quality)
        best, matrix, turning = found, found.matrix, rough
    return best


def align(reference: Level, frame: Level, matrix: Matrix, kind: Kind) -> Placement | None:
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
    Placement or None
        None if hardly any pixels are left in common.
    """
    shape = tuple(int(m) for m in frame.image.shape * frame.step)
    among = groups.generators(kind, shape)
    grid = _grid(frame)
    local = np.linalg.inv(grid) @ among @ grid
    down, right = groups.velocities(
        local.astype(np.float32), *np.indices(frame.image.shape, np.float32)
    )
    least = COMMON * float(frame.sure.sum())
    w = frame.sure
    for _ in range(STEPS):
        A, sure = laid(reference, frame, matrix)
        both = sure * frame.sure
        if both.sum() <= least:
            return None
        residual, gain = unexplained(A, frame.smooth, w)
        one, other = gradient(np.float32(gain) * A), gradient(frame.smooth)
        slopes, change = (one + other) / 2, other - one
        w = both * trust(residual, np.hypot(*slopes), both)
        u = w * above(np.hypot(*slopes), deviation(np.hypot(*change), both))
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
    return Placement(matrix, gain, offset, quality, evidence, error)


def unexplained(one: Array, other: Array, weights: Array) -> tuple[Array, float]:
    """What of an image is not a multiple of another, but for illumination; and the multiple."""
    a, b = (each - local_mean(each, weights, FIELD) for each in (one, other))
    gain = deming(a, b, weights)
    return b - np.float32(gain) * a, gain


def laid(reference: Level, frame: Level, matrix: Matrix) -> tuple[Array, Array]:
    """The reference where the pixels of the frame see it, and how sure that is."""
    motion = np.linalg.inv(_grid(reference)) @ matrix @ _grid(frame)
    rows, columns = np.ogrid[: frame.image.shape[0], : frame.image.shape[1]]
    row, column, scale = (
        (a * rows + b * columns + c).astype(np.float32) for a, b, c in motion / motion[2, 2]
    )
    scale = np.maximum(scale, np.float32(1e-3))
    places = np.stack([row / scale, column / scale])
    image, sure = np.empty_like(row), np.empty_like(row)
    scipy.ndimage.map_coordinates(reference.splines, places, image, prefilter=False, mode="mirror")
    scipy.ndimage.map_coordinates(reference.sure, places, sure, order=1, mode="constant")
    return image, sure


def _grid(level: Level) -> Matrix:
    """Takes the pixels of a copy to those of the image."""
    matrix = np.diag([*level.step, 1.0])
    matrix[:2, 2] = (level.step - 1) / 2
    return matrix
