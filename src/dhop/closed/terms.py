"""Normal equations as a sum of convolutions, from which closed forms follow."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.model.geometry import Model
from dhop.psf.stencils import Stencils, stencils

Weight: TypeAlias = float | NDArray[np.float64]


class Term(NamedTuple):
    """``A^H W A`` of one convolution.

    Attributes
    ----------
    model : Model
        `A`.
    weights : ndarray, shape (M,), or None
        The diagonal of `W`, None for ones.
    axes : (int, int)
        Of the arrays that `A` takes, ascending: those of the images.
    """

    model: Model
    weights: NDArray[np.float64] | None
    axes: tuple[int, int]

    @property
    def weight(self) -> Weight:
        """The weights, or the number one."""
        return 1.0 if self.weights is None else self.weights

    @property
    def mean(self) -> float:
        """The mean weight."""
        return float(np.mean(self.weight))

    @property
    def uniform(self) -> bool:
        """Whether all pixels have one weight."""
        return bool(np.ptp(self.weight) == 0)

    @property
    def strength(self) -> float:
        """About the largest eigenvalue.

        It is the product of the largest weight and of the largest sums of absolute values in a row
        and in a column away from borders.
        """
        taps = np.abs(self.model.weights)
        f0, f1 = self.model.rows.factor, self.model.columns.factor
        column = max(float(taps[i::f0, j::f1].sum()) for i in range(f0) for j in range(f1))
        return float(taps.sum()) * column * float(np.max(self.weight))


def of_one_scene(terms: Sequence[Term] | None) -> Sequence[Term] | None:
    """The terms if all look at the same axes, so that their images are the same; else None."""
    return terms if terms and len({term.axes for term in terms}) == 1 else None


def penalties(regulariser: Stencils, model: Model) -> list[Model]:
    """The regulariser on the images of a model, with its boundaries."""
    boundary = model.rows.boundary, model.columns.boundary
    return [
        Model.build(
            (model.rows.size, model.columns.size),
            stencil,
            (1, 1),
            decimation="sample",
            boundary=boundary,
            center=((stencil.shape[0] - 1) // 2, (stencil.shape[1] - 1) // 2),
            phase=(0, 0),
            axes=(0, 1),
            dtype=np.dtype(np.complex128 if stencil.dtype.kind == "c" else np.float64),
        )
        for stencil in stencils(regulariser)
    ]
