"""Errors of decoders in words, whatever they raise on a damaged or a hostile file."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FREE = 2**25  # values that any file may become
LONGEST = 200  # letters of what a decoder says
RATIO = 1100  # of what is unpacked to what is packed; that of zlib is 1032 at most


class ContentError(ValueError):
    """A file that was understood and is not taken, with the reason in words."""


def require_file(path: Path) -> None:
    """Refuse what is no file."""
    if not path.is_file():
        but = ", only a folder of that name" if path.is_dir() else ""
        raise FileNotFoundError(f"there is no file {path}{but}")


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Whatever a decoder raises becomes an OSError of one line; its warnings are not passed on.

    Raises
    ------
    OSError
        In place of any exception but `ContentError` and ImportError.
    """
    require_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ContentError, ImportError):
        raise
    except MemoryError as error:
        raise OSError(f"cannot read {path}: there is not enough memory for it") from error
    except Exception as error:  # decoders of broken files raise anything
        why = " ".join(str(error).split())[:LONGEST] or type(error).__name__
        raise OSError(f"cannot read {path}, it is broken or of another format: {why}") from error


def require_plausible(path: Path, nbytes: int, values: int | None = None) -> None:
    """Refuse a file that claims far more than its bytes could hold.

    Otherwise a few hundred bytes could fill the memory.

    Parameters
    ----------
    path : Path
    nbytes : int
        Of the pixels if they were stored without compression.
    values : int, optional
        As many as they become in memory, by default `nbytes`.
    """
    size = path.stat().st_size
    if (nbytes if values is None else values) > FREE and nbytes > RATIO * size:
        raise ContentError(
            f"{path} has {size:,} bytes and claims to hold {nbytes:,} bytes of pixels; "
            "if it is right, convert it to another format"
        )
