"""Draw what the package is about, for light and for dark pages: `python docs/overview.py`.

A part of scikit-image's photograph `camera`, the same blurred, decimated and super-resolved, and
the matrix that leads from the first to the third.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from skimage import data
from skimage.transform import resize

from dhop import DHOperator, plots, psf, super_resolve
from dhop.metrics import compare

PART = slice(60, 188), slice(176, 304)  # of the photograph
BLUR = psf.gaussian(13, sigma=1.5)
FACTOR = 2
NOISE = 0.003  # of full scale
LINES = slice(20, 23)  # of the frame, whose rows of the matrix are enlarged

INK = {"light": "#1b2733", "dark": "#e6e6e6"}
FAINT = {"light": "#8b98a5", "dark": "#7d8894"}
ACCENT = {"light": "#c2410c", "dark": "#ffb066"}
RAMP = {"light": ("#a9cbe8", "#1f6fb4", "#062a4d"), "dark": ("#2a5780", "#5aa9f0", "#f2f8ff")}


def pictures():
    """The operator, and images with their titles."""
    scene = data.camera()[PART] / 255
    A = DHOperator(scene.shape, BLUR, FACTOR, decimation="mean", boundary="symmetric")
    frame = A.degrade(scene)
    frame += NOISE * np.random.default_rng(0).standard_normal(frame.shape)
    found = super_resolve(frame, BLUR, FACTOR).image
    enlarged = resize(frame, scene.shape, order=3, mode="symmetric", anti_aliasing=False)
    for name, image in ("bicubic", enlarged), ("super-resolved", found):
        print(f"{name}: {compare(image, scene)['psnr']:.1f} dB")
    return A, {
        "scene  $x$": scene,
        "blurred  $Hx$": A.blur_operator.degrade(scene),
        "decimated  $y=DHx+\\varepsilon$": frame,
        "super-resolved  $\\hat{x}$": found,
    }


def matrix(A, ax, theme, rows=None, columns=None):
    """A part of the matrix, in the colours of the page."""
    plots.spy(A, rows=rows, columns=columns, ax=ax)
    (image,) = ax.images
    image.set_cmap(LinearSegmentedColormap.from_list("ramp", RAMP[theme]))
    image.colorbar.ax.remove()
    ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
    ax.tick_params(length=0, labelbottom=False, labelleft=False)
    for side in ax.spines.values():
        side.set_color(FAINT[theme])


def draw(A, images, theme):
    ink = {"color": INK[theme]}
    figure = plt.figure(figsize=(11, 6))
    top = figure.add_gridspec(1, 4, left=0.03, right=0.995, top=0.95, bottom=0.54, wspace=0.04)
    for place, (title, image) in zip(top, images.items(), strict=True):
        ax = figure.add_subplot(place)
        ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(title, **ink)
        size = " $\\times$ ".join(map(str, image.shape))
        ax.text(
            0.97, 0.035, size, transform=ax.transAxes, ha="right", color="white",
            bbox={"facecolor": "#000000a0", "linewidth": 0, "pad": 3},
        )  # fmt: skip
        ax.set_axis_off()

    bottom = figure.add_gridspec(1, 2, left=0.03, right=0.995, top=0.45, bottom=0.05, wspace=0.04)
    whole, part = map(figure.add_subplot, bottom)
    _, taps = A.psf.shape
    line = A.dims[1]
    rows = slice(LINES.start * A.dimsd[1], LINES.stop * A.dimsd[1])
    reach = (taps - 1) // 2 + 1
    columns = slice((FACTOR * LINES.start - reach) * line, (FACTOR * LINES.stop + reach) * line)
    count = (columns.stop - columns.start) // line
    matrix(A, whole, theme)
    matrix(A, part, theme, rows, columns)
    whole.set_title("the matrix $DH$, never formed: {:,} $\\times$ {:,}".format(*A.shape), **ink)
    part.set_title(f"{LINES.stop - LINES.start} lines of $y$ in it: a band of bands", **ink)
    whole.set_xlabel("pixels of $x$", **ink)
    whole.set_ylabel("pixels of $y$", **ink)
    part.set_xlabel(f"{count} lines of $x$, {line} pixels each", **ink)
    part.set_xticks(np.arange(columns.start, columns.stop + 1, line) - 0.5)
    part.set_yticks(np.arange(rows.start, rows.stop + 1, A.dimsd[1]) - 0.5)
    part.grid(color=FAINT[theme], linewidth=0.4)
    (left, right), (low, high) = part.get_xlim(), part.get_ylim()
    outline = {"edgecolor": ACCENT[theme], "linewidth": 1.5}
    whole.add_patch(Rectangle((left, high), right - left, low - high, fill=False, **outline))
    for side in part.spines.values():
        side.set(**outline)
    figure.savefig(Path(__file__).with_name(f"overview-{theme}.png"), dpi=160, transparent=True)
    plt.close(figure)


if __name__ == "__main__":
    plt.rcParams["mathtext.fontset"] = "cm"
    operator, shown = pictures()
    for each in "light", "dark":
        draw(operator, shown, each)
