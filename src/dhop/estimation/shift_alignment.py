"""The shift between two images of one scene.

Cross-correlation of coarse copies proposes shifts, and least squares from coarse to fine refine
them.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from dhop.estimation.correlation import (
    agreement,
    correlations,
    details,
    deviation,
    local_mean,
    sample,
)
from dhop.estimation.groups import translation
from dhop.frames.noise import NORMAL

Array = NDArray[Any]
Vector = NDArray[np.float64]

SMOOTH = 0.8  # pixels: standard deviation of the Gaussian for both images, against aliases
SMALLEST = 16  # pixels of an axis that is not halved any more
SEARCHED = 256  # pixels of the largest copy to search for shifts
TRIED = 3  # shifts to start from ...
WORTH = 0.1  # ... with this part of the evidence of the best
STEPS, ENOUGH = 8, 0.002  # of the least squares; the last one is shorter, in pixels
FIELD = 21  # pixels: differences over larger distances are illumination
OUTLIER = 3.0  # standard deviations at which a residual counts half
VISIBLE = 4.0  # standard deviations by which slopes of two images agree that are not noise
BLIND = 100.0  # pixels squared: the error where no slope is visible
SURE = 11.0  # nats of net evidence for a match
ALIKE, NEAR, HARDLY = 0.97, 0.25, 1.5  # quality, shift in images, nats: together enough, too
STRANGE = 6.0  # standard deviations of the difference between images at an outlier
FEW, MANY = 1e-4, 0.2  # parts of the pixels: fewer outliers do no harm, more are the scene


class Level(NamedTuple):
    """A copy of an image."""

    step: Vector  # pixels of the image that one of the copy is wide, by axis
    image: Array
    seen: Array  # share of the pixel
    smooth: Array
    splines: Array  # coefficients of cubic B-splines through `smooth`
    weights: Array  # of `smooth`, less than one beside gaps and borders


class ShiftMatch(NamedTuple):
    """``frame(r) ~ gain * reference(r - shift) + offset``."""

    shift: Vector  # pixels of the image
    gain: float
    offset: float
    quality: float  # correlation of the details
    evidence: float  # nats, see `dhop.estimation.correlation.agreement`
    error: float  # predicted variance of the shift in pixels squared, up to a common factor
    sharp: Vector  # directions in which the images have significant slopes, as columns
    level: int = 0

    @property
    def matrix(self) -> Vector:
        """Where pixels of the frame lie in the reference, see `dhop.motion`."""
        return translation(-self.shift)

    @property
    def net_evidence(self) -> float:
        """Evidence less that which the best of all shifts up to this one may have by chance."""
        return self.evidence - float(np.log1p(2 * np.abs(self.shift)).sum())

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether images of a shape that match like this show the same scene."""
        return fits(self.net_evidence, self.quality, self.shift, shape)


def fits(net_evidence: float, quality: float, shift: Vector, shape: tuple[int, ...]) -> bool:
    """Whether images show the same scene, by net evidence, quality and shift."""
    near = bool((np.abs(shift) <= NEAR * np.array(shape)).all())
    return net_evidence >= SURE or (near and quality >= ALIKE and net_evidence >= HARDLY)


def pyramid(image: Array, seen: Array) -> list[Level]:
    """Copies of an image, each half as large as the one before; `seen` is one or zero."""
    levels: list[Level] = []
    step = np.ones(2)
    while True:
        widths = [SMOOTH if size > 1 else 0 for size in image.shape]
        share = scipy.ndimage.gaussian_filter(seen, widths, mode="constant")
        smooth = scipy.ndimage.gaussian_filter(image * seen, widths, mode="constant")
        smooth = np.where(share > 1e-3, smooth / np.maximum(share, 1e-3), np.float32(0))
        if seen.min() < 1:  # the centroid of a mean beside a gap is a little off
            smooth = seen * image + (1 - seen) * smooth
            smooth = scipy.ndimage.gaussian_filter(smooth, widths, mode="nearest")
        splines = scipy.ndimage.spline_filter(smooth, output=np.float32, mode="mirror")
        weights = np.minimum(share, 1) ** 6  # beside gaps and borders less
        levels.append(Level(step, image, seen, smooth, splines, weights))
        blocks = [1 + (size >= 2 * SMALLEST) for size in image.shape]
        if blocks == [1, 1]:
            return levels
        total = _block_sums(seen, blocks)
        image = _block_sums(image * seen, blocks) / np.maximum(total, np.float32(1e-6))
        seen = total / np.float32(np.prod(blocks))
        step = step * blocks


