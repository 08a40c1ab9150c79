r"""Spectra of windowed frames, on which choices from the data are made in milliseconds.

A window that moves with the scene cuts the same part out of all frames, and falls to zero at its
borders, so that the scene outside does not matter. The part, blurred by optics and pixels, is one
continuous image `G`; a frame is its samples, moved by the frame's shift. The discrete Fourier
transform of a frame at a frequency `k` then is

.. math:: Y_i(k) = \sqrt{w_i} \sum_{K \in \mathrm{class}(k)} \frac{1}{\sqrt{f_0 f_1}}
    e^{-2 \pi i K \cdot d_i} \hat G(K) + \mathrm{noise},

where the class of `k` holds its aliases, the frequencies of the high-resolution image that
decimation maps to `k`. Transforms are orthonormal, and the window has a mean square of one, so that
white noise of variance :math:`\sigma^2 / w_i` becomes noise of variance :math:`\sigma^2`.
"""

from collections.abc import Sequence
from functools import cached_property, reduce
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.frames.masks import filled
from dhop.frames.noise import growing_noise, quiet_noise

Array = NDArray[Any]

TILE = {2: 192, 3: 48}  # pixels of a frame, on each side, that are transformed together
TILES = 3  # at most, on each axis
TAPER = 0.4  # part of a tile over which its window rises and falls
WORK = 32_000.0  # enough for a model of few numbers
FEWEST, MOST = 200, 2**23  # classes at least, but at most so many phases
OBSERVED = 0.5  # part of a tile that must have a weight in each frame
SPARSE = 10.0  # excess kurtosis; that of photographs and drawings is from -1.5 to 5
LOWEST = 2  # periods in a tile, up to which frequencies are left out, as brightness and slopes


