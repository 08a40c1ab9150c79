"""The cards of a FITS header that another file may have."""

import re
import warnings
from contextlib import suppress
from typing import Any

# What the new file says of itself, and what is true of the old numbers alone.
STALE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|INHERIT|BSCALE|BZERO|BLANK|"
    r"DATAMIN|DATAMAX|Z?CHECKSUM|Z?DATASUM|ZHECKSUM|Z(?:SIMPLE|TENSION|BITPIX|NAXIS\d*|EXTEND)"
)
COMMENTS = ("COMMENT", "HISTORY", "")


def copied(header: Any) -> tuple[Any, list[str]]:
    """The cards of a header but for `STALE`, and the keywords of those that cannot be written.

    Small offences against the standard are mended.
    """
    new, lost = type(header)(), []
    for card in header.cards:
        if STALE.fullmatch(card.keyword):
            continue
        with warnings.catch_warnings(), suppress(Exception):  # of nonsense, anything
            warnings.simplefilter("error")
            card.verify("silentfix")
            again = type(card).fromstring(str(card))
            again.verify("exception")
            if (again.keyword, again.value) == (card.keyword, card.value):
                new.append(card, end=True)
                continue
        lost.append(card.keyword)
    return new, lost


def telling(header: Any) -> bool:
    """Whether a header says anything but comments."""
    return any(key not in COMMENTS for key in header)
