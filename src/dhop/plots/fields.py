"""Point spread functions that vary over the field, and their widths."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import NDArray

from dhop.plots.axes import add_color_bar, new_axes
from dhop.plots.volumes import FAINTEST
from dhop.psf.ellipses import ellipse
from dhop.psf.field import Field

LABELS = 9  # along an axis
ROUND = 0.01  # ellipticity: sticks are not scaled up beyond it
STICK = 0.8  # length of the longest stick, in widths of a cell


def field(field: Field, *, log: bool = True, ax: Axes | None = None) -> Axes:
    """The PSFs of a field, arranged on its grid and labelled with the nodes.

    Parameters
    ----------
    field : dhop.psf.Field
        Of complex PSFs, absolute values are shown.
    log : bool
        Show values on a logarithmic scale, down to a millionth of the peak.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If it is a field of lines or volumes.
    TypeError
        If it is no field.

    Examples
    --------
    >>> from dhop import plots, psf
    >>> stamps = [[psf.gaussian(9, sigma) for sigma in (1.0, 1.5, 2.0)]]
    >>> ax = plots.field(psf.Field(stamps, ([50], [0, 50, 100])))
    """
    _of_images(field)
    mosaic = np.abs(field.mosaic)
    peak = mosaic.max()
    log = log and peak > 0
    K0, K1 = field.shape
    ax = ax or new_axes()[0]
    image = ax.imshow(
        np.maximum(mosaic, FAINTEST * peak) if log else mosaic,
        norm=LogNorm(FAINTEST * peak, peak) if log else None,
        cmap="viridis",
        interpolation="nearest",
    )
    rows, columns = field.positions
    for set_ticks, places, size in (ax.set_xticks, columns, K1), (ax.set_yticks, rows, K0):
        shown = np.arange(0, places.size, -(-places.size // LABELS))
        set_ticks((shown + 0.5) * size - 0.5, [f"{place:g}" for place in places[shown]])
    ax.set(title="PSFs of the field", xlabel="column of the scene", ylabel="row of the scene")
    add_color_bar(image, "value")
    return ax


def widths(field: Field, *, ax: Axes | None = None) -> Axes:
    """Widths and ellipticities of the PSFs of a field, as a map of the scene.

    Colours are standard deviations of the fitting Gaussians. The stick at each node has the
    direction of the long axis, and a length in proportion to the ellipticity.

    Parameters
    ----------
    field : dhop.psf.Field
        Of images. Of complex PSFs, absolute values are taken.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If it is a field of lines or volumes.
    TypeError
        If it is no field.

    Examples
    --------
    >>> from dhop import plots, psf
    >>> stamps = [[psf.gaussian(15, (1.0, sigma)) for sigma in (1.0, 1.5, 2.0)]]
    >>> ax = plots.widths(psf.Field(stamps, ([50], [0, 50, 100])))
    """
    _of_images(field)
    found = [[ellipse(stamp) for stamp in row] for row in field.stamps]
    sigma, stretch, angle = np.moveaxis(np.array(found), -1, 0)
    rows, columns = field.positions
    ax = ax or new_axes()[0]
    image = ax.pcolormesh(_edges(columns), _edges(rows), sigma, cmap="viridis")
    turn, longest = np.radians(angle), float(np.nan_to_num(stretch).max())
    ax.quiver(
        columns, rows, stretch * np.cos(turn), stretch * np.sin(turn),
        scale=max(longest, ROUND) * columns.size / STICK, scale_units="width",
        pivot="mid", headwidth=0, headlength=0, headaxislength=0, color="white",
    )  # fmt: skip
    ax.invert_yaxis()
    ax.set(
        title=f"widths; ellipticities up to {longest:.2g}",
        xlabel="column of the scene",
        ylabel="row of the scene",
    )
    ax.figure.colorbar(image, ax=ax, label="standard deviation (pixels)")
    return ax


def _of_images(field: Field) -> None:
    if not isinstance(field, Field):
        raise TypeError(f"a field has PSFs at places, got {type(field).__name__}")
    if field.ndim != 2:
        raise ValueError(f"a picture shows a field of images, got {field}")


def _edges(nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of the cells around nodes, half way to the next."""
    if nodes.size == 1:
        return nodes[0] + np.array([-0.5, 0.5])
    middles = (nodes[1:] + nodes[:-1]) / 2
    return np.concatenate([[2 * nodes[0] - middles[0]], middles, [2 * nodes[-1] - middles[-1]]])