def _block_sums(image: Array, blocks: list[int]) -> Array:
    image = np.pad(image, [(0, -m % b) for m, b in zip(image.shape, blocks, strict=True)])
    m0, m1 = (m // b for m, b in zip(image.shape, blocks, strict=True))
    return image.reshape(m0, blocks[0], m1, blocks[1]).sum(axis=(1, 3))


def match(reference: list[Level], frame: list[Level]) -> ShiftMatch | None:
    """The shift of most evidence between images of one shape; None if there is none."""
    last = len(reference) - 1
    top = next((k for k in range(last) if max(reference[k].image.shape) <= SEARCHED), last)
    tried = [
        _descend(reference, frame, min(k + 1, last), top, shift)
        for shift, k in _proposals(reference, frame, top)
    ]
    found = [each for each in tried if each is not None]
    if not found:
        return None
    best = max(found, key=lambda each: each.net_evidence)
    # Of the matches of a periodic pattern take the nearest.
    peers = [each for each in found if each.evidence >= 0.3 * best.evidence]
    peers = [each for each in peers if each.quality >= 0.98 * best.quality]
    best = min(peers, key=lambda each: float(np.hypot(*each.shift)))
    best = _descend(reference, frame, top - 1, 0, best.shift, best) or best
    for _ in range(2):
        outliers = _outliers(reference[0], frame[0], best)
        if not FEW < np.mean(outliers) < MANY:
            break
        reference, frame = (
            pyramid(levels[0].image, np.where(where, np.float32(0), levels[0].seen))
            for levels, where in zip((reference, frame), outliers, strict=True)
        )
        again = _descend(reference, frame, min(best.level + 1, last), 0, best.shift)
        if again is None or again.evidence < best.evidence:
            break
        # Agreement after outliers have been removed is no evidence.
        best = again._replace(evidence=best.evidence, quality=best.quality)
    if best.sharp.shape[1] == 1 < min(frame[0].image.shape):  # lines: no shift along them
        one, other = reference[best.level], frame[best.level]
        across = align(one, other, best.sharp @ best.sharp.T @ best.shift, best.sharp)
        if across is not None:
            best = best._replace(shift=across.shift, gain=across.gain, offset=across.offset)
    return best


def _descend(
    reference: list[Level], frame: list[Level], first: int, stop: int, shift: Vector,
    best: ShiftMatch | None = None,
) -> ShiftMatch | None:  # fmt: skip
    """Least squares from level `first` to the finer `stop`; the shift of the least error."""
    for k in range(first, stop - 1, -1):
        found = align(reference[k], frame[k], shift if best is None else best.shift)
        if found is None:
            continue
        found = found._replace(level=k)
        if best is not None:
            clear = max(found, best, key=lambda each: each.evidence)
            found = min(found, best, key=lambda each: each.error)
            found = found._replace(evidence=clear.evidence, quality=clear.quality)
        best = found
    return best


def _proposals(reference: list[Level], frame: list[Level], top: int) -> list[tuple[Vector, int]]:
    """Peaks of the cross-correlation at `top` and coarser levels, those of most evidence first."""
    peaks = []
    for k in range(top, len(reference)):
        one, other = reference[k], frame[k]
        a, b = (details(each.smooth, each.weights) for each in (one, other))
        r, nats, origin = correlations(a, one.weights, b, other.weights)
        high = (nats == scipy.ndimage.maximum_filter(nats, 3)) & (nats > 0)
        shifts = (np.argwhere(high) - origin) * one.step
        r, nats = r[high], nats[high]
        order = np.argsort(-nats)[:TRIED]
        if len(order):
            near = np.flatnonzero(r >= 0.8 * r[order[0]])
            nearest = near[np.argmin(np.hypot(*shifts[near].T))]
            peaks.append((nats[order[0]], shifts[nearest], k))
            peaks += [(nats[each], shifts[each], k) for each in order]
    peaks.sort(key=lambda each: -each[0])
    kept: list[tuple[Vector, int]] = []
    for nats, shift, k in peaks:
        apart = [np.abs((shift - s) / reference[max(k, q)].step).max() > 1.5 for s, q in kept]
        if all(apart) and len(kept) < TRIED and nats > WORTH * peaks[0][0]:
            kept.append((shift, k))
    return kept


def align(
    reference: Level, frame: Level, shift: Vector, free: Vector | None = None
) -> ShiftMatch | None:
    r"""Least squares for shift and gain, from a shift that is right to a pixel of the copies.

    .. math:: \min_{d, g} \sum_r w(r) [F (y(r + d/2) - g x(r - d/2))]^2

    by steps of Gauss and Newton (B. D. Lucas and T. Kanade, Proc. IJCAI 1981, 674-679). Both images
    move by half, so that interpolation favours neither. `F` takes away the mean over a window of
    the pixels in common, so that neither borders nor illumination look like a shift. The weights
    are Cauchy's, of a scale that grows with the slopes: at edges aliases differ.

    Parameters
    ----------
    reference, frame : Level
    shift : ndarray, shape (2,)
        In pixels of the image.
    free : ndarray, shape (2, k), optional
        Directions that the shift may change in, by default along the axes.

    Returns
    -------
    ShiftMatch or None
        None if no pixels are left in common.
    """
    shape = frame.splines.shape
    if free is None:
        free = np.eye(2)[:, [m > 1 for m in shape]]
    d = shift / reference.step
    whole = np.rint(d).astype(int)
    w = np.zeros(0)
    for taken in range(STEPS):
        whole = np.where(np.abs(d - whole) > 0.9, np.rint(d).astype(int), whole)
        if (np.abs(whole) >= shape).any():
            return None
        ours, theirs = _common(whole, shape)
        A = _moved(reference.splines, (whole - d) / 2)[ours]
        B = _moved(frame.splines, (d - whole) / 2)[theirs]
        both = reference.weights[ours] * frame.weights[theirs]
        if both.sum() < 1e-3:
            return None
        w = w if w.shape == both.shape else both
        a, b = A - local_mean(A, w, FIELD), B - local_mean(B, w, FIELD)
        gain = deming(a, b, w)
        residual = b - np.float32(gain) * a
        one, other = gradient(np.float32(gain) * A), gradient(B)
        slopes, change = (one + other) / 2, other - one
        w = both * cauchy_weights(residual, np.hypot(*slopes), both)
        # The difference of slopes is noise; slopes are weighted by their share above it.
        u = w * signal_share(np.hypot(*slopes), deviation(np.hypot(*change), both))
        slopes = np.stack([local_mean(each, w, FIELD) - each for each in slopes])
        power, noise = (free.T @ _products(each, u) @ free for each in (slopes, change / 2))
        values, vectors = np.linalg.eigh(power - noise)
        power, noise = (np.diag(vectors.T @ each @ vectors) for each in (power, noise))
        some = power > 1e-4 * power.max(initial=0)
        count = float(u.sum() ** 2 / max(np.sum(u * u), 1e-30)) / 3  # for neighbours share noise
        sharp = some & (values * np.sqrt(count) > VISIBLE * (power + noise))
        # Curvature is biased by noise; without it, it is right near the shift alone.
        curvature = np.where(sharp & (taken > 1), values, power)
        score = vectors.T @ free.T @ np.sum(slopes * (u * residual), axis=(1, 2), dtype=np.float64)
        steps = np.divide(score, curvature, out=np.zeros_like(score), where=some)
        step = free @ vectors @ np.clip(steps, -0.7, 0.7)
        d = d + step
        if taken > 1 and np.abs(step).max() < ENOUGH:
            break
    directions = free @ vectors[:, sharp]
    variances = power[sharp] / values[sharp] ** 2 * (directions.T**2 @ reference.step**2)
    error = np.sum(w * residual**2) / w.sum() * variances.sum() + BLIND * np.sum(~sharp)
    offset = float(np.sum(w * (B - np.float32(gain) * A)) / w.sum())
    quality, evidence = agreement(details(A, both), details(B, both), both)
    return ShiftMatch(d * reference.step, gain, offset, quality, evidence, float(error), directions)


def _common(whole: Any, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The common part in one image and in the other, which is shifted by `whole` pixels."""
    pairs = list(zip(np.asarray(whole).tolist(), shape, strict=True))
    return (
        tuple(slice(max(0, -n), m - max(0, n)) for n, m in pairs),
        tuple(slice(max(0, n), m + min(0, n)) for n, m in pairs),
    )


def _moved(splines: Array, shift: Vector) -> Array:
    """The splines at ``r + shift``, for shifts of at most half a pixel."""
    for axis, amount in enumerate(shift):
        if splines.shape[axis] > 1:
            t = np.abs(np.arange(-2, 3) - amount)
            taps = np.where(t < 1, 2 / 3 - t * t + t**3 / 2, np.maximum(2 - t, 0) ** 3 / 6)
            splines = scipy.ndimage.correlate1d(splines, taps, axis, mode="mirror")
    return splines


def gradient(image: Array) -> Array:
    """Slopes along both axes."""
    return np.stack([slope(image, axis) for axis in (0, 1)])


def slope(image: Array, axis: int) -> Array:
    """The slope along an axis, zero where that has a single pixel."""
    return np.gradient(image, axis=axis) if image.shape[axis] > 1 else np.zeros_like(image)


def _products(slopes: Array, w: Array) -> Vector:
    rows = slopes.reshape(2, -1)
    return ((rows * w.ravel()) @ rows.T).astype(np.float64)


def signal_share(values: Array, noise: float) -> Array:
    """The share of the power of `values` that is not noise."""
    power = np.square(values)
    return power / np.maximum(power + np.float32(noise**2), np.float32(1e-30))


def cauchy_weights(residual: Array, slope: Array, weights: Array) -> Array:
    """Robustness weights of the Cauchy loss, with a scale that grows with the slope."""
    r, s = sample(np.abs(residual), weights), sample(slope, weights)
    steep = s > 5 * np.median(s)
    part = NORMAL * np.median(r[steep] / s[steep]) if steep.sum() >= 10 else 0.0
    variance = np.float32(deviation(residual, weights) ** 2) + np.square(np.float32(part) * slope)
    variance = np.maximum(variance, np.float32(1e-12) * variance.max() + np.float32(1e-30))
    return 1 / (1 + np.square(residual) / (np.float32(OUTLIER**2) * variance))


def deming(a: Array, b: Array, w: Array) -> float:
    """The slope of `b` on `a` by Deming's regression, with equal noise in both."""
    aa, ab, bb = (float(np.sum(w * p * q)) for p, q in ((a, a), (a, b), (b, b)))
    if ab <= 0:
        return float(np.sqrt(bb / aa)) if aa > 0 and bb > 0 else 1.0
    return ((bb - aa) / 2 + float(np.hypot((bb - aa) / 2, ab))) / ab


def _outliers(reference: Level, frame: Level, found: ShiftMatch) -> list[NDArray[np.bool_]]:
    """Pixels of two images that are not of the scene: in one of them only, or fixed."""
    outliers = [
        _only_in_frame(frame, reference, -found.shift, 1 / found.gain),
        _only_in_frame(reference, frame, found.shift, found.gain),
    ]
    if np.abs(found.shift).max() > 0.1:
        seen = reference.seen * frame.seen
        sharp = [level.image - level.smooth for level in (reference, frame)]
        change = sharp[1] - np.float32(found.gain) * sharp[0]
        change -= np.median(sample(change, seen))
        fixed = (seen > 0) & (np.abs(change) < 0.05 * np.abs(sharp[1]))
        for each in sharp:
            fixed &= np.abs(each) > STRANGE * deviation(each, seen)
        outliers = [each | fixed for each in outliers]
    return outliers


def _only_in_frame(reference: Level, frame: Level, shift: Vector, gain: float) -> NDArray[np.bool_]:
    """Pixels of the frame that differ from the shifted reference."""
    found = np.zeros(frame.image.shape, bool)
    whole = np.rint(shift).astype(int)
    if (np.abs(whole) >= found.shape).any():
        return found
    ours, theirs = _common(whole, found.shape)
    guess = np.float32(gain) * _moved(reference.splines, whole - shift)[ours]
    weights = frame.seen[theirs] * (reference.weights[ours] > 0.1)
    excess = frame.image[theirs] - guess
    excess -= np.median(sample(excess, weights))
    usual = weights * (np.abs(excess) < STRANGE * deviation(excess, weights))
    excess -= local_mean(excess, usual, FIELD)
    slope = scipy.ndimage.maximum_filter(np.hypot(*gradient(guess)), 3)
    limit = np.float32(STRANGE * deviation(excess, weights)) + 3 * slope
    found[theirs] = weights * np.abs(excess) > limit
    return found
