"""Checks of constructor arguments: what was given, what was expected, what to do."""

import difflib
import operator
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from dhop.boundary import Boundary

T = TypeVar("T")

# What scipy.ndimage and others call the boundaries of numpy.pad.
OTHER_NAMES: dict[str, Boundary] = {
    "nearest": "edge",
    "mirror": "reflect",
    "grid-wrap": "wrap",
    "grid-mirror": "symmetric",
    "grid-constant": "constant",
    "zero": "constant",
    "zeros": "constant",
    "periodic": "wrap",
    "circular": "wrap",
    "replicate": "edge",
}


def integer(name: str, value: Any) -> int:
    """`value` as an int; anything that is not a whole number by type is refused."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def pair(name: str, value: Any) -> tuple[int, int]:
    """One integer for each of the two axes, from a scalar or a sequence."""
    if np.ndim(value) == 0:
        return integer(name, value), integer(name, value)
    if len(value) != 2:
        raise ValueError(f"{name} must be one integer or two, got {len(value)}: {value!r}")
    first, second = value
    return integer(name, first), integer(name, second)


def choice(name: str, value: Any, options: Sequence[T], hints: dict[str, T] | None = None) -> T:
    """`value` if it is one of `options`, else an error that names the nearest."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    for option in options:
        if value == option:
            return option
    near: list[Any] = difflib.get_close_matches(value, [str(option) for option in options], 1)
    if hints and value in hints:
        near = [hints[value]]
    advice = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}{advice}"
    )


def choice_pair(
    name: str, value: Any, options: Sequence[T], hints: dict[str, T] | None = None
) -> tuple[T, T]:
    """One of `options` for each of the two axes, from a name or a sequence of names."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        entry = choice(name, value, options, hints)
        return entry, entry
    if len(value) != 2:
        raise ValueError(f"{name} must be one name or two, got {len(value)}: {value!r}")
    first, second = (choice(name, entry, options, hints) for entry in value)
    return first, second


def shape(name: str, value: Any) -> tuple[int, ...]:
    """A tuple of positive integers."""
    if isinstance(value, str) or not np.iterable(value):
        raise TypeError(f"{name} must be a sequence of integers, got {value!r}")
    sizes = tuple(integer(name, size) for size in value)
    for axis, size in enumerate(sizes):
        if size < 1:
            raise ValueError(f"{name} must be positive, axis {axis} has size {size}")
    return sizes


def axes(value: Any, ndim: int) -> tuple[int, int]:
    """Two different axes of an array with `ndim` of them, counted from the front."""
    given = pair("axes", value)
    for axis in given:
        if not -ndim <= axis < ndim:
            raise ValueError(f"axes {given} are not all axes of an array with {ndim} dimensions")
    first, second = (axis % ndim for axis in given)
    if first == second:
        raise ValueError(f"axes must be two different ones, got {value!r}")
    return first, second


def psf_array(value: Any) -> NDArray[Any]:
    """A finite, two-dimensional, non-empty array of numbers, as an own read-only copy."""
    if issparse(value):
        raise TypeError("psf must be a dense array; use `psf.toarray()`")
    if np.ma.is_masked(value):
        raise ValueError("the psf has masked values; give them one with `.filled(value)`")
    psf = np.array(value, order="C")
    if psf.dtype.kind not in "biufc":
        raise TypeError(f"psf must be an array of numbers, got dtype {psf.dtype}")
    if psf.ndim != 2:
        raise ValueError(f"psf must have 2 dimensions, got {psf.ndim}")
    if psf.size == 0:
        raise ValueError(f"psf must not be empty, got shape {psf.shape}")
    if not np.isfinite(psf).all():
        raise ValueError("psf must be finite, it contains NaN or Inf")
    psf = psf.astype(psf.dtype.newbyteorder("="), copy=False)
    psf.flags.writeable = False
    return psf


def operator_dtype(
    value: Any, psf: NDArray[Any], supported: Sequence[np.dtype[Any]]
) -> np.dtype[Any]:
    """The operator's dtype: `value`, or the PSF's if supported, or the nearest that is."""
    if value is None:
        if psf.dtype in supported:
            return psf.dtype
        if psf.dtype == np.float16:
            return np.dtype(np.float32)
        return np.dtype(np.complex128 if psf.dtype.kind == "c" else np.float64)
    dtype = np.dtype(value).newbyteorder("=")
    if dtype not in supported:
        raise TypeError(f"dtype must be one of {', '.join(map(str, supported))}, got {dtype}")
    if psf.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(f"a complex psf needs a complex dtype, got {dtype}")
    return dtype


def rows(value: Any, count: int) -> NDArray[np.int64] | None:
    """Numbers of the rows that a slice, a mask or a list of integers chooses; None for all."""
    if value is None:
        return None
    if isinstance(value, slice):
        return np.arange(count)[value]
    chosen = np.asarray(value)
    if chosen.ndim != 1:
        raise ValueError(f"rows must be a slice or one-dimensional, got shape {chosen.shape}")
    if chosen.dtype == bool:
        if chosen.size != count:
            raise IndexError(f"the mask has {chosen.size} rows, the matrix {count}")
        return np.flatnonzero(chosen)
    if chosen.size and chosen.dtype.kind not in "iu":
        raise TypeError(f"rows must be integers or a mask, got dtype {chosen.dtype}")
    outside = (chosen < -count) | (chosen >= count)
    if outside.any():
        raise IndexError(f"row {chosen[outside][0]} is out of range for {count} rows")
    return np.where(chosen < 0, chosen + count, chosen).astype(np.int64)
