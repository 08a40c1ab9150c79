"""The chain of pages (IFDs) of a TIFF, each of which holds the offset of the next.

A damaged chain may be a cycle, which tifffile notices only at its hundredth page: it reads too many
pages of a shorter cycle and follows a longer one for ever.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from dhop.io.errors import ContentError

ORDERS = {b"II": "<", b"MM": ">"}


def require_acyclic(path: Path) -> None:
    """Refuse a TIFF in which a page is followed by itself or an earlier one.

    Other damage is left to the decoder.
    """
    with path.open("rb") as file:
        order = ORDERS.get(file.read(2))
        if order is None:
            return
        try:
            (version,) = struct.unpack(order + "H", file.read(2))
            big = version == 43
            file.seek(8 if big else 4)
            offset, seen = _next(file, order, big), set[int]()
            while offset and offset not in seen:
                seen.add(offset)
                file.seek(offset)
                size, kind = (8, "Q") if big else (2, "H")
                (tags,) = struct.unpack(order + kind, file.read(size))
                file.seek(offset + size + tags * (20 if big else 12))
                offset = _next(file, order, big)
        except (struct.error, OSError, OverflowError):
            return
    if offset:
        raise ContentError(f"{path} is broken: its pages follow each other in a circle")


def _next(file: BinaryIO, order: str, big: bool) -> int:
    size, kind = (8, "Q") if big else (4, "I")
    return int(struct.unpack(order + kind, file.read(size))[0])
