"""Counts, sums and norms of the explicit matrix, from the index tables alone.

An entry of the matrix is the sum of the taps that meet on one pixel. Lines of an axis whose taps
meet in the same way form a class. An entry depends only on the classes of its two lines, so the
work does not grow with the image.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, svds

from dhop.model.geometry import Model
from dhop.model.relations import Index, Kinds, Relation

Array = NDArray[Any]


class Class(NamedTuple):
    """Taps of a line, sorted by entry; `begins` are the first taps of the entries."""

    taps: Index
    begins: Index


class Table(NamedTuple):
    """A number for each pair of lines, stored for each pair of classes."""

    values: Array
    row_class: Index
    column_class: Index

    def lines(self) -> Array:
        """The number of every pair of lines."""
        return self.values[self.row_class][:, self.column_class]

    def of(self, pairs: Index, sizes: tuple[int, int, int, int, int]) -> Array:
        """The number of some pairs, by their indices into an array of shape `sizes`, C order."""
        _, first, between, second, after = sizes
        length = between * second * after
        if pairs.size <= length or (np.diff(pairs) != 1).any():
            outer = pairs // length
            inner = pairs - outer * length
            return self._at(outer % first, inner // after % second)
        # Consecutive pairs are looked up by whole rows, five times faster.
        outer = np.arange(pairs[0] // length, pairs[-1] // length + 1)
        inner = np.arange(length)
        values = self._at(outer[:, None] % first, inner // after % second).reshape(-1)
        return values[pairs[0] - outer[0] * length :][: pairs.size]

    def _at(self, rows: Index, columns: Index) -> Array:
        place = self.row_class.take(rows) * self.values.shape[1] + self.column_class.take(columns)
        return self.values.ravel().take(place)

    def total(self) -> Any:
        """The sum over all pairs of lines."""
        rows, columns = self.values.shape
        weights = np.bincount(self.row_class, minlength=rows)
        return weights @ self.values @ np.bincount(self.column_class, minlength=columns)


def entry_sums(
    rows: Kinds, columns: Kinds, weights: Array, measure: Callable[[Array], Array]
) -> Table:
    """Sum of ``measure(entry)`` over the entries of each pair of lines.

    Parameters
    ----------
    rows, columns : Kinds
        Both of outputs for the matrix's rows, both of pixels for its columns.
    weights : ndarray, shape (rows taps, columns taps)
    measure : callable
        Elementwise, real, ``measure(0) == 0``.
    """
    row_classes, row_class = classify(rows)
    column_classes, column_class = classify(columns)
    taps = np.concatenate([each.taps for each in column_classes])
    sizes = [each.taps.size for each in column_classes]
    shift = np.cumsum([0, *sizes[:-1]])
    begins = np.concatenate(
        [each.begins + s for each, s in zip(column_classes, shift, strict=True)]
    )
    owner = np.repeat(np.arange(len(sizes)), [each.begins.size for each in column_classes])
    values = np.zeros((len(row_classes), len(column_classes)))
    for k, each in enumerate(row_classes):
        if each.begins.size and begins.size:
            merged = np.add.reduceat(weights[each.taps], each.begins, axis=0)
            entries = np.add.reduceat(merged[:, taps], begins, axis=1)
            values[k] = np.bincount(owner, measure(entries).sum(axis=0), len(column_classes))
    return Table(values, row_class, column_class)


def entry_counts(rows: Kinds, columns: Kinds, weights: Array) -> Table:
    """Number of stored entries of each pair of lines: those with any nonzero tap."""
    if weights.all():
        row_counts, row_class = np.unique(_line_counts(rows.relation), return_inverse=True)
        column_counts, column_class = np.unique(_line_counts(columns.relation), return_inverse=True)
        values = np.multiply.outer(row_counts, column_counts)
        return Table(values, row_class[rows.kind], column_class[columns.kind])
    table = entry_sums(rows, columns, (weights != 0).astype(float), lambda hits: hits > 0)
    return table._replace(values=table.values.astype(np.int64))


def classify(lines: Kinds) -> tuple[list[Class], Index]:
    """The distinct classes of lines, and the class of each line."""
    relation = lines.relation
    known: dict[bytes, int] = {}
    classes: list[Class] = []
    which = np.empty(relation.start.size - 1, np.intp)
    begins = relation.begins
    for k, (start, stop) in enumerate(zip(relation.start[:-1], relation.start[1:], strict=True)):
        taps, begin = relation.tap[start:stop], begins[start:stop]
        key = taps.tobytes() + begin.tobytes()
        if key not in known:
            known[key] = len(classes)
            classes.append(Class(taps, np.flatnonzero(begin)))
        which[k] = known[key]
    return classes, which[lines.kind]


def _line_counts(relation: Relation) -> NDArray[np.int64]:
    return np.diff(np.append(0, np.cumsum(relation.begins))[relation.start])


def batch(model: Model) -> int:
    """Number of images in the batch."""
    return int(np.prod(model.sides))


def gram_diagonal(model: Model) -> Table:
    """Diagonal of ``A^H A`` for one image: the squared norms of the matrix's columns."""
    return entry_sums(model.rows.pixel_kinds, model.columns.pixel_kinds, model.weights, squared)


def frobenius_norm(model: Model) -> float:
    """Root of the sum of all squared entries."""
    return float(np.sqrt(batch(model) * gram_diagonal(model).total()))


def row_norm(model: Model) -> float:
    """The largest sum of absolute values in a row, the operator's infinity norm."""
    sums = entry_sums(model.rows.output_kinds, model.columns.output_kinds, model.weights, np.abs)
    return float(sums.values.max())


def column_norm(model: Model) -> float:
    """The largest sum of absolute values in a column, the operator's 1-norm."""
    sums = entry_sums(model.rows.pixel_kinds, model.columns.pixel_kinds, model.weights, np.abs)
    return float(sums.values.max())


def spectral_norm(A: LinearOperator, scale: float) -> float:
    """The largest singular value of `A` in float64; `scale` is its order of magnitude."""
    if scale == 0:
        return 0.0
    tall = A if A.shape[0] >= A.shape[1] else A.H
    if tall.shape[1] <= 3:  # too small for Lanczos iteration
        return float(np.linalg.norm(tall.matmat(np.eye(tall.shape[1])), 2))
    start = np.random.default_rng(0).standard_normal(tall.shape[1])
    return scale * float(svds(A * (1 / scale), 1, v0=start, return_singular_vectors=False)[0])


def squared(entries: Array) -> Array:
    """Squares of absolute values."""
    return entries.real**2 + entries.imag**2
