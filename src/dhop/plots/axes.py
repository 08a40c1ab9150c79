"""New axes and color bars, and a check of what is drawn."""

from typing import Any

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from dhop.operators.blur_decimate import DHOperator


def new_axes(columns: int = 1) -> list[Axes]:
    """Axes beside each other in a new pyplot figure."""
    _, axes = pyplot.subplots(
        1, columns, figsize=(5 * columns, 4.2), layout="constrained", squeeze=False
    )
    return list(axes[0])


def add_color_bar(image: AxesImage, label: str) -> None:
    """Say what the colours mean, in the height of the image."""
    ax = image.axes
    figure = ax.get_figure()
    assert figure is not None
    figure.colorbar(image, cax=ax.inset_axes((1.03, 0, 0.04, 1)), label=label)


def require_blur(A: Any, what: str) -> None:
    """Refuse what is no `DHOperator`."""
    if not isinstance(A, DHOperator):
        raise TypeError(f"{what} is drawn of a DHOperator, got {type(A).__name__}")
