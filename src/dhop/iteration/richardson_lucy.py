"""Richardson's and Lucy's iteration, accelerated, written against the array interface alone."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from dhop.iteration.steps import Keep, as_they_are, inner

Array: TypeAlias = Any


def richardson_lucy(
    look: Callable[[Array], Any], sensitivity: Array, x: Array, keep: Keep = as_they_are
) -> Iterator[tuple[Array, Any]]:
    r"""Images of falling Poisson loss, without negative values.

    With `r` minus half the gradient of the loss and :math:`s = A^T w` the sums of the columns, the
    iteration :math:`x \, A^T(w n / A x) / s` is :math:`x + x r / s`. It is made from a point ahead
    on the way of the last two images; where the loss is larger there it is made from the image.

    Parameters
    ----------
    look : callable
        Gives the `value` of the loss and its `residual` at an image.
    sensitivity : array
        Sums of the columns; where they are zero nothing is seen and the image stays.
    x : array
        The first guess; zeros stay zeros.
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
    D. S. C. Biggs and M. Andrews, "Acceleration of iterative image restoration algorithms", Appl.
    Opt. 36 (1997) 1766-1775, https://doi.org/10.1364/AO.36.001766.
    """
    gain = np.where(sensitivity > 0, 1 / np.where(sensitivity > 0, sensitivity, 1), 0)
    (gain,) = keep(gain.astype(x.dtype))
    view = look(x)
    ahead, before, last = x, x, None
    while True:
        yield ahead, view
        change = ahead * (gain * view.residual).astype(x.dtype)
        new = np.maximum(ahead + change, 0)
        change = new - ahead
        speed = 0.0
        if last is not None:
            square = float(inner(last, last))
            speed = min(max(float(inner(change, last)) / square, 0.0), 1.0) if square else 0.0
        further = np.maximum(new + speed * (new - before), 0) if speed else new
        seen = look(further)
        if speed and not seen.value <= view.value:
            further, seen, change = new, look(new), None
        before, last = keep(new, change)
        ahead, view = further, seen
