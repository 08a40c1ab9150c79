"""Limited-memory quasi-Newton steps within bounds, written against the array interface alone."""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from math import inf, isfinite
from typing import Any, Protocol, TypeAlias

from dhop.iteration.steps import (
    InnerProducts,
    Keep,
    Product,
    as_they_are,
    inner,
    inner_products,
)

Array: TypeAlias = Any

MEMORY = 6  # pairs of steps and changes of the gradient
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


def quasi_newton(
    evaluate: Callable[[Array], Any],
    x: Array,
    scale: float,
    low: float = -inf,
    high: float = inf,
    precondition: Product | None = None,
    keep: Keep = as_they_are,
    sums: InnerProducts = inner_products,
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
    sums : callable, optional
        Gives the inner products of several pairs of arrays, which may be lazy.

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
    pairs: deque[tuple[Array, Array]] = deque(maxlen=MEMORY)
    bounded = isfinite(low) or isfinite(high)
    evaluation = evaluate(x)
    while True:
        yield x, evaluation
        r = evaluation.residual
        free = free_variables(x, r, low, high) if bounded else None
        q, initial = _of(free, r), partial(_initial, free, scale, precondition)
        directions = [partial(initial, q)]
        if pairs:
            newton = partial(_two_loop_recursion, q, pairs, free, initial, keep, sums)
            directions.insert(0, newton)
        if precondition is not None:  # only the gradient leads down any path that bounds bend
            directions.append(partial(_initial, free, scale, None, q))
        found = None
        for direction in directions:
            (d,) = keep(direction().astype(x.dtype))
            found = _line_search(evaluate, x, evaluation, d, low, high, keep)
            if found is not None:
                break
            pairs.clear()
        if found is None:
            return
        new, there = found
        pairs.append(keep(new - x, r - there.residual))
        x, evaluation = new, there


def free_variables(x: Array, r: Array, low: float, high: float) -> Array:
    """The pixels that a step down does not move beyond a bound."""
    return ~(((x <= low) & (r < 0)) | ((x >= high) & (r > 0)))


def _of(free: Array | None, x: Array) -> Array:
    """An array whose numbers are zero where pixels are not free."""
    return x if free is None else free * x


def _initial(free: Array | None, scale: float, precondition: Product | None, q: Array) -> Array:
    """The preconditioned gradient of the pixels that are free, or a multiple of the gradient."""
    return scale * q if precondition is None else _of(free, precondition(q))


def _two_loop_recursion(
    q: Array, pairs: Any, free: Array | None, initial: Product, keep: Keep, sums: InnerProducts
) -> Array:
    """The product of `q` with the limited-memory inverse of the Hessian matrix.

    Both loops are over numbers: all inner products of arrays are computed at once, before each.
    """
    steps = [(s, _of(free, y)) for s, y in reversed(pairs)]  # the newest first
    wanted = [(s, q) for s, _ in steps]
    wanted += [(each, each) for s, y in steps for each in (y, _of(free, s))]
    wanted += [(s, y) for k, (s, _) in enumerate(steps) for _, y in steps[: k + 1]]
    found = iter(sums(wanted))
    along = [next(found) for _ in steps]
    sizes = [next(found) ** 0.5 * next(found) ** 0.5 for _ in steps]
    curved = [[next(found) for _ in range(k + 1)] for k in range(len(steps))]
    used = [k for k in range(len(steps)) if curved[k][k] > CURVED * sizes[k]]
    if not used:
        return initial(q)
    down: dict[int, float] = {}
    for k in used:
        down[k] = (along[k] - sum(a * curved[k][i] for i, a in down.items())) / curved[k][k]
    q = q - sum(a * steps[k][1] for k, a in down.items())
    newest = steps[used[0]][1]
    # Kept, since each of the sums would compute them again.
    first, z = keep(initial(newest), initial(q))
    size, *across = sums([(newest, first), *((steps[k][1], z) for k in used)])
    unit = curved[used[0]][used[0]] / size
    up: dict[int, float] = {}
    for k, each in reversed(list(zip(used, across, strict=True))):
        more = sum(c * curved[i][k] for i, c in up.items())
        up[k] = down[k] - (unit * each + more) / curved[k][k]
    return unit * z + sum(c * _of(free, steps[k][0]) for k, c in up.items())


def _line_search(
    evaluate: Callable[[Array], Any],
    x: Array,
    evaluation: Any,
    d: Array,
    low: float,
    high: float,
    keep: Keep,
) -> tuple[Array, Any] | None:
    """A point along the projected path with sufficient decrease, if there is one."""
    step = 1.0
    for _ in range(TRIALS):
        new = x + x.dtype.type(step) * d
        if isfinite(low) or isfinite(high):
            new = new.clip(low, high)
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
