r"""Diagonals of inverses: the variance of each pixel of a solution.

A pixel `i` has the variance :math:`\sum_{KL} C_{KL} \phi_K(i) \bar\phi_L(i)` with the waves
:math:`\phi` and the inverse `C`, which has entries for pairs of one class only. The product of two
waves is a wave again, or half the sum of two cosines. So all pairs add up to the spectrum of the
diagonal. In the Fourier basis the pairs differ by multiples of the number of classes: the
diagonal repeats with the decimation, and only as many of its frequencies are there.
"""

from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.sparse import csr_array

from dhop.closed.bases import Basis

Array = NDArray[Any]


class Pairs(NamedTuple):
    """The products of any two waves of a class, along one axis.

    Attributes
    ----------
    places, scales : ndarray, shape (c, f, f, p)
        The frequencies of the product of two members of each class, and their amplitudes.
    size : int
        Number of frequencies.
    """

    places: NDArray[np.intp]
    scales: Array
    size: int

    def matrix(self, times: Array) -> Any:
        """The spectra of the pairs of the first classes, each times a number, as columns."""
        count = len(times)
        places = self.places[:count].reshape(-1, self.places.shape[-1])
        scales = (self.scales[:count] * times[:, None, None, None]).reshape(places.shape)
        columns = np.repeat(np.arange(len(places)), places.shape[1])
        shape = self.size, len(places)
        return csr_array((scales.ravel(), (places.ravel(), columns)), shape=shape)


def pairs_of(basis: Basis) -> tuple[Pairs, Pairs]:
    """The pairs of the rows and of the columns of a basis."""
    of_axis = _pairs_of_cosines if basis.real else _pairs_of_waves
    *leading, columns = map(of_axis, basis.tables)
    return reduce(_joined, leading), columns


def diagonal_of(basis: Basis, lines: Array, times: Array) -> Array:
    """The diagonal as an image.

    Parameters
    ----------
    basis : Basis
    lines : ndarray, shape (c, f0, f0, q)
        For pairs of the rows of the first classes the spectrum that their columns add up to.
    times : ndarray, shape (c,)
        How often each of these classes counts.
    """
    rows, columns = pairs_of(basis)
    spectrum = rows.matrix(times) @ lines.reshape(-1, columns.size)
    if basis.real:
        return np.asarray(basis.synthesise(spectrum))
    factors = [table.shape[1] for table in basis.tables]
    block = fft.ifftn(spectrum.reshape(factors), norm="forward").real
    return np.tile(block, basis.classes)


def _joined(first: Pairs, second: Pairs) -> Pairs:
    """Those of two axes that are seen as one."""
    shape = [a * b for a, b in zip(first.places.shape, second.places.shape, strict=True)]
    one = (slice(None), None) * 4
    two = (None, slice(None)) * 4
    places = first.places[one] * second.size + second.places[two]
    scales = first.scales[one] * second.scales[two]
    return Pairs(places.reshape(shape), scales.reshape(shape), first.size * second.size)


def _pairs_of_waves(table: NDArray[np.intp]) -> Pairs:
    classes, factor = table.shape
    member = np.arange(factor)
    places = np.broadcast_to(np.subtract.outer(member, member) % factor, (classes, factor, factor))
    return Pairs(places[..., None].copy(), np.full((*places.shape, 1), 1 / table.size), factor)


def _pairs_of_cosines(table: NDArray[np.intp]) -> Pairs:
    n = table.size
    one, other = np.broadcast_arrays(table[:, :, None], table[:, None, :])
    norm = np.where(np.arange(n) == 0, np.sqrt(1 / n), np.sqrt(2 / n))
    low, high = abs(one - other), one + other
    folded = np.where(high > n, 2 * n - high, high) % n  # a cosine of the frequency n is zero
    scale = norm[one] * norm[other] / 2
    scales = np.stack([scale / norm[low], np.sign(n - high) * scale / norm[folded]], axis=-1)
    return Pairs(np.stack([low, folded], axis=-1), scales, n)
