"""Point spread functions as text: a name with parameters, or a file."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import reduce
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop import psf
from dhop.io import file_of

Value: TypeAlias = float | tuple[float, ...]

SYNTAX = (
    "gaussian:sigma=1.5, box:size=3, disk:radius=2.5, motion:length=9, airy:radius=2, "
    "moffat:fwhm=3,beta=2.5, or a file (FITS, TIFF, PNG, .npy). More may follow: ,size=13 but for "
    "disk and motion, ,angle=30 for gaussian and motion, ,obstruction=0.3 for airy; sigma=2x3 and "
    "size=13x9 are rows x columns, sigma=4x2x2 makes a volume"
)


def _gaussian(sigma: Value, size: Value | None = None, angle: float = 0.0) -> NDArray[Any]:
    if size is None:
        widths = np.broadcast_to(np.abs(sigma), 2)
        rows, columns = widths if angle == 0 else (widths.max(), widths.max())
        size = _reach(4 * rows), _reach(4 * columns)
    return psf.gaussian(_whole(size), sigma, angle=angle)


def _airy(radius: float, size: Value | None = None, obstruction: float = 0.0) -> NDArray[Any]:
    return psf.airy(_whole(size or _reach(5 * abs(radius))), radius, obstruction=obstruction)


def _moffat(fwhm: float, beta: float, size: Value | None = None) -> NDArray[Any]:
    return psf.moffat(_whole(size or _reach(4 * abs(fwhm))), fwhm, beta)


def _box(size: Value) -> NDArray[Any]:
    return psf.box(_whole(size))


PSFS: dict[str, Callable[..., NDArray[Any]]] = {
    "gaussian": _gaussian,
    "box": _box,
    "disk": lambda radius: psf.disk(radius),
    "motion": lambda length, angle=0.0: psf.motion(length, angle),
    "airy": _airy,
    "moffat": _moffat,
}
PAIRS = ("sigma", "size")  # numbers that may be one for each axis


def parse_psf(
    text: str,
    *,
    hdu: int | str | None = None,
    background: float | Literal["border"] = 0.0,
    center: Literal["peak", "centroid"] | tuple[int, ...] | None = None,
    ndim: int = 2,
) -> NDArray[Any]:
    """Make a PSF from ``name:key=value,...``, or read it from a file, and normalise it.

    A Gaussian with a single sigma has `ndim` axes. The other arguments are those of
    `dhop.psf.from_file`. The default size is 4 sigma, 5 radii or 4 widths (Gaussian, Airy, Moffat)
    to either side.

    Examples
    --------
    >>> parse_psf("box:size=1x2")
    array([[0.5, 0.5]])
    """
    array = _make(text, ndim)
    if array is None:
        array = psf.load(text, hdu=hdu)
    elif hdu is not None:
        raise ValueError(f"an hdu is part of a FITS file, and {text!r} is none")
    return psf.from_array(array, background=background, center=center)


def _make(text: str, ndim: int) -> NDArray[Any] | None:
    """The PSF of a name with parameters; None if the text is a file."""
    name, _, rest = text.partition(":")
    if name not in PSFS:
        if text and file_of(Path(text)).exists():
            return None
        near = get_close_matches(name, PSFS, 1)
        advice = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"{text!r} is neither a file nor one of the psfs {', '.join(PSFS)}{advice}"
        )
    pairs = [pair.split("=") for pair in rest.split(",") if pair]
    try:
        most = 3 if name == "gaussian" else 2
        values = {key.strip(): _numbers(key.strip(), value, most) for key, value in pairs}
        signature(PSFS[name]).bind(**values)
    except (TypeError, ValueError):
        raise ValueError(f"cannot read the psf {text!r}; write it as {_syntax(name)}") from None
    if len(values) < len(pairs):
        raise ValueError(f"the psf {text!r} says something twice; write it as {_syntax(name)}")
    counts = {len(value) for value in values.values() if isinstance(value, tuple)} or {ndim}
    if len(counts) > 1:
        raise ValueError(f"sigma and size of the psf {text!r} are of different numbers of axes")
    if name == "gaussian" and counts != {2}:
        return _axes_gaussian(counts.pop(), **values)
    return PSFS[name](**values)


def _axes_gaussian(
    ndim: int, sigma: Value, size: Value | None = None, angle: Value = 0
) -> NDArray[Any]:
    """A Gaussian with one axis or three, as a product of lines."""
    if angle:
        raise ValueError("a gaussian psf has an angle in two axes alone")
    sigmas = np.broadcast_to(sigma, ndim)
    sizes = [_reach(4 * abs(each)) for each in sigmas] if size is None else _sizes(size, ndim)
    lines = [
        psf.gaussian((1, count), (1.0, float(each)))[0]
        for count, each in zip(sizes, sigmas, strict=True)
    ]
    return reduce(np.multiply.outer, lines)


def _numbers(key: str, text: str, most: int) -> Value:
    numbers = [float(part) for part in text.split("x")]
    if 2 <= len(numbers) <= most and key in PAIRS:
        return tuple(numbers)
    (number,) = numbers
    return number


def _syntax(name: str) -> str:
    """The syntax of a PSF, with optional parts in brackets."""
    needed, optional = [], []
    for key, parameter in signature(PSFS[name]).parameters.items():
        if parameter.default is Parameter.empty:
            needed.append(f"{key}=...")
        else:
            optional.append(f"[,{key}=...]")
    return f"{name}:{','.join(needed)}{''.join(optional)}"


def _reach(distance: float) -> int:
    """The odd number of pixels that reaches `distance` to either side."""
    if not np.isfinite(distance):
        raise ValueError(f"the width of a psf must be finite, got {distance}")
    return 2 * int(np.ceil(distance)) + 1


def _whole(size: Value) -> tuple[int, int]:
    rows, columns = _sizes(size, 2)
    return rows, columns


def _sizes(size: Value, ndim: int) -> list[int]:
    """A whole number of pixels for each axis."""
    sizes = np.broadcast_to(size, ndim)
    if (sizes != np.rint(sizes)).any():
        raise ValueError(f"size must be a whole number of pixels, got {size}")
    return [int(each) for each in sizes]
