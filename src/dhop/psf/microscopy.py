"""PSFs of microscopes: volumes, planes first."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
import scipy
from scipy import fft
from scipy.special import j0, roots_legendre

from dhop.psf.arrays import normalise
from dhop.psf.pixels import Image, affordable, count_of, covered, edges, positive_number
from dhop.runtime import memory
from dhop.runtime.arguments import each, integers, real, sequence

Path: TypeAlias = Callable[[Image], tuple[Image, Image]]

FINE = 1 / 32  # of the wavelength over the aperture: step of the tabulated profiles
NODES = 3  # of the rule of Gauss and Legendre, in a pixel as wide as half of that length
MOST = 2**13  # radians, largest difference of phases over the aperture
WIDEST = 2**12  # pixels from the middle of a pinhole to its edge
POINT = 1e-6  # pixels: a pinhole that is a point
LONGEST = 2**26  # entries of the table of phases that are computed at a time


def widefield(
    shape: Sequence[int],
    voxel: float | Sequence[float],
    wavelength: float,
    na: float,
    index: float = 1.515,
    *,
    sample_index: float | None = None,
    depth: float = 0.0,
    working_distance: float = 150.0,
    design_index: float | None = None,
    coverslip: tuple[float, float] = (170.0, 1.515),
    design_coverslip: tuple[float, float] = (170.0, 1.515),
) -> Image:
    r"""A widefield microscope's blur, by the scalar model of Gibson and Lanni.

    A point at a depth below the coverslip is imaged through the sample, the coverslip and the
    immersion, of which thickness and index may not be what the objective is made for [1]_:

    .. math::

        I(r, z) \propto \left| \int_0^1 J_0(k\, \mathrm{NA}\, r \rho)\,
        e^{i k \Lambda(\rho, z)} \rho\, d\rho \right|^2, \qquad
        \Lambda = \sum_l \left[ t_l \sqrt{n_l^2 - \mathrm{NA}^2 \rho^2}
        - t_l^* \sqrt{n_l^{*2} - \mathrm{NA}^2 \rho^2} \right]

    with :math:`k = 2 \pi / \lambda`, thicknesses `t` and indices `n` of the sample, the coverslip
    and the immersion, and an asterisk for those of the design, which has no sample. Rays near the
    axis meet in the point, which is where the nominal focus is, if the immersion is as thick as

    .. math:: n \left( \frac{t^*}{n^*} + \frac{t_g^*}{n_g^*} - \frac{t_g}{n_g}
              - \frac{\mathrm{depth}}{n_s} \right),

    and it is less by `z`, by which the stage has come nearer. Light is integrated over each pixel
    of a plane, as a camera does, and not along the axis. All lengths are in one unit, as
    micrometres, which the defaults are in.

    Parameters
    ----------
    shape : (int, int, int)
        Planes, rows and columns. In the middle, ``(K - 1) / 2``, the nominal focus is at the point;
        towards larger plane numbers the focus lies deeper in the sample.
    voxel : float or (float, float) or (float, float, float)
        Step of the stage between planes, and size of pixels on the sample: one number for all, or
        planes and pixels, or all three.
    wavelength : float
        In vacuum, of what is detected.
    na : float
        Numerical aperture, less than all indices.
    index, design_index : float
        Of the immersion, and what the objective is made for, the same by default.
    sample_index : float, optional
        By default that of the immersion.
    depth : float
        Of the point below the coverslip.
    working_distance : float
        Thickness of the immersion in the design.
    coverslip, design_coverslip : (float, float)
        Thickness and index.

    Returns
    -------
    ndarray of float64, of that shape
        Of sum one.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range.

    References
    ----------
    .. [1] S. F. Gibson and F. Lanni, "Experimental test of an analytical model of aberration in an
       oil-immersion objective lens used in three-dimensional light microscopy", J. Opt. Soc. Am. A
       8 (1991) 1601-1613, https://doi.org/10.1364/JOSAA.8.001601.

    Examples
    --------
    >>> from dhop import psf
    >>> blur = psf.widefield((11, 15, 15), (0.25, 0.1), 0.52, 1.4)
    >>> blur.shape, round(float(blur.sum()), 6)
    ((11, 15, 15), 1.0)
    """
    sizes, steps = _grid(shape, voxel)
    wavelength, na = positive_number("wavelength", wavelength), positive_number("na", na)
    immersion = positive_number("index", index)
    sample = immersion if sample_index is None else positive_number("sample_index", sample_index)
    design = immersion if design_index is None else positive_number("design_index", design_index)
    thick, glass = each("coverslip", coverslip, 2, real)
    nominal, made_for = each("design_coverslip", design_coverslip, 2, real)
    below, distance = real("depth", depth), real("working_distance", working_distance)
    indices = immersion, sample, design, glass, made_for
    if na >= min(indices):
        raise ValueError(f"na must be less than any refractive index, {min(indices)}, got {na}")
    if below < 0:
        raise ValueError(f"depth must not be negative, got {depth!r}")
    between = immersion * (distance / design + nominal / made_for - thick / glass - below / sample)

    def path(rho: Image) -> tuple[Image, Image]:
        """The optical path difference at the nominal focus, and its change with the stage."""
        oil, water, best, slip, planned = (np.sqrt(n**2 - (na * rho) ** 2) for n in indices)
        fixed = between * oil + below * water + thick * slip - distance * best - nominal * planned
        return fixed, -oil

    profiles = _profiles(path, sizes, steps, 2 * np.pi / wavelength, na)
    return normalise(_on_pixels(*profiles, sizes, steps, wavelength / na))


def confocal(
    shape: Sequence[int],
    voxel: float | Sequence[float],
    excitation: float,
    emission: float,
    na: float,
    index: float = 1.515,
    *,
    pinhole: float = 0.0,
    **settings: Any,
) -> Image:
    r"""A confocal microscope's blur: what is lit, times what is detected.

    The product of the widefield blur of the exciting light, and of that of the emitted light,
    convolved with the pinhole in the plane.

    Parameters
    ----------
    shape, voxel, na, index
        As for `widefield`.
    excitation, emission : float
        Wavelengths in vacuum.
    pinhole : float
        Diameter of its image on the sample; zero for a point. The first dark ring of the emitted
        light has the diameter ``1.22 * emission / na``, one Airy unit.
    **settings
        More of `widefield`.

    Returns
    -------
    ndarray of float64, of that shape
        Of sum one.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range.

    Examples
    --------
    >>> from dhop import psf
    >>> blur = psf.confocal((9, 15, 15), (0.2, 0.05), 0.488, 0.52, 1.4, pinhole=0.45)
    >>> wide = psf.widefield((9, 15, 15), (0.2, 0.05), 0.52, 1.4)
    >>> bool(blur.max() > wide.max())
    True
    """
    diameter = real("pinhole", pinhole)
    if diameter < 0:
        raise ValueError(f"pinhole must not be negative, got {pinhole!r}")
    sizes, steps = _grid(shape, voxel)
    radius = diameter / 2 / steps[1]
    if radius > WIDEST:
        widest = f"{2 * WIDEST} pixels of voxel {voxel!r}"
        raise ValueError(f"pinhole must be at most as wide as {widest}, got {pinhole!r}")
    lit = widefield(shape, voxel, excitation, na, index, **settings)
    if radius < POINT:
        return normalise(lit * widefield(shape, voxel, emission, na, index, **settings))
    if steps[1] != steps[2]:
        raise ValueError(f"a pinhole needs square pixels, voxel is {voxel!r}")
    half = int(np.ceil(radius + 0.5))
    hole = covered(affordable("pinhole", 2 * half + 1, 2 * half + 1), radius)
    # Light from beyond the array comes through the pinhole, too.
    larger = sizes[0], sizes[1] + 2 * half, sizes[2] + 2 * half
    seen = widefield(larger, voxel, emission, na, index, **settings)
    size = [fft.next_fast_len(n, real=True) for n in larger[1:]]
    product = fft.rfft2(seen, size) * fft.rfft2(hole, size)
    inner = fft.irfft2(product, size)[:, 2 * half :, 2 * half :][:, : sizes[1], : sizes[2]]
    return normalise(lit * np.maximum(inner, 0))


def _grid(
    shape: Sequence[int], voxel: float | Sequence[float]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Numbers of planes, rows and columns, and their steps."""
    sizes = integers("shape", sequence("shape", shape, "integers"), 3)
    if min(sizes) < 1:
        raise ValueError(f"shape must be positive, got {shape!r}")
    affordable("shape", sizes[0] * sizes[1], sizes[2])
    count = count_of(voxel, 3)
    if count not in (2, 3):
        raise ValueError(f"voxel must be one number, two or three, got {voxel!r}")
    given = each("voxel", voxel, count, positive_number)
    return sizes, (*given[: count - 1], *given[-1:] * (4 - count))


