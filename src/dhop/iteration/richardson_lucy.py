"""Accelerated Richardson-Lucy iteration, written against the array interface alone."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from dhop.iteration.steps import Keep, as_they_are, inner

Array: TypeAlias = Any
Products: TypeAlias = list[Array]
Derivatives: TypeAlias = Callable[[Products, tuple[Products, Products], Array], Any]
Elementwise: TypeAlias = Callable[..., Array]

LEAST_RATIO = 0.6  # of a pixel to its last value: pixels that noise darkens hardly recover
BOUNDS = (1.0, 2.0), (0.0, 1.0)  # of the step sizes along the plain step and the last change
NEWTON_STEPS = 3


def at_once(function: Callable[..., Array], *arrays: Array) -> Array:
    """A function of arrays, number by number."""
    return function(*arrays)


def richardson_lucy(
    predict: Callable[[Array], Products],
    evaluate: Callable[[Array, Products], Any],
    cost: Callable[[Products], float],
    derivatives: Derivatives,
    sensitivity: Array,
    x: Array,
    goal: float = 0.0,
    keep: Keep = as_they_are,
    elementwise: Elementwise = at_once,
) -> Iterator[tuple[Array, Any]]:
    r"""Images of decreasing Poisson loss, without negative values.

    With `r` minus half the gradient of the loss and :math:`s = A^T w` the sums of the columns, the
    iteration :math:`x \, A^T(w n / A x) / s` is the plain step :math:`x + d, d = x r / s`. From the
    second on the step is a sum of `d` and the last change, with step sizes from a subspace search;
    predictions are linear in the image, so that this takes one more product. A pixel keeps at least
    `LEAST_RATIO` of its value then. If the loss increases, the plain step is made instead.

    Parameters
    ----------
    predict : callable
        The products with an image, one for each frame.
    evaluate : callable
        From an image and its products to the `value` of the loss and its `residual`.
    cost : callable
        From products to the loss.
    derivatives : callable
        From products, two changes of them and the step sizes along these to minus half the slopes
        of the loss and half its curvatures: along one, mixed, along the other.
    sensitivity : array
        Sums of the columns; where they are zero the image stays.
    x : array
        The first guess; zeros stay zeros.
    goal : float
        A loss at which the caller stops; a plain step that reaches it is not accelerated, since it
        fits less noise.
    keep : callable, optional
    elementwise : callable, optional
        As `at_once`, without arrays for what functions compute on the way.

    Yields
    ------
    x : array
    evaluation
        The result of `evaluate`.

    References
    ----------
    W. H. Richardson, "Bayesian-based iterative method of image restoration", J. Opt. Soc. Am. 62
    (1972) 55-59, https://doi.org/10.1364/JOSA.62.000055.
    L. B. Lucy, "An iterative technique for the rectification of observed distributions", Astron. J.
    79 (1974) 745-754, https://doi.org/10.1086/111605.
    L. Kaufman, "Implementing and accelerating the EM algorithm for positron emission tomography",
    IEEE Trans. Med. Imaging 6 (1987) 37-51, https://doi.org/10.1109/TMI.1987.4307796.
    """
    scale = elementwise(lambda s: np.where(s > 0, 1 / np.where(s > 0, s, 1), 0), sensitivity)
    (scale,) = keep(scale.astype(x.dtype, copy=False))
    products = predict(x)
    evaluation = evaluate(x, products)
    last: tuple[Array, Products] | None = None
    while True:
        yield x, evaluation
        r = evaluation.residual.astype(x.dtype, copy=False)
        d = elementwise(lambda s, r, x: s * r * x, scale, r, x)
        step = predict(d)
        result = None
        if last is not None and not _reaches(goal, cost, products, step, evaluation, d):
            a, b = _step_sizes(derivatives, products, (step, last[1]), keep)
            least = x.dtype.type(LEAST_RATIO)
            new = elementwise(partial(_ahead, a, b, least), x, d, last[0])
            new_products = predict(new)
            result = evaluate(new, new_products)
        if result is None or not result.value <= evaluation.value:
            new = elementwise(lambda x, d: np.maximum(x + d, 0), x, d)
            new_products = _sums(products, step, elementwise)
            result = evaluate(new, new_products)
        new, *new_products = keep(new, *new_products)
        pairs = zip(new_products, products, strict=True)
        last = x, [elementwise(np.subtract, b, a) for b, a in pairs]
        x, products, evaluation = new, new_products, result


def _ahead(a: Any, b: Any, least: Any, x: Array, d: Array, before: Array) -> Array:
    """The image after a sum of two changes, each pixel at least a part of what it was."""
    return np.maximum(a * d + b * (x - before) + x, least * x)


def _sums(some: Products, others: Products, elementwise: Elementwise = at_once) -> Products:
    return [elementwise(np.add, a, b) for a, b in zip(some, others, strict=True)]


def _reaches(
    goal: float,
    cost: Callable[[Products], float],
    products: Products,
    step: Products,
    evaluation: Any,
    d: Array,
) -> bool:
    """Whether the plain step reaches the goal; the tangent, a lower bound, mostly excludes it."""
    if not goal or evaluation.value - 2 * float(inner(evaluation.residual, d)) > goal:
        return False
    return bool(cost(_sums(products, step)) <= goal)


def _step_sizes(
    derivatives: Derivatives, products: Products, steps: tuple[Products, Products], keep: Keep
) -> Any:
    """Step sizes along two changes, by a few steps of Newton's method from zero."""
    t = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        slope1, slope2, curve1, mixed, curve2 = map(float, keep(*derivatives(products, steps, t)))
        H = np.array([[curve1, mixed], [mixed, curve2]])
        t = t + np.linalg.lstsq(H, [slope1, slope2], rcond=None)[0]
    number = products[0].dtype.type
    return [number(np.clip(s, *bounds)) for s, bounds in zip(t, BOUNDS, strict=True)]
