"""Georeferencing tags of a GeoTIFF (OGC 19-008r4)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from dhop.io.picture import Metadatum

SCALE, TIEPOINTS, TRANSFORMATION, KEYS = 33550, 33922, 34264, 34735
OTHERS = (34736, 34737)  # parameters that the keys refer to
COUNTS = {SCALE: 3, TIEPOINTS: 6, TRANSFORMATION: 16, KEYS: 4}  # of numbers in a tag
RASTER_TYPE, IS_POINT = 1025, 2
DOUBLES, SHORTS, WORDS = "d", "H", "s"


@dataclass(frozen=True)
class Geography(Metadatum):
    """Tags of a GeoTIFF by their numbers."""

    tags: dict[int, Any]

    def resized(self, scales: Mapping[str, Fraction], *, sampled: bool = False) -> "Geography":
        """Rescale the map from pixels to the earth.

        Positions count from the corner of the first pixel, or from its middle if the keys say so.
        Resizing keeps the corner fixed, or with `sampled` the middle.
        """
        middle = 0.0 if self._points else 0.5
        fixed = middle if sampled else middle - 0.5
        new, size = dict(self.tags), np.array([float(scales["X"]), float(scales["Y"])])
        if SCALE in new:
            across, down, *height = new[SCALE]
            new[SCALE] = (across / float(size[0]), down / float(size[1]), *height)
        if TIEPOINTS in new:
            points = np.reshape(new[TIEPOINTS], (-1, 6)).astype(float)
            points[:, :2] = (points[:, :2] - fixed) * size + fixed
            new[TIEPOINTS] = tuple(points.ravel().tolist())
        if TRANSFORMATION in new:
            matrix = np.reshape(new[TRANSFORMATION], (4, 4)).astype(float)
            matrix[:, 3] += (matrix[:, :2] * fixed * (1 - 1 / size)).sum(axis=1)
            matrix[:, :2] /= size
            new[TRANSFORMATION] = tuple(matrix.ravel().tolist())
        return replace(self, tags=new)

    @property
    def _points(self) -> bool:
        keys = np.reshape(self.tags.get(KEYS, ()), (-1, 4))
        return any(key == RASTER_TYPE and value == IS_POINT for key, _, _, value in keys[1:])

    def extratags(self) -> list[tuple[int, str, int, Any, bool]]:
        """The tags as `extratags` of tifffile."""
        return [
            (tag, WORDS, 0, value.encode(), True)
            if isinstance(value, str)
            else (tag, SHORTS if tag == KEYS else DOUBLES, len(value), value, True)
            for tag, value in self.tags.items()
        ]


def read(page: Any) -> Geography | None:
    """The georeferencing of a page of tifffile; None if there is none, or it is damaged."""
    tags = {}
    for tag in (SCALE, TIEPOINTS, TRANSFORMATION, KEYS, *OTHERS):
        value = page.tags.valueof(tag)
        if value is not None:
            tags[tag] = value if isinstance(value, str) else tuple(np.atleast_1d(value).tolist())
    whole = all(len(tags[tag]) % count == 0 for tag, count in COUNTS.items() if tag in tags)
    return Geography(tags) if whole and tags.keys() & COUNTS.keys() else None
