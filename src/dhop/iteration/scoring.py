"""Fisher's scoring: the most likely parameters of a model that has few of them."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]

MOST = 60  # steps
LONGEST = 2.0  # change of a parameter in a step: they are logarithms, angles and exponents
FIRST, LEAST, LARGEST = 1e-3, 1e-6, 1e6  # damping, relative to the information
ENOUGH = 1e-8  # relative gain of a step that is the last


def scoring(
    evaluate: Callable[[Array], tuple[float, Array, Array]],
    start: ArrayLike,
    bounds: ArrayLike,
) -> tuple[Array, float]:
    """Parameters between bounds that minimise the negative logarithm of a likelihood.

    A step of Newton's method, with the expected second derivatives instead of the true ones: they
    need no further derivatives, and are never negative. Damping keeps steps short where they do not
    help. Parameters at a bound stay there while the slope holds them.

    Parameters
    ----------
    evaluate : callable
        From the parameters to the value, its gradient, and the expected second derivatives, which
        are Fisher's information.
    start : array_like, shape (n,)
    bounds : array_like, shape (n, 2)

    Returns
    -------
    parameters : ndarray
    value : float

    References
    ----------
    M. R. Osborne, "Fisher's method of scoring", Int. Stat. Rev. 60 (1992) 99-117,
    https://doi.org/10.2307/1403504.
    """
    low, high = np.asarray(bounds, float).T
    x = np.clip(np.asarray(start, float), low, high)
    value, gradient, information = evaluate(x)
    damping = FIRST
    for _ in range(MOST):
        free = np.where(gradient > 0, x > low, x < high)
        if not free.any():
            break
        H = information[np.ix_(free, free)]
        damped = H + np.diag(damping * np.diag(H))
        step = np.zeros(x.size)
        step[free] = -np.linalg.lstsq(damped, gradient[free], rcond=None)[0]
        new = np.clip(x + np.clip(step, -LONGEST, LONGEST), low, high)
        found = evaluate(new)
        if found[0] <= value:
            gain = value - found[0]
            x, (value, gradient, information) = new, found
            if damping <= FIRST and gain <= ENOUGH * max(abs(value), 1.0):
                break
            damping = max(damping / 10, LEAST)
        elif damping >= LARGEST:
            break
        else:
            damping *= 10
    return x, value
