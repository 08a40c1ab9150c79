"""Metadata of OME-Zarr images: axes and pixel grids (NGFF 0.4 and 0.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dhop.io.picture import Scale, along

AXES = "tczyx"  # times, channels, and space, in file order
KINDS = {"t": "time", "c": "channel"}  # all others are space
VERSION = "0.5"


@dataclass(frozen=True)
class Grid:
    """The pixel grid of an image.

    Attributes
    ----------
    axes : str
        A letter for each axis of the array: t times, c channels, z, y and x.
    scale : tuple of float
        Steps from pixel to pixel along them.
    translation : tuple of float
        Position of the centre of the first pixel.
    units : tuple of str or None
        Of both, such as ``"micrometer"``.
    """

    axes: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    units: tuple[str | None, ...]

    @classmethod
    def plain(cls, ndim: int) -> "Grid":
        """The grid of an array without metadata: steps of one."""
        return cls(AXES[-ndim:], (1.0,) * ndim, (0.0,) * ndim, (None,) * ndim)

    def chosen(self, kept: Sequence[int]) -> "Grid":
        """The grid of some of the axes, by number."""
        return Grid(
            "".join(self.axes[k] for k in kept),
            tuple(self.scale[k] for k in kept),
            tuple(self.translation[k] for k in kept),
            tuple(self.units[k] for k in kept),
        )

    def named(self, axes: str) -> "Grid":
        """The grid of axes by letter, with steps of one along missing ones."""
        known = {axis: k for k, axis in enumerate(self.axes)}
        kept = [known.get(axis) for axis in axes]
        return Grid(
            axes,
            tuple(1.0 if k is None else self.scale[k] for k in kept),
            tuple(0.0 if k is None else self.translation[k] for k in kept),
            tuple(None if k is None else self.units[k] for k in kept),
        )

    def resized(self, scale: Scale, *, sampled: bool = False) -> "Grid":
        """The grid of an image with `scale` times as many pixels over the same field.

        Parameters
        ----------
        scale : int or Fraction, or a sequence of them
            For rows and columns alike, or for each of the last axes.
        sampled : bool
            Whether the first of the new pixels has the centre of the old one, as with
            ``decimation="sample"``; else their block has.

        Examples
        --------
        >>> from dhop.io.ngff import Grid
        >>> Grid("yx", (0.2, 0.2), (0.0, 0.0), ("micrometer", "micrometer")).resized(2).scale
        (0.1, 0.1)
        """
        scales = {letter.lower(): float(each) for letter, each in along(scale).items()}
        by = [scales.get(axis, 1.0) for axis in self.axes]
        steps = tuple(step / each for step, each in zip(self.scale, by, strict=True))
        if sampled:
            return replace(self, scale=steps)
        places = zip(self.translation, self.scale, steps, strict=True)
        moved = tuple(place + (new - old) / 2 for place, old, new in places)
        return replace(self, scale=steps, translation=moved)


def levels(attributes: Mapping[str, Any]) -> list[tuple[str, Grid]]:
    """The resolutions of the first image of a group, the finest first: their paths and grids."""
    found = attributes.get("ome", attributes).get("multiscales")
    if not found:
        raise ValueError("it is no OME-Zarr image, for it has no multiscales")
    image = found[0]
    axes = [each if isinstance(each, str) else each["name"] for each in image.get("axes", AXES)]
    letters = "".join(axes).lower()
    if len(letters) != len(axes) or not set(letters) <= set(AXES):
        raise ValueError(f"its axes are {', '.join(axes)}, not some of {', '.join(AXES)}")
    units = [each.get("unit") if isinstance(each, dict) else None for each in image.get("axes", ())]
    grid = replace(Grid.plain(len(axes)), axes=letters)
    grid = replace(grid, units=tuple(units) or grid.units)
    common = image.get("coordinateTransformations", [])
    return [
        (each["path"], _placed(grid, [*each.get("coordinateTransformations", []), *common]))
        for each in image["datasets"]
    ]


def _placed(grid: Grid, transformations: Sequence[Mapping[str, Any]]) -> Grid:
    """A grid after a sequence of scales and translations."""
    for each in transformations:
        kind = each["type"]
        if kind == "identity":
            continue
        if kind not in ("scale", "translation") or kind not in each:
            raise ValueError(f"its pixels are placed by {dict(each)}, which is not understood")
        numbers = [float(number) for number in each[kind]]
        if kind == "translation":
            pairs = zip(grid.translation, numbers, strict=True)
            grid = replace(grid, translation=tuple(a + b for a, b in pairs))
        else:
            scale = tuple(a * b for a, b in zip(grid.scale, numbers, strict=True))
            moved = tuple(a * b for a, b in zip(grid.translation, numbers, strict=True))
            grid = replace(grid, scale=scale, translation=moved)
    return grid


def attributes(name: str, grids: Sequence[Grid]) -> dict[str, Any]:
    """The attributes of the group of an image, whose resolutions are the arrays 0, 1, ..."""
    axes = [
        {"name": axis, "type": KINDS.get(axis, "space")} | ({"unit": unit} if unit else {})
        for axis, unit in zip(grids[0].axes, grids[0].units, strict=True)
    ]
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": list(grid.scale)},
                {"type": "translation", "translation": list(grid.translation)},
            ],
        }
        for level, grid in enumerate(grids)
    ]
    image = {"name": name, "axes": axes, "datasets": datasets, "type": "mean"}
    return {"ome": {"version": VERSION, "multiscales": [image]}}
