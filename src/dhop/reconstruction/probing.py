r"""The diagonal of an inverse from products with few vectors.

A comb has plus or minus one at pixels that lie some spacing apart and zero elsewhere. The product
of :math:`K^{-1}` with it, times the comb, has at its teeth the diagonal, and beside it what the
teeth tell of each other, with random signs: little, if the spacing is wider than the rows of the
inverse. Combs of all offsets have a tooth at every pixel.

Of an inverse that is near, whose diagonal is known, the same error is known: it is subtracted.

Where rows are so wide that combs tell less than as many samples would, deep in gaps, samples are
drawn.

References
----------
J. M. Tang and Y. Saad, "A probing method for computing the diagonal of a matrix inverse", Numer.
Linear Algebra Appl. 19 (2012) 485-501, https://doi.org/10.1002/nla.779.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import inf, prod, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.steps import conjugate_gradients, norm
from dhop.reconstruction.covariance import Covariance
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]

TARGET = 0.025  # of a variance, root of the mean square: what teeth may tell of each other
POORLY = 0.3  # of what a pixel of the scene usually counts in the frames
LEAST = 3  # spacing of teeth: rows that are looked at may all be far from a border
PLACES = 10  # pixels whose rows are looked at, to find the spacing ...
CELLS = 3  # ... or as many along each axis of a large image
REACH = 24  # pixels of rows that are looked at there, on either side
TOLERANCE = 0.002  # of a variance, that iterations may leave
SOLVED = 1e-6  # of the residual: more changes nothing
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
    plans = [(part, probing.combs(part, probes, rng)) for part in _parts(covariance)]
    values = np.zeros(covariance.size)
    squares = 0.0
    total = sum(len(combs) + _repeated(combs) if combs else probes for _, combs in plans)
    with reporting(progress, total, "probing") as advance:
        for part, combs in plans:
            if combs:
                found, error = probing.by_combs(combs, rng, advance)
            else:
                found, error = probing.by_samples(part, probes, rng, advance), 2 / probes
            values[part] = found[part]
            squares += float((error + TOLERANCE**2) * part.mean())
    return Diagonal(values.reshape(covariance.dims), sqrt(squares))


def _parts(covariance: Covariance) -> list[NDArray[np.bool_]]:
    """The pixels that frames see well and those that they do not, which are correlated farther."""
    ones = np.ones((1, covariance.size), covariance.dtype)
    seen = covariance.data(ones)[0]
    free = covariance.uncertain
    well = seen > POORLY * np.median(seen[free]) if free.any() else free
    return [part for part in (free & well, free & ~well) if part.any()]


class _Probing:
    """Products with combs, less those with what is near."""

    def __init__(self, covariance: Covariance, noise: bool) -> None:
        self._covariance = covariance
        self._noise = noise
        self._control = covariance.control(noise)

    def combs(self, part: Array, probes: int, rng: np.random.Generator) -> list[Array]:
        """The teeth of combs for a part of the pixels, as dense as serves or the probes last.

        None where samples serve better.
        """
        dims, axes = self._covariance.dims, self._covariance.axes
        rows = list(self._rows(part, rng))
        spacing, leak = 0, inf
        found: list[Array] = []
        while True:
            spacing += 1
            steps = tuple(min(spacing, n) if axis in axes else n for axis, n in enumerate(dims))
            more = _combs(part.reshape(dims), steps)
            if found and len(more) > probes * prod(n for k, n in enumerate(dims) if k not in axes):
                return found if leak < 2 / probes else []
            found = more
            leak = float(np.mean([_leak(row, at, steps) for row, at in rows]))
            if (leak <= TARGET**2 and spacing >= LEAST) or spacing >= max(dims):
                return found

    def _rows(self, part: Array, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        """Rows of the inverse about some pixels, relative to their diagonals, and where these are.

        In a large image these are so far from each other that one vector has them all.
        """
        dims, axes = self._covariance.dims, self._covariance.axes
        large = all(dims[axis] >= CELLS * 4 * REACH for axis in axes) and part.mean() > 0.5
        if large:
            pixels = np.stack([rng.integers(n, size=CELLS ** len(axes)) for n in dims], axis=1)
            for axis, cell in zip(axes, np.indices([CELLS] * len(axes)), strict=True):
                width = dims[axis] // CELLS
                pixels[:, axis] = cell.ravel() * width + REACH + pixels[:, axis] % (2 * REACH)
            places = np.ravel_multi_index(tuple(pixels.T), dims)
            places = places[part[places]]
            large = places.size > 0
        if not large:
            those = np.flatnonzero(part)
            places = rng.choice(those, min(PLACES, those.size), replace=False)
        vectors = self._covariance.units(places)
        teeth = list(places[:, None])
        if large:
            vectors, teeth = vectors.sum(axis=0, keepdims=True), [places]
        found = self._until(vectors, teeth)
        own = np.concatenate([row[at] for row, at in zip(found, teeth, strict=True)])
        if self._control is not None:
            found = found - self._control.product(vectors)
        found = found * part
        for number, place in enumerate(places):
            at = np.array(np.unravel_index(place, dims))
            row = found[0 if large else number].reshape(dims)
            first = (at - REACH).clip(0) if large else 0 * at
            last = at + REACH + 1 if large else dims
            yield row[tuple(map(slice, first, last))] / own[number], at - first

    def by_combs(
        self, combs: Sequence[Array], rng: np.random.Generator, advance: Callable[[int], object]
    ) -> tuple[Array, float]:
        """The diagonal at the teeth of all combs, and the mean square of its relative errors."""
        chosen = rng.choice(len(combs), _repeated(combs), replace=False)
        again = [combs[k] for k in chosen]
        first, second = (self._estimates(some, rng, advance) for some in (combs, again))
        values = np.zeros(self._covariance.size)
        for at, row in zip(combs, first, strict=True):
            values[at] = row
        at = np.concatenate(again)
        one, other = values[at], np.concatenate(second)
        mean = values[at] = (one + other) / 2
        scale = np.maximum(mean, np.median(mean) / 4)  # a poor estimate may be next to zero
        return values, float(np.mean(((one - other) / scale) ** 2) / 2)

    def by_samples(
        self, part: Array, count: int, rng: np.random.Generator, advance: Callable[[int], object]
    ) -> Array:
        """The mean squares of samples, whose relative errors have the mean square ``2 / count``."""
        teeth = np.flatnonzero(part)
        total = np.zeros(self._covariance.size)
        for batch in self._covariance.batches(count):
            pulls = self._covariance.pulls(len(batch), rng, self._noise)
            found = self._covariance.shown(self._solved(pulls, [teeth] * len(batch)))
            total += (found.astype(np.float64) ** 2).sum(axis=0)
            advance(len(batch))
        return total / count

    def _estimates(
        self, combs: Sequence[Array], rng: np.random.Generator, advance: Callable[[int], object]
    ) -> list[Array]:
        """The estimates at the teeth of each comb."""
        rows = []
        for batch in self._covariance.batches(len(combs)):
            teeth = [combs[number] for number in batch]
            signs = [rng.choice([-1.0, 1.0], at.size) for at in teeth]
            vectors = np.zeros((len(teeth), self._covariance.size), self._covariance.dtype)
            for vector, at, sign in zip(vectors, teeth, signs, strict=True):
                vector[at] = sign
            found = self._until(vectors, teeth)
            known = None if self._control is None else self._control.product(vectors)
            for number, (at, sign) in enumerate(zip(teeth, signs, strict=True)):
                row = sign * found[number, at]
                if self._control is not None and known is not None:
                    row += self._control.diagonal[at] - sign * known[number, at]
                rows.append(row)
            advance(len(teeth))
        return rows

    def _until(self, combs: Array, teeth: Sequence[Array]) -> Array:
        """Products whose entries at the teeth change no more."""
        found = self._solved(self._covariance.unshown(combs), teeth)
        if self._noise:
            found = self._solved(self._covariance.data(found), teeth)
        return self._covariance.shown(found)

    def _solved(self, b: Array, teeth: Sequence[Array]) -> Array:
        covariance = self._covariance
        r = covariance.kept(b).copy()
        steps = conjugate_gradients(covariance.normal, r, None, covariance.precondition)
        changes: list[float] = []
        before: Any = 0.0
        start = next(steps)[1]
        for x, residual in islice(steps, MOST):
            seen = covariance.shown(x)
            now = np.concatenate([seen[k, at] for k, at in enumerate(teeth)])
            size = norm(now)
            if size:  # the first steps may not yet reach pixels that no frame sees
                changes.append(norm(now - before) / size)
            if _left(changes) < TOLERANCE or residual <= SOLVED * start:
                break
            before = now
        return x


def _repeated(combs: Sequence[Array]) -> int:
    """How many combs have other signs, too, to tell the error."""
    teeth = sum(at.size for at in combs)
    return min(len(combs), max(2, -(-TWICE * len(combs) // teeth)))


def _left(changes: Sequence[float]) -> float:
    """What is left of a geometric series of which the last terms are known, or infinity."""
    last = changes[-1] if changes else inf
    if len(changes) < 3:
        return last
    some = changes[-SMOOTH:]
    rate = (last / some[0]) ** (1 / (len(some) - 1)) if some[0] else 0.0
    return last * rate / (1 - rate) if rate < 1 else inf


def _leak(row: Array, at: Array, spacing: tuple[int, ...]) -> float:
    """The squares of what a row has at other teeth of a comb with one at its pixel."""
    teeth = tuple(slice(a % s, None, s) for a, s in zip(at, spacing, strict=True))
    return float((row[teeth] ** 2).sum() - row[tuple(at)] ** 2)


def _combs(part: Array, spacing: tuple[int, ...]) -> list[Array]:
    """The teeth of all offsets that lie in a part of the image."""
    numbers = np.arange(part.size).reshape(part.shape)
    found = []
    for offset in np.ndindex(*spacing):
        lattice = tuple(slice(o, None, s) for o, s in zip(offset, spacing, strict=True))
        found.append(numbers[lattice][part[lattice]])
    return [teeth for teeth in found if teeth.size]
