"""Raw photographs in ``dhop superres``: a solve for each colour of the mosaic."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop import Solution, images, raw, super_resolve
from dhop.cli.terminal import Bar
from dhop.io import Original
from dhop.raw import Mosaic
from dhop.registration import estimate_shifts

Array = NDArray[Any]

ENDINGS = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".pef", ".raf", ".srw")
COLOURS = "RGB"
SIXTEEN = Original(np.dtype("u2"), 65535)  # written by default


def are_raw(paths: list[Path]) -> bool:
    """Whether files are raw photographs by their names; ValueError if only some are."""
    found = {path.suffix.lower() in ENDINGS for path in paths}
    if len(found) > 1:
        raise ValueError("take frames of one kind: all raw photographs, or none")
    return found == {True}


def check(others: Mapping[str, Any]) -> None:
    """Refuse options that raw photographs do not take, if they are neither None nor False."""
    for option, given in others.items():
        if given is not None and given is not False:
            raise ValueError(f"raw photographs do not take {option}")


@dataclass(frozen=True)
class Burst:
    """Raw photographs of one view."""

    mosaics: list[Mosaic]

    @classmethod
    def opened(cls, paths: list[Path], bar: Bar) -> "Burst":
        """Read files, which must be of one camera."""
        burst = cls([])
        for number, path in enumerate(paths, 1):
            mosaic = raw.read(path)
            burst.mosaics.append(mosaic)
            own, first = ((each.pixels.shape, each.pattern) for each in (mosaic, burst.mosaics[0]))
            if own != first:
                raise ValueError(
                    f"{path} is {own[0]}, {own[1]}, but {paths[0]} is {first[0]}, {first[1]}"
                )
            bar(number, len(paths))
        pattern = burst.mosaics[0].pattern
        if {*pattern} != {*COLOURS}:
            raise ValueError(f"{paths[0]} has the colours {pattern}, not red, green and blue")
        return burst

    @property
    def originals(self) -> list[Original]:
        return [SIXTEEN] * len(self.mosaics)

    @property
    def outline(self) -> Array:
        """Zeros with the shape of the photographs, which take no memory."""
        rows, columns = (length // 2 * 2 for length in self.mosaics[0].pixels.shape)
        shape = len(self.mosaics), len(COLOURS), rows, columns
        return np.broadcast_to(np.zeros((), np.float64), shape)

    def solve(
        self, psf: Array, factor: tuple[int, ...], shifts: Any, callback: Any, motion: None,
        **options: Any,
    ) -> Solution:  # fmt: skip
        """The white-balanced image; the other attributes are those of the green solve.

        Parameters
        ----------
        psf : ndarray
            Without the area of a sensor's pixel.
        factor : (int, int)
            Pixels of the image for each of the sensor's.
        shifts : ndarray, "estimate" or None
            Of the photographs, in pixels of the sensor.
        callback, motion
            Ignored.
        """
        stack = np.stack([mosaic.pixels for mosaic in self.mosaics])
        if isinstance(shifts, str):
            # One pixel of each two by two is an image, in which shifts are half as large.
            shifts = 2 * estimate_shifts(stack[:, ::2, ::2]) if len(stack) > 1 else None
        blur, center = _with_pixel(psf, factor)
        first = self.mosaics[0]
        found = {
            colour: super_resolve(
                each.frames, blur, [2 * step for step in factor], shifts=each.shifts,
                center=center, **options | {"decimation": "sample"},
            )
            for colour, each in raw.planes(stack, first.pattern, shifts).items()
        }  # fmt: skip
        image = np.stack([first.balance[colour] * found[colour].image for colour in COLOURS])
        converged = all(each.converged for each in found.values())
        return replace(found["G"], image=image, converged=converged)


def _with_pixel(psf: Array, factor: tuple[int, ...]) -> tuple[Array, list[int]]:
    """The PSF convolved with the area of a sensor's pixel, and its centre: the first subpixel."""
    ends = np.array(factor) - 1
    places = list(np.ndindex(*factor))
    moved = [np.pad(psf, np.column_stack([place, ends - place])) for place in places]
    center = [(length - 1) // 2 + end for length, end in zip(psf.shape, ends, strict=True)]
    return np.sum(moved, axis=0) / len(places), center


def as_light(out: Path, bits: int | None) -> bool:
    """Whether a file holds linear light, as floating-point files do, or sRGB."""
    return images.kind_of(out, bits, SIXTEEN).kind == "f"
