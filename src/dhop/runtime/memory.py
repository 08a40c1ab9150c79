"""How much memory there is, so that what cannot fit is refused before it is begun."""

from contextlib import suppress
from pathlib import Path

UNITS = "bytes", "kB", "MB", "GB", "TB", "PB"


def available() -> int | None:
    """Bytes this process may still take: free memory, limited by its cgroup (v2); None if unknown.

    Files that the system caches count as free.
    """
    limits = []
    with suppress(OSError, ValueError, KeyError):
        limits.append(1024 * _table(Path("/proc/meminfo"), ":")["MemAvailable"])
    with suppress(OSError, ValueError, KeyError):  # no cgroup v2, or its limit is "max"
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        limits.append(limit - used + _table(group / "memory.stat", " ")["inactive_file"])
    return max(0, min(limits)) if limits else None


def in_units(size: float) -> str:
    """A number of bytes for people.

    Examples
    --------
    >>> in_units(12_013_140_004)
    '12.01 GB'
    """
    for unit in UNITS:
        if size < 1000 or unit == UNITS[-1]:
            break
        size /= 1000
    return f"{size:.4g} {unit}"


def require(size: int, what: str, advice: str = "") -> None:
    """Refuse `what`, of `size` bytes, if that is more than there is."""
    room = available()
    if room is not None and size > room:
        raise MemoryError(f"{what} takes {size:,} bytes, {room:,} are available{advice}")


def _table(path: Path, separator: str) -> dict[str, int]:
    """Name and number in each line of a file of the kernel."""
    pairs = (line.split(separator, 1) for line in path.read_text().splitlines())
    return {name: int(rest.split()[0]) for name, rest in pairs}
