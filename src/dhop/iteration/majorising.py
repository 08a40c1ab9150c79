"""Majorise-minimise, written against the array interface alone.

The objective is replaced by a quadratic majoriser that touches it at the present image. An image
that decreases the majoriser decreases the objective. It need not be the minimum, since the next
majoriser is another.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from dhop.iteration.steps import Keep, Product, as_they_are, conjugate_gradients

Array: TypeAlias = Any

FALL = 0.1  # of the gradient is left by the iterations for one majoriser
INNER = 40  # of these at most


def improvement(
    normal: Product, r: Array, precondition: Product | None = None, keep: Keep = as_they_are
) -> Array:
    """The change of an image by conjugate gradients for one majoriser.

    `normal` is the product with its matrix, and `r` minus half the gradient, which is overwritten.
    """
    iterates = conjugate_gradients(normal, r, None, precondition, keep)
    _, first = next(iterates)
    return next(
        d
        for number, (d, size) in enumerate(iterates, 1)
        if number == INNER or not size > FALL * first
    )


def majorised(
    evaluate: Callable[[Array], Any], improve: Callable[[Array, Any], Array], x: Array
) -> Iterator[tuple[Array, Any]]:
    """Images, each better than the one before, and their evaluations.

    `improve` gives an image with a smaller majoriser, from one and its evaluation.
    """
    while True:
        evaluation = evaluate(x)
        yield x, evaluation
        x = improve(x, evaluation)
