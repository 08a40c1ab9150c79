"""One kind of error for damaged or hostile files, whatever their decoder raises."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FREE = 2**25  # values that any file may decode to
LONGEST = 200  # letters of a decoder's message
RATIO = 1100  # of compression; zlib reaches 1032


class ContentError(ValueError):
    """A file that was decoded but is refused; the message says why."""


def require_file(path: Path) -> None:
    """Refuse a path that is not a file."""
    if not path.is_file():
        but = ", only a folder of that name" if path.is_dir() else ""
        raise FileNotFoundError(f"there is no file {path}{but}")


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into an OSError of one line, and drop its warnings.

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
        Of the pixels without compression.
    values : int, optional
        Values in memory, by default `nbytes`.
    """
    size = path.stat().st_size
    if (nbytes if values is None else values) > FREE and nbytes > RATIO * size:
        raise ContentError(
            f"{path} has {size:,} bytes and claims to hold {nbytes:,} bytes of pixels; "
            "if it is right, convert it to another format"
        )
