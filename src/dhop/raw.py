"""Raw photographs: mosaics of colours, which super-resolution demosaics.

Every other pixel of every other row is a frame of one colour, and the green ones are two frames.
Frames are samples of the image at different positions, given as shifts.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.io.errors import ContentError, in_words
from dhop.runtime import arguments
from dhop.runtime.extras import needed
from dhop.runtime.signatures import shorten

__all__ = ["Mosaic", "Planes", "planes", "read"]

Array = NDArray[Any]

PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))  # in a pattern of two by two, in the order of its letters


@dataclass(frozen=True, eq=False)
class Mosaic:
    """A raw photograph.

    Attributes
    ----------
    pixels : ndarray, shape (rows, columns)
        Linear in the light, from black (0) to saturation (1).
    pattern : str
        Colours of the first two pixels of the first two rows, as in ``"RGGB"``.
    balance : dict of str to float
        Factor of each colour for the camera's white balance; 1 for green.
    """

    pixels: Array
    pattern: str
    balance: dict[str, float]


@dataclass(frozen=True, eq=False)
class Planes:
    """The frames of one colour.

    Attributes
    ----------
    frames : ndarray, shape (F, rows // 2, columns // 2)
    shifts : ndarray, shape (F, 2)
        In their own pixels, as for `dhop.super_resolve`.
    """

    frames: Array
    shifts: Array


@shorten
def read(path: str | os.PathLike[str]) -> Mosaic:
    """Read a raw photograph, without black borders (needs ``dhop[raw]``).

    Parameters
    ----------
    path : path
        Of what LibRaw knows: DNG, CR2, NEF, ARW and many more.

    Returns
    -------
    Mosaic

    Raises
    ------
    OSError
        If the file is missing or damaged.
    ValueError
        If its colours do not repeat every two pixels.
    ModuleNotFoundError
        Without rawpy.
    """
    path = Path(path)
    rawpy = needed("rawpy", "raw", f"reading {path.name}")
    with path.open("rb"), in_words(path), rawpy.imread(os.fspath(path)) as raw:
        colours = raw.raw_colors_visible
        if raw.raw_pattern is None or raw.raw_pattern.shape != (2, 2):
            raise ContentError(f"{path} has no colours that repeat every two pixels")
        black = np.asarray(raw.black_level_per_channel, np.float64)[colours]
        pixels = (raw.raw_image_visible - black) / (raw.white_level - black)
        letters = raw.color_desc.decode()
        pattern = "".join(letters[colours[place]] for place in PLACES)
        gains: dict[str, float] = {}
        for letter, gain in zip(letters, raw.camera_whitebalance, strict=True):
            gains[letter] = gains.get(letter) or gain  # many files leave the second green at 0
    green = gains.get("G") or 1.0
    balance = {letter: (gains[letter] or green) / green for letter in dict.fromkeys(pattern)}
    return Mosaic(pixels, pattern, balance)


@shorten
def planes(
    mosaics: ArrayLike | Sequence[ArrayLike], pattern: str = "RGGB", shifts: ArrayLike | None = None
) -> dict[str, Planes]:
    """The colours of a mosaic, or of a burst of them, as frames for `dhop.super_resolve`.

    Solve for each colour with ``factor=2`` and ``decimation="sample"``, and the image has a pixel
    for each of the sensor's. With ``factor=4`` it has two by two; the PSF, which is in these finer
    pixels, must then have the area of a sensor's pixel in it: convolve it with a box of two.

    Parameters
    ----------
    mosaics : array_like, shape ([F,] rows, columns)
        An odd last row or column is left out.
    pattern : str
        Four letters, the colours of the first two pixels of the first two rows.
    shifts : array_like, shape (F, 2), optional
        How much further down and right the scene appears in each mosaic than in the first, in
        pixels of the mosaic; zeros by default. Registering one plane of all mosaics finds halves of
        them, see the example.

    Returns
    -------
    dict of str to Planes
        By the letters of the pattern; the green ones of ``"RGGB"`` are twice as many.

    Raises
    ------
    ValueError
        If shapes do not fit or the pattern is not of four letters.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import psf, raw, super_resolve
    >>> light = np.fromfunction(lambda i, j: 2 + np.sin(i / 3) + np.cos(j / 4), (16, 20))
    >>> colours = raw.planes(light, "RGGB")
    >>> {colour: each.frames.shape for colour, each in colours.items()}
    {'R': (1, 8, 10), 'G': (2, 8, 10), 'B': (1, 8, 10)}
    >>> green = super_resolve(colours["G"].frames, psf.gaussian(3, 0.5), 2, beta=1e-3,
    ...                       shifts=colours["G"].shifts, decimation="sample")
    >>> green.image.shape
    (16, 20)

    The shifts of a burst, from the first pixels of each two by two:

    >>> burst = np.stack([light, np.roll(light, 2, axis=0)])
    >>> from dhop.registration import estimate_shifts
    >>> moved = 2 * estimate_shifts(burst[:, ::2, ::2])
    >>> {colour: len(each.frames) for colour, each in raw.planes(burst, "RGGB", moved).items()}
    {'R': 2, 'G': 4, 'B': 2}
    """
    stack = arguments.numbers("mosaics", mosaics)
    stack = stack[None] if stack.ndim == 2 else stack
    if stack.ndim != 3 or min(stack.shape[1:], default=0) < 2:
        raise ValueError(f"mosaics must be of shape ([F,] rows, columns), got {stack.shape}")
    if not isinstance(pattern, str) or len(pattern) != len(PLACES):
        raise ValueError(f"pattern must be four letters, as RGGB, got {pattern!r}")
    moved = np.zeros((len(stack), 2)) if shifts is None else arguments.numbers("shifts", shifts)
    if moved.shape != (len(stack), 2):
        raise ValueError(f"shifts must be of shape {(len(stack), 2)}, got {moved.shape}")
    even = stack[:, : stack.shape[1] // 2 * 2, : stack.shape[2] // 2 * 2]
    found = {}
    for colour in dict.fromkeys(pattern):
        places = [place for place, letter in zip(PLACES, pattern, strict=True) if letter == colour]
        frames = np.concatenate([even[:, row::2, column::2] for row, column in places])
        # A plane that begins further down sees the scene further up.
        where = np.concatenate([(moved - place) / 2 for place in places])
        found[colour] = Planes(frames, where)
    return found
