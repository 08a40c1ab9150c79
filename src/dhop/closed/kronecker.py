"""Normal equations of one frame whose PSF is a product of one factor for each axis."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_array

from dhop.closed.inverse import Inverse
from dhop.model.axis import Axis
from dhop.model.geometry import Model
from dhop.model.separation import one_product

Array = NDArray[Any]


class KroneckerEquations:
    r"""The matrix :math:`w A^H A + \beta p I` with :math:`A = A_0 \otimes A_1`, any boundary.

    With :math:`A_k A_k^H = U_k \Lambda_k U_k^H`, of the low resolution, the inverse is

    .. math:: \frac{1}{\beta p} \left( I - A^H U \left(\Lambda_0 \otimes \Lambda_1 +
        \frac{\beta p}{w} I\right)^{-1} U^H A \right), \quad U = U_0 \otimes U_1;

    likewise with a third factor. The product of the `factors` is ``model.box``; `w` is the weight
    and `p` the penalty.

    Workspace: a square matrix of the low resolution for each axis, and three images.
    """

    def __init__(
        self, model: Model, factors: Sequence[Array], weight: float, penalty: float
    ) -> None:
        self._weight, self._penalty = weight, penalty
        self._axes = [_axis_matrix(*each) for each in zip(model.axes, factors, strict=True)]
        pairs = [eigh((matrix @ matrix.conj().T).toarray()) for matrix in self._axes]
        self._vectors = [vectors for _, vectors in pairs]
        self._squares = reduce(np.multiply.outer, [values.clip(0) for values, _ in pairs])

    def inverse(self, beta: float, *, once: bool = False) -> "KroneckerInverse":
        """The inverse for one `beta`."""
        scale = beta * self._penalty
        vectors, squares = self._vectors, self._squares
        return KroneckerInverse(self._axes, vectors, squares, scale, self._weight)


class KroneckerInverse(Inverse):
    """The function that solves for images; made by `KroneckerEquations`."""

    def __init__(
        self,
        axes: Sequence[Any],
        vectors: Sequence[Array],
        squares: Array,
        scale: float,
        weight: float,
    ) -> None:
        self._axes = axes
        self._vectors = vectors
        self._shifted = squares + scale / weight
        self._scale = scale
        self._weight = weight
        self.dtype = np.result_type(*(matrix.dtype for matrix in axes), np.float64)

    def diagonal(self, noise: bool = False) -> Array:
        squares = [
            (np.abs(U.conj().T @ A) ** 2).T for A, U in zip(self._axes, self._vectors, strict=True)
        ]
        if noise:
            return _on_axes(squares, self._shifted**-2) / self._weight
        return np.asarray((1 - _on_axes(squares, 1 / self._shifted)) / self._scale)

    def _solved(self, image: Array, number: int) -> Array:
        image = image.astype(np.result_type(image, np.float64), copy=False)
        return np.asarray((image - self._filtered(image, 1 / self._shifted)) / self._scale)

    def _noise_product(self, image: Array) -> Array:
        image = image.astype(np.result_type(image, np.float64), copy=False)
        return self._filtered(image, self._shifted**-2 / self._weight)

    def _filtered(self, image: Array, gain: Array) -> Array:
        """``A^H U gain U^H A`` of an image."""
        low = _on_axes([U.conj().T for U in self._vectors], _on_axes(self._axes, image))
        low = _on_axes(self._vectors, low * gain)
        return _on_axes([A.conj().T for A in self._axes], low)


def _on_axes(matrices: Sequence[Any], image: Array) -> Array:
    """Each matrix applied along its axis."""
    for k, matrix in enumerate(matrices):
        lines = np.moveaxis(image, k, 0)
        product = matrix @ lines.reshape(len(lines), -1)
        image = np.moveaxis(product.reshape(-1, *lines.shape[1:]), 0, k)
    return image


def kronecker_equations(
    frames: Sequence[tuple[Model, float]], penalties: Sequence[Model]
) -> KroneckerEquations | None:
    """The equations if there is one frame of rank one and the penalty is that of the identity."""
    if len(frames) > 1:
        return None
    scales = [_multiple_of_identity(model) for model in penalties]
    (model, weight), *_ = frames
    factors = one_product(model.box)
    if None in scales or factors is None or weight == 0:
        return None
    penalty = sum(abs(scale) ** 2 for scale in scales if scale is not None)
    return KroneckerEquations(model, factors, weight, penalty)


def _multiple_of_identity(model: Model) -> complex | None:
    plain = all(
        axis.taps == 1 and axis.start == 0 and axis.outputs == axis.size for axis in model.axes
    )
    return complex(model.weights[0, 0]) if plain else None


def _axis_matrix(axis: Axis, taps: Array) -> Any:
    relation = axis.by_output
    entries = taps[relation.tap], relation.line, relation.start
    # Copied: taps that meet are added in place, and the relation is the model's.
    matrix = csr_array(entries, shape=(axis.outputs, axis.size), copy=True)
    matrix.sum_duplicates()
    return matrix
