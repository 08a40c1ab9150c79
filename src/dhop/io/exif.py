"""What a camera says of a photograph, by Pillow."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from dhop.io.picture import Metadatum
from dhop.runtime.extras import needed

ORIENTATION, CAMERA = 0x0112, 0x8769  # a tag, and the directory of others
RESOLUTIONS = (0x011A, 0x011B)  # pixels for each unit of length
FOCAL_RESOLUTIONS = (0xA20E, 0xA20F)
SIZES = (0xA002, 0xA003)  # columns and rows
PREVIEW = 1  # the directory of a small image


@dataclass(frozen=True)
class Exif(Metadatum):
    """EXIF of an image that is shown as its pixels lie, without a preview."""

    data: bytes

    def resized(self, scale: Fraction, *, sampled: bool = False) -> "Exif":
        exif = needed("PIL.Image", "cli", "EXIF").Exif()
        exif.load(self.data)
        camera = exif.get_ifd(CAMERA)
        for tags, names in ((exif, RESOLUTIONS), (camera, FOCAL_RESOLUTIONS)):
            for name in names:
                if name in tags:
                    tags[name] = float(tags[name]) * float(scale)
        for name in SIZES:
            if name in camera:
                camera[name] = int(camera[name] * scale)
        return replace(self, data=exif.tobytes())


def shown(exif: Any) -> Exif | None:
    """What to keep of the EXIF of an image of Pillow after it was turned; None if it has none."""
    turned = exif.get(ORIENTATION, 1) > 4
    exif.pop(ORIENTATION, None)
    exif._ifds.pop(PREVIEW, None)
    camera = exif.get_ifd(CAMERA)
    if turned:
        for tags, (across, down) in ((exif, RESOLUTIONS), (camera, SIZES)):
            pair = {across: tags.get(down), down: tags.get(across)}
            for name, value in pair.items():
                tags.pop(name, None)
                if value is not None:
                    tags[name] = value
    return Exif(exif.tobytes()) if dict(exif) or camera else None
