r"""The diagonal of an inverse from products with few vectors.

A comb has plus or minus one at pixels that lie some spacing apart and zero elsewhere. The product
of :math:`K^{-1}` with it, times the comb, has at its teeth the diagonal, and beside it what the
teeth tell of each other, with random signs: little, if the spacing is wider than the rows of the
inverse. Combs of all offsets have a tooth at every pixel.

Of an inverse that is near, whose diagonal is known, the same error is known: it is subtracted.

References
----------
J. M. Tang and Y. Saad, "A probing method for computing the diagonal of a matrix inverse", Numer.
Linear Algebra Appl. 19 (2012) 485-501, https://doi.org/10.1002/nla.779.
"""

from collections.abc import Iterator, Sequence
from math import inf, isfinite, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.steps import conjugate_gradients
from dhop.reconstruction.covariance import Covariance
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]

TARGET = 0.025  # of a variance, root of the mean square: what teeth may tell of each other
PLACES = 10  # pixels whose rows are looked at, to find the spacing
ROUGH = 1e-3  # tolerance of these
TOLERANCE = 0.003  # of a variance, that iterations may leave
EVERY = 3  # iterations
MOST = 1000  # iterations
TWICE = 400  # teeth of combs that are repeated with other signs


class Diagonal(NamedTuple):
    """An estimate of a diagonal.

    Attributes
    ----------
    values : ndarray, shape `dims`
    error : float
        Root of the mean square of the relative errors, estimated.
    """

    values: Array
    error: float


def probed(
    covariance: Covariance,
    noise: bool,
    probes: int,
    rng: np.random.Generator,
    progress: Progress = None,
) -> Diagonal:
    r"""The diagonal of :math:`K^{-1}`, or for `noise` of :math:`K^{-1} N K^{-1}`.

    Parameters
    ----------
    covariance : Covariance
    noise : bool
    probes : int
        Most combs.
    rng : Generator
    progress : callable or True, optional
    """
    probing = _Probing(covariance, noise)
    spacing = probing.spacing(probes, rng)
    offsets = list(np.ndindex(*spacing))
    teeth = covariance.size / len(offsets)
    again = min(len(offsets), max(2, int(np.ceil(TWICE / teeth))))
    chosen = rng.choice(len(offsets), again, replace=False)
    combs = [*offsets, *(offsets[k] for k in chosen)]
    values = np.zeros(covariance.size)
    second = np.zeros(covariance.size)
    seen = np.zeros(covariance.size, bool)
    with reporting(progress, len(combs), "probing") as advance:
        for batch in covariance.batches(len(combs)):
            some = [combs[number] for number in batch]
            vectors, at = _combs(covariance.dims, spacing, some, rng, covariance.dtype)
            for number, row, teeth_at in zip(batch, probing(vectors, at), at, strict=True):
                if number < len(offsets):
                    values[teeth_at] = row
                else:
                    second[teeth_at] = row
                    seen[teeth_at] = True
            advance(len(some))
    one, other = values[seen], second[seen]
    values[seen] = mean = (one + other) / 2
    scale = np.maximum(mean, np.median(mean) / 4)  # a poor estimate may be next to zero
    error = np.sqrt(np.mean(((one - other) / scale) ** 2) / 2)
    return Diagonal(values.reshape(covariance.dims), float(np.hypot(error, TOLERANCE)))


class _Probing:
    """Products with combs, less those with what is near."""

    def __init__(self, covariance: Covariance, noise: bool) -> None:
        self._covariance = covariance
        self._noise = noise
        self._control = covariance.control(noise)

    def spacing(self, probes: int, rng: np.random.Generator) -> tuple[int, ...]:
        """Of the teeth along each axis: the least that serves, as far as the probes last."""
        covariance = self._covariance
        dims, axes = covariance.dims, covariance.axes
        places = rng.choice(covariance.size, min(PLACES, covariance.size), replace=False)
        units = covariance.units(places)
        rows = self._products(units, ROUGH)
        own = rows[np.arange(places.size), places].copy()
        if self._control is not None:
            rows = rows - self._control.product(units)
        squares = (rows / own[:, None]).reshape(-1, *dims) ** 2
        most = 1
        while most ** len(axes) <= probes and most < max(dims):
            most += 1
        found: tuple[int, ...] = ()
        for spacing in range(2, max(most, 3)):
            found = tuple(min(spacing, n) if axis in axes else n for axis, n in enumerate(dims))
            leaks = 0.0
            for square, place in zip(squares, places, strict=True):
                at = np.unravel_index(place, dims)
                lattice = tuple(slice(a % s, None, s) for a, s in zip(at, found, strict=True))
                leaks += float(square[lattice].sum() - square[at])
            if leaks <= TARGET**2 * places.size:
                break
        return found

    def __call__(self, combs: Array, teeth: Sequence[Array]) -> Iterator[Array]:
        """The estimates at the teeth of each comb."""
        found = self._until(combs, teeth)
        known = None if self._control is None else self._control.product(combs)
        for number, at in enumerate(teeth):
            signs = combs[number, at]
            row = signs * found[number, at].astype(np.float64)
            if self._control is not None and known is not None:
                row += self._control.diagonal[at] - signs * known[number, at]
            yield row

    def _products(self, x: Array, rtol: float) -> Array:
        found = self._covariance.solve(x, rtol)
        if self._noise:
            found = self._covariance.solve(self._covariance.data(found), rtol)
        return found

    def _until(self, combs: Array, teeth: Sequence[Array]) -> Array:
        """Products whose entries at the teeth change no more."""
        covariance = self._covariance

        def solved(b: Array) -> Array:
            before, last = None, inf
            steps = conjugate_gradients(covariance.normal, b.copy(), None, covariance.precondition)
            for number, (x, _) in zip(range(MOST), steps, strict=False):
                if number % EVERY or not number:
                    continue
                now = np.concatenate([x[k, at] for k, at in enumerate(teeth)])
                if before is not None:
                    change = float(np.sqrt(np.mean((now - before) ** 2) / np.mean(now**2)))
                    rate = change / last if isfinite(last) else 0.5
                    if rate < 1 and change * max(rate / (1 - rate), 0.5) < TOLERANCE:
                        break
                    last = change
                before = now
            return x

        found = solved(combs)
        if self._noise:
            found = solved(covariance.data(found))
        return found


def _combs(
    dims: tuple[int, ...],
    spacing: tuple[int, ...],
    offsets: Sequence[tuple[int, ...]],
    rng: np.random.Generator,
    dtype: Any,
) -> tuple[Array, list[Array]]:
    """Combs as rows, and where the teeth of each are."""
    numbers = np.arange(prod(dims)).reshape(dims)
    combs = np.zeros((len(offsets), numbers.size), dtype)
    teeth = []
    for comb, offset in zip(combs, offsets, strict=True):
        at = numbers[tuple(slice(o, None, s) for o, s in zip(offset, spacing, strict=True))].ravel()
        comb[at] = rng.choice([-1.0, 1.0], at.size)
        teeth.append(at)
    return combs, teeth
