"""Available memory, and errors before work that does not fit into it."""

import sys
from contextlib import suppress
from typing import Any

from dhop.runtime import system

UNITS = "bytes", "kB", "MB", "GB", "TB", "PB"


def available() -> int | None:
    """Bytes this process may allocate: free memory, within its limits; None if unknown."""
    rooms = system.free_memory(), system.memory_quota(), system.address_space(), _left_by_dask()
    limits = [room for room in rooms if room is not None]
    return max(0, min(limits)) if limits else None


def _left_by_dask() -> int | None:
    """Bytes below the limit of the Dask worker that runs this task, None elsewhere.

    Dask ends a worker that comes near to it.
    """
    distributed: Any = sys.modules.get("distributed.worker")
    with suppress(AttributeError, ValueError):  # not imported, or no worker's task
        worker = distributed.get_worker()
        limit: int | None = worker.memory_manager.memory_limit
        return limit and limit - worker.monitor.get_process_memory()
    return None


def in_units(size: float) -> str:
    """A number of bytes in a fitting unit.

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
    """Raise a MemoryError if `size` bytes for `what` are not available."""
    room = available()
    if room is not None and size > room:
        raise MemoryError(f"{what} takes {size:,} bytes, {room:,} are available{advice}")
