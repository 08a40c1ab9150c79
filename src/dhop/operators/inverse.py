"""Inverses of normal equations in closed form, exact or approximate."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.closed import Equations, Inverse, even_equations, exact_equations, nearest_equations
from dhop.closed.terms import Term, of_one_scene, penalties
from dhop.operators.base import ArrayOperator
from dhop.psf.stencils import Stencils

Array = NDArray[Any]


class InverseOperator(ArrayOperator):
    """The Hermitian inverse of normal equations, on images along some axes of arrays."""

    def __init__(
        self, dtype: np.dtype[Any], dims: tuple[int, ...], axes: tuple[int, ...], solve: Inverse
    ) -> None:
        super().__init__(dtype, dims, dims)
        self.args = (dtype, dims, axes, solve)
        self._axes = [1 + axis for axis in axes]
        self._solve = solve

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        self._solve(self._images(x), self._images(out), max(2, len(self._axes)))

    def noise_product(self, x: Array) -> Array:
        """The products of `Inverse.noise_product` with vectors, the rows of `x`."""
        out = np.empty(x.shape, self.dtype)
        self._solve.noise_product(self._images(x), self._images(out), max(2, len(self._axes)))
        return out

    def rounded(self, x: Array) -> Array:
        """The product with a vector of any precision, in that of the operator."""
        return self.multiply(x, x.shape, False, np.empty(x.shape, self.dtype))

    def diagonal(self, noise: bool = False) -> Array:
        """The diagonal of `dhop.closed.inverse.Inverse`, in the shape of the operator's arrays."""
        image = self._solve.diagonal(noise)
        shape = [n if 1 + axis in self._axes else 1 for axis, n in enumerate(self.dims)]
        return np.broadcast_to(image.reshape(shape), self.dims)

    def _images(self, x: Array) -> Array:
        last = tuple(range(-len(self._axes), 0))
        images = np.moveaxis(x.reshape(-1, *self.dims), self._axes, last)
        return images[..., None, :] if len(last) == 1 else images  # a line is an image of one row

    def _adjoint(self) -> "InverseOperator":
        return self


def inverse_of(operator: ArrayOperator, equations: Equations, beta: float) -> InverseOperator:
    """The inverse for one `beta` of equations made from the terms of an operator."""
    terms = operator.similar()
    if terms is None:
        raise TypeError(f"{operator!r} has no terms")
    solve = equations.inverse(beta, once=True)
    return InverseOperator(operator.dtype, operator.dims, terms[0].axes, solve)


def closed_form(terms: Sequence[Term] | None, regulariser: Stencils) -> Equations | None:
    """Equations with an exact closed form, or None."""
    terms = of_one_scene(terms)
    if terms is None or not all(term.uniform for term in terms):
        return None
    frames = [(term.model, term.mean) for term in terms]
    return exact_equations(frames, penalties(regulariser, terms[0]))


def even_form(terms: Sequence[Term] | None, regulariser: Stencils) -> Equations | None:
    """The closed form in which each frame has the mean of its weights everywhere, or None."""
    terms = of_one_scene(terms)
    if terms is None:
        return None
    frames = [(term.model, term.mean) for term in terms]
    return even_equations(frames, penalties(regulariser, terms[0]))


def nearest_form(terms: Sequence[Term] | None, regulariser: Stencils) -> Equations | None:
    """The exact closed form, else that of similar equations, or None."""
    terms = of_one_scene(terms)
    if terms is None:
        return None
    frames = [(term.model, term.weight) for term in terms]
    return nearest_equations(frames, penalties(regulariser, terms[0]))
