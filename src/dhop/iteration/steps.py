"""Iterations that solve normal equations, written against the array interface alone.

`normal` is the product with a Hermitian, positive semidefinite matrix `N`, and `b` the right-hand
side. Each function is an endless generator of iterates and norms of the residual; its caller
decides when to stop. An iterate is overwritten by the next; `save` is called with an iterate and
its norm before a worse one overwrites it.

Arrays have any shape, and may be lazy: `keep` computes those that several steps need together with
the sums over them, in one pass over the chunks.
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np

Array = Any
Product = Callable[[Array], Array]
Keep = Callable[..., tuple[Array, ...]]
Save = Callable[[Array, float], object]
InnerProducts = Callable[..., list[float]]
Apply = Callable[..., Array]

BLOCK = 2**15  # numbers, of which a dozen arrays of single precision fit into the L2 cache
RTOL = 1e-6  # of the norm of the gradient: where iterations end if nothing else is said


def as_they_are(*arrays: Array) -> tuple[Array, ...]:
    """The arrays, which are not lazy."""
    return arrays


def save_nothing(x: Array, residual: float) -> None:
    """Keep no iterate."""


def conjugate_gradients(
    normal: Product,
    b: Array,
    x: Array | None = None,
    precondition: Product | None = None,
    keep: Keep = as_they_are,
    save: Save = save_nothing,
) -> Iterator[tuple[Array, float]]:
    """Conjugate gradients, with an approximate inverse of `N` if `precondition` is given.

    Parameters
    ----------
    normal : callable
    b : array
        The right-hand side; overwritten if there is no `x`.
    x : array, optional
        The first guess, which is overwritten. Zeros by default.
    precondition, keep, save : callable, optional

    Yields
    ------
    x : array
    residual : float
        Norm of ``b - N x``, first of the guess itself.

    References
    ----------
    M. R. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving linear systems",
    J. Res. Natl. Bur. Stand. 49 (1952) 409-436, https://doi.org/10.6028/jres.049.044.
    """
    r = b if x is None else b - normal(x)
    r, square = keep(r, inner(r, r))
    p = 0 * r
    x = 0 * r if x is None else x
    before = 1.0
    while True:
        yield x, sqrt(square)
        z, now = r, square
        if precondition is not None:
            z = precondition(r)
            z, now = keep(z, inner(r, z))
        p = z + (now / before) * p
        q = normal(p)
        x, p, q, curvature = keep(x, p, q, inner(p, q))
        if curvature > 0:
            step = now / float(curvature)
        else:  # nothing is left to gain, up to rounding
            p, step, now = 0 * p, 0.0, 0.0
        r -= step * q
        last = square
        r, square = keep(r, inner(r, r))
        if not square <= last:
            save(x, sqrt(last))
        x += step * p
        before = now or 1.0


def projected_gradients(
    normal: Product,
    b: Array,
    x: Array | None,
    lipschitz: float,
    keep: Keep = as_they_are,
    save: Save = save_nothing,
    low: Array | float = 0.0,
) -> Iterator[tuple[Array, float]]:
    """Accelerated projected gradients for ``x >= low``, restarted when they climb.

    Parameters
    ----------
    normal : callable
    b : array
        Real.
    x : array or None
        The first guess, not less than `low`; None for zeros.
    lipschitz : float
        Not less than the largest eigenvalue of `N`.
    keep, save : callable, optional
    low : array or float

    Yields
    ------
    x : array
    residual : float
        Norm of the gradient mapping: of the gradient, without the parts that the constraint holds.

    References
    ----------
    A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse
    problems", SIAM J. Imaging Sci. 2 (2009) 183-202, https://doi.org/10.1137/080716542.
    B. O'Donoghue and E. Candes, "Adaptive restart for accelerated gradient schemes", Found. Comput.
    Math. 15 (2015) 715-732, https://doi.org/10.1007/s10208-013-9150-3.
    """
    fall = b if x is None else b - normal(x)
    x = 0 * b if x is None else x
    ahead = x
    t = 1.0
    last = inf
    while True:
        new = np.maximum(ahead + fall / lipschitz, low)
        back = ahead - new
        new, square, climb = keep(new, inner(back, back), inner(back, new - x))
        if not square <= last:
            save(x, lipschitz * sqrt(last))
        last = square
        yield new, lipschitz * sqrt(square)
        if climb > 0:
            ahead, t = new, 1.0
        else:
            t_new = (1 + sqrt(1 + 4 * t * t)) / 2
            ahead, t = new + (t - 1) / t_new * (new - x), t_new
        x = new
        fall = b - normal(ahead)


def inner(one: Array, other: Array) -> Any:
    """The real part of the inner product of arrays of one shape, a scalar that may be lazy."""
    if isinstance(one, np.ndarray):
        return np.vdot(one, other).real
    if one.dtype.kind != "c" and other.dtype.kind != "c":  # each step of lazy ones takes time
        return np.tensordot(one, other, one.ndim)
    return np.tensordot(one.conj(), other, one.ndim).real


def inner_products(pairs: Sequence[tuple[Array, Array]], free: Array | None = None) -> list[float]:
    """Those of several pairs of real arrays in one pass over all, where `free` is true if given.

    Examples
    --------
    >>> x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    >>> inner_products([(x, y), (y, y)]), inner_products([(x, y)], np.array([True, False]))
    ([13.0, 34.0], [3.0])
    """
    places = [(id(one), id(other)) for one, other in pairs]
    ones, others = ({id(each): each for each in side} for side in zip(*pairs, strict=True))
    parts = []
    for start in range(0, pairs[0][0].size, BLOCK):
        some = slice(start, start + BLOCK)
        left = {key: each.reshape(-1)[some] for key, each in ones.items()}
        if free is not None:
            left = {key: each * free.reshape(-1)[some] for key, each in left.items()}
        right = {key: each.reshape(-1)[some] for key, each in others.items()}
        parts.append([float(np.vdot(left[one], right[other])) for one, other in places])
    return list(map(sum, zip(*parts, strict=True)))


def at_once(function: Callable[..., Array], *arrays: Array, dtype: Any = None) -> Array:
    """A function of arrays, number by number, of a dtype if one is given."""
    found = function(*arrays)
    return found if dtype is None else found.astype(dtype, copy=False)


def norm(x: Array) -> float:
    """Euclidean norm, whose squares neither underflow nor overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(inner(x, x))
    low, high = (getattr(np.finfo(x.dtype), name) ** 0.5 for name in ("tiny", "max"))
    if low < square < high:
        return sqrt(square)
    largest = float(abs(x).max())
    if not (largest > 0 and isfinite(largest)):
        return largest
    wide = x / np.float64(largest)
    return largest * sqrt(inner(wide, wide))
