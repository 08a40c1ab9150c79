"""Copying cards of a FITS header into another file."""

import re
import warnings
from contextlib import suppress
from typing import Any

# Cards that describe the old file and its numbers.
STALE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|INHERIT|BSCALE|BZERO|BLANK|"
    r"DATAMIN|DATAMAX|Z?CHECKSUM|Z?DATASUM|ZHECKSUM|Z(?:SIMPLE|TENSION|BITPIX|NAXIS\d*|EXTEND)"
)
COMMENTS = ("COMMENT", "HISTORY", "")


def copied(header: Any) -> tuple[Any, list[str]]:
    """The cards of a header without `STALE` ones, and keywords of those that cannot be written.

    Small violations of the standard are repaired.
    """
    new, lost = type(header)(), []
    for card in header.cards:
        if STALE.fullmatch(card.keyword):
            continue
        with warnings.catch_warnings(), suppress(Exception):  # invalid cards raise anything
            warnings.simplefilter("error")
            card.verify("silentfix")
            again = type(card).fromstring(str(card))
            again.verify("exception")
            if (again.keyword, again.value) == (card.keyword, card.value):
                new.append(card, end=True)
                continue
        lost.append(card.keyword)
    return new, lost


def has_content(header: Any) -> bool:
    """Whether a header has cards other than comments."""
    return any(key not in COMMENTS for key in header)
