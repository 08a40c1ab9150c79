"""Normal equations as a sum of convolutions, from which closed forms follow."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.model.geometry import Model, Rules
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
    axes : tuple of int
        Of the arrays that `A` takes, ascending: those of the images.
    """

    model: Model
    weights: NDArray[np.float64] | None
    axes: tuple[int, ...]

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
        taps = np.abs(self.model.box)
        factors = [axis.factor for axis in self.model.axes]
        phases = np.ndindex(*factors)
        column = max(float(taps[_every(phase, factors)].sum()) for phase in phases)
        return float(taps.sum()) * column * float(np.max(self.weight))


def of_one_scene(terms: Sequence[Term] | None) -> Sequence[Term] | None:
    """The terms if all have the same image axes; else None."""
    return terms if terms and len({term.axes for term in terms}) == 1 else None


def penalties(regulariser: Stencils, term: Term) -> list[Model]:
    """The regulariser on the images of a term, with its boundaries."""
    ndim = len(term.axes)
    axes = term.model.axes[-ndim:]
    return [
        Model.build(
            tuple(axis.size for axis in axes), stencil, (1,) * ndim,
            Rules(
                "sample", tuple(axis.boundary for axis in axes),
                tuple((size - 1) // 2 for size in stencil.shape), (0,) * ndim, tuple(range(ndim)),
                np.dtype(np.complex128 if stencil.dtype.kind == "c" else np.float64),
            ),
        )
        for stencil in stencils(regulariser, ndim)
    ]  # fmt: skip


def _every(phase: Sequence[int], factors: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(p, None, f) for p, f in zip(phase, factors, strict=True))
