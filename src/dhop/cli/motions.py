"""``--motion`` of ``dhop superres``: a model to find, matrices of a file, or sky coordinates."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop import motion
from dhop.cli.terminal import progress
from dhop.io import Original, coordinates, npy
from dhop.registration import MODELS

Array = NDArray[Any]

SKY = "wcs"
NAMES = (*MODELS, SKY)


def read_motion(text: str, originals: Sequence[Original], stack: Array) -> Any:
    """The motion of each frame, or the model to find it by.

    `text` is a model, ``"wcs"``, or the path of a file; `originals` are those of the frames' files.
    """
    if text in MODELS:
        return text
    if text == SKY:
        return _on_the_sky(originals, stack)
    found = _read(Path(text))
    if found.ndim == 2 and found.size == 9 * len(stack):
        found = found.reshape(-1, 3, 3)
    return list(found)


def _read(path: Path) -> Array:
    """Motions in a file: nine numbers for each frame in text, arrays in JSON and .npy."""
    if path.suffix.lower() == ".npy":
        return npy.load(path)
    if not path.is_file():
        names = ", ".join(NAMES)
        raise FileNotFoundError(f"there is no file {path}, and motions are {names}")
    content = path.read_text()
    try:
        if path.suffix.lower() == ".json":
            return np.array(json.loads(content), np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a file without numbers
            return np.loadtxt(content.replace(",", " ").splitlines(), ndmin=2)
    except (ValueError, TypeError, UserWarning) as error:
        raise ValueError(f"{path} must have nine numbers for each frame: {error}") from None


def _on_the_sky(originals: Sequence[Original], stack: Array) -> list[Array]:
    """Matrices from each frame to the first, by their sky coordinates."""
    if len(originals) != len(stack):
        raise ValueError("--motion wcs needs a FITS file for each frame, with its own coordinates")
    skies = [coordinates(original) for original in originals]
    found = [np.eye(3)]
    with progress("comparing coordinates", len(skies)) as bar:
        for number, sky in enumerate(skies[1:], 2):
            found.append(motion.from_wcs(sky, skies[0], stack.shape[-2:]))
            bar(number, len(skies))
    return found
