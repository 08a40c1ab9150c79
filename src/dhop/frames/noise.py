"""The noise of a single image, from its quietest parts."""

from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[Any]

NORMAL = 1.4826  # standard deviations in a median absolute deviation of normal numbers
SECOND = np.array([1.0, -2.0, 1.0])  # a difference, zero for planes and edges along an axis
SIDE = 8  # pixels of a part
QUIET = 0.1  # quantile of the noise in parts
SHARE = 0.82  # of the true noise is that quantile where there is noise alone
LEVELS, ENOUGH = 8, 24  # of brightness, and parts of each at least
GROWING = np.linspace(0.1, 1, 10)  # parts of the variance that may be those of photons
LEAST = 1e-6  # of the mean variance is the least, of black pixels
CLEARLY = 1.2  # factor between variances, from which on it grows with the brightness


class Noise(NamedTuple):
    """Noise whose variance grows with the brightness, as that of photons does.

    Attributes
    ----------
    variance : float
        Its mean over the image.
    growing : float
        The part of that which is proportional to the brightness.
    usual : float
        The mean brightness.
    """

    variance: float
    growing: float
    usual: float

    def at(self, brightness: Array) -> Array:
        """The variance at a brightness."""
        if not self.growing:
            return np.full(brightness.shape, self.variance)
        relative = brightness.clip(0) / self.usual
        return self.variance * (1 - self.growing + self.growing * relative)


def quiet_noise(image: Array, weights: Array | None = None) -> float:
    r"""An upper bound of the noise that fine texture of the scene does not raise.

    The standard deviation of :math:`(1, -2, 1) \otimes (1, -2, 1)` differences, in those of
    8 x 8 parts of the image where it is low: of white noise the noise itself. J. Immerkaer, "Fast
    noise variance estimation", Comput. Vis. Image Underst. 64 (1996) 300-302,
    https://doi.org/10.1006/cviu.1996.0060, takes all parts.

    Parameters
    ----------
    image : ndarray, shape (m0, m1)
        Finite where it has a weight. Of a single row differences are taken along it; of a volume
        in its planes.
    weights : ndarray, optional
        Parts with pixels of weight zero are left out.

    Returns
    -------
    float
        Zero for images of two rows, or of fewer than three columns.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop.frames.noise import quiet_noise
    >>> scene = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> noisy = scene + 0.5 * np.random.default_rng(0).standard_normal(scene.shape)
    >>> round(quiet_noise(noisy), 1)
    0.5
    """
    powers = _powers(image, weights)[1]
    return float(np.sqrt(_quiet(powers))) if powers.size else 0.0


def growing_noise(image: Array, weights: Array | None = None) -> Noise:
    """The largest noise, in mean variance, that no brightness contradicts.

    Where photons are counted the quietest parts are the dark ones, and quieter than the rest. So
    the quiet parts of each brightness bound a variance that is a constant and a multiple of the
    brightness. A. Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for
    single-image raw-data", IEEE Trans. Image Process. 17 (2008) 1737-1754,
    https://doi.org/10.1109/TIP.2008.2001399, fit such a line to all parts. Noise is the same
    everywhere unless brightness explains clearly more than the quietest parts show.

    Parameters
    ----------
    image, weights
        As for `quiet_noise`.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop.frames.noise import growing_noise
    >>> scene = np.add.outer(np.arange(128.0), np.arange(128.0))
    >>> noise = growing_noise(np.random.default_rng(0).poisson(scene))
    >>> bool(0.8 < noise.variance / scene.mean() < 1.2), bool(noise.growing > 0.7)
    (True, True)
    """
    means, powers = _powers(image, weights)
    if not powers.size:
        return Noise(0.0, 0.0, 0.0)
    means = means.clip(0)
    usual, least = float(means.mean()), float(_quiet(powers))
    groups = np.array_split(np.argsort(means), np.clip(powers.size // ENOUGH, 1, LEVELS))
    if not (usual and least) or len(groups) == 1:
        return Noise(least, 0.0, usual)
    parts = GROWING[:, None]
    scaled = powers / np.maximum(1 - parts + parts * means / usual, LEAST)
    variances = np.min([_quiet(scaled[:, group]) for group in groups], axis=0)
    most = int(np.argmax(variances))
    if variances[most] < CLEARLY * least:
        return Noise(least, 0.0, usual)
    return Noise(float(variances[most]), float(GROWING[most]), usual)


def _quiet(powers: Array) -> Any:
    """The noise variance, from those in parts along the last axis."""
    return np.quantile(powers, QUIET, axis=-1) / SHARE**2


def _powers(image: Array, weights: Array | None) -> tuple[Array, Array]:
    """Means, and noise variances by second differences, of all observed parts that vary."""
    planes = image.reshape(-1, *image.shape[-2:])
    row = planes.shape[1] == 1
    if min(planes.shape[1 + row :]) < 3:
        return np.empty(0), np.empty(0)
    seen = np.ones(planes.shape, bool)
    if weights is not None:
        seen = np.broadcast_to(weights, image.shape).reshape(planes.shape)
    known = np.where(seen > 0, planes, 0.0)
    second = scipy.ndimage.convolve1d(known, SECOND, 2)[..., 1:-1]
    whole = scipy.ndimage.minimum_filter(seen, (1, 1 if row else 3, 3))[..., 1:-1] > 0
    level = known[..., 1:-1]
    if not row:
        second = scipy.ndimage.convolve1d(second, SECOND, 1)[:, 1:-1]
        whole, level = whole[:, 1:-1], level[:, 1:-1]
    second /= np.sqrt(6 if row else 36)
    side = (1, SIDE**2) if row else (SIDE, SIDE)
    parts, complete, bright = (_parts(each, side) for each in (second, whole, level))
    kept = complete.all(axis=1)
    means, powers = bright[kept].mean(axis=1), np.mean(parts[kept] ** 2, axis=1)
    if powers.any():
        changing = powers > 0  # constant parts are saturated
        return means[changing], powers[changing]
    return means, powers


def _parts(planes: Array, least: tuple[int, int]) -> Array:
    """Planes in parts of some rows and columns or a little more, (parts, pixels)."""
    count = [max(size // side, 1) for size, side in zip(planes.shape[1:], least, strict=True)]
    height, width = (size // n for size, n in zip(planes.shape[1:], count, strict=True))
    cut = planes[:, : count[0] * height, : count[1] * width]
    parts = cut.reshape(-1, count[0], height, count[1], width).swapaxes(2, 3)
    return parts.reshape(-1, height * width)
