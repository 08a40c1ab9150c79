"""Normal equations of one frame whose PSF is a product of a column and a row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_array

from dhop.closed.inverse import Inverse
from dhop.model.geometry import Axis, Model
from dhop.model.separation import separate

Array = NDArray[Any]


class KroneckerEquations:
    r"""The matrix :math:`w A^H A + \beta p I` with :math:`A = A_0 \otimes A_1`, any boundary.

    With :math:`A_k A_k^H = U_k \Lambda_k U_k^H`, of the low resolution, the inverse is

    .. math:: \frac{1}{\beta p} \left( I - A^H U \left(\Lambda_0 \otimes \Lambda_1 +
        \frac{\beta p}{w} I\right)^{-1} U^H A \right), \quad U = U_0 \otimes U_1.

    Workspace: two square matrices of the low resolution and three images.

    Parameters
    ----------
    model : Model
    column, row : ndarray
        Their product is ``model.weights``.
    weight, penalty : float
        `w` and `p`.
    """

    def __init__(
        self, model: Model, column: Array, row: Array, weight: float, penalty: float
    ) -> None:
        self._weight, self._penalty = weight, penalty
        self._axes = _axis_matrix(model.rows, column), _axis_matrix(model.columns, row)
        (self._values0, self._vectors0), (self._values1, self._vectors1) = (
            eigh((matrix @ matrix.conj().T).toarray()) for matrix in self._axes
        )

    def inverse(self, beta: float, *, once: bool = False) -> "KroneckerInverse":
        """The inverse for one `beta`."""
        scale = beta * self._penalty
        squares = np.multiply.outer(self._values0.clip(0), self._values1.clip(0))
        vectors = self._vectors0, self._vectors1
        return KroneckerInverse(self._axes, vectors, squares, scale, self._weight)


class KroneckerInverse(Inverse):
    """The function that solves for images; made by `KroneckerEquations`."""

    def __init__(
        self,
        axes: tuple[Any, Any],
        vectors: tuple[Array, Array],
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
        left, right = (
            np.abs(U.conj().T @ A) ** 2 for A, U in zip(self._axes, self._vectors, strict=True)
        )
        if noise:
            return np.asarray(left.T @ self._shifted**-2 @ right / self._weight)
        return np.asarray((1 - left.T @ (1 / self._shifted) @ right) / self._scale)

    def _solved(self, image: Array, number: int) -> Array:
        image = image.astype(np.result_type(image, np.float64), copy=False)
        return np.asarray((image - self._filtered(image, 1 / self._shifted)) / self._scale)

    def _spread(self, image: Array) -> Array:
        image = image.astype(np.result_type(image, np.float64), copy=False)
        return self._filtered(image, self._shifted**-2 / self._weight)

    def _filtered(self, image: Array, gain: Array) -> Array:
        """What the frame sees of an image, times a gain in the basis of both axes, and back."""
        (A0, A1), (U0, U1) = self._axes, self._vectors
        low = U0.conj().T @ (A0 @ image @ A1.T) @ U1.conj()
        low = U0 @ (low * gain) @ U1.T
        return np.asarray(A0.conj().T @ low @ A1.conj())


def kronecker_equations(
    frames: Sequence[tuple[Model, float]], penalties: Sequence[Model]
) -> KroneckerEquations | None:
    """The equations if there is one frame of rank one and the penalty is that of the identity."""
    if len(frames) > 1:
        return None
    scales = [_multiple_of_identity(model) for model in penalties]
    (model, weight), *_ = frames
    columns, rows = separate(model.weights, np.dtype(np.float64))
    if None in scales or len(columns) > 1 or weight == 0:
        return None
    penalty = sum(abs(scale) ** 2 for scale in scales if scale is not None)
    return KroneckerEquations(model, columns[0], rows[0], weight, penalty)


def _multiple_of_identity(model: Model) -> complex | None:
    axes = model.rows, model.columns
    plain = all(axis.taps == 1 and axis.start == 0 and axis.outputs == axis.size for axis in axes)
    return complex(model.weights[0, 0]) if plain else None


def _axis_matrix(axis: Axis, taps: Array) -> Any:
    relation = axis.by_output
    entries = taps[relation.tap], relation.line, relation.start
    # Copied: taps that meet are added in place, and the relation is the model's.
    matrix = csr_array(entries, shape=(axis.outputs, axis.size), copy=True)
    matrix.sum_duplicates()
    return matrix
