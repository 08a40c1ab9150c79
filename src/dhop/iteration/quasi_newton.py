"""Limited-memory quasi-Newton steps within bounds, written against the array interface alone."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from math import inf, isfinite
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from dhop.iteration.steps import (
    Apply,
    InnerProducts,
    Keep,
    Product,
    as_they_are,
    at_once,
    inner,
    inner_products,
)

Array: TypeAlias = Any

MEMORY = 6  # pairs of steps and changes of the gradient
SIZED = 6  # iterations, after which the preconditioner is asked once more how large it is
SUFFICIENT = 1e-4  # of the decrease that the slope predicts (Armijo)
SHORTEST, LONGEST = 0.1, 0.5  # factors between a step that was too long and the next
TRIALS = 20  # of a line search
CURVED = 1e-12  # of the norms: a curvature below is rounding
ROUNDING = 1e-13  # of a value: an increase by less may be rounding


class Evaluation(Protocol):
    """A function and its gradient at a point."""

    @property
    def value(self) -> float:
        """Its value."""

    @property
    def residual(self) -> Array:
        """Minus half its gradient."""


class Pair(NamedTuple):
    """A step, the change of the residual along it, and the product of their norms."""

    step: Array
    change: Array
    size: float


def quasi_newton(
    evaluate: Callable[[Array], Any],
    x: Array,
    scale: float,
    low: float = -inf,
    high: float = inf,
    precondition: Product | None = None,
    keep: Keep = as_they_are,
    sums: InnerProducts = inner_products,
    apply: Apply = at_once,
) -> Iterator[tuple[Array, Any]]:
    """Limited-memory BFGS for ``low <= x <= high``; the value falls from each iterate to the next.

    Pixels at a bound that the gradient points beyond stay there; steps are of the free ones. It
    ends where no step decreases the value.

    Parameters
    ----------
    evaluate : callable
        Gives an `Evaluation` at an array.
    x : array
        The first guess, within the bounds.
    scale : float
        Of the first step: about the inverse of half the largest curvature.
    low, high : float
    precondition, keep : callable, optional
        See `dhop.iteration.steps`.
    sums, apply : callable, optional
        As `inner_products` and `at_once` of `dhop.iteration.steps`, for arrays that may be lazy.

    Yields
    ------
    x : array
    evaluation : Evaluation

    References
    ----------
    D. C. Liu and J. Nocedal, "On the limited memory BFGS method for large scale optimization",
    Math. Program. 45 (1989) 503-528, https://doi.org/10.1007/BF01589116.
    E. Thiebaut, "Optimization issues in blind deconvolution algorithms", Proc. SPIE 4847 (2002)
    174-183, https://doi.org/10.1117/12.461151.
    """
    pairs: deque[Pair] = deque(maxlen=MEMORY)
    unit = 1.0
    bounded = isfinite(low) or isfinite(high)
    evaluation = evaluate(x)
    for number in count():
        yield x, evaluation
        r = evaluation.residual
        free = None
        if bounded:
            free = apply(partial(free_variables, low=low, high=high), x, r, dtype=bool)
        q = _combined(apply, 1.0, r, free, dtype=x.dtype)
        initial = partial(_initial, apply, free, scale, precondition)
        directions = [partial(initial, q)]
        if pairs:
            if precondition is None or len(pairs) < MEMORY or number % SIZED == 0:
                unit = _unit(pairs[-1], free, initial, keep, sums, apply) or unit
            newton = partial(_two_loop_recursion, q, pairs, unit, free, initial, keep, sums, apply)
            directions.insert(0, newton)
        if precondition is not None:  # only the gradient leads down any path that bounds bend
            directions.append(partial(_initial, apply, free, scale, None, q))
        found = None
        for direction in directions:
            (d,) = keep(direction())
            found = _line_search(evaluate, x, evaluation, d, low, high, keep, apply)
            if found is not None:
                break
            pairs.clear()
        if found is None:
            return
        new, there = found
        step, change = keep(
            apply(np.subtract, new, x), apply(np.subtract, r, there.residual, dtype=x.dtype)
        )
        one, other = sums([(step, step), (change, change)])
        pairs.append(Pair(step, change, one**0.5 * other**0.5))
        x, evaluation = new, there


def free_variables(x: Array, r: Array, low: float, high: float) -> Array:
    """The pixels that a step down does not move beyond a bound."""
    return ~(((x <= low) & (r < 0)) | ((x >= high) & (r > 0)))


def _combined(
    apply: Apply,
    number: float,
    x: Array,
    free: Array | None,
    numbers: Sequence[float] = (),
    arrays: Sequence[Array] = (),
    dtype: Any = None,
) -> Array:
    """`number` times `x` plus `numbers` times `arrays`, zero where pixels are not free."""
    if number == 1 and free is None and not arrays and dtype in (None, x.dtype):
        return x

    def combination(x: Array, *others: Array) -> Array:
        total = float(number) * x  # one of NumPy would make it double precision
        for factor, each in zip(numbers, others, strict=False):
            total += factor * each
        return total if free is None else total * others[-1]

    return apply(combination, x, *arrays, *(() if free is None else (free,)), dtype=dtype)


def _initial(
    apply: Apply, free: Array | None, scale: float, precondition: Product | None, q: Array
) -> Array:
    """The preconditioned gradient of the pixels that are free, or a multiple of the gradient."""
    if precondition is None:
        return _combined(apply, scale, q, None)
    return _combined(apply, 1.0, precondition(q), free, dtype=q.dtype)


def _unit(
    newest: Pair, free: Array | None, initial: Product, keep: Keep, sums: InnerProducts,
    apply: Apply,
) -> float | None:  # fmt: skip
    """The number that makes the initial matrix about as large as the Hessian's inverse.

    None if the curvature along the newest step is not positive.
    """
    change = _combined(apply, 1.0, newest.change, free)
    (scaled,) = keep(initial(change))
    curved, size = sums([(newest.step, change), (change, scaled)])
    return curved / size if curved > CURVED * newest.size else None


def _two_loop_recursion(
    q: Array, pairs: Any, unit: float, free: Array | None, initial: Product, keep: Keep,
    sums: InnerProducts, apply: Apply,
) -> Array:  # fmt: skip
    """The product of `q` with the limited-memory inverse of the Hessian matrix.

    Both loops are over numbers: all inner products of arrays are computed at once, before each.
    """
    newest_first = list(reversed(pairs))
    steps, changes, _ = zip(*newest_first, strict=True)
    wanted = [(s, q) for s in steps]
    wanted += [(s, y) for k, s in enumerate(steps) for y in changes[: k + 1]]
    found = iter(sums(wanted, free))
    along = [next(found) for _ in steps]
    curved = [[next(found) for _ in range(k + 1)] for k in range(len(steps))]
    used = [k for k, pair in enumerate(newest_first) if curved[k][k] > CURVED * pair.size]
    if not used:
        return initial(q)
    down: dict[int, float] = {}
    for k in used:
        down[k] = (along[k] - sum(a * curved[k][i] for i, a in down.items())) / curved[k][k]
    less = [-a for a in down.values()]
    (z,) = keep(initial(_combined(apply, 1.0, q, free, less, [changes[k] for k in used])))
    up: dict[int, float] = {}
    for k, each in reversed(list(zip(used, sums([(changes[k], z) for k in used]), strict=True))):
        more = sum(c * curved[i][k] for i, c in up.items())
        up[k] = down[k] - (unit * each + more) / curved[k][k]
    return _combined(apply, unit, z, free, list(up.values()), [steps[k] for k in up])


def _line_search(
    evaluate: Callable[[Array], Any],
    x: Array,
    evaluation: Any,
    d: Array,
    low: float,
    high: float,
    keep: Keep,
    apply: Apply,
) -> tuple[Array, Any] | None:
    """A point along the projected path with sufficient decrease, if there is one."""
    step = 1.0
    for _ in range(TRIALS):
        new = apply(partial(_ahead, float(step), low, high), x, d)
        new, slope = keep(new, inner(evaluation.residual, new - x))
        predicted = 2 * float(slope)
        if not predicted > 0:
            return None
        there = evaluate(new)
        gain = evaluation.value - there.value
        if gain >= SUFFICIENT * predicted - ROUNDING * abs(evaluation.value):
            return new, there
        best = predicted / (2 * (predicted - gain)) if isfinite(gain) else 0.0
        step *= min(max(best, SHORTEST), LONGEST)
    return None


def _ahead(step: float, low: float, high: float, x: Array, d: Array) -> Array:
    """The points so many steps ahead, within bounds."""
    new = x + step * d
    return new.clip(low, high) if isfinite(low) or isfinite(high) else new
