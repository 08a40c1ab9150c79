"""The panels of the reports of `dhop.Solution.plot`; needs matplotlib."""

import io
from typing import Any, Literal, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dhop.frames.layouts import inward
from dhop.frames.noise import NORMAL

Array = NDArray[Any]
Stretch: TypeAlias = Literal["linear", "asinh"]

SHADES = 0.1, 99.9  # percentiles shown as black and white
LINEAR = 3.0  # standard deviations of the sky, up to which asinh is about linear
COLUMNS = 4  # of every page; others follow


class Page(Figure):
    """A figure that notebooks show without pyplot."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=60)
        return content.getvalue()


def page(columns: int) -> tuple[Page, Array]:
    """A figure of two rows of axes."""
    figure = Page(figsize=(4 * columns, 8.4), layout="constrained")
    grid = figure.add_gridspec(2, columns)
    axes = np.empty((2, columns), object)
    for first, last in ((0, COLUMNS), (COLUMNS, columns)):
        for row in range(2):
            for column in range(first, last):
                axes[row, column] = figure.add_subplot(grid[row, column])
    return figure, axes


def seen(solution: Any) -> NDArray[np.bool_]:
    """Pixels of frames that are finite and have a weight; all finite ones of a frame if none."""
    frames, weights = solution.frames, solution.operator.weights
    found = np.isfinite(frames)
    for number, weight in enumerate([] if weights is None else weights):
        shape = frames.shape[1:] if weight.ndim else ()
        used = found[number] & (weight.reshape(shape) > 0)
        if used.any():
            found[number] = used
    return found


def first_frame(solution: Any) -> tuple[Array, Array]:
    """The first frame, with the median for pixels that are not seen, and the others' values."""
    frame, own = solution.frames[0], seen(solution)[0]
    values = frame[own] if own.any() else np.zeros(1)
    return np.where(own, frame, np.median(values)), values


def root_mean_square(images: Array, ndim: int) -> Array:
    """Over all axes but those of an image."""
    each = images.reshape(-1, *images.shape[-ndim:]).astype(np.float64)
    return np.sqrt(np.mean(each**2, axis=0))


def deviations(solution: Any, deviation: Array, ndim: int) -> tuple[Array, Array]:
    """The deviation, and the absolute image over it, as means over channels."""
    signal = np.abs(solution.image) / np.where(deviation > 0, deviation, np.inf)
    own, signal = (inward(each, solution.channel_axis) for each in (np.asarray(deviation), signal))
    return root_mean_square(own, ndim), signal.reshape(-1, *signal.shape[-ndim:]).mean(axis=0)


def gain(solution: Any) -> float:
    """The brightness of the first frame relative to the scene: pixels in a block if it sums."""
    A = solution.operator.operators[0]
    factor = float(np.median(A.matvec(np.ones(A.shape[1], A.dtype))))
    return factor if factor > 0 else 1.0


class Shades:
    """Grey levels from black to white, for some values.

    ``"asinh"`` is for a few bright sources on a dark sky: linear about the median, and logarithmic
    far above its noise.
    """

    def __init__(self, values: Array, stretch: Stretch = "linear") -> None:
        self._sky, self._bend = 0.0, 0.0
        if stretch == "asinh":
            self._sky = float(np.median(values))
            self._bend = LINEAR * NORMAL * float(np.median(abs(values - self._sky)))
        self._low, self._high = self._bent(np.percentile(values, SHADES))

    def of(self, image: Array) -> Array:
        """The grey levels of an image, from zero, black, to one."""
        span = (self._high - self._low) or 1
        return np.clip((self._bent(image) - self._low) / span, 0, 1)

    def _bent(self, image: Array) -> Array:
        return np.arcsinh((image - self._sky) / self._bend) if self._bend else image


