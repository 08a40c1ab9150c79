"""How much memory there is, so that what cannot fit is refused before it is begun."""

from dhop.runtime import system

UNITS = "bytes", "kB", "MB", "GB", "TB", "PB"


def available() -> int | None:
    """Bytes this process may still take: what is free, and what limits leave; None if unknown."""
    rooms = system.free_memory(), system.memory_quota(), system.address_space()
    limits = [room for room in rooms if room is not None]
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
