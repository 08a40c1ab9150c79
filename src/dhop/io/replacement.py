"""What is written takes a name when it is whole, and only what may go makes room for it.

A file goes, and for an export a folder of nothing but the files of an export. All else is
somebody's: it is refused before the work and again after it, moved aside before it is judged for
the last time, and never removed. What is ours is removed file by file, so that what came in late
stays.
"""

import os
import re
import secrets
import shutil
import socket
import stat
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2s
from io import BufferedWriter, FileIO, UnsupportedOperation
from pathlib import Path
from typing import BinaryIO

from dhop.cautions import Caution
from dhop.runtime import system

MANIFEST = "dhop-matrix.json"
FILES = ("indptr.npy", "indices.npy", "data.npy", MANIFEST)  # of a folder of ours
PROTECTED = "a write-protected file"
LONGEST = 200  # bytes of a name that parts repeat; file systems hold 255, with their marks
MARKS = 48  # characters that a part's name adds at most

_in_use: set[str] = set()  # marks of the parts that this process writes now
_turns = threading.RLock()  # of threads: one that replaces a folder finds it gone for a moment


@contextmanager
def replacing(target: Path, overwrite: bool, *, folders: bool = False) -> Iterator[Path]:
    """A name to write to, that becomes the target when all is written, and vanishes otherwise.

    With `overwrite` it takes the place of a file, and with `folders` of that of an export.

    Names left by processes that were killed are removed; what they had moved aside, which may be
    the only matrix there is, when the new one is in its place.
    """
    mark = f"{os.getpid()}.{secrets.token_hex(4)}.{_here()}"
    part, old = (target.with_name(f"{_start(target, kind)}{mark}.part") for kind in ("", "old."))
    _in_use.add(mark)
    try:
        _remove_leftovers(target, "")
        try:
            yield part
            with _turns:
                _take_place(part, target, old, overwrite, folders)
        except BaseException as error:
            if isinstance(error, OSError) and error.errno and error.filename is None:
                error.filename = str(target)  # a full disk does not say of which file
            _remove(part)
            if os.path.lexists(old):
                try:
                    _rename(old, target)
                except FileExistsError:  # another export was faster
                    _discard(target, old)
            raise
        try:
            _discard(target, part, old)
        except KeyboardInterrupt:  # the new one is in its place, nothing is left to be undone
            _discard(target, part, old)
            raise
        _remove_leftovers(target, "old.")
    finally:
        _in_use.discard(mark)


class _Whole(BufferedWriter):
    """A file that nobody writes to but through its methods.

    NumPy's `tofile` and Pillow write to the file below it, and do not notice if the disk takes less
    than it was given.
    """

    def fileno(self) -> int:
        raise UnsupportedOperation("this file is written by its methods alone")


def open_whole(path: Path) -> BinaryIO:
    """Open a file to write all of what is written, or raise."""
    return _Whole(FileIO(path, "wb"))


def require_replaceable(
    target: Path, overwrite: bool, *, folders: bool = False, option: str = "overwrite=True"
) -> None:
    """Refuse a target that is there, unless it may be and is to be replaced."""
    with suppress(FileNotFoundError):
        _require_ours(target, target, folders)
        if not overwrite:
            raise FileExistsError(f"{target} exists; give {option} to replace it")


def require_apart(target: Path, others: Iterable[Path]) -> None:
    """Refuse a target that is one of the files that are read or also written.

    Not even a whole result takes the place of what it was made from.
    """
    for other in others:
        same = system.one_name(os.path.realpath(target), os.path.realpath(other))
        with suppress(OSError):  # which need not exist
            same = same or target.samefile(other)
        if same:
            raise FileExistsError(f"{target} would take the place of {other}; give another name")


def _require_ours(place: Path, target: Path, folders: bool) -> None:
    """Refuse what is at `place`, known as `target`, if it is more than may be replaced."""
    if objection := _objection(place, folders):
        rule = "only a file is replaced"
        if objection == PROTECTED:
            rule = "only a file is replaced, and one that may be written"
        elif folders:
            rule = (
                "what an export replaces is a file, or the folder of another export with nothing "
                "else in it"
            )
        raise FileExistsError(
            f"{target} is {objection}; {rule}: give another name, or move away what is there"
        )


