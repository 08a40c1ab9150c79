"""New figures of matplotlib, and writing them."""

from pathlib import Path
from typing import Any

from dhop.io.replacement import open_whole, replacing
from dhop.runtime.extras import needed


def new(path: Path, size: tuple[float, float]) -> Any:
    """A figure of some inches, without pyplot, to be written to a path."""
    figure = needed("matplotlib.figure", "plot", f"drawing {path.name}").Figure
    return figure(figsize=size, layout="constrained")


def save(figure: Any, path: Path, *, overwrite: bool) -> None:
    """Write a figure in the format of the path's ending, atomically."""
    with replacing(path, overwrite) as part, open_whole(part) as file:
        figure.savefig(file, dpi=100, format=path.suffix.removeprefix(".").lower())
