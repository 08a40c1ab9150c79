"""Warnings, one class for each kind, so that each can be silenced or made an error by itself.

>>> import warnings
>>> from dhop import cautions
>>> with warnings.catch_warnings():
...     warnings.simplefilter("error", cautions.RegistrationWarning)
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

_remark: ContextVar[str] = ContextVar("remark", default="")


class Caution(UserWarning):
    """Base class of the warnings of dhop: a result may not be what was intended."""


class ConvergenceWarning(Caution):
    """Iterations ended before they had reached the tolerance."""


class RegistrationWarning(Caution):
    """Frames do not fit each other, or are shifted although no shifts were given."""


class PSFWarning(Caution):
    """The frames contradict the point spread function."""


class BetaWarning(Caution):
    """The data do not determine the weight of the regulariser."""


class MetadataWarning(Caution):
    """A file will lack metadata of the file that its pixels come from."""


class RangeWarning(Caution):
    """The image leaves the range of the data by far."""


class CountWarning(Caution):
    """Frames that should be counts of photons hold other values."""


class PriorWarning(Caution):
    """Another regulariser explains the frames better."""


@contextmanager
def remarked(text: str) -> Iterator[None]:
    """A block whose warnings end with a remark."""
    token = _remark.set(text)
    try:
        yield
    finally:
        _remark.reset(token)


def warn(message: str, kind: type[Caution]) -> str:
    """Warn, at the line that called the package, and return the text with its remark."""
    message += _remark.get()
    frame, level = sys._getframe(1), 2
    while frame.f_back and _package(frame) in (__package__, "contextlib"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, kind, stacklevel=level)
    return message


def _package(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]
