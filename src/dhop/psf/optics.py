"""PSFs of diffraction and of the atmosphere."""

from collections.abc import Sequence

import numpy as np
from scipy.special import j1, jn_zeros

from dhop.psf.arrays import normalise
from dhop.psf.pixels import Image, integrate, positive_number, shape_of
from dhop.runtime.arguments import real

FIRST_ZERO = float(jn_zeros(1, 1)[0])  # of J_1
NARROWEST = 0.05  # pixels; the work grows with the square of the reciprocal


def airy(size: int | Sequence[int], radius: float, *, obstruction: float = 0.0) -> Image:
    r"""Diffraction by a round aperture, integrated over each pixel.

    The Airy pattern, with the dark disk of a secondary mirror if there is one [1]_ (sec. 8.5.2),

    .. math::

        I(r) \propto \left[\frac{2 J_1(v)}{v}
                     - \epsilon^2 \frac{2 J_1(\epsilon v)}{\epsilon v}\right]^2,
        \qquad v = 3.8317 \, \frac{r}{\mathrm{radius}},

    integrated by the rule of Gauss and Legendre, to rounding. Rings beyond the array are cut off.

    Parameters
    ----------
    size : int or (int, int)
        Number of pixels. An even size has its middle between two pixels.
    radius : float
        Radius of the first dark ring of the unobstructed aperture, in pixels, at least 0.05:
        ``1.2197 * wavelength * f_number / pixel``, or ``0.6098 * wavelength / NA / pixel`` with the
        size of a pixel on the object.
    obstruction : float
        Diameter of the obstruction over that of the aperture, ``0 <= obstruction < 1``.

    Returns
    -------
    ndarray of float64, shape `size`

    Raises
    ------
    ValueError, TypeError
        If a size is not a positive integer or a number is out of range.

    References
    ----------
    .. [1] M. Born and E. Wolf, "Principles of Optics", 7th ed., Cambridge University Press, 1999.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.airy(3, 1.5).round(4)
    array([[0.0221, 0.11  , 0.0221],
           [0.11  , 0.4717, 0.11  ],
           [0.0221, 0.11  , 0.0221]])
    """
    radius = positive_number("radius", radius)
    if radius < NARROWEST:
        raise ValueError(f"radius must be at least {NARROWEST} pixels, got {radius}")
    obstruction = real("obstruction", obstruction)
    if not 0 <= obstruction < 1:
        raise ValueError(f"obstruction must be in [0, 1), got {obstruction!r}")

    def intensity(y: Image, x: Image) -> Image:
        v = np.hypot(y, x) * (FIRST_ZERO / radius)
        return np.square(_aperture(v) - obstruction**2 * _aperture(obstruction * v))

    # The pattern has no finer detail than twice the frequency of v.
    nodes = 12 + int(np.ceil(FIRST_ZERO / radius))
    return normalise(integrate(intensity, shape_of(size), nodes))


def moffat(size: int | Sequence[int], fwhm: float, beta: float) -> Image:
    r"""Moffat's profile of a star behind the atmosphere, integrated over each pixel.

    .. math::

        I(r) \propto \left[1 + (r / \alpha)^2\right]^{-\beta}, \qquad
        \mathrm{FWHM} = 2 \alpha \sqrt{2^{1 / \beta} - 1},

    see [1]_, integrated by the rule of Gauss and Legendre, to rounding. The wings beyond the array
    are cut off.

    Parameters
    ----------
    size : int or (int, int)
        Number of pixels. An even size has its middle between two pixels.
    fwhm : float
        Full width at half maximum in pixels, at least 0.05.
    beta : float
        Steepness of the wings, greater than 1; 4.765 for turbulence as Kolmogorov describes it, 2.5
        to 4 in many images. The larger, the nearer to a Gaussian.

    Returns
    -------
    ndarray of float64, shape `size`

    Raises
    ------
    ValueError, TypeError
        If a size is not a positive integer or a number is out of range.

    References
    ----------
    .. [1] A. F. J. Moffat, "A theoretical investigation of focal stellar images in the photographic
       emulsion and application to photographic photometry", Astron. Astrophys. 3 (1969) 455-461.

    Examples
    --------
    >>> from dhop import psf
    >>> psf.moffat(3, 1.5, beta=3).round(4)
    array([[0.0568, 0.1194, 0.0568],
           [0.1194, 0.2952, 0.1194],
           [0.0568, 0.1194, 0.0568]])
    """
    fwhm = positive_number("fwhm", fwhm)
    if fwhm < NARROWEST:
        raise ValueError(f"fwhm must be at least {NARROWEST} pixels, got {fwhm}")
    beta = real("beta", beta)
    if beta <= 1:
        raise ValueError(f"beta must be greater than 1, got {beta!r}")
    alpha = fwhm / (2 * np.sqrt(np.expm1(np.log(2) / beta)))

    def intensity(y: Image, x: Image) -> Image:
        return np.exp(-beta * np.log1p((y / alpha) ** 2 + (x / alpha) ** 2))

    # The rule converges with the size of the ellipse about a pixel that leaves out the pole at
    # r = i alpha, and for a large beta, a near Gaussian, with its width.
    ellipse = np.log(2 * alpha + np.hypot(2 * alpha, 1))
    nodes = 8 + int(np.ceil(18 / ellipse + 8 / fwhm))
    return normalise(integrate(intensity, shape_of(size), nodes))


def _aperture(v: Image) -> Image:
    """``2 J_1(v) / v``, one at zero."""
    safe = np.where(v == 0, 1, v)
    return np.where(v == 0, 1.0, 2 * j1(safe) / safe)
