"""The super-resolution of a volume on one page; needs matplotlib."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dhop.frames.layouts import inward
from dhop.reconstruction.report import panels
from dhop.reconstruction.report.panels import Shades, Stretch

Array = NDArray[Any]

NAMES = "plane", "row", "column"


def report(solution: Any, deviation: Array | None = None, stretch: Stretch = "linear") -> Figure:
    """Draw a `dhop.Solution` of volumes: see `dhop.Solution.plot`."""
    first, values = panels.first_frame(solution)
    frame = _volume(first)
    image = _volume(inward(solution.image, solution.channel_axis)) * panels.gain(solution)
    shades = Shades(values, stretch)
    figure, axes = panels.page(5 if deviation is None else 6)
    whose = f"frame 1 of {len(solution.frames)}", "super-resolved"
    for row, (volume, name) in enumerate(zip((frame, image), whose, strict=True)):
        for axis in range(3):
            cut, at = _section(volume, axis)
            title = f"{name}, {panels.times(volume.shape)}" if axis == 0 else name
            panels.show(axes[row, axis], cut, shades, f"{title}\n{NAMES[axis]} {at}")
            axes[row, axis].set_aspect("auto")
    root = panels.root_mean_square(solution.residuals(), 3)
    _map(figure, axes[0, 3], root, "residual", panels.unit_of_residuals(solution))
    panels.brightness(axes[1, 3], solution)
    panels.convergence(axes[0, 4], solution)
    panels.choice(axes[1, 4], solution)
    if deviation is not None:
        root, signal = panels.deviations(solution, deviation, 3)
        _map(figure, axes[0, 5], root, "standard deviation", "brightness")
        _map(figure, axes[1, 5], signal, "image over deviation", "times")
    return figure


def _map(figure: Figure, ax: Any, volume: Array, title: str, label: str) -> None:
    cut, at = _section(volume, 0)
    panels.heat(figure, ax, cut, f"{title}, plane {at}", label)


def _volume(array: Array) -> Array:
    """The mean of the channels, if there are any."""
    return np.asarray(array.reshape(-1, *array.shape[-3:]).mean(axis=0))


def _section(volume: Array, axis: int) -> tuple[Array, int]:
    middle = (volume.shape[axis] - 1) // 2
    return volume.take(middle, axis), middle
