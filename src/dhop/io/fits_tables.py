"""Extensions of a FITS file that the sky coordinates of an image refer to."""

import re
from collections.abc import Sequence
from typing import Any

LOOKUPS = ("WCSDVARR", "D2IMARR")  # extensions with distortions, in pixels
DISTORTION = re.compile(r"(CPDIS|CQDIS|D2IMDIS)(\d)([A-Z]?)")
RECORDS = {"CPDIS": "DP", "CQDIS": "DQ", "D2IMDIS": "D2IM"}
COORDINATE = re.compile(r"CTYPE(\d\d?)([A-Z]?)")

Key = tuple[str, int]  # name and version of an extension


def references(header: Any) -> tuple[dict[Key, list[str]], list[str]]:
    """Extensions that a header refers to, each with its keywords, and unknown distortions.

    Known are distortion tables (https://www.atnf.csiro.au/people/mcalabre/WCS/dcs_20040422.pdf)
    as astropy evaluates them, and coordinates by table (-TAB).
    """
    found: dict[Key, list[str]] = {}
    unknown = []
    for key in header:
        if match := DISTORTION.fullmatch(key):
            kind, axis, version = match.groups()
            name = {"CPDIS": "WCSDVARR", "D2IMDIS": "D2IMARR"}.get(kind)
            if name and not version and str(header[key]).strip().lower() == "lookup":
                extension = name, _integer(header, f"{RECORDS[kind]}{axis}.EXTVER")
                found.setdefault(extension, []).append(key)
            else:
                unknown.append(key)
        elif (match := COORDINATE.fullmatch(key)) and str(header[key]).strip().endswith("-TAB"):
            axis, version = match.groups()
            name = str(header.get(f"PS{axis}_0{version}", "")).strip()
            found.setdefault((name, _integer(header, f"PV{axis}_1{version}")), []).append(key)
    if "AXISCORR" in header:
        found.setdefault(("D2IMARR", 1), []).append("AXISCORR")
    return found, unknown


def linked(units: Any, header: Any) -> tuple[list[Any], list[str]]:
    """Copies of the extensions that a header refers to, and keywords of missing ones.

    Missing distortions are removed from the header with their records.
    """
    found, lost = references(header)
    tables = []
    for extension, keys in found.items():
        try:
            tables.append(units[extension].copy())
        except Exception:  # missing or damaged in any way
            lost += keys
    for key in lost:
        if match := DISTORTION.fullmatch(key):
            _remove(header, [key, f"{RECORDS[match[1]]}{match[2]}"])
        elif key == "AXISCORR":
            _remove(header, [key])
    return tables, lost


def _remove(header: Any, names: Sequence[str]) -> None:
    """Remove cards with these keywords, and records below them."""
    for index in reversed(range(len(header))):
        if header.cards[index].keyword.partition(".")[0] in names:
            del header[index]


def _integer(header: Any, key: str) -> int:
    value = header.get(key, 1)
    return int(value) if isinstance(value, int | float) else 1
