"""Atomic writing: a target appears when it is complete, and replaces only what may be replaced.

That is a file, or for an export a folder with nothing but the files of an export. Anything else is
refused before the work and again after it, and never removed: a folder is moved aside before the
last check, and then removed file by file, so that files added meanwhile stay.
"""

import os
import re
import secrets
import shutil
import socket
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2s
from io import BufferedWriter, FileIO, UnsupportedOperation
from pathlib import Path
from typing import BinaryIO

from dhop.cautions import Caution, warn
from dhop.runtime import system

MANIFEST = "dhop-matrix.json"
FILES = ("indptr.npy", "indices.npy", "data.npy", MANIFEST)  # of the folder of an export
PROTECTED = "a write-protected file"
LONGEST = 200  # bytes of a target's name in temporary names, which may have 255
MARKS = 48  # characters that a temporary name adds at most

_in_use: set[str] = set()  # marks of the temporary files that this process writes
_lock = threading.RLock()  # a folder that is being replaced is missing for a moment


@contextmanager
def replacing(target: Path, overwrite: bool, *, folders: bool = False) -> Iterator[Path]:
    """A temporary path to write to, which is renamed to the target at the end, or removed.

    With `overwrite` it replaces a file, and with `folders` the folder of an export.

    Temporary files left by killed processes are removed. A folder that they had moved aside may be
    the only copy of a matrix; it is removed when the new one is in place.
    """
    mark = f"{os.getpid()}.{secrets.token_hex(4)}.{_here()}"
    part, old = (target.with_name(f"{_start(target, kind)}{mark}.part") for kind in ("", "old."))
    _in_use.add(mark)
    try:
        _remove_leftovers(target, "")
        try:
            yield part
            with _lock:
                _take_place(part, target, old, overwrite, folders)
        except BaseException as error:
            if isinstance(error, OSError) and error.errno and error.filename is None:
                error.filename = str(target)  # the error of a full disk names no file
            _remove(part)
            if os.path.lexists(old):
                try:
                    _rename(old, target)
                except FileExistsError:  # another process has written it
                    _discard(target, old)
            raise
        try:
            _discard(target, part, old)
        except KeyboardInterrupt:  # the target is in place, nothing is undone
            _discard(target, part, old)
            raise
        _remove_leftovers(target, "old.")
    finally:
        _in_use.discard(mark)


class _Whole(BufferedWriter):
    """A file that is written through its methods only.

    NumPy's `tofile` and Pillow write to the descriptor, and do not notice a short write.
    """

    def fileno(self) -> int:
        raise UnsupportedOperation("this file is written by its methods alone")


def open_whole(path: Path) -> BinaryIO:
    """Open a file for writing, in which a short write raises."""
    return _Whole(FileIO(path, "wb"))


def require_replaceable(
    target: Path, overwrite: bool, *, folders: bool = False, option: str = "overwrite=True"
) -> None:
    """Refuse an existing target, unless `overwrite` and it may be replaced."""
    with suppress(FileNotFoundError):
        _require_allowed(target, target, folders)
        if not overwrite:
            raise FileExistsError(f"{target} exists; give {option} to replace it")


def require_apart(target: Path, others: Iterable[Path]) -> None:
    """Refuse a target that is one of the other files that are read or written."""
    for other in others:
        same = system.one_name(os.path.realpath(target), os.path.realpath(other))
        with suppress(OSError):  # which need not exist
            same = same or target.samefile(other)
        if same:
            raise FileExistsError(f"{target} would take the place of {other}; give another name")


def _require_allowed(place: Path, target: Path, folders: bool) -> None:
    """Refuse what is at `place`, called `target` in the message, if it may not be replaced."""
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
    """Names of the files of an export in a folder, and of all others."""
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
            _require_allowed(part, target, folders)
        except FileExistsError:
            system.exchange(part, target)
            raise
        return
    if overwrite:  # a folder is not replaced in one step, nor exchanged on every system
        with suppress(FileNotFoundError):
            _move_aside(target, old)
            _require_allowed(old, target, folders)
    _rename(part, target)


def _move_aside(target: Path, old: Path) -> None:
    try:
        target.rename(old)
    except PermissionError as error:
        if not system.POSIX:  # where a folder with open files is not renamed
            advice = "in use; delete the matrix that maps it, or close the program that reads it"
            raise PermissionError(error.errno, advice, str(target)) from error
        raise


def _rename(source: Path, target: Path) -> None:
    """Rename without overwriting; in one step for a folder, or with hard links."""
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
    """Remove what was at the target and has been moved, or warn where it is."""
    for place in places:
        _remove(place)
        if os.path.lexists(place):
            message = f"not all that was at {target} could be removed, the rest is in {place}"
            warn(message, Caution)


def _remove(path: Path) -> None:
    """Remove a file, or a folder of nothing but the files of an export."""
    with suppress(OSError):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            path.unlink()
        elif stat.S_ISDIR(mode) and not _content(path)[1]:
            for name in FILES:
                (path / name).unlink(missing_ok=True)
            path.rmdir()


def _start(target: Path, kind: str) -> str:
    """Begin of temporary names: the target's name, or a hash of it if it is too long."""
    name = os.fsencode(target.name)
    fits = len(name) <= LONGEST and len(os.path.abspath(target)) + MARKS <= system.LONGEST_PATH
    short = target.name if fits else blake2s(name, digest_size=16).hexdigest()
    return f".{short}.{kind}"


def _renew_lock() -> None:
    """Replace the lock after a fork, which does not copy the thread that holds it."""
    global _lock
    _lock = threading.RLock()


system.after_fork(_renew_lock)


def _here() -> str:
    """A mark of this computer, since process numbers of others mean nothing here."""
    return blake2s(socket.gethostname().encode(), digest_size=4).hexdigest()


def _remove_leftovers(target: Path, kind: str) -> None:
    """Remove temporary files that no process writes any more."""
    start = re.escape(_start(target, kind))
    part = re.compile(start + r"(([0-9]{1,9})(?:\.[0-9a-f]{8}(?:\.([0-9a-f]{8}))?)?)\.part")
    with suppress(OSError):  # a folder may be closed to readers
        for name in os.listdir(target.parent):
            found = part.fullmatch(name)
            if found and found[3] in (None, _here()) and not _alive(int(found[2]), found[1]):
                _remove(target.with_name(name))


def _alive(process: int, mark: str) -> bool:
    """Whether a process still writes a temporary file; True if unknown."""
    if process == os.getpid():
        return mark in _in_use
    return system.may_be_alive(process)
