"""A super-resolution on one page; needs matplotlib and scikit-image (``dhop[cli]``)."""

import io
from typing import Any

import numpy as np
import scipy
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from skimage.transform import resize

from dhop.frames.layouts import inward
from dhop.frames.motions import centres

Array = NDArray[Any]

SHARE = 3  # one part in so many of the shorter side is enlarged
SHADES = 0.1, 99.9  # percentiles of the first frame that are black and white


class Page(Figure):
    """A figure that notebooks show, although pyplot knows nothing of it."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=60)
        return content.getvalue()


def report(solution: Any, deviation: Array | None = None) -> Figure:
    """Draw a `dhop.Solution`: see `dhop.Solution.plot`."""
    seen = _seen(solution)
    values = solution.frames[0][seen] if seen.any() else np.zeros(1)
    frame = _picture(np.where(seen, solution.frames[0], np.median(values)))
    image = _picture(inward(solution.image, solution.channel_axis)) * _gain(solution)
    shape = image.shape[:2]
    bicubic = resize(frame, (*shape, *frame.shape[2:]), order=3, mode="symmetric")
    corner, side = _detail(frame if frame.ndim == 2 else frame.mean(axis=-1))
    scale = np.array(shape) / frame.shape[:2]

    count = 4 if deviation is None else 5
    figure = Page(figsize=(4 * count, 8.4), layout="constrained")
    axes = figure.subplots(2, count)
    shades = np.percentile(values, SHADES)
    _show(axes[0, 0], frame, shades, f"frame 1 of {len(solution.frames)}, {_times(frame.shape)}")
    _show(axes[1, 0], image, shades, f"super-resolved, {_times(shape)}")
    for ax, zoom in ((axes[0, 0], np.ones(2)), (axes[1, 0], scale)):
        top, left = corner * zoom - 0.5
        height, width = side * zoom
        ax.add_patch(Rectangle((left, top), width, height, fill=False, color="tab:orange", lw=2))
    for rows, columns in _outlines(solution):
        axes[1, 0].plot((columns + 0.5) * scale[1] - 0.5, (rows + 0.5) * scale[0] - 0.5, lw=0.5)
    _show(axes[0, 1], _cut(frame, corner, side, np.ones(2)), shades, "detail: frame 1")
    _show(axes[0, 2], _cut(bicubic, corner, side, scale), shades, "detail: bicubic of frame 1")
    _show(axes[0, 3], _cut(image, corner, side, scale), shades, "detail: super-resolved")
    _residuals(figure, axes[1, 1], solution)
    _convergence(axes[1, 2], solution)
    _choice(axes[1, 3], solution)
    if deviation is not None:
        whole = np.asarray(inward(deviation, solution.channel_axis)).reshape(-1, *shape)
        root = np.sqrt(np.mean(whole.astype(np.float64) ** 2, axis=0))
        _map(figure, axes[0, 4], root, "standard deviation", "brightness")
        signal = np.abs(solution.image) / np.where(deviation > 0, deviation, np.inf)
        signal = np.asarray(inward(signal, solution.channel_axis)).reshape(-1, *shape).mean(axis=0)
        _map(figure, axes[1, 4], signal, "image over deviation", "times")
    return figure


def _outlines(solution: Any) -> list[Array]:
    """Where the middles of the outermost pixels of frames that have moved lie in frame 0."""
    if solution.motion is None:
        return []
    shape = solution.frames.shape[-2:]
    bottom, right = shape[0] - 1, shape[1] - 1
    rows = np.r_[np.zeros(right), 0:bottom, np.full(right, bottom), bottom:-1:-1].astype(int)
    columns = np.r_[0:right, np.full(bottom, right), right:0:-1, np.zeros(bottom + 1)].astype(int)
    return [centres(each, shape)[:, rows, columns] for each in solution.motion]


def _seen(solution: Any) -> NDArray[np.bool_]:
    """The pixels of the first frame that are finite and have a weight; all finite ones if none."""
    frame, weights = solution.frames[0], solution.operator.weights
    finite = np.isfinite(frame)
    if weights is None:
        return finite
    weight = weights[0].reshape(frame.shape) if weights[0].ndim else weights[0]
    return finite & (weight > 0) if np.any(finite & (weight > 0)) else finite


def _gain(solution: Any) -> float:
    """How much brighter than the scene the first frame is: by a block's pixels if it is a sum."""
    A = solution.operator.operators[0]
    gain = float(np.median(A.matvec(np.ones(A.shape[1], A.dtype))))
    return gain if gain > 0 else 1.0


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


def _show(ax: Any, image: Array, shades: Array, title: str) -> None:
    low, high = shades
    shown = np.clip((image - low) / (high - low or 1), 0, 1)
    ax.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title)
    ax.set_axis_off()


def _residuals(figure: Figure, ax: Any, solution: Any) -> None:
    residuals = solution.residuals()
    size = residuals.shape[-2:]
    root = np.sqrt(np.mean(residuals.reshape(-1, *size) ** 2, axis=0))
    label = "brightness" if solution.operator.weights is None else "brightness, times root weight"
    _map(figure, ax, root, "residual, root mean square", label)


def _map(figure: Figure, ax: Any, values: Array, title: str, label: str) -> None:
    most = np.percentile(values, SHADES[1])
    shown = ax.imshow(values, cmap="magma", vmin=0, vmax=most or 1, interpolation="nearest")
    bar = ax.inset_axes((0.05, -0.1, 0.9, 0.05))
    figure.colorbar(shown, cax=bar, orientation="horizontal", label=label)
    ax.set_title(title)
    ax.set_axis_off()


def _convergence(ax: Any, solution: Any) -> None:
    steps = [(step.iteration, step.residual) for step in solution.history if step.residual > 0]
    if len(steps) < 2:
        last = f"relative gradient {steps[-1][1]:.1e}" if steps else "relative gradient 0"
        _say(ax, f"solver {solution.solver}\n{last}")
        return
    ax.semilogy(*zip(*steps, strict=True), ".-")
    state = "converged" if solution.converged else "not converged"
    ax.set(title=f"{solution.solver}, {state}", xlabel="iteration", ylabel="relative gradient")
    ax.grid(alpha=0.3)


def _choice(ax: Any, solution: Any) -> None:
    curve = solution.beta_curve
    if curve is None:
        _say(ax, f"beta {solution.beta:.3g}\nas given")
        return
    ax.semilogx(curve.betas, curve.scores, ".-")
    ax.axvline(curve.beta, color="tab:red", lw=1)
    ax.set(title=f"beta {curve.beta:.3g}, by {curve.rule}", xlabel="beta", ylabel="score")
    ax.grid(alpha=0.3)


def _say(ax: Any, text: str) -> None:
    ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=13, transform=ax.transAxes)
    ax.set_axis_off()


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape[:2]))
