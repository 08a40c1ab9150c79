"""Blur by a PSF that varies over the field, then decimate."""

from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.closed.terms import Term
from dhop.matrix import facts
from dhop.matrix.field import FieldRows
from dhop.matrix.sparse import Rows
from dhop.methods import Plan
from dhop.methods.products import Products
from dhop.model.field import FieldModel, Hats
from dhop.model.geometry import Model
from dhop.operators.base import ArrayOperator, algebra
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.diagonal import DiagonalOperator
from dhop.operators.explicit import ExplicitOperator
from dhop.psf.field import Field
from dhop.psf.modes import Modes

Array = NDArray[Any]


class _Varying(DHOperator):
    """What a field and modes have in common: no convolution, so nothing that follows from one."""

    def _checked_psf(self, psf: Any) -> Any:
        return psf

    def _tabulate(self) -> None:
        if self._asked not in ("auto", "direct"):
            raise ValueError(
                f'a PSF that varies is multiplied by the method "direct", not "{self._asked}"'
            )

    def blocks(self) -> Rows:
        return self.rows()

    def terms(self, weights: Array | None = None) -> list[Term] | None:
        """None, for it is no convolution."""
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


class FieldOperator(_Varying):
    r"""The `DHOperator` of a `dhop.psf.Field`: :math:`A = \sum_k D H_k \operatorname{diag}(w_k)`.

    The hats :math:`w_k` are 1 at their node of the grid and 0 at its neighbours; so the PSF is that
    of the source pixel, interpolated linearly along each axis, and the flux of every source is
    kept. Products cost two to three with a single PSF, whatever the number of nodes. Of volumes the
    operator is a `VolumeFieldOperator`.

    It is made by ``DHOperator(dims, field, factor, ...)`` and has all that a `DHOperator` has but
    closed forms: preconditioners are those of the mean PSF. The matrix stores an entry wherever any
    PSF of the field has a tap.
    """

    def _tabulate(self) -> None:
        super()._tabulate()
        field: Field = self._psf
        self.tabulated = FieldModel.build(
            self.dims, field.stamps, field.positions, self.factor, **self._rules()
        )
        self.products = field_products(self.tabulated, self.workers)

    def rows(self) -> Rows:
        return FieldRows(self.tabulated)

    def columns(self) -> Rows:
        return FieldRows(self.tabulated, transposed=True)

    def bounds(self) -> tuple[float, float]:
        """Those of the largest taps of all PSFs, which no PSF between them exceeds."""
        largest = self.tabulated.largest
        return facts.column_norm(largest), facts.row_norm(largest)

    @property
    def _mean(self) -> Model:
        return self.tabulated.mean


class _Summed(_Varying):
    """What is computed as the sum of its definition: of operators, each after a diagonal."""

    def _parts(self) -> Iterator[tuple[Array, Array]]:
        """The PSFs, and the weights of each, which broadcast to `dims`."""
        raise NotImplementedError

    def _tabulate(self) -> None:
        super()._tabulate()
        self.products: Any = None

    @cached_property
    def expression(self) -> Any:
        """The sum."""
        settings = self.settings() | {"method": "auto"}
        real = self.dtype.type(0).real.dtype
        found = []
        for stamp, weights in self._parts():
            operator = DHOperator(self.dims, stamp, self.factor, **settings)
            spread = np.broadcast_to(weights.astype(real), self.dims)
            found.append(algebra().Product(operator, DiagonalOperator(spread, self.dims)))
        return algebra().Sum(*found)

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

    def _along(self, weights: Array, axes: tuple[int, ...]) -> Array:
        """Weights along some axes, in the order of these, so that they broadcast to `dims`."""
        shape = [size if axis in axes else 1 for axis, size in enumerate(self.dims)]
        return weights.transpose(np.argsort(axes)).reshape(shape)


class VolumeFieldOperator(_Summed):
    """The `DHOperator` of a `dhop.psf.Field` of volumes; what it is, `FieldOperator` tells.

    It is the sum of as many operators as there are nodes, each after a diagonal: it costs as many
    products, and memory of a volume for each node. Few nodes, along the depth, are what it is for.
    """

    def _parts(self) -> Iterator[tuple[Array, Array]]:
        field: Field = self._psf
        lines = [
            (axis, Hats.of(nodes, np.arange(self.dims[axis])))
            for axis, nodes in zip(self.axes, field.positions, strict=True)
        ]
        for node in np.ndindex(field.grid):
            own = [
                self._along(hats.weights(k), (axis,))
                for (axis, hats), k in zip(lines, node, strict=True)
            ]
            if all(hat.any() for hat in own):
                yield field.stamps[node], own[0] * own[1] * own[2]

    @property
    def _mean(self) -> Model:
        parts = [(stamp, weights.mean()) for stamp, weights in self._parts()]
        mean = np.asarray(sum(weight * stamp for stamp, weight in parts))
        return Model.build(self.dims, mean, self.factor, **self._rules())


class ModesOperator(_Summed):
    r"""The `DHOperator` of `dhop.psf.Modes`: :math:`A = \sum_k D H_k \operatorname{diag}(w_k)`.

    It is the sum of as many operators as there are modes, each after a diagonal, and costs as much.
    """

    def _tabulate(self) -> None:
        super()._tabulate()
        modes: Modes = self._psf
        size = tuple(self.dims[axis] for axis in self.axes)
        if modes.weights.shape[1:] != size:
            raise ValueError(
                f"the weights of modes must be of the size of the scene, {size}, "
                f"got {modes.weights.shape[1:]}"
            )

    def _parts(self) -> Iterator[tuple[Array, Array]]:
        modes: Modes = self._psf
        for stamp, weights in zip(modes.stamps, modes.weights, strict=True):
            yield stamp, self._along(weights, self.axes)

    @property
    def _mean(self) -> Model:
        modes: Modes = self._psf
        means = modes.weights.mean(axis=(1, 2))
        mean = np.tensordot(means, modes.stamps, 1)
        return Model.build(self.dims, mean, self.factor, **self._rules())


def kind_of(psf: Field | Modes) -> type[DHOperator]:
    """The operator of a PSF that varies."""
    if isinstance(psf, Modes):
        return ModesOperator
    return VolumeFieldOperator if psf.ndim == 3 else FieldOperator


def field_products(tabulated: FieldModel, workers: int | None) -> Products:
    """The products of a field."""
    return Products(tabulated.model, "direct", workers, plan=partial(_plan, tabulated))


def _plan(tabulated: FieldModel, method: str, model: Model, dtype: np.dtype[Any]) -> Plan:
    from dhop.methods.field import FieldPlan

    return FieldPlan(tabulated, dtype)
