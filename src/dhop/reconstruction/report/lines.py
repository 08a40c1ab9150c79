"""The super-resolution of a line, such as a spectrum, on one page; needs matplotlib."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dhop.frames.layouts import inward
from dhop.reconstruction.report import panels

Array = NDArray[Any]


def report(solution: Any, deviation: Array | None = None) -> Figure:
    """Draw a `dhop.Solution` of lines: see `dhop.Solution.plot`."""
    image = _lines(solution.image, solution)
    frames = solution.frames.reshape(len(solution.frames), len(image), -1)
    figure = panels.Page(figsize=(12, 8.4), layout="constrained")
    grid = figure.add_gridspec(2, 3)
    ax = figure.add_subplot(grid[0, :])
    pixels = np.arange(image.shape[-1])
    scale = image.shape[-1] / frames.shape[-1]
    known = solution.photometry.corrected(frames) / panels.gain(solution)
    seen = panels.seen(solution).reshape(frames.shape)
    for number, (frame, move) in enumerate(zip(known, solution.shifts[:, -1], strict=True)):
        places = (np.arange(frames.shape[-1]) - move + 0.5) * scale - 0.5
        for channel, each in enumerate(frame):
            label = "frames" if number == channel == 0 else None
            shown = np.where(seen[number, channel], each, np.nan)
            ax.plot(places, shown, ".", color="0.6", label=label)
    spread = None if deviation is None else _lines(deviation, solution)
    for channel, line in enumerate(image):
        label = "super-resolved" if len(image) == 1 else f"super-resolved, channel {channel + 1}"
        (drawn,) = ax.plot(pixels, line, lw=1, label=label)
        if spread is not None:
            band = line - spread[channel], line + spread[channel]
            ax.fill_between(pixels, *band, color=drawn.get_color(), alpha=0.3, lw=0)
    count = f"{len(frames)} frames" if len(frames) > 1 else "a frame"
    ax.set(title=f"{count} of {frames.shape[-1]} pixels", xlabel="pixel", ylabel="brightness")
    ax.legend()
    below = [figure.add_subplot(grid[1, column]) for column in range(3)]
    residuals = solution.residuals().reshape(-1, frames.shape[-1])
    below[0].plot(residuals.T, lw=0.7)
    below[0].set(title="residuals", xlabel="pixel", ylabel=panels.unit_of_residuals(solution))
    panels.convergence(below[1], solution)
    panels.choice(below[2], solution)
    return figure


def _lines(image: Array, solution: Any) -> Array:
    """One or several lines, as the rows of an array."""
    return np.atleast_2d(inward(image, solution.channel_axis))
