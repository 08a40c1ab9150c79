"""What a FITS header says of pixels, for pixels of another size: sky coordinates and more.

A pixel becomes a block of `f` pixels on axes 1 and 2. A position `p`, counted from 1 in the middle
of the first pixel, becomes :math:`(p - 1/2) f + 1/2`; with samples, of which the first stands where
the pixel was, :math:`(p - 1) f + 1`. Either is :math:`(p - a) f + a`.

What is a function of intermediate world coordinates stays as it is: projections with their PV
(TPV), the polynomials of IRAF (TNX, ZPX) and tables (-TAB).
"""

import re
from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor, isfinite
from typing import Any

VERSION = re.compile(
    r"(?:CTYPE|CUNIT|CRPIX|CRVAL|CDELT|CROTA)[12]([A-Z]?)|(?:CD|PC)[12]_[12]([A-Z]?)"
)
POINT = re.compile(r"CRPIX[12][A-Z]?")
MATRIX = re.compile(r"(?:CD\d\d?_[12]|CD00\d00[12])([A-Z]?)")
ROTATION = re.compile(r"PC(?:00)?(\d\d?)(?:_|00)(\d\d?)([A-Z]?)")
# Simple Imaging Polynomials, https://fits.gsfc.nasa.gov/registry/sip.html
POLYNOMIAL = re.compile(r"[AB]P?_\d\d?_\d\d?[A-Z]?")
# Of IRAF: the pixel p of the detector lies at LTM p + LTV.
PHYSICAL, PHYSICAL_MATRIX = re.compile(r"LTV[12]"), re.compile(r"LTM[12]_[12]")
# Of the Digitized Sky Survey: pixels of the plate before those of the image.
CORNER = re.compile(r"CNPIX[12]")
LENGTHS = re.compile(r"[AB]P?_DMAX[A-Z]?|IMAGE[WH]")  # in pixels
SIDES = re.compile(r"(?:PIXSCALE|PIXSCAL|SECPIX|PIXSIZE)[12]?|[XY]PIXSZ|[XY]PIXELSZ")  # of pixels
AREAS = re.compile(r"PIXAR_(?:SR|A2)")
SECTIONS = re.compile(r"(?:DATA|TRIM|BIAS)SEC\d?")
BOUNDS = re.compile(r"\[(\d+):(\d+),(\d+):(\d+)\]")


def resized(header: Any, scale: Fraction | int, *, sampled: bool = False) -> Any:
    """A header for `scale` times as many pixels on axes 1 and 2.

    Parameters
    ----------
    header : astropy.io.fits.Header
    scale : Fraction or int
    sampled : bool
        Whether the first of `scale` pixels stands where the pixel was, as for the decimation
        ``"sample"``.

    Returns
    -------
    astropy.io.fits.Header
        A copy.
    """
    new, f, move = header.copy(), float(scale), _moved(scale, sampled)
    for version in _versions(header):
        for axis in (1, 2):
            new.setdefault(f"CRPIX{axis}{version}", 0.0)
        _scale_steps(new, version, f)
    _change(new, POINT, move)
    _change(new, MATRIX, lambda value: value / f)
    _change(new, PHYSICAL, move)
    _change(new, PHYSICAL_MATRIX, lambda value: value * f)
    _change(new, CORNER, lambda value: value * f + 0.5 - move(0.5))
    _change(new, LENGTHS, lambda value: value * f)
    _change(new, SIDES, lambda value: value / f)
    _change(new, AREAS, lambda value: value / f**2)
    for key in {key for key in new if POLYNOMIAL.fullmatch(key)}:
        powers = sum(map(int, re.findall(r"\d+", key)))
        _change(new, re.compile(key), lambda value, n=powers: value * f ** (1 - n))
    for index in _indices(new, SECTIONS):
        new[index] = _section(str(new[index]), Fraction(scale))
    what = f"enlarged by the factor {scale}" if scale >= 1 else f"reduced by the factor {1 / scale}"
    new.add_history(f"{what} by dhop")
    return new


def resized_lookup(header: Any, scale: Fraction | int, *, sampled: bool = False) -> Any:
    """The header of a table of distortions in pixels, whose values are to be scaled likewise."""
    new, f, move = header.copy(), float(scale), _moved(scale, sampled)
    for axis in (1, 2):
        new.setdefault(f"CRVAL{axis}", 0.0)
        new.setdefault(f"CDELT{axis}", 1.0)
    _change(new, re.compile("CRVAL[12]"), move)
    _change(new, re.compile("CDELT[12]"), lambda value: value * f)
    return new


def _moved(scale: Fraction | int, sampled: bool) -> Callable[[float], float]:
    fixed = 1.0 if sampled else 0.5
    return lambda position: (position - fixed) * float(scale) + fixed


def _versions(header: Any) -> list[str]:
    """Letters of the coordinate systems in a header, the empty one of the first."""
    found = [VERSION.fullmatch(key) for key in header]
    return sorted({match[1] or match[2] or "" for match in found if match})


def _scale_steps(header: Any, version: str, f: float) -> None:
    """Pixels `f` times smaller: in CDELT, or where rotations mix axes 1 and 2 with others, in PC.

    Steps that are not given are 1, but for a matrix that holds them.
    """
    turns = {
        key: (int(match[1]), int(match[2]))
        for key in header
        if (match := ROTATION.fullmatch(key)) and match[3] == version
    }
    if any((i <= 2) != (j <= 2) and header[key] for key, (i, j) in turns.items()):
        for axis in {1, 2} - {i for i, j in turns.values() if i == j}:
            turns[f"PC{axis}_{axis}{version}"] = axis, axis
            header[f"PC{axis}_{axis}{version}"] = 1.0
        for key, (_, j) in turns.items():
            if j <= 2:
                _change(header, re.compile(key), lambda value: value / f)
        return
    matrix = any((match := MATRIX.fullmatch(key)) and match[1] == version for key in header)
    for axis in (1, 2):
        step = f"CDELT{axis}{version}"
        if not matrix:
            header.setdefault(step, 1.0)
        _change(header, re.compile(step), lambda value: value / f)


def _indices(header: Any, pattern: re.Pattern[str]) -> list[int]:
    return [index for index, key in enumerate(header) if pattern.fullmatch(key)]


def _change(header: Any, pattern: re.Pattern[str], change: Callable[..., float]) -> None:
    """Change numbers of cards, each of which may be there twice; what is no number stays."""
    for index in _indices(header, pattern):
        value = header[index]
        if isinstance(value, int | float) and not isinstance(value, bool):
            new = change(float(value))
            if isfinite(new):
                header[index] = int(new) if isinstance(value, int) and new.is_integer() else new


def _section(text: str, scale: Fraction) -> str:
    """The whole pixels in a section such as ``[1:2048,1:4096]``."""
    bounds = BOUNDS.fullmatch(text.replace(" ", ""))
    if bounds is None:
        return text
    first, last, low, high = (int(bound) for bound in bounds.groups())
    starts = [ceil((bound - 1) * scale) + 1 for bound in (first, low)]
    ends = [floor(bound * scale) for bound in (last, high)]
    return f"[{starts[0]}:{ends[0]},{starts[1]}:{ends[1]}]"
