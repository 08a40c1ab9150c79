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
from itertools import islice
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.steps import conjugate_gradients, norm
from dhop.reconstruction.covariance import Covariance
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]

TARGET = 0.025  # of a variance, root of the mean square: what teeth may tell of each other
PLACES = 10  # pixels whose rows are looked at, to find the spacing ...
CELLS = 3  # ... or as many along each axis of a large image
REACH = 24  # pixels of rows that are looked at there, on either side
TOLERANCE = 0.002  # of a variance, that iterations may leave
SMOOTH = 4  # iterations whose changes tell how fast they shrink
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
        dims, axes = self._covariance.dims, self._covariance.axes
        rows = list(self._rows(rng))
        spacing = 1
        while True:
            found = tuple(min(spacing, n) if axis in axes else n for axis, n in enumerate(dims))
            leak = sum(_leak(row, at, found) for row, at in rows) / len(rows)
            more = (spacing + 1) ** len(axes) <= probes and spacing < max(dims)
            if leak <= TARGET**2 or not more:
                return found
            spacing += 1

    def _rows(self, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        """Rows of the inverse about some pixels, relative to their diagonals, and where these are.

        In a large image these are so far from each other that one vector has them all.
        """
        dims, axes = self._covariance.dims, self._covariance.axes
        large = all(dims[axis] >= CELLS * 4 * REACH for axis in axes)
        count = CELLS ** len(axes) if large else min(PLACES, self._covariance.size)
        pixels = np.stack([rng.integers(n, size=count) for n in dims], axis=1)
        if large:
            for axis, cell in zip(axes, np.indices([CELLS] * len(axes)), strict=True):
                width = dims[axis] // CELLS
                pixels[:, axis] = cell.ravel() * width + REACH + pixels[:, axis] % (2 * REACH)
        places = np.ravel_multi_index(tuple(pixels.T), dims)
        vectors = self._covariance.units(places)
        teeth = list(places[:, None])
        if large:
            vectors, teeth = vectors.sum(axis=0, keepdims=True), [places]
        found = self._until(vectors, teeth)
        own = np.concatenate([row[at] for row, at in zip(found, teeth, strict=True)])
        if self._control is not None:
            found = found - self._control.product(vectors)
        for number, pixel in enumerate(pixels):
            row = found[0 if large else number].reshape(dims)
            first = [max(at - REACH, 0) if large else 0 for at in pixel]
            last = [at + REACH + 1 if large else None for at in pixel]
            part = row[tuple(map(slice, first, last))]
            yield part / own[number], pixel - first

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

    def _until(self, combs: Array, teeth: Sequence[Array]) -> Array:
        """Products whose entries at the teeth change no more."""
        covariance = self._covariance

        def solved(b: Array) -> Array:
            steps = conjugate_gradients(covariance.normal, b.copy(), None, covariance.precondition)
            changes: list[float] = []
            before: Any = 0.0
            for x, _ in islice(steps, 1, MOST):
                now = np.concatenate([x[k, at] for k, at in enumerate(teeth)])
                changes.append(norm(now - before) / (norm(now) or 1.0))
                if _left(changes) < TOLERANCE:
                    break
                before = now
            return x

        found = solved(combs)
        if self._noise:
            found = solved(covariance.data(found))
        return found


def _left(changes: Sequence[float]) -> float:
    """What is left of a geometric series of which the last terms are known, or infinity."""
    last = changes[-1]
    if len(changes) < 3:
        return last
    some = changes[-SMOOTH:]
    rate = (last / some[0]) ** (1 / (len(some) - 1)) if some[0] else 0.0
    return last * rate / (1 - rate) if rate < 1 else inf


def _leak(row: Array, at: Array, spacing: tuple[int, ...]) -> float:
    """The squares of what a row has at other teeth of a comb with one at its pixel."""
    teeth = tuple(slice(a % s, None, s) for a, s in zip(at, spacing, strict=True))
    return float((row[teeth] ** 2).sum() - row[tuple(at)] ** 2)


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
