"""Richardson's and Lucy's iteration, accelerated, written against the array interface alone."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from dhop.iteration.steps import Keep, as_they_are, inner

Array: TypeAlias = Any
Products: TypeAlias = list[Array]
Bend: TypeAlias = Callable[[Products, tuple[Products, Products], Array], Any]

KEPT = 0.6  # of a pixel is left by one iteration: what has become dark by noise hardly recovers
ENDS = (1.0, 2.0), (0.0, 1.0)  # plain changes that one iteration makes, and last changes
TRIALS = 3  # Newton's steps to the lengths of an iteration


def richardson_lucy(
    predict: Callable[[Array], Products],
    look: Callable[[Array, Products], Any],
    cost: Callable[[Products], float],
    bend: Bend,
    sensitivity: Array,
    x: Array,
    goal: float = 0.0,
    keep: Keep = as_they_are,
) -> Iterator[tuple[Array, Any]]:
    r"""Images of falling Poisson loss, without negative values.

    With `r` minus half the gradient of the loss and :math:`s = A^T w` the sums of the columns, the
    iteration :math:`x \, A^T(w n / A x) / s` is :math:`x + d, d = x r / s`. From the second on
    several `d` are gone at once, and some of the last change again, as far as makes the loss about
    the least; predictions are linear in the image, so that this takes one more product. Pixels keep
    the most of their value then. Where the loss is larger all the same the plain step is made.

    Parameters
    ----------
    predict : callable
        The products with an image, one for each frame.
    look : callable
        Gives from an image and these the `value` of the loss and its `residual`.
    cost : callable
        Gives from predictions the loss alone.
    bend : callable
        Gives from predictions, two changes of these, and how far they are gone minus half the
        slopes of the loss along them and half its curvatures: along one, across, along the other.
    sensitivity : array
        Sums of the columns; where they are zero nothing is seen and the image stays.
    x : array
        The first guess; zeros stay zeros.
    goal : float
        A loss that the caller ends at; the plain step that gets there is not made longer, since it
        takes less noise for detail.
    keep : callable, optional

    Yields
    ------
    x : array
    view

    References
    ----------
    W. H. Richardson, "Bayesian-based iterative method of image restoration", J. Opt. Soc. Am. 62
    (1972) 55-59, https://doi.org/10.1364/JOSA.62.000055.
    L. B. Lucy, "An iterative technique for the rectification of observed distributions", Astron. J.
    79 (1974) 745-754, https://doi.org/10.1086/111605.
    L. Kaufman, "Implementing and accelerating the EM algorithm for positron emission tomography",
    IEEE Trans. Med. Imaging 6 (1987) 37-51, https://doi.org/10.1109/TMI.1987.4307796.
    """
    gain = np.where(sensitivity > 0, 1 / np.where(sensitivity > 0, sensitivity, 1), 0)
    (gain,) = keep(gain.astype(x.dtype))
    products = predict(x)
    view = look(x, products)
    last: tuple[Array, Products] | None = None
    while True:
        yield x, view
        d = (gain * view.residual).astype(x.dtype, copy=False)
        d *= x
        way = predict(d)
        seen = None
        if last is not None and not _ends(cost, products, way, view, d, goal):
            some, more = _lengths(bend, products, (way, last[1]), keep)
            new = some * d
            new += more * last[0]
            new += x
            new = np.maximum(new, x.dtype.type(KEPT) * x)
            ahead = predict(new)
            seen = look(new, ahead)
        if seen is None or not seen.value <= view.value:
            new, ahead = np.maximum(x + d, 0), _sums(products, way)
            seen = look(new, ahead)
        new, change, *ahead = keep(new, new - x, *ahead)
        last = change, [b - a for a, b in zip(products, ahead, strict=True)]
        x, products, view = new, ahead, seen


def _sums(some: Products, others: Products) -> Products:
    return [a + b for a, b in zip(some, others, strict=True)]


def _ends(
    cost: Callable[[Products], float],
    products: Products,
    way: Products,
    view: Any,
    d: Array,
    goal: float,
) -> bool:
    """Whether the plain step gets to the goal; mostly its slope, below the loss, tells that not."""
    if not goal or view.value - 2 * float(inner(view.residual, d)) > goal:
        return False
    return bool(cost(_sums(products, way)) <= goal)


def _lengths(bend: Bend, products: Products, ways: tuple[Products, Products], keep: Keep) -> Any:
    """How far to go two ways, by Newton's steps from nothing, few enough to stay cautious."""
    t = np.zeros(2)
    for _ in range(TRIALS):
        slope, across, curve, mixed, bent = map(float, keep(*bend(products, ways, t)))
        H = np.array([[curve, mixed], [mixed, bent]])
        t = t + np.linalg.lstsq(H, [slope, across], rcond=None)[0]
    number = products[0].dtype.type
    return [number(np.clip(s, *ends)) for s, ends in zip(t, ENDS, strict=True)]
