"""What notebooks show: cards with a small picture, and bars of progress.

Nothing but the standard library and NumPy makes them.
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
LINE = 16  # rows that a line is drawn with
SHADES = 0.5, 99.5  # percentiles that are black and white
OFTEN = 0.1  # seconds between two looks of a bar


def card(title: str, facts: Mapping[str, str], image: Array | None = None) -> str:
    """HTML of some facts beside a picture.

    Parameters
    ----------
    title : str
    facts : mapping of str to str
        Plain text, which is escaped here.
    image : ndarray, shape (rows, columns), optional

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
        f"style='width:{SIDE}px;image-rendering:pixelated'>"
    )
    return f"<div style='display:flex;gap:1em;align-items:center'>{picture}{table}</div>"


def plane(array: Array) -> Array:
    """An array of any number of axes as an image: its middle plane, or a line as high as a bar."""
    while array.ndim > 2:
        array = array[len(array) // 2]
    return np.repeat(np.atleast_2d(array), LINE if array.ndim == 1 else 1, axis=0)


def shades(image: Array) -> NDArray[np.uint8]:
    """A few of the pixels of an image, from black to white; what is not finite is black."""
    some = np.asarray(image[tuple(slice(None, None, -(-n // SIDE)) for n in image.shape)])
    some = abs(some).astype(np.float64) if some.dtype.kind == "c" else some.astype(np.float64)
    finite = np.isfinite(some)
    if not finite.any():
        return np.zeros(some.shape, np.uint8)
    low, high = np.percentile(some[finite], SHADES, method="nearest")
    some = np.where(finite, some.clip(low, high), low)
    scale = max(abs(low), abs(high))  # the span of two numbers may be more than there are
    if not scale or low == high:
        return np.zeros(some.shape, np.uint8)
    unit = (some / scale - low / scale) / (high / scale - low / scale)
    return (255 * unit).astype(np.uint8)


def png(grey: NDArray[np.uint8]) -> bytes:
    """A PNG of grey pixels.

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
    lines = b"".join(b"\0" + line.tobytes() for line in grey)  # each without a filter
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def shell() -> Any:
    """The display of the notebook that runs this, None elsewhere."""
    python: Any = sys.modules.get("IPython")
    here = None if python is None else python.get_ipython()
    return python.display if hasattr(here, "kernel") else None


class Bar:
    """A bar in a notebook.

    Parameters
    ----------
    display : module
        As `shell` has it.
    what : str
        What is being done.
    """

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
        """What was done is all: iterations may converge before the last one."""
        self._handle.update(self._bar(self._done))

    def _bar(self, total: int) -> Any:
        meter = f"<progress value='{self._done}' max='{total or 1}'></progress>"
        return self._html(f"{escape(self._what)} {meter} {self._done}")