def _profiles(
    path: Path, sizes: Sequence[int], steps: Sequence[float], k: float, na: float
) -> tuple[Image, Image]:
    """Radii, and the intensity at each in every plane."""
    reach = float(np.hypot(sizes[1] * steps[1], sizes[2] * steps[2])) / 2
    focus = (np.arange(sizes[0]) - (sizes[0] - 1) / 2) * steps[0]
    with np.errstate(over="ignore", invalid="ignore"):  # lengths that are refused below
        fixed, change = path(np.linspace(0, 1, 257))
        ends = fixed + np.multiply.outer(focus[[0, -1]], change)
        waves = k * (float(np.ptp(ends, axis=1).max()) + na * reach)
    if not waves <= MOST:
        raise ValueError(
            f"phases differ by {waves:.3g} radians over the aperture, more than {MOST}, for this "
            "shape, voxel, wavelength, na, index and depth; are all lengths in one unit?"
        )
    step = 2 * np.pi * FINE / (k * na)
    radii = np.arange(3.0 + int(reach / step)) * step
    node, weight = roots_legendre(32 + int(waves))
    what = f"the waves in the {sizes[0]} planes that shape asks for"
    memory.require(48 * sizes[0] * (radii.size + node.size), what)
    rho = (node + 1) / 2
    fixed, change = path(rho)
    phases = np.exp(1j * k * (fixed + np.multiply.outer(focus, change))) * (weight * rho / 2)
    amplitude = np.empty((len(focus), radii.size), complex)
    some = max(1, LONGEST // rho.size)
    for start in range(0, radii.size, some):
        part = slice(start, start + some)
        amplitude[:, part] = phases @ j0(k * na * np.multiply.outer(rho, radii[part]))
    return radii, np.abs(amplitude) ** 2


def _on_pixels(
    radii: Image, profiles: Image, sizes: Sequence[int], steps: Sequence[float], length: float
) -> Image:
    """Integrals of radial profiles over each pixel of each plane."""
    mirrored = np.concatenate([-radii[:0:-1], radii])
    values = np.concatenate([profiles[:, :0:-1], profiles], axis=1)
    profile = scipy.interpolate.CubicSpline(mirrored, values, axis=1)
    counts = [NODES + int(np.ceil(2 * NODES * step / length)) for step in steps[1:]]
    memory.require(
        32 * sizes[0] * sizes[2] * prod(counts), "a row of pixels as large as voxel says"
    )
    rules = [roots_legendre(count) for count in counts]
    y, x = (
        step * np.add.outer(edges(n)[:-1] + 0.5, node / 2).ravel()
        for n, step, (node, _) in zip(sizes[1:], steps[1:], rules, strict=True)
    )
    found = np.empty(sizes)
    for row, ys in enumerate(y.reshape(sizes[1], -1)):
        points = profile(np.hypot(ys[:, None], x))
        shaped = points.reshape(sizes[0], counts[0], sizes[2], counts[1])
        found[:, row] = np.einsum("zikj,i,j->zk", shaped, rules[0][1], rules[1][1])
    return found
