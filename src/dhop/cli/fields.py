"""Fields of PSFs in ``dhop psf --field``."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop import psf as psfs
from dhop.cli.terminal import extent, show
from dhop.io import figures
from dhop.psf.ellipses import ellipse


def psf_at(field: psfs.Field, at: str) -> NDArray[Any]:
    """The PSF at a position given as row,column."""
    try:
        row, column = map(float, at.split(","))
    except ValueError:
        raise ValueError(f"at must be row,column, got {at!r}") from None
    return field.at(row, column)


def show_field(
    field: psfs.Field, source: str, plot: Path | None, log: bool, overwrite: bool, as_json: bool
) -> None:
    """Print facts about all PSFs, and draw them and their widths."""
    found = np.array([ellipse(stamp) for stamp in field.stamps.reshape(-1, *field.shape)])
    sigma, ellipticity, _ = found.T
    ends = [(float(nodes[0]), float(nodes[-1])) for nodes in field.positions]
    facts = {
        "grid": field.grid,
        "shape": field.shape,
        "rows": ends[0],
        "columns": ends[1],
        "sigma": _ends(sigma),
        "ellipticity": _ends(ellipticity),
    }
    lines = {
        "field": f"{extent(field.grid)} psfs of {extent(field.shape)}, {source}",
        "nodes": f"rows {_range(facts['rows'])}, columns {_range(facts['columns'])} of the scene",
        "width": f"{_range(facts['sigma'])} pixels standard deviation",
        "ellipticity": _range(facts["ellipticity"]),
    }
    if plot is not None:
        _draw(plot, field, log, overwrite)
        lines["written"] = str(plot)
    show(lines, facts | {"written": [] if plot is None else [str(plot)]}, as_json)


def _draw(path: Path, field: psfs.Field, log: bool, overwrite: bool) -> None:
    from dhop import plots  # imports pyplot, which completion need not wait for

    figure = figures.new(path, (12, 5))
    left, right = figure.subplots(1, 2)
    plots.field(field, log=log, ax=left)
    plots.widths(field, ax=right)
    figures.save(figure, path, overwrite=overwrite)


def _ends(numbers: NDArray[Any]) -> tuple[float, float]:
    """Minimum and maximum of finite numbers; points have no width."""
    known = numbers[np.isfinite(numbers)]
    return (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)


def _range(ends: Any) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}"
