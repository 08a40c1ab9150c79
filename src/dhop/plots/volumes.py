"""Volumes, such as PSFs and stacks of a microscope."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from numpy.typing import ArrayLike

from dhop.plots.axes import add_color_bar, new_axes
from dhop.runtime import arguments

NAMES = "plane", "row", "column"
FAINTEST = 1e-6  # of the largest value, on a logarithmic scale


def volume(
    stack: ArrayLike,
    *,
    voxel: float | Sequence[float] = 1.0,
    projections: bool = False,
    log: bool = False,
    ax: Sequence[Axes] | None = None,
) -> list[Axes]:
    """A volume by its three sections through the middle, or by its three projections.

    Parameters
    ----------
    stack : array_like, shape (planes, rows, columns)
        Of complex ones, absolute values are shown.
    voxel : float or three floats
        Size of a voxel along each axis, in any unit, so that lengths are true.
    projections : bool
        Show the largest values along each axis instead of sections.
    log : bool
        Show values on a logarithmic scale, down to a millionth of the largest.
    ax : sequence of three Axes, optional
        For what is seen along the planes', the rows' and the columns' axis.

    Returns
    -------
    list of Axes

    Raises
    ------
    ValueError, TypeError
        If the stack is not a finite array of three axes, or there are not three `ax`.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import plots, psf
    >>> blur = np.multiply.outer([0.25, 0.5, 0.25], psf.gaussian(9, 1.5))
    >>> axes = plots.volume(blur, voxel=(0.3, 0.1, 0.1))
    """
    array = arguments.psf_array(stack, "stack", most=3)
    if array.ndim != 3:
        raise ValueError(f"stack must have 3 dimensions, got {array.ndim}")
    array = np.abs(array) if array.dtype.kind == "c" else array.astype(float)
    sides = arguments.each("voxel", voxel, 3, arguments.real)
    axes = new_axes(3) if ax is None else list(ax)
    if len(axes) != 3:
        raise ValueError(f"ax must be three Axes, got {len(axes)}")
    largest = float(array.max())
    logarithmic = log and largest > 0
    limits = (FAINTEST * largest, largest) if logarithmic else (float(array.min()), largest)
    for axis, one in enumerate(axes):
        middle = (array.shape[axis] - 1) // 2
        seen = array.max(axis=axis) if projections else array.take(middle, axis)
        down, across = (k for k in range(3) if k != axis)
        height, width = (array.shape[k] * sides[k] for k in (down, across))
        image = one.imshow(
            np.maximum(seen, FAINTEST * largest) if logarithmic else seen,
            extent=(-width / 2, width / 2, height / 2, -height / 2),
            norm=LogNorm(*limits) if logarithmic else Normalize(*limits),
            cmap="viridis",
            interpolation="nearest",
        )
        what = f"largest of all {NAMES[axis]}s" if projections else f"{NAMES[axis]} {middle}"
        one.set(
            title=what,
            xlabel=f"{NAMES[across]} from the middle",
            ylabel=f"{NAMES[down]} from the middle",
        )
        add_color_bar(image, "value")
    return axes
