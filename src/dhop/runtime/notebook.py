"""HTML for notebooks: tables with a small picture, and progress bars.

Only the standard library and NumPy are needed.
"""

import base64
import struct
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SIDE = 96  # most pixels of a picture along a side
LINE = 16  # pixels, height of the picture of a line
SHADES = 0.5, 99.5  # percentiles shown as black and white
OFTEN = 0.1  # seconds between updates of a bar


def card(title: str, facts: Mapping[str, str], image: Array | None = None) -> str:
    """HTML of a table of facts, plain text that is escaped here, beside a picture.

    Examples
    --------
    >>> "3 &lt; 4" in card("a", {"b": "3 < 4"})
    True
    """
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in facts.items()
    )
    table = f"<table><caption><b>{escape(title)}</b></caption><tbody>{rows}</tbody></table>"
    if image is None or not image.size:
        return f"<div>{table}</div>"
    content = base64.b64encode(png(shades(image))).decode()
    picture = (
        f"<img alt='{escape(title)}' src='data:image/png;base64,{content}' "
        f"style='flex:none;width:{SIDE}px;image-rendering:pixelated'>"
    )
    return f"<div style='display:flex;gap:1em;align-items:center'>{picture}{table}</div>"


def plane(array: Array) -> Array:
    """An array as an image: the middle plane of a volume, or a line of some height."""
    while array.ndim > 2:
        array = array[len(array) // 2]
    return np.repeat(np.atleast_2d(array), LINE if array.ndim == 1 else 1, axis=0)


def shades(image: Array) -> NDArray[np.uint8]:
    """Pixels of a reduced image from black to white; those that are not finite are black."""
    some = np.asarray(image[tuple(slice(None, None, -(-n // SIDE)) for n in image.shape)])
    some = abs(some).astype(np.float64) if some.dtype.kind == "c" else some.astype(np.float64)
    finite = np.isfinite(some)
    if not finite.any():
        return np.zeros(some.shape, np.uint8)
    low, high = np.percentile(some[finite], SHADES, method="nearest")
    some = np.where(finite, some.clip(low, high), low)
    scale = max(abs(low), abs(high))  # since high - low may overflow
    if not scale or low == high:
        return np.zeros(some.shape, np.uint8)
    unit = (some / scale - low / scale) / (high / scale - low / scale)
    return (255 * unit).astype(np.uint8)


def png(grey: NDArray[np.uint8]) -> bytes:
    """Grey pixels as a PNG file.

    Examples
    --------
    >>> png(np.zeros((2, 3), np.uint8))[:4]
    b'\\x89PNG'
    """

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    height, width = grey.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in grey)  # filter type 0
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def shell() -> Any:
    """`IPython.display` in a notebook, else None."""
    python: Any = sys.modules.get("IPython")
    here = None if python is None else python.get_ipython()
    return python.display if hasattr(here, "kernel") else None


class Bar:
    """A progress bar in a notebook, drawn with `IPython.display`."""

    def __init__(
        self, display: Any, what: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._html, self._what, self._clock = display.HTML, what, clock
        self._done, self._shown = 0, clock()
        self._handle = display.display(self._bar(1), display_id=True)

    def __call__(self, done: int, total: int) -> None:
        self._done = done
        now = self._clock()
        if now - self._shown >= OFTEN:
            self._handle.update(self._bar(total))
            self._shown = now

    def finish(self) -> None:
        """Show all work as done, also of iterations that converged early."""
        self._handle.update(self._bar(self._done))

    def _bar(self, total: int) -> Any:
        meter = f"<progress value='{self._done}' max='{total or 1}'></progress>"
        return self._html(f"{escape(self._what)} {meter} {self._done}")