def _objection(place: Path, folders: bool) -> str | None:
    mode = place.lstat().st_mode
    if stat.S_ISREG(mode):
        return None if mode & 0o222 else PROTECTED
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if not stat.S_ISDIR(mode):
        return "neither a file nor a folder"
    if not folders:
        return "a folder"
    for name, special in (("working directory", os.curdir), ("home directory", "~")):
        with suppress(OSError):  # which need not exist
            if place.samefile(os.path.expanduser(special)):
                return f"the {name}"
    if os.path.ismount(place):
        return "a mount point"
    ours, others = _content(place)
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        return f"a folder that holds {others[0]!r}{more}"
    if MANIFEST not in ours:
        return f"a folder without a {MANIFEST}" if ours else "an empty folder"
    return None


def _content(folder: Path) -> tuple[list[str], list[str]]:
    """Names of what an export may have written into the folder, and of all else."""
    ours: list[str] = []
    others: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            known = entry.name in FILES and entry.is_file(follow_symlinks=False)
            (ours if known else others).append(entry.name)
    return ours, sorted(others)


def _take_place(part: Path, target: Path, old: Path, overwrite: bool, folders: bool) -> None:
    if part.is_file():
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
    require_replaceable(target, overwrite, folders=folders)
    if overwrite and part.is_file() and target.is_file():
        shutil.copymode(target, part)
        os.replace(part, target)
        return
    if overwrite and os.path.lexists(target) and system.exchange(part, target):
        try:
            _require_ours(part, target, folders)
        except FileExistsError:
            system.exchange(part, target)
            raise
        return
    if overwrite:  # a folder cannot be replaced in one step, nor exchanged on every system
        with suppress(FileNotFoundError):
            _move_aside(target, old)
            _require_ours(old, target, folders)
    _rename(part, target)


def _move_aside(target: Path, old: Path) -> None:
    try:
        target.rename(old)
    except PermissionError as error:
        if not system.POSIX:  # where files that are open hold their folder
            advice = "in use; delete the matrix that maps it, or close the program that reads it"
            raise PermissionError(error.errno, advice, str(target)) from error
        raise


def _rename(source: Path, target: Path) -> None:
    """Rename where nothing is yet; a folder and, where there are hard links, a file in one step."""
    taken = FileExistsError(f"something else has been written to {target} meanwhile")
    if system.POSIX and stat.S_ISREG(source.lstat().st_mode):
        try:
            os.link(source, target)
        except FileExistsError:
            raise taken from None
        except OSError:
            pass  # a file system without links
        else:
            source.unlink()
            return
    if os.path.lexists(target):
        raise taken
    try:
        source.rename(target)
    except OSError:
        if os.path.lexists(target):
            raise taken from None
        raise


def _discard(target: Path, *places: Path) -> None:
    """Remove what was at the target and is elsewhere now, or say where it is."""
    for place in places:
        _remove(place)
        if os.path.lexists(place):
            message = f"not all that was at {target} could be removed, the rest is in {place}"
            warnings.warn(message, Caution, stacklevel=6)


def _remove(path: Path) -> None:
    """Remove a file, or a folder of nothing but our files; anything else stays."""
    with suppress(OSError):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            path.unlink()
        elif stat.S_ISDIR(mode) and not _content(path)[1]:
            for name in FILES:
                (path / name).unlink(missing_ok=True)
            path.rmdir()


def _start(target: Path, kind: str) -> str:
    """What the names of parts begin with: the target's name, or a hash of one that is too long."""
    name = os.fsencode(target.name)
    fits = len(name) <= LONGEST and len(os.path.abspath(target)) + MARKS <= system.LONGEST_PATH
    short = target.name if fits else blake2s(name, digest_size=16).hexdigest()
    return f".{short}.{kind}"


def _renew_turns() -> None:
    """A fork copies the lock, but not the thread that holds it."""
    global _turns
    _turns = threading.RLock()


system.after_fork(_renew_turns)


def _here() -> str:
    """A mark of this computer: the numbers of another's processes mean nothing here."""
    return blake2s(socket.gethostname().encode(), digest_size=4).hexdigest()


def _remove_leftovers(target: Path, kind: str) -> None:
    """Remove parts that no process writes any more."""
    start = re.escape(_start(target, kind))
    part = re.compile(start + r"(([0-9]{1,9})(?:\.[0-9a-f]{8}(?:\.([0-9a-f]{8}))?)?)\.part")
    with suppress(OSError):  # a folder may be closed to readers
        for name in os.listdir(target.parent):
            found = part.fullmatch(name)
            if found and found[3] in (None, _here()) and not _alive(int(found[2]), found[1]):
                _remove(target.with_name(name))


def _alive(process: int, mark: str) -> bool:
    """Whether a process still writes a part; True where that is not known."""
    if process == os.getpid():
        return mark in _in_use
    return system.may_be_alive(process)
