"""Integrals over square pixels of side one."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.runtime import memory
from dhop.runtime.arguments import integers, real

Image = NDArray[np.float64]

LARGEST = 1e150  # its square does not overflow, nor that of its reciprocal underflow
COPIES = 10  # of a PSF, at most, in memory while it is made
SMALL = 64 * 64  # pixels that are made sooner than free memory is looked up


def shape_of(size: int | Sequence[int]) -> tuple[int, int]:
    """Rows and columns, from one number or two."""
    rows, columns = integers("size", size, 2)
    if rows < 1 or columns < 1:
        raise ValueError(f"size must be positive, got {size!r}")
    return affordable("size", rows, columns)


def sizes_of(size: int | Sequence[int]) -> tuple[int, ...]:
    """The shape of one to three axes; a single number stands for both axes of an image."""
    count = count_of(size, 2)
    if count == 2:
        return shape_of(size)
    if count not in (1, 3):
        raise ValueError(f"size must be one integer, or of one to three axes, got {size!r}")
    sizes = integers("size", size, count)
    if min(sizes) < 1:
        raise ValueError(f"size must be positive, got {size!r}")
    affordable("size", prod(sizes[:-1]), sizes[-1])
    return sizes


def count_of(value: Any, default: int) -> int:
    """How many values were given, `default` for a single number."""
    try:
        return len(value)
    except TypeError:
        return default


def affordable(name: str, rows: int, columns: int) -> tuple[int, int]:
    """The shape of a PSF, or a MemoryError that names the argument which asks for it."""
    if rows * columns > SMALL:
        what = f"making the psf of {rows} x {columns} pixels that {name} asks for"
        memory.require(8 * COPIES * rows * columns, what)
    return rows, columns


def positive_number(name: str, value: Any) -> float:
    """`value` as a float, positive and within a range whose squares are finite."""
    number = real(name, value)
    if not 1 / LARGEST <= number <= LARGEST:
        raise ValueError(f"{name} must be positive, and at most {LARGEST:g}, got {value!r}")
    return number


def edges(count: int, center: float | None = None) -> Image:
    """Edges of `count` pixels, counted from the middle or from index `center`."""
    return np.arange(count + 1.0) - (count / 2 if center is None else center + 0.5)


def corner_difference(corners: Image) -> Image:
    """Integrals over pixels from integrals up to their corners."""
    return np.diff(np.diff(corners, axis=0), axis=1)


def integrate(
    density: Callable[[Image, Image], Image], shape: tuple[int, int], nodes: int
) -> Image:
    """Integral of ``density(y, x)`` over each pixel, `y` and `x` counted from the middle.

    By the rule of Gauss and Legendre with `nodes` points per pixel and axis.
    """
    node, weight = np.polynomial.legendre.leggauss(nodes)
    x = np.add.outer(edges(shape[1])[:-1] + 0.5, node / 2)
    result = np.empty(shape)
    for row, middle in enumerate(edges(shape[0])[:-1] + 0.5):
        y = (middle + node / 2)[:, None, None]
        result[row] = np.einsum("ikj,i,j->k", density(y, x), weight / 2, weight / 2)
    return result


def covered(shape: tuple[int, int], radius: float, center: Sequence[float] | None = None) -> Image:
    """Area of each pixel that a disk covers, about the middle or about index `center`."""
    rows, columns = (
        edges(count, None if center is None else center[axis]) for axis, count in enumerate(shape)
    )
    near = (np.maximum(0, np.maximum(e[:-1], -e[1:])) for e in (rows, columns))
    far = (np.maximum(-e[:-1], e[1:]) for e in (rows, columns))
    with np.errstate(over="ignore"):  # distances may overflow
        nearest, farthest = np.hypot.outer(*near), np.hypot.outer(*far)
    radius = min(radius, farthest.max())
    signs = np.outer(np.sign(rows), np.sign(columns))
    area = corner_difference(signs * _quadrant(np.abs(rows)[:, None], np.abs(columns), radius))
    # Differences round; what is wholly inside or outside is known exactly.
    return np.where(farthest <= radius, 1.0, np.where(nearest >= radius, 0.0, np.maximum(area, 0)))


def _quadrant(y: Image, x: Image, radius: float) -> Image:
    """Area of a disk about the origin within the rectangle from there to the corner ``(y, x)``.

    The integral of ``min(y, sqrt(radius**2 - t**2))`` over `t` from 0 to `x`: a rectangle up to
    where the circle comes down to `y`, and from there the area under the circle.
    """
    y, x = np.minimum(y, radius), np.minimum(x, radius)
    flat = np.minimum(x, np.sqrt((radius - y) * (radius + y)))
    return np.asarray(y * flat + _under_circle(x, radius) - _under_circle(flat, radius))


def _under_circle(t: Image, radius: float) -> Image:
    angle = np.arcsin(np.minimum(t / radius, 1))
    return np.asarray((t * np.sqrt((radius - t) * (radius + t)) + radius**2 * angle) / 2)
