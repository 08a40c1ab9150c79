"""Arguments of commands that are more than a number: point spread functions."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop import images, psf

PSFS: dict[str, Callable[..., NDArray[Any]]] = {
    "gaussian": lambda sigma, size=None: psf.gaussian(
        _whole(size or gaussian_size(abs(sigma))), sigma
    ),
    "box": lambda size: psf.box(_whole(size)),
    "disk": lambda radius: psf.disk(radius),
    "motion": lambda length, angle=0.0: psf.motion(length, angle),
}


def parse_psf(text: str) -> NDArray[Any]:
    """Make a PSF from ``name:key=value,...``, or read it from a file.

    Examples
    --------
    >>> parse_psf("box:size=2")
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    name, _, rest = text.partition(":")
    if name not in PSFS:
        path = Path(text)
        if path.exists():
            image = images.read(path)
            return psf.normalise(image if image.ndim == 2 else image.mean(axis=-1))
        raise ValueError(f"{text!r} is neither a file nor one of the psfs {', '.join(PSFS)}")
    try:
        pairs = [pair.split("=") for pair in rest.split(",") if pair]
        values = {key.strip(): float(value) for key, value in pairs}
        signature(PSFS[name]).bind(**values)
    except (TypeError, ValueError):
        keys = ",".join(f"{key}=..." for key in signature(PSFS[name]).parameters)
        raise ValueError(f"cannot read the psf {text!r}; write it as {name}:{keys}") from None
    return PSFS[name](**values)


def gaussian_size(sigma: float) -> int:
    return 2 * int(np.ceil(4 * sigma)) + 1


def _whole(size: float) -> int:
    if size != int(size):
        raise ValueError(f"size must be a whole number of pixels, got {size}")
    return int(size)
