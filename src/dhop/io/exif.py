"""EXIF metadata of photographs, by Pillow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from numbers import Real
from typing import Any

from dhop.io import orientation
from dhop.io.picture import Metadatum, Unkept
from dhop.runtime.extras import needed

CAMERA = 0x8769  # the directory of the camera's tags
# Each of columns and of rows.
RESOLUTIONS = (0x011A, 0x011B)  # pixels for each unit of length
FOCAL_RESOLUTIONS = (0xA20E, 0xA20F)
SIZES = (0xA002, 0xA003)
PREVIEW = 1  # the directory of the preview


@dataclass(frozen=True)
class Exif(Metadatum):
    """EXIF of an upright image, without its preview."""

    data: bytes

    def resized(self, scales: Mapping[str, Fraction], *, sampled: bool = False) -> "Exif":
        exif = needed("PIL.Image", "cli", "EXIF").Exif()
        exif.load(self.data)
        camera = exif.get_ifd(CAMERA)
        for tags, names in ((exif, RESOLUTIONS), (camera, FOCAL_RESOLUTIONS), (camera, SIZES)):
            for name, axis in zip(names, "XY", strict=True):
                value = tags.get(name)
                if isinstance(value, Real) and isfinite(value):  # cameras write 0/0, too
                    new = Fraction(float(value)) * scales[axis]
                    tags[name] = int(new) if names is SIZES else float(new)
        return replace(self, data=exif.tobytes())


def read(image: Any) -> tuple[Any, Metadatum | None]:
    """The orientation tag of an image of Pillow, and its EXIF once it is upright."""
    tag = None
    try:
        exif = image.getexif()
        tag = exif.pop(orientation.TAG, None)
        exif._ifds.pop(PREVIEW, None)
        camera = exif.get_ifd(CAMERA)
        if tag in orientation.SWAPPED:
            for tags, (across, down) in ((exif, RESOLUTIONS), (camera, SIZES)):
                pair = {across: tags.get(down), down: tags.get(across)}
                for name, value in pair.items():
                    tags.pop(name, None)
                    if value is not None:
                        tags[name] = value
        return tag, Exif(exif.tobytes()) if dict(exif) or camera else None
    except Exception:  # Pillow raises anything on nonsense, which must not cost the photograph
        return tag, Unkept()
