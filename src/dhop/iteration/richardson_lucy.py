"""Accelerated Richardson-Lucy iteration, written against the array interface alone."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from dhop.iteration.steps import Keep, as_they_are

Array: TypeAlias = Any

STRIDE = 2.0  # plain steps in a long one; these are stable near the minimum up to that
LEAST_PART = 0.8  # of what a plain step leaves of a pixel, since dark ones take long to recover


def inverse_sums(sums: Array) -> Array:
    """One over the sums of the columns; zero where these are, so that the image stays there."""
    return np.where(sums > 0, 1 / np.where(sums > 0, sums, 1), 0)


def step(scale: Array, r: Array, x: Array, before: Array, stride: Any, part: Any) -> Array:
    """The image after so many plain steps and a part of the last change.

    Each pixel keeps at least `LEAST_PART` of what the plain step leaves of it.
    """
    number = x.dtype.type
    d = scale * r * x
    new = x + number(stride) * d + number(part) * (x - before)
    return np.maximum(new, number(LEAST_PART) * np.maximum(x + d, 0))


def richardson_lucy(
    evaluate: Callable[[Array], Any],
    scale: Array,
    x: Array,
    goal: float = 0.0,
    keep: Keep = as_they_are,
    step: Callable[..., Array] = step,
) -> Iterator[tuple[Array, Any]]:
    r"""Images of decreasing Poisson loss, without negative values.

    With `r` minus half the gradient of the loss and :math:`s = A^T w` the sums of the columns, the
    iteration :math:`x \, A^T(w n / A x) / s` is the plain step :math:`x + d, d = x r / s`. Later
    steps are `STRIDE` times as long, and add a part of the last change, which grows as in
    Nesterov's method. They leave each pixel at least `LEAST_PART` of what the plain step does. If
    the loss increases the plain step is made instead, and that part begins at zero again.

    Parameters
    ----------
    evaluate : callable
        From an image to the `value` of the loss and its `residual`.
    scale : array
        As `inverse_sums` gives it.
    x : array
        The first guess; zeros stay zeros.
    goal : float
        A loss at which the caller stops. If the plain step reaches it, too, that is made, which
        fits less noise.
    keep, step : callable, optional
        What computes `step`.

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
    Y. Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k^2)",
    Sov. Math. Dokl. 27 (1983) 372-376.
    """

    def after(stride: float, part: float) -> tuple[Array, Any]:
        residual = evaluation.residual.astype(x.dtype, copy=False)
        (new,) = keep(step(scale, residual, x, before, stride, part))
        return new, evaluate(new)

    before, evaluation = x, evaluate(x)
    age = 0  # steps since a plain one
    while True:
        yield x, evaluation
        new = after(STRIDE, (age - 1) / (age + 2)) if age else None
        if new is None or not goal < new[1].value <= evaluation.value:
            plain = after(1.0, 0.0)
            if new is None or plain[1].value <= goal or not new[1].value <= evaluation.value:
                new, age = plain, 0
            del plain
        before, (x, evaluation), age = x, new, age + 1
