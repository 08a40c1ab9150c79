"""Rows of the explicit matrix of a PSF that varies over the field; see `dhop.matrix.sparse.Rows`.

An entry is stored where any PSF of the field has a tap, so that entries are counted as those of the
`Model` of all taps.
"""

import numpy as np
from numpy.typing import NDArray

from dhop.matrix.sparse import ModelRows, of_one_dtype
from dhop.model.field import FieldModel
from dhop.model.relations import Index


class FieldRows(ModelRows):
    """Rows of the matrix of a `FieldModel`, or of its transpose."""

    def __init__(self, field: FieldModel, *, transposed: bool = False) -> None:
        super().__init__(field.model, transposed=transposed)
        self._field = field

    def fill(
        self, rows: Index, pointer: NDArray[np.integer], indices: NDArray[np.integer],
        data: NDArray[np.inexact],
    ) -> None:  # fmt: skip
        from dhop.kernels.matrix_entries import fill_field

        model, mixtures = self._model, self._field.mixtures
        relations = [
            axis.by_pixel if self._transposed else axis.by_output
            for axis in (model.rows, model.columns)
        ]
        fill_field(
            *(table for each in relations for table in (each.start, each.line, each.tap)),
            model.weights != 0, self._field.lines,
            *(table for mixture in mixtures for table in mixture),
            self._transposed, self._sizes, self._others, *of_one_dtype(rows, pointer),
            indices, data,
        )  # fmt: skip
