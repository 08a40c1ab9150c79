r"""The diagonal of an inverse from products with few vectors.

A probing vector, here a comb, is plus or minus one at pixels some spacing apart, its teeth, and
zero elsewhere. The product of :math:`K^{-1}` with it, times the comb, is at the teeth the diagonal
plus an error, the covariances between teeth with random signs: small, if the spacing is wider than
the rows of the inverse. Combs of all offsets have a tooth at every pixel.

The error for an inverse near by, whose diagonal is known, is subtracted as a control variate.

Where rows are so wide that as many samples have a smaller error, deep in gaps, samples are drawn.

References
----------
J. M. Tang and Y. Saad, "A probing method for computing the diagonal of a matrix inverse", Numer.
Linear Algebra Appl. 19 (2012) 485-501, https://doi.org/10.1002/nla.779.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import hypot, inf, prod, sqrt
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.cautions import ConvergenceWarning, warn
from dhop.iteration.steps import conjugate_gradients, norm
from dhop.reconstruction.posterior.covariance import Covariance
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]
Advance: TypeAlias = Callable[[int], object]

TARGET = 0.025  # of a variance, root mean square: the error by other teeth
POORLY = 0.3  # of the usual weight of a pixel of the scene in the frames
LEAST = 3  # spacing of teeth: all sampled rows may be far from a border
PLACES = 10  # rows that are sampled, to find the spacing ...
CELLS = 3  # ... or as many along each axis of a large image
REACH = 24  # pixels of rows that are sampled there, on either side
TOLERANCE = 0.002  # of a variance, that iterations may leave
SOLVED = 1e-6  # of the residual: more changes nothing
MOST = 1000  # iterations
NOTABLE = 0.2  # of a variance, left by iterations or rounding, from which on a warning is due
TWICE = 400  # teeth of combs that are repeated with other signs


class Diagonal(NamedTuple):
    """An estimate of a diagonal, of the shape `dims`, and its relative error, root mean square.

    All values share the part `bias` of the error, that of iterations and rounding.
    """

    values: Array
    error: float
    bias: float = 0.0


def probed(
    covariance: Covariance,
    noise: bool,
    probes: int,
    rng: np.random.Generator,
    progress: Progress = None,
) -> Diagonal:
    """The diagonal of :math:`K^{-1}`, or for `noise` of :math:`K^{-1} N K^{-1}`.

    By at most `probes` combs, or as many samples.
    """
    probing = _Probing(covariance, noise, rng)
    plans = [(part, probing.combs(part, probes)) for part in _parts(covariance)]
    values = np.zeros(covariance.size)
    squares = 0.0
    total = sum(len(combs) + _repeated(combs) if combs else probes for _, combs in plans)
    with reporting(progress, total, "probing") as advance:
        for part, combs in plans:
            if combs:
                found, error = probing.by_combs(combs, advance)
            else:
                found, error = probing.by_samples(part, probes, advance), 2 / probes
            values[part] = found[part]
            squares += float(error * part.mean())
    bias = hypot(probing.remaining, covariance.rounding * float(values.mean()))
    if bias > NOTABLE:
        warn(
            f"deviations may be wrong by {bias / 2:.0%}: beta is so small that "
            f"{'rounding' if probing.remaining < NOTABLE else 'iterations'} did not let them "
            "converge; give a larger beta, or frames in double precision",
            ConvergenceWarning,
        )
    return Diagonal(values.reshape(covariance.dims), hypot(sqrt(squares), bias), bias)


def _parts(covariance: Covariance) -> list[NDArray[np.bool_]]:
    """The pixels with a large weight in the frames, and the others, whose rows are wider."""
    ones = np.ones((1, covariance.size), covariance.dtype)
    seen = covariance.data(ones)[0]
    free = covariance.uncertain
    well = seen > POORLY * np.median(seen[free]) if free.any() else free
    return [part for part in (free & well, free & ~well) if part.any()]


class _Probing:
    """Estimates of the diagonal of one covariance.

    `remaining` is the most that iterations have left, relative to what they were to find.
    """

    def __init__(self, covariance: Covariance, noise: bool, rng: np.random.Generator) -> None:
        self.remaining = TOLERANCE
        self._covariance, self._noise, self._rng = covariance, noise, rng
        self._control_variate = covariance.control_variate(noise)

    def combs(self, part: Array, probes: int) -> list[Array]:
        """The teeth of combs for a part of the pixels, with the least spacing that is accurate.

        With the widest that the number of probes allows, if that is less; none where samples have
        a smaller error.
        """
        dims, axes = self._covariance.dims, self._covariance.axes
        rows = list(self._rows(part))
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

    def _rows(self, part: Array) -> Iterator[tuple[Array, Array]]:
        """Rows of the inverse about some pixels, relative to their diagonals, and where these are.

        In a large image these are so far from each other that one vector has them all.
        """
        dims, axes = self._covariance.dims, self._covariance.axes
        large = all(dims[axis] >= CELLS * 4 * REACH for axis in axes) and part.mean() > 0.5
        if large:
            pixels = np.stack(
                [self._rng.integers(n, size=CELLS ** len(axes)) for n in dims], axis=1
            )
            for axis, cell in zip(axes, np.indices([CELLS] * len(axes)), strict=True):
                width = dims[axis] // CELLS
                pixels[:, axis] = cell.ravel() * width + REACH + pixels[:, axis] % (2 * REACH)
            places = np.ravel_multi_index(tuple(pixels.T), dims)
            places = places[part[places]]
            large = places.size > 0
        if not large:
            those = np.flatnonzero(part)
            places = self._rng.choice(those, min(PLACES, those.size), replace=False)
        vectors = self._covariance.units(places)
        teeth = list(places[:, None])
        if large:
            vectors, teeth = vectors.sum(axis=0, keepdims=True), [places]
        found = self._converged(vectors, teeth)
        own = np.concatenate([row[at] for row, at in zip(found, teeth, strict=True)])
        if self._control_variate is not None:
            found = found - self._control_variate.product(vectors)
        found = found * part
        for number, place in enumerate(places):
            at = np.array(np.unravel_index(place, dims))
            row = found[0 if large else number].reshape(dims)
            first = (at - REACH).clip(0) if large else 0 * at
            last = at + REACH + 1 if large else dims
            yield row[tuple(map(slice, first, last))] / own[number], at - first

    def by_combs(self, combs: Sequence[Array], advance: Advance) -> tuple[Array, float]:
        """The diagonal at the teeth of all combs, and the mean square of its relative errors."""
        chosen = self._rng.choice(len(combs), _repeated(combs), replace=False)
        again = [combs[k] for k in chosen]
        first, second = (self._estimates(some, advance) for some in (combs, again))
        values = np.zeros(self._covariance.size)
        for at, row in zip(combs, first, strict=True):
            values[at] = row
        at = np.concatenate(again)
        one, other = values[at], np.concatenate(second)
        mean = values[at] = (one + other) / 2
        scale = np.maximum(mean, np.median(mean) / 4)  # a poor estimate may be next to zero
        return values, float(np.mean(((one - other) / scale) ** 2) / 2)

    def by_samples(self, part: Array, count: int, advance: Advance) -> Array:
        """The mean squares of samples, whose relative errors have the mean square ``2 / count``."""
        teeth = np.flatnonzero(part)
        total = np.zeros(self._covariance.size)
        for batch in self._covariance.batches(count):
            pulls = self._covariance.perturbations(len(batch), self._rng, self._noise)
            found = self._covariance.apply_target(self._solved(pulls, [teeth] * len(batch)))
            total += (found.astype(np.float64) ** 2).sum(axis=0)
            advance(len(batch))
        return total / count

    def _estimates(self, combs: Sequence[Array], advance: Advance) -> list[Array]:
        """The estimates at the teeth of each comb."""
        rows = []
        for batch in self._covariance.batches(len(combs)):
            teeth = [combs[number] for number in batch]
            signs = [self._rng.choice([-1.0, 1.0], at.size) for at in teeth]
            vectors = np.zeros((len(teeth), self._covariance.size), self._covariance.dtype)
            for vector, at, sign in zip(vectors, teeth, signs, strict=True):
                vector[at] = sign
            found = self._converged(vectors, teeth)
            control = self._control_variate
            known = None if control is None else control.product(vectors)
            for number, (at, sign) in enumerate(zip(teeth, signs, strict=True)):
                row = sign * found[number, at]
                if control is not None and known is not None:
                    row += control.diagonal[at] - sign * known[number, at]
                rows.append(row)
            advance(len(teeth))
        return rows

    def _converged(self, combs: Array, teeth: Sequence[Array]) -> Array:
        """Products with combs, whose entries at the teeth have converged."""
        found = self._solved(self._covariance.target_adjoint(combs), teeth)
        if self._noise:
            found = self._solved(self._covariance.data(found), teeth)
        return self._covariance.apply_target(found)

    def _solved(self, b: Array, teeth: Sequence[Array]) -> Array:
        covariance = self._covariance
        r = covariance.restricted(b).copy()
        steps = conjugate_gradients(covariance.normal, r, None, covariance.precondition)
        changes: list[float] = []
        before: Any = 0.0
        start = next(steps)[1]
        for x, residual in islice(steps, MOST):
            seen = covariance.apply_target(x)
            now = np.concatenate([seen[k, at] for k, at in enumerate(teeth)])
            size = norm(now)
            if size:  # the first steps may not yet reach pixels that no frame sees
                changes.append(norm(now - before) / size)
            left = TOLERANCE if residual <= SOLVED * start else _remaining(changes)
            if left <= TOLERANCE:
                break
            before = now
        self.remaining = max(self.remaining, min(left, 1.0))
        return x


def _repeated(combs: Sequence[Array]) -> int:
    """The number of combs that are repeated with other signs, to estimate the error."""
    teeth = sum(at.size for at in combs)
    return min(len(combs), max(2, -(-TWICE * len(combs) // teeth)))


def _remaining(changes: Sequence[float]) -> float:
    """The sum of the terms to come, if the sums of two quarters are of a geometric series.

    Infinity if they do not fall. Over fewer terms the changes of slow iterations may fall by
    chance, and seem to end.
    """
    count = max(len(changes) // 4, 2)
    if len(changes) < 2 * count:
        return changes[-1] if len(changes) > 1 and not changes[-1] else inf
    last, before = sum(changes[-count:]), sum(changes[-2 * count : -count])
    return last**2 / (before - last) if last < before else inf if last else 0.0


def _leak(row: Array, at: Array, spacing: tuple[int, ...]) -> float:
    """The sum of squares of a row at the other teeth of the comb that has one at its pixel."""
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
