"""Differences of Linux, macOS and Windows, behind functions that work on all of them.

Where a system cannot do or tell something, the result says so, and callers do without.
"""

import ctypes
import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

POSIX = os.name == "posix"
FOLDS_CASE = sys.platform in ("win32", "darwin")  # `A.png` and `a.png` are one file
LONGEST_PATH = 259 if sys.platform == "win32" else sys.maxsize  # characters, without its long paths

GROUP = Path("/sys/fs/cgroup")
HERE, EXCHANGE = -100, 2  # of renameat2: relative to the working directory; its flag
_LIBRARY: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


def after_fork(action: Callable[[], None]) -> None:
    """Call `action` in every forked child, where processes can fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=action)


def processors() -> int:
    """Processors that this process may run on: those of its affinity mask, else all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_quota() -> float:
    """Processors' worth of time that the cgroup (v2 or v1) grants, infinite without a limit."""
    with suppress(OSError, ValueError):  # no cgroup v2, or its quota is "max"
        quota, period = (GROUP / "cpu.max").read_text().split()
        return int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota, period = ((GROUP / f"cpu/cpu.cfs_{x}_us").read_text() for x in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    return math.inf


def free_memory() -> int | None:
    """Bytes of free memory, None if unknown (without /proc)."""
    with suppress(OSError, ValueError, KeyError):
        return 1024 * _table(Path("/proc/meminfo"), ":")["MemAvailable"]
    return None


def memory_quota() -> int | None:
    """Bytes below the memory limit of the cgroup (v2), None without a limit.

    Cached files count as free.
    """
    with suppress(OSError, ValueError, KeyError):  # no cgroup v2, or its limit is "max"
        limit = int((GROUP / "memory.max").read_text())
        used = int((GROUP / "memory.current").read_text())
        return limit - used + _table(GROUP / "memory.stat", " ")["inactive_file"]
    return None


def address_space() -> int | None:
    """Bytes that ``ulimit -v`` leaves this process, None without a limit."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit, macOS no /proc
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return None if limit == resource.RLIM_INFINITY else limit - pages * resource.getpagesize()
    return None


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names atomically, if the system can (Linux)."""
    if _LIBRARY is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    try:
        return _LIBRARY.renameat2(HERE, names[0], HERE, names[1], EXCHANGE) == 0
    except AttributeError:  # an old or a small C library
        return False


def may_be_alive(process: int) -> bool:
    """Whether a process of this number runs; True where that cannot be tested."""
    if not POSIX:  # os.kill ends processes on Windows
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def one_name(one: str, other: str) -> bool:
    """Whether two absolute paths are the same for the file system."""
    return one.casefold() == other.casefold() if FOLDS_CASE else one == other


def _table(path: Path, separator: str) -> dict[str, int]:
    """Names and numbers from the lines of a file of the kernel."""
    pairs = (line.split(separator, 1) for line in path.read_text().splitlines())
    return {name: int(rest.split()[0]) for name, rest in pairs}
