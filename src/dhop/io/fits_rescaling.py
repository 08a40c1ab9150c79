"""FITS headers for pixels of another size: sky coordinates and other cards that depend on it.

A pixel becomes a block of `f` pixels on axes 1 and 2, and of another number on axis 3 if the planes
are those of a volume. A position `p`, which is 1 in the middle of the first pixel, becomes
:math:`(p - 1/2) f + 1/2`; with samples, the first of which has the position of the pixel, it is
:math:`(p - 1) f + 1`. Both are :math:`(p - a) f + a`.

Functions of intermediate world coordinates stay: projections with their PV (TPV), the polynomials
of IRAF (TNX, ZPX) and tables (-TAB).
"""

import re
from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor, isfinite
from typing import Any

from dhop.io.picture import Scale, along

NUMBERS = {"X": 1, "Y": 2, "Z": 3}  # of the axes
VERSION = re.compile(
    r"(?:CTYPE|CUNIT|CRPIX|CRVAL|CDELT|CROTA)[12]([A-Z]?)|(?:CD|PC)[12]_[12]([A-Z]?)"
)
POINT = "CRPIX{}[A-Z]?"
MATRIX_COLUMN = r"CD(?:\d\d?_|00\d00){}[A-Z]?"
MATRIX = re.compile(r"CD(?:\d\d?_|00\d00)([12])([A-Z]?)")
ROTATION = re.compile(r"PC(?:00)?(\d\d?)(?:_|00)(\d\d?)([A-Z]?)")
# Simple Imaging Polynomials, https://fits.gsfc.nasa.gov/registry/sip.html
POLYNOMIAL = re.compile(r"[AB]P?_\d\d?_\d\d?[A-Z]?")
# Of IRAF: the pixel p of the detector lies at LTM p + LTV.
PHYSICAL, PHYSICAL_MATRIX = "LTV{}", "LTM{}_[1-3]"
# Of the Digitized Sky Survey: pixels of the plate before those of the image.
CORNER = "CNPIX{}"
LENGTHS = re.compile(r"[AB]P?_DMAX[A-Z]?|IMAGE[WH]")  # in pixels
SIDES = re.compile(r"(?:PIXSCALE|PIXSCAL|SECPIX|PIXSIZE)[12]?|[XY]PIXSZ|[XY]PIXELSZ")  # of pixels
AREAS = re.compile(r"PIXAR_(?:SR|A2)")
SECTIONS = re.compile(r"(?:DATA|TRIM|BIAS)SEC\d?")
# Cards that hold only if rows and columns have one scale.
ALIKE = re.compile(
    r"CROTA[12][A-Z]?|[AB]P?_ORDER[A-Z]?|(?:CPDIS|CQDIS|D2IMDIS)[12]|PIXSCALE?|SECPIX"
)
BOUNDS = re.compile(r"\[(\d+):(\d+),(\d+):(\d+)\]")


def resized(header: Any, scale: Scale, *, sampled: bool = False) -> Any:
    """The header of an image with `scale` times as many pixels on each axis.

    Parameters
    ----------
    header : astropy.io.fits.Header
    scale : Fraction or int, or sequence of such
        For rows and columns alike, or for each axis, columns last.
    sampled : bool
        Whether the first of `scale` pixels has the position of the old one, as with
        ``decimation="sample"``.

    Returns
    -------
    astropy.io.fits.Header
        A copy.

    Raises
    ------
    ValueError
        If rows and columns have different scales and the header turns or distorts them together.
    """
    given = {NUMBERS[letter]: each for letter, each in along(scale).items()}
    # Axis 3 takes part if its planes become more or fewer.
    scales = {axis: each for axis, each in given.items() if axis < 3 or each != 1}
    across, down = given[1], given.get(2, Fraction(1))
    if across != down and (bound := [key for key in header if ALIKE.fullmatch(key)]):
        raise ValueError(
            f"{bound[0]} of the FITS header holds for one factor of rows and columns, not for "
            f"{down} and {across}"
        )
    new, f = header.copy(), float(across)
    for version in _versions(header):
        for axis in scales:
            new.setdefault(f"CRPIX{axis}{version}", 0.0)
        _scale_steps(new, version, {axis: float(each) for axis, each in scales.items()})
    for axis, each in scales.items():
        size, move = float(each), _mover(each, sampled)
        _change(new, _of(POINT, axis), move)
        _change(new, _of(MATRIX_COLUMN, axis), lambda value, size=size: value / size)
        _change(new, _of(PHYSICAL, axis), move)
        _change(new, _of(PHYSICAL_MATRIX, axis), lambda value, size=size: value * size)
        _change(
            new,
            _of(CORNER, axis),
            lambda value, size=size, move=move: value * size + 0.5 - move(0.5),
        )
    _change(new, LENGTHS, lambda value: value * f)
    _change(new, SIDES, lambda value: value / f)
    _change(new, AREAS, lambda value: value / float(across * down))
    for key in {key for key in new if POLYNOMIAL.fullmatch(key)}:
        powers = sum(map(int, re.findall(r"\d+", key)))
        _change(new, re.compile(key), lambda value, n=powers: value * f ** (1 - n))
    for index in _indices(new, SECTIONS):
        new[index] = _section(str(new[index]), (across, down))
    new.add_history(f"{_history(list(given.values()))} by dhop")
    return new


