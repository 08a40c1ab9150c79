"""A super-resolution on one page; needs matplotlib and scikit-image (``dhop[cli]``)."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from skimage.transform import resize


def report(solution: Any) -> Figure:
    """Draw a `dhop.Solution`: see `dhop.Solution.plot`."""
    figure = Figure(figsize=(14, 8.6), layout="constrained")
    axes = figure.subplots(2, 3)
    frames = solution.frames.reshape(len(solution.frames), -1, *solution.frames.shape[-2:])
    image = solution.image.reshape(-1, *solution.image.shape[-2:]).mean(axis=0)
    first = frames[0].mean(axis=0)
    low, high = np.nanpercentile(first, (0.1, 99.9))
    bicubic = resize(np.nan_to_num(first), image.shape, order=3, mode="symmetric")
    pictures = {
        f"frame 1 of {len(frames)}, {_times(first.shape)}": first,
        "frame 1, bicubic": bicubic,
        f"super-resolved, {_times(image.shape)}": image,
    }
    for ax, (title, picture) in zip(axes[0], pictures.items(), strict=True):
        shown = ax.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        ax.set_title(title)
        ax.set_axis_off()
    figure.colorbar(shown, ax=axes[0], shrink=0.8, label="brightness")

    residuals = solution.residuals().reshape(frames.shape)
    root = np.sqrt(np.mean(residuals**2, axis=(0, 1)))
    shown = axes[1, 0].imshow(root, cmap="magma", interpolation="nearest")
    figure.colorbar(shown, ax=axes[1, 0], label="brightness, times root of the weight")
    axes[1, 0].set_title("residual, root mean square over frames")
    axes[1, 0].set_axis_off()

    steps = [(step.iteration, step.residual) for step in solution.history if step.residual > 0]
    axes[1, 1].semilogy(*zip(*steps, strict=True), ".-") if steps else None
    axes[1, 1].set(
        title=f"convergence, {solution.solver}", xlabel="iteration", ylabel="relative gradient"
    )
    curve = solution.beta_curve
    if curve is None:
        axes[1, 2].text(0.5, 0.5, f"beta = {solution.beta:.3g}, as given", ha="center")
        axes[1, 2].set_axis_off()
    else:
        axes[1, 2].semilogx(curve.betas, curve.scores, ".-")
        axes[1, 2].axvline(curve.beta, color="tab:red", lw=1)
        axes[1, 2].set(
            title=f"beta = {curve.beta:.3g} by {curve.rule}", xlabel="beta", ylabel="score"
        )
    for ax in axes[1, 1:]:
        ax.grid(alpha=0.3)
    return figure


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
