"""Draw three problems of the gallery, for light and for dark pages: `python docs/showcase.py`.

Above, what was taken; below, what `super_resolve` makes of it.
"""

import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).parent
INK = {"light": "#1b2733", "dark": "#e6e6e6"}
GREY = {"cmap": "gray", "vmin": 0, "vmax": 1}
FAINT = {"cmap": "gray", "vmin": 0.5, "vmax": 3.5}
SIDE = {"cmap": "magma", "vmin": 0, "aspect": 1.5}  # planes are further apart than pixels


def problem(name):
    """The names that a page of the gallery has at its end."""
    names = runpy.run_path(str(HERE / "gallery" / f"{name}.py"))
    plt.close("all")
    return names


def stretched(image):
    """As the gallery shows the sky."""
    return np.arcsinh(20 * image.clip(0))


def from_the_side(volume):
    return volume.max(axis=1)[:, 8:56]


def pictures():
    """A title, what was taken, what was found, and how to show both."""
    hand, sky, beads = map(problem, ("hand", "sky", "beads"))
    yield "one of 8 frames from the hand", hand["frames"][0], hand["solution"].image, GREY
    exposure, image = map(stretched, (sky["frames"][0], sky["solution"].image))
    yield "one of 4 exposures of the sky", exposure, image, FAINT
    stack, found = map(from_the_side, (beads["stack"], beads["solution"].image))
    yield "a microscope's stack, from the side", stack, found, SIDE


def draw(problems, theme):
    ink = {"color": INK[theme]}
    figure, axes = plt.subplots(2, 3, figsize=(10.5, 7.3), layout="constrained")
    for (above, below), (title, taken, found, options) in zip(axes.T, problems, strict=True):
        above.imshow(taken, interpolation="nearest", **options)
        below.imshow(found, interpolation="nearest", **options)
        above.set_title(title, **ink)
        below.set_title("what dhop finds", **ink)
        for ax in (above, below):
            ax.set_axis_off()
    figure.savefig(HERE / f"showcase-{theme}.png", dpi=120, transparent=True)
    plt.close(figure)


if __name__ == "__main__":
    shown = list(pictures())
    for each in INK:
        draw(shown, each)
