"""What ImageJ and OME say of an image, in the description of a TIFF."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

from dhop.io.picture import Metadatum, Resolution

# Lines of ImageJ that count images, or tell of the numbers in them.
COUNTS = re.compile(r"(?:images|channels|slices|frames|hyperstack|mode|min|max)=")
ORIGIN = re.compile(r"(xorigin|yorigin)=([-+0-9.eE]+)")
PLAIN = {"OME", "Image", "Pixels", "Channel", "TiffData", "UUID"}  # elements of OME about pixels
CENTIMETERS = {"m": 1e2, "cm": 1.0, "mm": 1e-1, "µm": 1e-4, "um": 1e-4, "nm": 1e-7, "Å": 1e-8}


@dataclass(frozen=True)
class ImageJ(Metadatum):
    """Lines of ImageJ's description, without those that count."""

    lines: tuple[str, ...]

    def resized(self, scale: Fraction, *, sampled: bool = False) -> "ImageJ":
        """The origin is a place in pixels, counted from a corner; steps are a TIFF's resolution."""
        fixed = 0.5 if sampled else 0.0

        def moved(line: str) -> str:
            if found := ORIGIN.fullmatch(line):
                place = (float(found[2]) - fixed) * float(scale) + fixed
                return f"{found[1]}={place:.10g}"
            return line

        return replace(self, lines=tuple(moved(line) for line in self.lines))

    def text(self, channels: int) -> str:
        """The description of an image of so many channels, each on a page."""
        counts = [f"images={channels}", f"channels={channels}"] if channels > 1 else []
        return "\n".join([self.lines[0], *counts, *self.lines[1:], ""])


@dataclass(frozen=True)
class Voxels(Metadatum):
    """Sizes of a pixel as OME has them: PhysicalSizeX and its kind, and their units."""

    sizes: dict[str, Any]

    def resized(self, scale: Fraction, *, sampled: bool = False) -> "Voxels":
        new = dict(self.sizes)
        for name in ("PhysicalSizeX", "PhysicalSizeY"):
            if name in new:
                new[name] = new[name] / float(scale)
        return replace(self, sizes=new)

    def resolution(self) -> Resolution | None:
        """The same for a TIFF that is no OME-TIFF."""
        found: list[float] = []
        for axis in "XY":
            unit = CENTIMETERS.get(self.sizes.get(f"PhysicalSize{axis}Unit", "µm"))
            size = self.sizes.get(f"PhysicalSize{axis}")
            if unit is None or not size:
                return None
            found.append(1 / (size * unit))
        return Resolution(found[0], found[1], "centimeter")


def imagej(description: str) -> ImageJ:
    """What to keep of ImageJ's description."""
    return ImageJ(tuple(line for line in description.splitlines() if not COUNTS.match(line)))


def annotated(xml: str) -> bool:
    """Whether an OME-TIFF tells more than where its pixels are: instruments, people, regions."""
    return any(
        each.tag.rpartition("}")[2] not in PLAIN and (each.attrib or (each.text or "").strip())
        for each in ElementTree.fromstring(xml).iter()
    )


def voxels(xml: str) -> Voxels | None:
    """The sizes of the first image of an OME-TIFF."""
    pixels = ElementTree.fromstring(xml).find("{*}Image/{*}Pixels")
    sizes: dict[str, Any] = {}
    for axis in "XYZ":
        name = f"PhysicalSize{axis}"
        if pixels is not None and name in pixels.attrib:
            sizes[name] = float(pixels.attrib[name])
            if f"{name}Unit" in pixels.attrib:
                sizes[f"{name}Unit"] = pixels.attrib[f"{name}Unit"]
    return Voxels(sizes) if sizes else None