def show(ax: Any, image: Array, shades: Shades, title: str) -> None:
    """An image, grey or in colours."""
    ax.imshow(shades.of(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title)
    ax.set_axis_off()


def heat(figure: Figure, ax: Any, values: Array, title: str, label: str) -> None:
    """A map of numbers that are not negative."""
    most = np.percentile(values, SHADES[1])
    shown = ax.imshow(values, cmap="magma", vmin=0, vmax=most or 1, interpolation="nearest")
    bar = ax.inset_axes((0.05, -0.1, 0.9, 0.05))
    figure.colorbar(shown, cax=bar, orientation="horizontal", label=label)
    ax.set_title(title)
    ax.set_axis_off()


def unit_of_residuals(solution: Any) -> str:
    """What residuals are measured in."""
    return "brightness" if solution.operator.weights is None else "brightness, times root weight"


def convergence(ax: Any, solution: Any) -> None:
    """The gradient at each iteration, with a line for each problem that was solved by itself."""
    steps = [(step.iteration, step.residual) for step in solution.history if step.residual > 0]
    if len(steps) < 2:
        last = f"relative gradient {steps[-1][1]:.1e}" if steps else "relative gradient 0"
        say(ax, f"solver {solution.solver}\n{last}")
        return
    table = np.array(steps)
    begins = np.flatnonzero(np.diff(table[:, 0]) <= 0) + 1
    for part in np.split(table, begins):
        ax.semilogy(*part.T, ".-", color="tab:blue")
    state = "converged" if solution.converged else "not converged"
    ax.set(title=f"{solution.solver}, {state}", xlabel="iteration", ylabel="relative gradient")
    ax.grid(alpha=0.3)


def choice(ax: Any, solution: Any) -> None:
    """How the weight of the regulariser was chosen."""
    curve = solution.beta_curve
    if curve is None:
        say(ax, f"beta {solution.beta:.3g}\nas given")
        return
    ax.semilogx(curve.betas, curve.scores, ".-")
    ax.axvline(curve.beta, color="tab:red", lw=1)
    ax.set(title=f"beta {curve.beta:.3g}, by {curve.rule}", xlabel="beta", ylabel="score")
    ax.grid(alpha=0.3)


def moves(ax: Any, solution: Any) -> None:
    """Where the scene appears in each frame, and its number."""
    rows, columns = solution.shifts[:, -2:].T
    ax.axhline(0, color="0.8", lw=1)
    ax.axvline(0, color="0.8", lw=1)
    ax.plot(columns, rows, ".", ms=8)
    for number, place in enumerate(zip(columns, rows, strict=True), 1):
        ax.annotate(str(number), place, (3, 3), textcoords="offset points")
    ax.set(title="shifts of the frames", xlabel="columns (pixels)", ylabel="rows (pixels)")
    ax.invert_yaxis()


def brightness(ax: Any, solution: Any) -> None:
    """Gains and offsets of the frames; residuals where they are as they came."""
    numbers = np.arange(1, len(solution.frames) + 1)
    terms = solution.photometry
    ax.set_xlabel("frame")
    ax.xaxis.get_major_locator().set_params(integer=True)
    if terms.trivial:
        residuals = solution.residuals().reshape(len(numbers), -1)
        ax.bar(numbers, np.sqrt(np.mean(residuals**2, axis=1)), color="0.6")
        ax.set(title="residuals of the frames", ylabel=unit_of_residuals(solution))
        return
    ax.plot(numbers, terms.gains, "o-", color="tab:blue")
    ax.set_ylabel("gain", color="tab:blue")
    ax.set_title("brightness of the frames")
    other = ax.twinx()
    other.plot(numbers, terms.offsets, "s--", color="tab:red")
    other.set_ylabel("offset", color="tab:red")


def say(ax: Any, text: str) -> None:
    """A text instead of a picture."""
    ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=13, transform=ax.transAxes)
    ax.set_axis_off()


def times(shape: tuple[int, ...]) -> str:
    """Sizes of an image."""
    return " x ".join(map(str, shape))
