"""Blur by a PSF that varies over the field, then decimate."""

from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.closed.terms import Term
from dhop.matrix import facts
from dhop.matrix.field import FieldRows
from dhop.matrix.sparse import Rows
from dhop.methods import cost, prepare_field
from dhop.methods.products import Products
from dhop.model.field import FieldModel
from dhop.model.geometry import Model
from dhop.operators.base import ArrayOperator, algebra
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.diagonal import DiagonalOperator
from dhop.operators.explicit import ExplicitOperator
from dhop.psf.field import Field
from dhop.psf.modes import Modes

Array = NDArray[Any]


class _VaryingOperator(DHOperator):
    """A PSF that varies: no convolution, so no closed forms."""

    def _checked_psf(self, psf: Any) -> Any:
        return psf

    def blocks(self) -> Rows:
        return self.rows()

    def terms(self, weights: Array | None = None) -> list[Term] | None:
        return None

    def similar(self, weights: Array | None = None) -> list[Term] | None:
        """The convolution by the mean PSF."""
        return [Term(self._mean, weights, tuple(sorted(self.axes)))]

    @property
    def _mean(self) -> Model:
        raise NotImplementedError

    def _column_squares(self) -> Array:
        return ExplicitOperator._column_squares(self)

    def _entry_norm(self, ord: float | str) -> float:
        return ExplicitOperator._entry_norm(self, ord)

    @property
    def decimation_operator(self) -> DHOperator:
        settings = self.settings() | {"center": 0, "method": "auto"}
        return DHOperator(self.dims, np.ones((1,) * self.psf.ndim), self.factor, **settings)


class FieldOperator(_VaryingOperator):
    r"""The `DHOperator` of a `dhop.psf.Field`: :math:`A = \sum_k D H_k \operatorname{diag}(w_k)`.

    The hats :math:`w_k` are 1 at their node of the grid and 0 at its neighbours; so the PSF is that
    of the source pixel, interpolated linearly along each axis, and the flux of every source is
    kept.

    It is made by ``DHOperator(dims, field, factor, ...)`` and has all that a `DHOperator` has but
    closed forms: preconditioners are those of the mean PSF. The matrix stores an entry wherever any
    PSF of the field has a tap.

    Products cost a few with a single PSF, whatever the number of nodes. Of lines and images
    ``method="direct"`` interpolates taps; with the other methods, and of volumes, the scene is cut
    into tiles, one for each node, that are blurred by that method and overlap.
    """

    tabulated: FieldModel

    def _tabulate(self) -> None:
        field: Field = self.psf
        self.tabulated = FieldModel.build(
            self.dims, field.stamps, field.positions, self.factor, self._rules()
        )
        self.products = field_products(self.tabulated, self._asked, self.workers)

    def rows(self) -> Rows:
        return FieldRows(self.tabulated)

    def columns(self) -> Rows:
        return FieldRows(self.tabulated, transposed=True)

    def bounds(self) -> tuple[float, float]:
        """Bounds by the largest taps of all PSFs."""
        largest = self.tabulated.largest
        return facts.column_norm(largest), facts.row_norm(largest)

    @property
    def _mean(self) -> Model:
        return self.tabulated.mean


class ModesOperator(_VaryingOperator):
    r"""The `DHOperator` of `dhop.psf.Modes`: :math:`A = \sum_k D H_k \operatorname{diag}(w_k)`.

    It is the sum of as many operators as there are modes, each after a diagonal, and costs as much.
    """

    def _tabulate(self) -> None:
        modes: Modes = self.psf
        size = tuple(self.dims[axis] for axis in self.axes)
        if modes.weights.shape[1:] != size:
            raise ValueError(
                f"the weights of modes must be of the size of the scene, {size}, "
                f"got {modes.weights.shape[1:]}"
            )
        self.products: Any = None

    @cached_property
    def expression(self) -> Any:
        """The sum as an expression."""
        modes: Modes = self.psf
        real = self.dtype.type(0).real.dtype
        found = []
        for stamp, weights in zip(modes.stamps, modes.weights, strict=True):
            operator = DHOperator(self.dims, stamp, self.factor, **self.settings())
            shape = [size if k in self.axes else 1 for k, size in enumerate(self.dims)]
            along = weights.transpose(np.argsort(self.axes)).reshape(shape)
            spread = np.broadcast_to(along.astype(real), self.dims)
            found.append(algebra().Product(operator, DiagonalOperator(spread, self.dims)))
        return algebra().Sum(*found)

    def _known_entries(self) -> int | None:
        return None

    @property
    def method(self) -> str:
        return self.expression.operators[0].left.method

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        self.expression.apply(x, adjoint, out)

    def apply_gram(self, x: Array, weights: Array | None, out: Array) -> None:
        ArrayOperator.apply_gram(self, x, weights, out)

    def rows(self) -> Rows:
        return self.expression.rows()

    def columns(self) -> Rows:
        return self.expression.columns()

    def bounds(self) -> tuple[float, float]:
        columns, rows = self.expression.bounds()
        return columns, rows

    @property
    def _mean(self) -> Model:
        modes: Modes = self.psf
        means = modes.weights.mean(axis=(1, 2))
        mean = np.tensordot(means, modes.stamps, 1)
        return Model.build(self.dims, mean, self.factor, self._rules())


def kind_of(psf: Field | Modes) -> type[DHOperator]:
    """The class of operators for a PSF that varies."""
    return ModesOperator if isinstance(psf, Modes) else FieldOperator


def field_products(tabulated: FieldModel, method: str, workers: int | None) -> Products:
    """The products of a field."""
    return Products(
        tabulated.model, method, workers,
        plan=partial(prepare_field, tabulated), choose=partial(cost.choose_field, tabulated),
    )  # fmt: skip
