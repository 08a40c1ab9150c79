"""The width and the ellipticity of a point spread function.

References
----------
G. M. Bernstein and M. Jarvis, "Shapes and shears, stars and smears: optimal measurements for weak
lensing", Astron. J. 123 (2002) 583-618, https://doi.org/10.1086/338085.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STEPS = 200
CLOSE = 1e-8  # relative change of variances at convergence
SMALLEST = 0.1  # square pixels: variance below which a shape is not resolved


class Ellipse(NamedTuple):
    """The Gaussian that fits a PSF of an image.

    Attributes
    ----------
    sigma : float
        Its standard deviation, the geometric mean of those along its axes, in pixels.
    ellipticity : float
        How much shorter the short axis is, as a part of the long one: 0 if it is round.
    angle : float
        Of the long axis, in degrees counter-clockwise from the direction of growing columns.
    """

    sigma: float
    ellipticity: float
    angle: float


def ellipse(psf: Array) -> Ellipse:
    """The ellipse of a PSF, by adaptive moments: weighted by a Gaussian of the same width.

    So the wings, where a measured PSF is only noise, do not count. NaN if the iteration does not
    converge, as for arrays that are no blur.

    Examples
    --------
    >>> from dhop import psf
    >>> sigma, ellipticity, angle = ellipse(psf.gaussian(25, (1.5, 3.0)))
    >>> f"{sigma:.2f} {ellipticity:.2f} {angle:.0f}"
    '2.15 0.49 0'
    """
    values = np.abs(psf) if psf.dtype.kind == "c" else psf
    places = np.indices(values.shape).reshape(2, -1).astype(float)
    light = values.reshape(-1).astype(float)
    middle = places[:, np.argmax(light)]
    shape = np.eye(2)
    for _ in range(STEPS):
        off = places - middle[:, None]
        seen = light * np.exp(-0.5 * np.einsum("ip,ij,jp->p", off, np.linalg.inv(shape), off))
        total = seen.sum()
        if not total > 0:
            break
        middle = places @ seen / total
        off = places - middle[:, None]
        moments = 2 * (seen * off) @ off.T / total  # a Gaussian under itself has half its variance
        lengths, axes = np.linalg.eigh(moments)
        if not (np.isfinite(lengths).all() and lengths[0] > 0):
            break
        moments = (axes * np.maximum(lengths, SMALLEST)) @ axes.T
        done = np.abs(moments - shape).max() <= CLOSE * moments.max()
        shape = moments
        if done:
            down, right = axes[:, 1]
            short, long = np.sqrt(lengths)
            angle = float(np.degrees(np.arctan2(-down, right))) % 180
            return Ellipse(float(np.sqrt(short * long)), float(1 - short / long), angle)
    return Ellipse(np.nan, np.nan, np.nan)
