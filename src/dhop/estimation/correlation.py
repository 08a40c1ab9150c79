"""Correlation of two images, and its evidence."""

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import fft

from dhop.frames.noise import NORMAL

Array = NDArray[Any]

DETAIL = 9  # pixels of the window whose mean is subtracted
OVERLAP = 0.2  # of the pixels are common, at least
SURE = 1e-3  # the least part of the variance that a correlation leaves


def correlations(a: Array, v: Array, b: Array, w: Array) -> tuple[Array, Array, Array]:
    """Correlation of two images for all shifts up to half their size.

    D. Padfield, "Masked object registration in the Fourier domain", IEEE Trans. Image Processing
    21 (2012), 2706-2718: the sums over common pixels are themselves cross-correlations.

    Parameters
    ----------
    a, b : ndarray of float32, shape (m0, m1)
    v, w : ndarray of float32, shape (m0, m1)
        Their weights.

    Returns
    -------
    r : ndarray
        For shifts of `b` further down and to the right than `a`; zero where it is negative.
    nats : ndarray
        The evidence, see `agreement`.
    origin : ndarray
        The index of zero shift.
    """
    reach = np.array([m // 2 + (m > 1) for m in a.shape])
    size = [fft.next_fast_len(m + int(n), real=True) for m, n in zip(a.shape, reach, strict=True)]
    ones = [fft.rfft2(each, size) for each in (v, v * a, v * a * a)]
    others = [fft.rfft2(each, size) for each in (w, w * b, w * b * b)]
    lags = np.ix_(*(np.arange(-n, n + 1) for n in reach))

    def sums(i: int, j: int) -> Array:
        return fft.irfft2(ones[i].conj() * others[j], size)[lags]

    count = np.maximum(sums(0, 0), np.float32(1e-6))
    mean_a, mean_b = sums(1, 0) / count, sums(0, 1) / count
    r = sums(1, 1) / count - mean_a * mean_b
    for variance in (sums(2, 0) / count - mean_a**2, sums(0, 2) / count - mean_b**2):
        r /= np.sqrt(np.maximum(variance, 1e-5 * variance.max() + 1e-30))
    r = np.where(count >= OVERLAP * count.max(), r, 0).clip(0, 1)
    return r, _nats(r, count / repeats(a, v, b, w, size)), reach


def agreement(a: Array, b: Array, w: Array) -> tuple[float, float]:
    """Correlation of two images that lie on each other, from 0 to 1, and its evidence in nats.

    The evidence is the log-likelihood of that correlation, less that of none, if pixels were normal
    variables.
    """
    a, b = (each - np.sum(w * each) / w.sum() for each in (a, b))
    power = float(np.sum(w * a * a)) * float(np.sum(w * b * b))
    r = float(np.clip(np.sum(w * a * b) / np.sqrt(power), 0, 1)) if power > 0 else 0.0
    return r, float(_nats(r, w.sum() / repeats(a, w, b, w)))


def _nats(r: Any, count: Any) -> Any:
    return -0.5 * count * np.log(np.maximum(1 - np.square(r), SURE))


def repeats(a: Array, v: Array, b: Array, w: Array, size: Any = None) -> float:
    """The number of pixels for each independent one.

    Neighbours are correlated, hence the sum of the product of the two autocorrelations (M. S.
    Bartlett, J. Royal Statistical Society B 8 (1946), 27-41). And where few pixels are bright only
    these count, hence the kurtosis, in units of that of the normal distribution.
    """
    p, q = (np.abs(fft.fft2(m * x, size)) ** 2 for x, m in ((a, v), (b, w)))
    p[0, 0] = q[0, 0] = 0
    total = float(p.sum()) * float(q.sum())
    neighbours = p.size * float(np.sum(p * q)) / total if total > 0 else p.size
    squares = [(np.square(x), m) for x, m in ((a, v), (b, w))]
    tails = [np.sum(m * x * x) * m.sum() / max(np.sum(m * x) ** 2, 1e-30) for x, m in squares]
    return max(1.0, neighbours) * max(1.0, float(np.sqrt(np.prod(tails))) / 3)


def details(image: Array, weights: Array) -> Array:
    """The image without its local mean, large values compressed so that few do not dominate."""
    detail = image - local_mean(image, weights, DETAIL)
    most = float(np.quantile(np.abs(sample(detail, weights)), 0.999))
    scale = max(3 * deviation(detail, weights), 1e-3 * most, 1e-30)
    return np.float32(scale) * np.arcsinh(detail / np.float32(scale))


def local_mean(image: Array, weights: Array, size: int) -> Array:
    """Weighted mean over a window of `size` pixels."""
    sizes = [size if m > 1 else 1 for m in image.shape]
    total = scipy.ndimage.uniform_filter(weights, sizes, mode="constant")
    image = scipy.ndimage.uniform_filter(image * weights, sizes, mode="constant")
    return image / np.maximum(total, np.float32(1e-6))


def deviation(values: Array, weights: Array) -> float:
    """A robust standard deviation about zero, by the median."""
    return NORMAL * float(np.median(np.abs(sample(values, weights))))


def sample(values: Array, weights: Array) -> Array:
    """About ten thousand of the values that have a weight."""
    every = max(1, int(np.sqrt(values.size / 20_000)))
    kept = values[::every, ::every][weights[::every, ::every] > 0.1]
    return kept if kept.size else np.zeros(1, values.dtype)
