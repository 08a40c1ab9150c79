"""A super-resolution of images on one page; needs matplotlib and scikit-image (``dhop[cli]``)."""

from typing import Any

import numpy as np
import scipy
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from skimage.transform import resize

from dhop.frames.layouts import inward
from dhop.frames.motions import centres
from dhop.reconstruction.report import panels
from dhop.reconstruction.report.panels import COLUMNS, Shades, Stretch, heat, show, times

Array = NDArray[Any]

SHARE = 3  # one part in so many of the shorter side is enlarged


def report(solution: Any, deviation: Array | None = None, stretch: Stretch = "linear") -> Figure:
    """Draw a `dhop.Solution` of images: see `dhop.Solution.plot`."""
    first, values = panels.first_frame(solution)
    frame = _picture(first)
    image = _picture(inward(solution.image, solution.channel_axis)) * panels.gain(solution)
    shape = image.shape[:2]
    bicubic = resize(frame, (*shape, *frame.shape[2:]), order=3, mode="symmetric")
    corner, side = _detail(frame if frame.ndim == 2 else frame.mean(axis=-1))
    scale = np.array(shape) / frame.shape[:2]

    several = len(solution.frames) > 1
    figure, axes = panels.page(COLUMNS + several + (deviation is not None))
    shades = Shades(values, stretch)
    title = f"frame 1 of {len(solution.frames)}, {times(frame.shape[:2])}"
    show(axes[0, 0], frame, shades, title)
    show(axes[1, 0], image, shades, f"super-resolved, {times(shape)}")
    for ax, zoom in ((axes[0, 0], np.ones(2)), (axes[1, 0], scale)):
        top, left = corner * zoom - 0.5
        height, width = side * zoom
        ax.add_patch(Rectangle((left, top), width, height, fill=False, color="tab:orange", lw=2))
    for rows, columns in _outlines(solution):
        axes[1, 0].plot((columns + 0.5) * scale[1] - 0.5, (rows + 0.5) * scale[0] - 0.5, lw=0.5)
    show(axes[0, 1], _cut(frame, corner, side, np.ones(2)), shades, "detail: frame 1")
    show(axes[0, 2], _cut(bicubic, corner, side, scale), shades, "detail: bicubic of frame 1")
    show(axes[0, 3], _cut(image, corner, side, scale), shades, "detail: super-resolved")
    residuals = panels.root_mean_square(solution.residuals(), 2)
    unit = panels.unit_of_residuals(solution)
    heat(figure, axes[1, 1], residuals, "residual, root mean square", unit)
    panels.convergence(axes[1, 2], solution)
    panels.choice(axes[1, 3], solution)
    if several:
        panels.moves(axes[0, COLUMNS], solution)
        panels.brightness(axes[1, COLUMNS], solution)
    if deviation is not None:
        root, signal = panels.deviations(solution, deviation, 2)
        heat(figure, axes[0, -1], root, "standard deviation", "brightness")
        heat(figure, axes[1, -1], signal, "image over deviation", "times")
    return figure


def _outlines(solution: Any) -> list[Array]:
    """Where the outermost pixels of frames that have moved lie in frame 0."""
    if solution.motion is None:
        return []
    shape = solution.frames.shape[-2:]
    bottom, right = shape[0] - 1, shape[1] - 1
    rows = np.r_[np.zeros(right), 0:bottom, np.full(right, bottom), bottom:-1:-1].astype(int)
    columns = np.r_[0:right, np.full(bottom, right), right:0:-1, np.zeros(bottom + 1)].astype(int)
    return [centres(each, shape)[:, rows, columns] for each in solution.motion]


def _picture(image: Array) -> Array:
    """Rows, columns and, of three channels, the colours; of others their mean."""
    if image.ndim == 2:
        return image
    return np.moveaxis(image, 0, -1) if len(image) == 3 else image.mean(axis=0)


def _detail(frame: Array) -> tuple[Array, int]:
    """Top left corner and side of the square with the most fine detail."""
    side = max(min(frame.shape) // SHARE, min(8, *frame.shape))
    wide = frame.astype(np.float64)
    mean = scipy.ndimage.uniform_filter
    busy = mean((wide - mean(wide, 3)) ** 2, side)
    half = side // 2
    rows, columns = (size - side + 1 for size in frame.shape)
    inside = busy[half : half + rows, half : half + columns]
    return np.array(np.unravel_index(inside.argmax(), inside.shape)), side


def _cut(image: Array, corner: Array, side: int, zoom: Array) -> Array:
    begin, end = np.rint(corner * zoom).astype(int), np.rint((corner + side) * zoom).astype(int)
    return image[begin[0] : end[0], begin[1] : end[1]]