def resized_lookup(header: Any, scale: Fraction | int, *, sampled: bool = False) -> Any:
    """The header of a distortion table in pixels, whose values the caller scales likewise."""
    new, f, move = header.copy(), float(scale), _mover(scale, sampled)
    for axis in (1, 2):
        new.setdefault(f"CRVAL{axis}", 0.0)
        new.setdefault(f"CDELT{axis}", 1.0)
    _change(new, re.compile("CRVAL[12]"), move)
    _change(new, re.compile("CDELT[12]"), lambda value: value * f)
    return new


def _history(scales: list[Fraction]) -> str:
    """What was done, with one factor or one for each axis, columns last."""
    larger = max(scales) > 1 or min(scales) == 1
    factors = [str(each if larger else 1 / each) for each in scales]
    alike = len(set(factors)) == 1
    number = factors[0] if alike else " x ".join(factors)
    return f"{'enlarged' if larger else 'reduced'} by the factor{'' if alike else 's'} {number}"


def _of(pattern: str, axis: int) -> re.Pattern[str]:
    return re.compile(pattern.format(axis))


def _mover(scale: Fraction | int, sampled: bool) -> Callable[[float], float]:
    """The map from old positions to new ones."""
    fixed = 1.0 if sampled else 0.5
    return lambda position: (position - fixed) * float(scale) + fixed


def _versions(header: Any) -> list[str]:
    """Letters of the coordinate systems in a header; the first has an empty one."""
    found = [VERSION.fullmatch(key) for key in header]
    return sorted({match[1] or match[2] or "" for match in found if match})


def _scale_steps(header: Any, version: str, sizes: dict[int, float]) -> None:
    """Divide the pixel steps by `sizes`: in CDELT, or in PC where it mixes axes of unequal scales.

    Missing steps are 1, unless a CD matrix holds them.
    """
    turns = {
        key: (int(match[1]), int(match[2]))
        for key in header
        if (match := ROTATION.fullmatch(key)) and match[3] == version
    }
    mixed = [key for key, (i, j) in turns.items() if sizes.get(i, 1) != sizes.get(j, 1)]
    if any(header[key] for key in mixed):
        for axis in sizes.keys() - {i for i, j in turns.values() if i == j}:
            turns[f"PC{axis}_{axis}{version}"] = axis, axis
            header[f"PC{axis}_{axis}{version}"] = 1.0
        for key, (_, j) in turns.items():
            size = sizes.get(j, 1.0)
            _change(header, re.compile(key), lambda value, size=size: value / size)
        return
    matrix = any((match := MATRIX.fullmatch(key)) and match[2] == version for key in header)
    for axis, size in sizes.items():
        step = f"CDELT{axis}{version}"
        if not matrix:
            header.setdefault(step, 1.0)
        _change(header, re.compile(step), lambda value, size=size: value / size)


def _indices(header: Any, pattern: re.Pattern[str]) -> list[int]:
    return [index for index, key in enumerate(header) if pattern.fullmatch(key)]


def _change(header: Any, pattern: re.Pattern[str], change: Callable[..., float]) -> None:
    """Change the numbers of all cards that match, also repeated ones; other values stay."""
    for index in _indices(header, pattern):
        value = header[index]
        if isinstance(value, int | float) and not isinstance(value, bool):
            new = change(float(value))
            if isfinite(new):
                header[index] = int(new) if isinstance(value, int) and new.is_integer() else new


def _section(text: str, scales: tuple[Fraction, Fraction]) -> str:
    """A section such as ``[1:2048,1:4096]`` in new pixels, only whole ones."""
    bounds = BOUNDS.fullmatch(text.replace(" ", ""))
    if bounds is None:
        return text
    first, last, low, high = (int(bound) for bound in bounds.groups())
    starts = [ceil((k - 1) * f) + 1 for k, f in zip((first, low), scales, strict=True)]
    ends = [floor(k * f) for k, f in zip((last, high), scales, strict=True)]
    return f"[{starts[0]}:{ends[0]},{starts[1]}:{ends[1]}]"
