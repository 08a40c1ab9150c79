"""Writing figures of matplotlib."""

from pathlib import Path
from typing import Any

from dhop.io.replacement import open_whole, replacing


def save(figure: Any, path: Path, *, overwrite: bool) -> None:
    """Write a figure in the format of the path's ending, atomically."""
    with replacing(path, overwrite) as part, open_whole(part) as file:
        figure.savefig(file, dpi=100, format=path.suffix.removeprefix(".").lower())
