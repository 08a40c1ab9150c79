"""Metadata of ImageJ and OME in the description of a TIFF."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

from dhop.io.picture import Metadatum, Resolution

# Lines of ImageJ that count images, or describe their values.
COUNTS = re.compile(r"(?:images|channels|slices|frames|hyperstack|mode|min|max)=")
PLACE = re.compile(r"(xorigin|yorigin|zorigin|spacing)=([-+0-9.eE]+)")
PLAIN = {"OME", "Image", "Pixels", "Channel", "TiffData", "UUID"}  # of OME, on pixels
CENTIMETERS = {"m": 1e2, "cm": 1.0, "mm": 1e-1, "µm": 1e-4, "um": 1e-4, "nm": 1e-7, "Å": 1e-8}


@dataclass(frozen=True)
class ImageJ(Metadatum):
    """Lines of ImageJ's description, without counts of images."""

    lines: tuple[str, ...]

    def resized(self, scales: Mapping[str, Fraction], *, sampled: bool = False) -> "ImageJ":
        """Rescale the origin, in pixels from a corner, and the spacing of planes.

        The pixel size within a plane is the TIFF's resolution.
        """
        fixed = 0.5 if sampled else 0.0

        def moved(line: str) -> str:
            found = PLACE.fullmatch(line)
            if found is None:
                return line
            name, number = found[1], float(found[2])
            if name == "spacing":
                return f"{name}={number / float(scales.get('Z', 1)):.10g}"
            place = (number - fixed) * float(scales.get(name[0].upper(), 1)) + fixed
            return f"{name}={place:.10g}"

        return replace(self, lines=tuple(moved(line) for line in self.lines))

    def text(self, channels: int, planes: int = 1) -> str:
        """The description of a file with a page for each channel and plane."""
        lengths = {"images": channels * planes, "channels": channels, "slices": planes}
        counts = [f"{name}={length}" for name, length in lengths.items() if length > 1]
        counts += ["hyperstack=true"] if min(channels, planes) > 1 else []
        return "\n".join([self.lines[0], *counts, *self.lines[1:], ""])


@dataclass(frozen=True)
class Voxels(Metadatum):
    """Pixel sizes of OME: PhysicalSizeX, Y and Z, and their units."""

    sizes: dict[str, Any]

    def resized(self, scales: Mapping[str, Fraction], *, sampled: bool = False) -> "Voxels":
        new = dict(self.sizes)
        for axis, scale in scales.items():
            name = f"PhysicalSize{axis}"
            if name in new:
                new[name] = new[name] / float(scale)
        return replace(self, sizes=new)

    def resolution(self) -> Resolution | None:
        """The pixel size as the resolution of a plain TIFF."""
        found: list[float] = []
        for axis in "XY":
            unit = CENTIMETERS.get(self.sizes.get(f"PhysicalSize{axis}Unit", "µm"))
            size = self.sizes.get(f"PhysicalSize{axis}")
            if unit is None or not size:
                return None
            found.append(1 / (size * unit))
        return Resolution(found[0], found[1], "centimeter")

    def spacing(self) -> ImageJ | None:
        """The distance of planes for a plain TIFF, in the form of ImageJ."""
        size, unit = self.sizes.get("PhysicalSizeZ"), self.sizes.get("PhysicalSizeZUnit", "µm")
        if not size:
            return None
        ascii_unit = unit.replace("µ", "u").replace("Å", "angstrom")
        return ImageJ(("ImageJ=1.54f", f"spacing={size:.10g}", f"unit={ascii_unit}"))


def imagej(description: str) -> ImageJ:
    """ImageJ's description, without counts of images."""
    return ImageJ(tuple(line for line in description.splitlines() if not COUNTS.match(line)))


def annotated(xml: str) -> bool:
    """Whether OME metadata describe more than the pixels: instruments, people, regions."""
    return any(
        each.tag.rpartition("}")[2] not in PLAIN and (each.attrib or (each.text or "").strip())
        for each in ElementTree.fromstring(xml).iter()
    )


def voxels(xml: str) -> Voxels | None:
    """The pixel sizes of the first image of an OME-TIFF."""
    pixels = ElementTree.fromstring(xml).find("{*}Image/{*}Pixels")
    sizes: dict[str, Any] = {}
    for axis in "XYZ":
        name = f"PhysicalSize{axis}"
        if pixels is not None and name in pixels.attrib:
            sizes[name] = float(pixels.attrib[name])
            if f"{name}Unit" in pixels.attrib:
                sizes[f"{name}Unit"] = pixels.attrib[f"{name}Unit"]
    return Voxels(sizes) if sizes else None
