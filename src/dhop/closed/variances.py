r"""Diagonals of inverses: how sure each pixel of a solution is.

With :math:`K = N + \beta P` those of :math:`K^{-1}`, and of :math:`K^{-1} N K^{-1}`, which the
noise of the data alone leaves.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dhop.closed.bases import Basis

Array = NDArray[Any]
Solve: TypeAlias = Callable[[Array], object]  # in place, for a spectrum


def repeating(basis: Basis, solve: Solve, dtype: Any, penalty: Array | None) -> Array:
    r"""The diagonal in the Fourier basis.

    Waves of one class differ by a multiple of the number of classes, so that the diagonal repeats
    with the decimation. It takes one solution for each pixel of a block, :math:`x = K^{-1} e_j`:
    its entry `j`, of which the data make :math:`x^H N x = x_j - x^H \beta P x`.

    Parameters
    ----------
    basis : Basis
    solve : callable
    dtype : dtype
        Of spectra.
    penalty : ndarray or None
        :math:`\beta P` where the noise alone is asked for.
    """
    tables = basis.rows, basis.columns
    cell = np.empty([table.shape[1] for table in tables])
    for place in np.ndindex(cell.shape):
        pixel = np.ones((), dtype)
        for table, at in zip(tables, place, strict=True):
            turns = np.arange(table.size) * at % table.size / table.size
            wave = np.exp(-2j * np.pi * turns) / np.sqrt(table.size)
            pixel = np.multiply.outer(pixel, wave)
        x = pixel.copy()
        solve(x)
        cell[place] = np.vdot(pixel, x).real
        if penalty is not None:
            x *= np.sqrt(penalty)
            cell[place] -= np.vdot(x, x).real
    return np.tile(cell, [len(table) for table in tables])


def reflected(basis: Basis, columns: Callable[[tuple[int, ...]], Array]) -> Array:
    r"""The diagonal in the cosine basis.

    The product of two cosines is half the sum of those of the difference and of the sum of their
    frequencies: all that frequencies tell of each other is the spectrum of the diagonal.

    Parameters
    ----------
    basis : Basis
    columns : callable
        Called with the number of a member of each class, gives for each frequency the entry in its
        row and in the column of that member.
    """
    tables = basis.rows, basis.columns
    spectrum: Any = 0.0
    for member in np.ndindex(*(table.shape[1] for table in tables)):
        part = columns(member)
        for axis, (table, own) in enumerate(zip(tables, member, strict=True)):
            lines = np.moveaxis(part, axis, 0)
            product = _products(table, own) @ lines.reshape(table.size, -1)
            part = np.moveaxis(product.reshape(lines.shape), 0, axis)
        spectrum = spectrum + part
    return basis.synthesise(np.ascontiguousarray(spectrum))


def unit_columns(basis: Basis, member: tuple[int, ...], dtype: Any) -> Array:
    """The spectrum that is one at this member of each class, zero elsewhere."""
    tables = basis.rows, basis.columns
    spectrum = np.zeros([table.size for table in tables], dtype)
    lines = (table[:, own] for table, own in zip(tables, member, strict=True))
    spectrum[np.ix_(*lines)] = 1
    return spectrum


def _products(table: NDArray[np.intp], member: int) -> Any:
    """The spectra of the products of each cosine and that member of its class, as columns."""
    n = table.size
    one = table.ravel()
    other = np.repeat(table[:, member], table.shape[1])
    norm = np.where(np.arange(n) == 0, np.sqrt(1 / n), np.sqrt(2 / n))
    scale = norm[one] * norm[other] / 2
    low, high = abs(one - other), one + other
    folded = np.where(high > n, 2 * n - high, high) % n  # a cosine of frequency n is zero
    sign = np.sign(n - high)
    values = np.concatenate([scale / norm[low], sign * scale / norm[folded]])
    at = np.concatenate([low, folded]), np.concatenate([one, one])
    return csr_array((values, at), shape=(n, n))