class Spectra:
    """Spectra of several frames of one scene, sorted by aliases.

    Parameters
    ----------
    frames : ndarray, shape (F, ..., m0, m1)
        Finite where they have a weight. Of volumes the last three axes are those of images.
    factor : tuple of int
    shifts : ndarray, shape (F, 2)
        As for `dhop.super_resolve`.
    weights : sequence of (float or ndarray), optional
        A number or a map for each frame.
    work : float
        Classes of aliases that are used, times their squared size.
    noise_bound : float, optional
        The attribute, if the noise is not the same all over the frames.

    Attributes
    ----------
    values : ndarray, shape (R, C, F)
        The spectra of `R` tiles and channels at `C` frequencies, times the root of the weight.
    frequencies : tuple of ndarray, shapes (C, a)
        One for each axis. Of the `a` aliases in each class, in radians per high-resolution pixel,
        from -pi to pi.
    phases : ndarray, shape (C, F, a)
        The factor of each frequency of `G` in a frame.
    sparse : bool
        Whether few pixels have nearly all of the variance, as points of light in darkness.
    noise_bound : float
        Standard deviation of the noise of a pixel of weight one, at most: see `dhop.frames.noise`.
    used : ndarray of int
        The frames that are used: those that have a weight, overlap with most others, and do not
        repeat an earlier one.
    copies : ndarray of float
        How often each of these occurs.
    """

    def __init__(
        self,
        frames: Array,
        factor: Sequence[int],
        shifts: Array,
        weights: Sequence[Any] | None = None,
        work: float = WORK,
        noise_bound: float | None = None,
    ) -> None:
        ndim = len(factor)
        shape = frames.shape[-ndim:]
        maps = [np.ones(())] * len(frames) if weights is None else [np.asarray(w) for w in weights]
        self.used, self.copies = _distinct(frames, shifts, maps, shape)
        frames = frames[self.used].reshape(len(self.used), -1, *shape)
        maps = [maps[i] for i in self.used]
        self.shifts = shifts[self.used]
        self.weights = np.array([float(m.sum() / max(np.count_nonzero(m), 1)) for m in maps])
        self.factor = tuple(factor)
        whole = np.rint(self.shifts).astype(int)
        rest = self.shifts - whole
        size = np.array(shape) - np.ptp(whole, axis=0)
        self.tile = tuple(int(min(m, TILE[ndim])) for m in size)
        tiles = _tiles(frames, maps, whole - whole.min(axis=0), size, self.tile)
        windows = _windows(self.tile, rest)
        roots = np.sqrt(self.weights)
        if noise_bound is None:
            noise_bound = float(np.median(roots * [_noise(own) for own in tiles]))
        self.noise_bound = noise_bound
        over = tuple(range(-ndim, 0))
        self.sparse = bool(np.median(_kurtosis(tiles, over)) > SPARSE)
        window = windows[:, None]
        mean = (tiles * window).sum(over, keepdims=True) / window.sum(over, keepdims=True)
        spectra = fft.rfftn((tiles - mean) * window, axes=over, norm="ortho")
        aliases = prod(factor)
        classes = max(int(work / aliases**2), FEWEST)
        classes = min(classes, max(MOST // (aliases * len(self.used)), 1))
        self._indices = _frequencies(self.tile, classes)
        chosen = spectra[(slice(None), slice(None), *self._indices)]  # (F, R, C)
        self.values = np.moveaxis(chosen, 0, -1) * roots
        self.frequencies = self._aliases()
        self.phases = self._phases(rest)

    def __len__(self) -> int:
        """Number of frames that are used."""
        return len(self.used)

    def transfer(self, psf: Array, center: Sequence[int] | None = None) -> Array:
        """The transfer function of a PSF at `frequencies`, without the pixels of the frames.

        Parameters
        ----------
        psf : ndarray, shape (K0, K1)
        center : tuple of int, optional
            Index of its origin, ``(K - 1) // 2`` by default.
        """
        origin = [(K - 1) // 2 for K in psf.shape] if center is None else center
        size = [t * f for t, f in zip(self.tile, self.factor, strict=True)]
        placed = np.zeros(size, psf.dtype)
        places = np.ix_(
            *((np.arange(K) - o) % n for K, o, n in zip(psf.shape, origin, size, strict=True))
        )
        np.add.at(placed, places, psf)
        return np.asarray(fft.fftn(placed)[self._places])

    def pixels(self, decimation: str) -> Array:
        """The transfer function of the frames' pixels: of block means, block sums, or samples."""
        total = np.ones(self.frequencies[0].shape)
        if decimation != "sample":
            for each, f in zip(self.frequencies, self.factor, strict=True):
                safe = np.where(each == 0, 1.0, each)
                line = np.sin(f * safe / 2) / np.sin(safe / 2)
                total *= np.where(each == 0, f, line) / (f if decimation == "mean" else 1)
        return total

    @cached_property
    def radius(self) -> Array:
        """Distance of `frequencies` from zero; one is the highest of the frames along an axis."""
        parts = (f * each / np.pi for f, each in zip(self.factor, self.frequencies, strict=True))
        return np.asarray(reduce(np.hypot, parts))

    @cached_property
    def _places(self) -> tuple[Array, ...]:
        """Place of each frequency on each axis of a high-resolution spectrum."""
        alias = np.indices(self.factor).reshape(len(self.factor), -1)
        indices = zip(self._indices, self.tile, alias, strict=True)
        return tuple(k[:, None] % t + t * a for k, t, a in indices)

    def _aliases(self) -> tuple[Array, ...]:
        found = []
        for places, t, f in zip(self._places, self.tile, self.factor, strict=True):
            n = t * f
            found.append(2 * np.pi / n * np.where(places > n // 2, places - n, places))
        return tuple(found)

    def _phases(self, rest: Array) -> Array:
        moves = rest * self.factor
        turns = sum(
            each[:, None, :] * moves[None, :, axis, None]
            for axis, each in enumerate(self.frequencies)
        )
        scale = np.sqrt(self.weights / np.prod(self.factor))
        return np.asarray(scale[:, None] * np.exp(-1j * turns))


def _distinct(
    frames: Array, shifts: Array, maps: list[Array], shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """The frames to use, and how often each occurs."""
    half = np.array(shape) / 2
    middle = np.median(shifts, axis=0)
    used: list[int] = []
    copies: list[float] = []
    for i, frame in enumerate(frames):
        if not maps[i].any() or (np.abs(shifts[i] - middle) > np.maximum(half - 4, 0.5)).any():
            continue
        for place, j in enumerate(used):
            if np.allclose(shifts[i], shifts[j], atol=0.05) and np.array_equal(
                frame, frames[j], equal_nan=True
            ):
                copies[place] += 1
                break
        else:
            used.append(i)
            copies.append(1.0)
    weighted = [i for i, weight in enumerate(maps) if weight.any()]
    whole = np.rint(shifts[used or weighted])
    if weighted and (not used or (np.ptp(whole, axis=0) >= shape).any()):
        # Hardly two of them overlap: take the one in the middle alone.
        distances = [float(np.abs(shifts[i] - middle).max()) for i in weighted]
        used, copies = [weighted[int(np.argmin(distances))]], [1.0]
    return np.array(used, int), np.array(copies)


def _noise(images: Array) -> float:
    """The noise of the quietest image, or the mean one if it grows with the brightness."""
    growing = growing_noise(images)
    if growing.growing:
        return float(np.sqrt(growing.variance))
    return min(map(quiet_noise, images))


def _like(frame: Array, weight: Array) -> Array:
    """A map of weights for the channels of a frame, which are along its first axis."""
    return np.broadcast_to(weight.reshape(-1, *frame.shape[1:]), frame.shape)


def _corners(size: tuple[int, ...], tile: tuple[int, ...]) -> list[tuple[int, ...]]:
    """First pixels of the tiles, spread evenly."""
    lines = []
    for n, t in zip(size, tile, strict=True):
        count = min(n // t, TILES)
        lines.append([round((n - t) * (i + 0.5) / count) for i in range(count)])
        if count > 1:
            lines[-1] = [round((n - t) * i / (count - 1)) for i in range(count)]
    return list(product(*lines))


def _tiles(frames: Array, maps: list[Array], offsets: Array, size: Any, tile: Any) -> Array:
    """The tiles of all channels, (F, R, t0, t1); those of which most has no weight are left out."""
    found, observed = [], []
    for corner in _corners(tuple(size), tile):
        cut = []
        seen = 1.0
        for frame, weight, offset in zip(frames, maps, offsets, strict=True):
            part: Any = (
                ...,
                *(slice(b, b + t) for b, t in zip(offset + corner, tile, strict=True)),
            )
            own = _like(frame, weight)[part] if weight.ndim else weight
            seen = min(seen, float(np.mean(own > 0)))
            cut.append(filled(frame[part].astype(np.float64), own))
        found.append(np.stack(cut))
        observed.append(seen)
    enough = min(OBSERVED, max(observed))
    kept = [each for each, seen in zip(found, observed, strict=True) if seen >= enough]
    return np.concatenate(kept, axis=1)


def _kurtosis(images: Array, over: tuple[int, ...]) -> Array:
    """The excess kurtosis of images, along some axes; zero of those that are constant."""
    squares = (images - images.mean(axis=over, keepdims=True)) ** 2
    spread = np.mean(squares, axis=over)
    fourth = np.mean(squares**2, axis=over)
    constant = spread**2 == 0
    return np.asarray(np.where(constant, 3, fourth) / np.where(constant, 1, spread**2) - 3)


def _windows(tile: tuple[int, ...], rest: Array) -> Array:
    """A window for each frame, moved by the fraction of its shift."""
    lines = []
    for axis, size in enumerate(tile):
        if size < 4:
            lines.append(np.ones((len(rest), size)))
            continue
        moves = rest[:, axis]
        first, last = -0.5 - moves.min(initial=0), size - 0.5 - moves.max(initial=0)
        place = (np.arange(size) - moves[:, None] - first) / (last - first)
        rise = np.minimum(place, 1 - place) / (TAPER / 2)
        lines.append(np.sin(np.pi / 2 * rise.clip(0, 1)) ** 2)
    window = lines[0]
    for line in lines[1:]:
        window = window[..., None] * line.reshape(len(line), *(1,) * (window.ndim - 1), -1)
    return np.asarray(window / np.sqrt(np.mean(window**2)))


def _frequencies(tile: tuple[int, ...], most: int) -> tuple[Array, ...]:
    """Frequencies of a tile's transform, one of each pair of opposite ones, without the lowest.

    So `most` of them at most, drawn at random.
    """
    *leading, last = tile
    lines = [np.rint(fft.fftfreq(t, 1 / t)).astype(int) for t in leading]
    found = [k.ravel() for k in np.meshgrid(*lines, np.arange(last // 2 + 1), indexing="ij")]
    lowest = LOWEST if max(tile) >= 8 * LOWEST else 0
    opposite = np.zeros(found[0].shape, bool)  # of the first axis on which the frequency is not 0
    for k in found[-2::-1]:
        opposite = (k < 0) | ((k == 0) & opposite)
    twice = opposite & ((found[-1] == 0) | (2 * found[-1] == last))
    (kept,) = np.nonzero((reduce(np.hypot, found) > lowest) & ~twice)
    if kept.size > most:
        kept = np.random.default_rng(0).choice(kept, most, replace=False)
    return tuple(k[kept] for k in found)
