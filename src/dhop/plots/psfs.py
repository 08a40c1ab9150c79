"""A point spread function."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import ArrayLike

from dhop import psf as psfs
from dhop.plots.axes import add_color_bar, new_axes
from dhop.plots.volumes import FAINTEST, volume
from dhop.runtime.arguments import psf_array


def psf(
    psf: ArrayLike, *, log: bool = False, ax: Axes | Sequence[Axes] | None = None
) -> list[Axes]:
    """A PSF as an image, its sections through the middle, and its encircled energy.

    Of a volume, `dhop.plots.volume`: its sections as images.

    Parameters
    ----------
    psf : array_like, of two or three axes
        Of complex ones, absolute values are shown.
    log : bool
        Show values on a logarithmic scale, down to a millionth of the peak.
    ax : Axes or three of them, optional
        On a single one, only the image is drawn.

    Returns
    -------
    list of Axes

    Raises
    ------
    ValueError, TypeError
        If the PSF is not a finite array of two or three axes, or `ax` is neither one nor three;
        of a volume, not three.

    Examples
    --------
    >>> from dhop import plots
    >>> from dhop.psf import airy
    >>> image, sections, energy = plots.psf(airy(31, 4.0), log=True)
    """
    if np.ndim(psf) == 3:
        return volume(psf, log=log, ax=[ax] if isinstance(ax, Axes) else ax)
    array = psf_array(psf)
    array = np.abs(array) if array.dtype.kind == "c" else array.astype(float)
    axes = new_axes(3) if ax is None else [ax] if isinstance(ax, Axes) else list(ax)
    if len(axes) not in (1, 3):
        raise ValueError(f"ax must be one Axes or three, got {len(axes)}")
    peak = array.max()
    log = log and peak > 0
    middle = [(size - 1) / 2 for size in array.shape]
    places = [np.arange(size) - m for size, m in zip(array.shape, middle, strict=True)]

    (top, bottom), (left, right) = ((place[0] - 0.5, place[-1] + 0.5) for place in places)
    image = axes[0].imshow(
        np.maximum(array, FAINTEST * peak) if log else array,
        extent=(left, right, bottom, top),
        norm=LogNorm(FAINTEST * peak, peak) if log else None,
        cmap="viridis",
        interpolation="nearest",
    )
    axes[0].set(title="PSF", xlabel="column from the middle", ylabel="row from the middle")
    add_color_bar(image, "value")
    if len(axes) == 1:
        return axes

    row, column = (round(m) for m in middle)
    axes[1].step(places[1], array[row], where="mid", label=f"row {places[0][row]:g}")
    axes[1].step(
        places[0], array[:, column], "--", where="mid", label=f"column {places[1][column]:g}"
    )
    axes[1].set(title="sections", xlabel="pixels from the middle", ylabel="value")
    if log:
        axes[1].set_yscale("log")
        axes[1].set_ylim(bottom=FAINTEST * peak)
    axes[1].legend()

    radii = np.linspace(0, np.hypot(bottom, right), 200)
    axes[2].plot(radii, psfs.encircled_energy(array, radii))
    axes[2].set(
        title="encircled energy",
        xlabel="radius (pixels)",
        ylabel="fraction of the sum within",
        xlim=(0, radii[-1]),
    )
    axes[2].grid(alpha=0.3)
    return axes
