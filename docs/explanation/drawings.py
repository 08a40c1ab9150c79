"""Draw the folded PSF, for light and for dark pages: `python docs/explanation/drawings.py`."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from dhop import DHOperator

PSF = np.array([[1.0, 2.0, 1.0]])
PIXELS = 8
FACTOR = 2
SHOWN = 1  # the output whose way is drawn

INK = {"light": "#1b2733", "dark": "#e6e6e6"}
FAINT = {"light": "#8b98a5", "dark": "#7d8894"}
ACCENT = {"light": "#1f6fb4", "dark": "#6cb6ff"}
PAPER = {"light": "#ffffff", "dark": "#131416"}


def cells(ax, y, positions, width, used, theme):
    for k, x in enumerate(positions):
        on = k in used
        ax.add_patch(
            Rectangle(
                (x - width / 2, y - 0.16), width, 0.32, fill=on, alpha=0.9 if on else 1,
                facecolor=ACCENT[theme], edgecolor=ACCENT[theme] if on else FAINT[theme],
            )
        )  # fmt: skip


def links(ax, matrix, row, above, below, heights, theme, labels=True):
    """Lines from the inputs of an output, with their weights."""
    top, bottom = heights[0] - 0.18, heights[1] + 0.18
    for k in np.flatnonzero(matrix[row]):
        color = INK[theme] if labels else FAINT[theme]
        weight = matrix[row, k]
        ax.plot([above[k], below[row]], [top, bottom], color=color, linewidth=0.8 * weight)
        if labels:
            place = 0.62 * above[k] + 0.38 * below[row], 0.62 * top + 0.38 * bottom
            ax.text(
                *place, f"{weight:g}", color=color, ha="center", va="center",
                bbox={"boxstyle": "circle,pad=0.15", "facecolor": PAPER[theme], "linewidth": 0},
            )  # fmt: skip


def draw(theme):
    A = DHOperator((1, PIXELS), PSF, (1, FACTOR))
    H, D = A.blur_operator.to_sparse().toarray(), A.decimation_operator.to_sparse().toarray()
    M = A.to_sparse().toarray()
    assert np.array_equal(D @ H, M)
    fine = np.arange(PIXELS)
    coarse = FACTOR * np.arange(M.shape[0]) + (FACTOR - 1) / 2
    block = np.flatnonzero(D[SHOWN])
    seen = np.flatnonzero(M[SHOWN])

    figure, (two, one, table) = plt.subplots(
        1, 3, figsize=(11, 3.4), width_ratios=(1, 1, 0.9), layout="constrained"
    )
    two.set_title("blur, then sum over blocks", color=INK[theme])
    cells(two, 2, fine, 0.8, seen, theme)
    cells(two, 1, fine, 0.8, block, theme)
    cells(two, 0, coarse, 1.8, [SHOWN], theme)
    for k in reversed(block):  # the weights of one are enough
        links(two, H, k, fine, fine, (2, 1), theme, labels=k == block[0])
    links(two, D, SHOWN, fine, coarse, (1, 0), theme)

    one.set_title("the same in one step: the folded PSF", color=INK[theme])
    cells(one, 2, fine, 0.8, seen, theme)
    cells(one, 0, coarse, 1.8, [SHOWN], theme)
    links(one, M, SHOWN, fine, coarse, (2, 0), theme)

    for ax, names in (two, {2: "x", 1: "H x", 0: "D H x"}), (one, {2: "x", 0: "D H x"}):
        for y, name in names.items():
            ax.text(-0.8, y, name, color=INK[theme], ha="right", va="center")
        ax.set(xlim=(-2, PIXELS - 0.3), ylim=(-0.3, 2.4))
        ax.axis("off")

    table.set_title("its matrix", color=INK[theme])
    for (row, column), value in np.ndenumerate(M):
        on = value != 0
        table.add_patch(
            Rectangle(
                (column - 0.5, row - 0.5), 1, 1, facecolor=ACCENT[theme], edgecolor=FAINT[theme],
                fill=on, alpha=1 if row == SHOWN or not on else 0.4,
            )
        )  # fmt: skip
        if on:
            color = PAPER[theme] if row == SHOWN else INK[theme]
            table.text(column, row, f"{value:g}", color=color, ha="center", va="center")
    table.set(xlim=(-0.6, PIXELS - 0.4), ylim=(M.shape[0] - 0.4, -0.6), aspect="equal")
    table.axis("off")

    path = Path(__file__).with_name(f"folded-{theme}.svg")
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "dhop", "font.size": 11})
    for each in "light", "dark":
        draw(each)
