"""``dhop superres`` for images larger than memory: in chunks, by Dask."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dhop import Solution, io
from dhop.cli.prediction import Solve
from dhop.cli.terminal import extent, note
from dhop.runtime import memory
from dhop.runtime.extras import needed
from dhop.runtime.memory import in_units

SIDES = {1: 2**18, 2: 1024, 3: 96}  # pixels of the scene in a chunk, by the number of axes
LEAST = {1: 2**18, 2: 256, 3: 24}  # along the first axis, where memory is short
# Bytes for each frame and pixel in a row of chunks that wait until their neighbours are done, for
# least squares and for other problems.
WAITING, MORE_WAITING = 16, 40
MARGIN = 1.5  # times the predicted bytes, which are right to about that
VECTORS, MORE = 10, 20  # scenes in files, for least squares and for other problems


def needed_for(plan: Solve, asked: bool | None) -> bool:
    """Whether to work in chunks: as asked, or by default if memory may be too small."""
    free = memory.available()
    return asked if asked is not None else free is not None and MARGIN * plan.nbytes > free


def check(plan: Solve, asked: bool | None, written: Sequence[Path]) -> None:
    """Refuse formats that need the whole image in memory.

    Parameters
    ----------
    plan : Solve
    asked : bool or None
        Whether chunks were asked for, or follow from the size.
    written : sequence of Path
        Images to write.
    """
    why = "" if asked else f", and about {in_units(plan.nbytes)} are more than may be taken"
    for path in written:
        if io.ending(path) not in io.format_of(path).chunks:
            raise ValueError(
                f"{path.name} is written as a whole{why}; in chunks write a .zarr, .npy, .tif or "
                ".fits"
            )
    needed("dask.array", "dask", "working in chunks")


def side(factor: tuple[int, ...]) -> int:
    """Pixels of the frames in a chunk, along each axis."""
    return max(1, SIDES[len(factor)] // max(factor))


def sizes(plan: Solve) -> tuple[int, ...]:
    """Pixels of the scene in a chunk along each axis: low chunks where memory is short.

    Chunks are computed row by row, and wait for those of the next row.
    """
    dims, free = plan.operator.dims, memory.available()
    ndim = len(dims)
    first, others = SIDES[ndim], [min(SIDES[ndim], length) for length in dims[1:]]
    line = (WAITING if plan.plain else MORE_WAITING) * plan.scene // plan.itemsize // dims[0]
    while free is not None and first > LEAST[ndim] and plan.frames[0] * line * first > free / 2:
        first //= 2
    return min(first, dims[0]), *others


@contextmanager
def files(plan: Solve, chunks: tuple[int, ...], scratch: Path | None, out: Path) -> Iterator[Path]:
    """A temporary folder for vectors of the size of the scene, which is in `chunks`."""
    place = out.parent if scratch is None else scratch
    if not place.is_dir():
        raise FileNotFoundError(f"--scratch {place} is not a folder")
    count = VECTORS if plan.plain else MORE
    size, free = count * plan.scene, shutil.disk_usage(place).free
    if size > free:
        raise ValueError(
            f"chunks take up to {in_units(size)} of the disk, and {place} has {in_units(free)}; "
            "--scratch names another folder"
        )
    with TemporaryDirectory(prefix=".dhop-", dir=place) as folder:
        note(
            f"in chunks of {extent(chunks)}, for in memory about {in_units(plan.nbytes)} "
            f"would be needed; up to {in_units(size)} of files are in {place} meanwhile"
        )
        yield Path(folder)


def solve(
    stack: Any,
    psf: Any,
    factor: tuple[int, ...],
    chunks: tuple[int, ...],
    folder: Path,
    **options: Any,
) -> Solution:
    """`dhop.dask.super_resolve`, whose vectors are files in a folder."""
    from dhop.dask import super_resolve

    every = (*stack.chunks[1 : -len(factor)], *chunks)
    return super_resolve(stack, psf, factor, chunks=every, scratch=folder, **options)


def deviation(solution: Solution, noise: float | None, folder: Path) -> Any:
    """The standard deviations of a solution in chunks, as files in a folder."""
    from dhop.dask.scratch import Vectors

    return Vectors(folder).image(solution.standard_deviation(noise))
