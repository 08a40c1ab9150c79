"""Images of one scene, side by side."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dhop.io import figures


def comparison(
    pictures: dict[str, NDArray[Any]],
    detail: tuple[float, float, float],
    path: Path,
    *,
    overwrite: bool = False,
) -> None:
    """Write pictures of one scene side by side, whole and enlarged.

    Parameters
    ----------
    pictures : dict of str to ndarray, shape (rows, columns)
        Titles and images with values in [0, 1], of any sizes that show the same field.
    detail : (float, float, float)
        Top, left and side of the square that the second row enlarges, as fractions of the field.
    path : Path
        Image file to write.
    overwrite : bool
        Whether to replace a file that is there.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from dhop import plots
    >>> scene = np.random.default_rng(0).random((60, 80))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scenes.png"
    ...     scenes = {"fine": scene, "coarse": scene[::2, ::2]}
    ...     plots.comparison(scenes, (0.2, 0.3, 0.4), path)
    ...     print(path.exists())
    True
    """
    figure = figures.new(path, (4 * len(pictures), 8.4))
    axes = figure.subplots(2, len(pictures), squeeze=False)
    top, left, side = detail
    for column, (title, image) in enumerate(pictures.items()):
        rows, columns = image.shape
        square = (
            slice(round(top * rows), round((top + side) * rows)),
            slice(round(left * columns), round((left + side) * columns)),
        )
        for ax, part in zip(axes[:, column], (image, image[square]), strict=True):
            ax.imshow(part, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            ax.set_axis_off()
        axes[0, column].set_title(title, fontsize=13)
    figures.save(figure, path, overwrite=overwrite)
