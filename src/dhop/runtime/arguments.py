"""Checks of arguments, whose errors name the argument, what it must be, and what was given."""

import difflib
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

T = TypeVar("T")

NUMBERS = "biufc"  # kinds of dtypes
COUNTS = "no", "one", "two", "three"
# Of operators.
DTYPES = tuple(np.dtype(name) for name in ("float32", "float64", "complex64", "complex128"))


def integer(name: str, value: Any) -> int:
    """`value` as an int; anything that is not a whole number by type is refused."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def positive(name: str, value: Any) -> int:
    """`value` as an int of at least 1."""
    number = integer(name, value)
    if number < 1:
        raise ValueError(f"{name} must be positive, got {number}")
    return number


def real(name: str, value: Any) -> float:
    """`value` as a finite float; anything that is not a real number by type is refused."""
    number = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if not isinstance(number, Real) or isinstance(number, bool):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    try:
        result = float(number)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return result


def positive_real(name: str, value: Any) -> float:
    """`value` as a finite float above zero."""
    number = real(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be positive, got {number}")
    return number


def each(
    name: str, value: Any, count: int, check: Callable[[str, Any], T], kind: str = "number"
) -> tuple[T, ...]:
    """The checked value for each of `count` axes, from one value or as many."""
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not several and not (isinstance(value, np.ndarray) and value.ndim):
        return (check(name, value),) * count
    if len(value) != count:
        many = f" or {COUNTS[count]}" if count > 1 else ""
        raise ValueError(f"{name} must be one {kind}{many}, got {len(value)}: {value!r}")
    return tuple(check(name, one) for one in value)


def integers(name: str, value: Any, count: int) -> tuple[int, ...]:
    """One integer for each of some axes, from a scalar or a sequence."""
    return each(name, value, count, integer, "integer")


def choice(
    name: str,
    value: Any,
    options: Sequence[T],
    others: Mapping[str, T] = MappingProxyType({}),
    note: str = "",
) -> T:
    """`value` if it is one of `options`, else an error that names the nearest.

    `others` are synonyms that other packages use.
    """
    expected = f"{name} must be one of {', '.join(map(repr, options))}{note}, got {value!r}"
    if not isinstance(value, str):
        raise TypeError(expected)
    for option in options:
        if value == option:
            return option
    names = {**{str(option): option for option in options}, **others}
    near = difflib.get_close_matches(value.lower(), names, 1)
    advice = f"; did you mean {names[near[0]]!r}?" if near else ""
    raise ValueError(expected + advice)


def choices(
    name: str, value: Any, count: int, options: Sequence[T], others: Mapping[str, T], note: str
) -> tuple[T, ...]:
    """One of `options` for each of some axes, from a name or a sequence of names."""

    def check(name: str, one: Any) -> T:
        return choice(name, one, options, others, note)

    return each(name, value, count, check, "name")


def sequence(name: str, value: Any, kind: str) -> list[Any]:
    """`value` as a list."""
    if isinstance(value, str | bytes) or not np.iterable(value):
        raise TypeError(f"{name} must be a sequence of {kind}, got {value!r}")
    return list(value)


def shape(name: str, value: Any) -> tuple[int, ...]:
    """A tuple of positive integers."""
    if isinstance(value, np.ndarray) and value.ndim > 1:
        raise TypeError(f"{name} must be a sequence of integers, got an array; give its shape")
    sizes = tuple(integer(name, size) for size in sequence(name, value, "integers"))
    for axis, size in enumerate(sizes):
        if size < 1:
            raise ValueError(f"{name} must be positive, axis {axis} has size {size}")
    return sizes


def axes(value: Any, ndim: int, count: int) -> tuple[int, ...]:
    """`count` distinct axes of an array of `ndim` axes, counted from the front."""
    given = tuple(range(-count, 0)) if value is None else integers("axes", value, count)
    for axis in given:
        if not -ndim <= axis < ndim:
            raise ValueError(
                f"axes {given} are not all axes of an array with {ndim} dimensions; dims is the "
                f"shape of the whole array, of at least {COUNTS[count]} axes"
            )
    found = tuple(axis % ndim for axis in given)
    if len(set(found)) < count:
        raise ValueError(f"axes must be {COUNTS[count]} different ones, got {value!r}")
    return found


def numbers(name: str, value: Any) -> NDArray[Any]:
    """`value` as an array of numbers; a `numpy.matrix` stays one."""
    try:
        array = value if isinstance(value, np.matrix) else np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be an array, got rows of unequal lengths") from None
    if array.dtype.kind not in NUMBERS:
        given = f"dtype {array.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"{name} must be an array of numbers, got {given}")
    return array


def psf_array(value: Any, name: str = "psf", most: int = 2) -> NDArray[Any]:
    """A finite, non-empty array of numbers as a read-only copy.

    It has two axes, or one to three if `most` is 3.
    """
    if issparse(value):
        raise TypeError(f"{name} must be a dense array; use `{name}.toarray()`")
    if np.ma.is_masked(value):
        raise ValueError(f"the {name} has masked values; give them one with `.filled(value)`")
    psf = np.array(numbers(name, value), order="C", subok=False)
    if most == 2 and psf.ndim != 2:
        advice = "; for a separable blur use `np.outer(p, p)`" if psf.ndim == 1 else ""
        raise ValueError(f"{name} must have 2 dimensions, got {psf.ndim}{advice}")
    if not 1 <= psf.ndim <= 3:
        raise ValueError(f"{name} must have 1, 2 or 3 dimensions, got {psf.ndim}")
    if psf.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {psf.shape}")
    if not np.isfinite(psf).all():
        raise ValueError(f"{name} must be finite, it contains NaN or Inf")
    psf = psf.astype(psf.dtype.newbyteorder("="), copy=False)
    psf.flags.writeable = False
    return psf


def operator_dtype(value: Any, psf: Any) -> np.dtype[Any]:
    """The operator's dtype: `value`, by default that of the PSF or the nearest supported one."""
    if value is None:
        if psf.dtype in DTYPES:
            return psf.dtype
        if psf.dtype == np.float16:
            return np.dtype(np.float32)
        return np.dtype(np.complex128 if psf.dtype.kind == "c" else np.float64)
    expected = f"dtype must be one of {', '.join(map(str, DTYPES))}"
    try:
        dtype = np.dtype(value).newbyteorder("=")
    except (TypeError, ValueError):
        raise TypeError(f"{expected}, got {value!r}") from None
    if dtype not in DTYPES:
        raise TypeError(f"{expected}, got {dtype}")
    if psf.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(f"a complex psf needs a complex dtype, got {dtype}")
    return dtype


def rows(value: Any, count: int) -> range | NDArray[np.int64]:
    """Row numbers of a slice, a mask or a list of integers; None for all rows."""
    if value is None or isinstance(value, slice):
        return range(count)[value or slice(None)]
    chosen = np.asarray(value)
    if chosen.ndim != 1:
        raise ValueError(f"rows must be a slice or one-dimensional, got shape {chosen.shape}")
    if chosen.dtype == bool:
        if chosen.size != count:
            raise IndexError(f"the mask has {chosen.size} rows, the matrix {count}")
        return np.flatnonzero(chosen)
    if chosen.size and chosen.dtype.kind not in "iu":
        raise TypeError(f"rows must be integers or a mask, got dtype {chosen.dtype}")
    numbers = chosen.astype(np.int64)
    outside = (numbers < -count) | (numbers >= count) | ((numbers < 0) & (chosen > 0))
    if outside.any():
        raise IndexError(f"row {chosen[outside][0]} is out of range for {count} rows")
    return np.where(numbers < 0, numbers + count, numbers)
