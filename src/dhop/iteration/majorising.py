"""Minimising by majorising, written against the array interface alone.

What is minimised is replaced by a quadratic function that touches it at the present image and is
nowhere below it. An image that makes that smaller makes both smaller, and it need not be the
minimum: a part of the gradient is soon that of another majoriser.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from dhop.iteration.steps import Keep, Product, as_they_are, conjugate_gradients

Array: TypeAlias = Any

FALL = 0.1  # of the gradient is what one majoriser is minimised to
INNER = 40  # iterations for it at most


def improvement(
    normal: Product, r: Array, precondition: Product | None = None, keep: Keep = as_they_are
) -> Array:
    """The change of an image that conjugate gradients find for one majoriser.

    Parameters
    ----------
    normal : callable
        The product with the matrix of the majoriser.
    r : array
        Minus half the gradient; overwritten.
    precondition, keep : callable, optional
        See `dhop.iteration.steps`.
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

    Parameters
    ----------
    evaluate : callable
        Gives what `improve` needs to know of an image.
    improve : callable
        Gives an image whose majoriser is smaller, from one and its evaluation.
    x : array
        The first guess.
    """
    while True:
        evaluation = evaluate(x)
        yield x, evaluation
        x = improve(x, evaluation)
