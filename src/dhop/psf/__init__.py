"""Point spread functions on pixels: made from a formula, or measured and prepared.

Lengths are in pixels and angles in degrees, counter-clockwise from the direction of growing column
numbers as the array is displayed, its first row at the top. What is made from a formula is centred
on the middle of its array, holds in each pixel the integral over that pixel, and has the sum one.

PSFs have one axis, two, or three, planes first. `disk`, `motion`, `airy` and `moffat` make those of
images, `widefield` and `confocal` those of volumes; `estimate`, `refine` and `encircled_energy`
are for images, and `rotate` for images and the planes of volumes.
"""

from dhop.model.shifting import shift
from dhop.psf.arrays import encircled_energy, estimate_support, normalise, resample, rotate
from dhop.psf.estimation import estimate
from dhop.psf.field import Field
from dhop.psf.fitting import refine
from dhop.psf.measured import from_array, from_file, load
from dhop.psf.microscopy import confocal, widefield
from dhop.psf.modes import Modes
from dhop.psf.optics import airy, moffat
from dhop.psf.shapes import box, disk, gaussian, motion
from dhop.runtime.signatures import shorten

__all__ = [
    "Field",
    "Modes",
    "airy",
    "box",
    "confocal",
    "disk",
    "encircled_energy",
    "estimate",
    "estimate_support",
    "from_array",
    "from_file",
    "gaussian",
    "load",
    "moffat",
    "motion",
    "normalise",
    "refine",
    "resample",
    "rotate",
    "shift",
    "widefield",
]

for name in __all__:
    shorten(globals()[name])
