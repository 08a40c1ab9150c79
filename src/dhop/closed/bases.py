r"""Bases in which blur and decimation are small systems: Fourier and cosine.

In either basis a frequency of the high-resolution image reaches one frequency of the
low-resolution image; the `factor` of them that reach the same, per axis, are its aliases. A
convolution multiplies each frequency, so that for one class `k` of aliases

.. math:: (A x)^\wedge_k = \sum_{K \in \mathrm{class}(k)} T_K \hat x_K

with the transfer function `T`. Both transforms are orthonormal.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.model.boundary import Boundary
from dhop.model.geometry import Axis, Index, Model
from dhop.runtime.parallel import threads

Array = NDArray[Any]

AXES = (-2, -1)
TRANSFORM = 10.0  # nanoseconds a pixel
TAPS = 64  # a row; for more of them a fast Fourier transform is quicker


class Response:
    """A function of frequency as the product of two matrices, or the first alone.

    Its lines are computed where they are needed: those of an image's size would take as much memory
    as an image each.
    """

    def __init__(self, left: Array, right: Array | None = None) -> None:
        self._left = left
        self._right = right

    def lines(self, rows: Index) -> Array:
        """The values at some row frequencies and all column frequencies."""
        if self._right is None:
            return self._left[rows]
        from dhop.kernels.aliases import lines

        out = np.empty((rows.size, self._right.shape[1]), self._left.dtype)
        lines(self._left, self._right, rows, out)
        return out


class Basis(Protocol):
    """An orthonormal basis of images.

    Attributes
    ----------
    rows, columns : ndarray of int, shapes (c0, f0) and (c1, f1)
        The frequencies of each class on either axis.
    real : bool
        Whether the spectrum of a real image is real.
    boundary : str
        How the waves continue an image.
    """

    rows: Index
    columns: Index
    real: bool
    boundary: Boundary

    def __init__(self, shape: tuple[int, int], factor: tuple[int, int]) -> None:
        """The basis of images and their decimation."""

    def analyse(self, images: Array) -> Array:
        """Spectra of the last two axes; the images may be overwritten."""

    def synthesise(self, spectra: Array) -> Array:
        """Images of the last two axes; the spectra may be overwritten."""

    def filtered(self, image: Array, gain: Array) -> Array:
        """A real image of any shape, each frequency multiplied by a real even `gain`."""

    def response(self, model: Model) -> Response:
        """The transfer function of an operator for which this basis `holds`."""

    def transfer(self, model: Model) -> Array:
        """The whole of it."""

    def holds(self, model: Model, exact: bool) -> bool:
        """Whether the operator is its transfer function, or if not `exact` nearly so."""


class Fourier:
    """For operators that wrap: every convolution is diagonal."""

    real = False
    boundary: Boundary = "wrap"

    def __init__(self, shape: tuple[int, int], factor: tuple[int, int]) -> None:
        self.shape = shape
        self.rows, self.columns = (
            np.arange(n // f)[:, None] + n // f * np.arange(f)
            for n, f in zip(shape, factor, strict=True)
        )

    def analyse(self, images: Array) -> Array:
        workers = _workers(images)
        return np.asarray(fft.fft2(images, norm="ortho", overwrite_x=True, workers=workers))

    def synthesise(self, spectra: Array) -> Array:
        workers = _workers(spectra)
        return np.asarray(fft.ifft2(spectra, norm="ortho", overwrite_x=True, workers=workers))

    def filtered(self, image: Array, gain: Array) -> Array:
        spectrum = fft.rfft2(image, workers=_workers(image))
        spectrum *= gain[:, : spectrum.shape[1]]
        return np.asarray(fft.irfft2(spectrum, image.shape, workers=_workers(image)))

    def response(self, model: Model) -> Response:
        scale = np.sqrt(step(model.rows) * step(model.columns))
        if model.weights.shape[1] > TAPS:
            return Response(self._spectrum(model) / scale)
        left, right = (
            _waves(axis.size, axis.start + np.arange(taps))
            for axis, taps in zip((model.rows, model.columns), model.weights.shape, strict=True)
        )
        return Response(left @ model.weights / scale, np.ascontiguousarray(right.T))

    def transfer(self, model: Model) -> Array:
        return self.response(model).lines(np.arange(self.shape[0]))

    def _spectrum(self, model: Model) -> Array:
        placed = np.zeros(self.shape, model.weights.dtype)
        u0, u1 = np.indices(model.weights.shape)
        n0, n1 = self.shape
        rows, columns = (u0 + model.rows.start) % n0, (u1 + model.columns.start) % n1
        np.add.at(placed, (rows, columns), model.weights)
        return np.asarray(fft.fft2(placed.conj(), workers=_workers(placed)).conj())

    def holds(self, model: Model, exact: bool) -> bool:
        boundaries = {model.rows.boundary, model.columns.boundary}
        return boundaries <= ({"wrap"} if exact else {"wrap", "constant"})


class Cosine:
    """For operators that continue symmetrically with a PSF that is symmetric in both axes.

    With half-sample symmetry the type II cosine transform does what the Fourier transform does for
    operators that wrap. A cosine of the frequency `K`, sampled where a block of pixels has its
    middle, is one of frequency `k` of the low-resolution image where :math:`K = 2 m q \\pm k`, with
    the sign :math:`(-1)^q`, and zero where `K` is an odd multiple of `m`.
    """

    real = True
    boundary: Boundary = "symmetric"

    def __init__(self, shape: tuple[int, int], factor: tuple[int, int]) -> None:
        self.rows, self.columns = (
            _cosine_classes(n, f) for n, f in zip(shape, factor, strict=True)
        )

    def analyse(self, images: Array) -> Array:
        return _cosines(fft.dctn, images)

    def synthesise(self, spectra: Array) -> Array:
        return _cosines(fft.idctn, spectra)

    def filtered(self, image: Array, gain: Array) -> Array:
        spectrum = _cosines(fft.dctn, image.copy())
        spectrum *= gain
        return _cosines(fft.idctn, spectrum)

    def response(self, model: Model) -> Response:
        left, right = (
            _cosine_factors(axis, taps)
            for axis, taps in zip((model.rows, model.columns), model.weights.shape, strict=True)
        )
        return Response(left @ model.weights, np.ascontiguousarray(right.T))

    def transfer(self, model: Model) -> Array:
        return self.response(model).lines(np.arange(model.rows.size))

    def holds(self, model: Model, exact: bool) -> bool:
        axes, weights = (model.rows, model.columns), model.weights
        if exact and {axis.boundary for axis in axes} != {"symmetric"}:
            return False
        return all(
            2 * axis.start + taps == step(axis) and _rounds_to(np.flip(weights, k), weights)
            for k, (axis, taps) in enumerate(zip(axes, weights.shape, strict=True))
        )


def common_basis(
    frames: Sequence[Model], penalties: Sequence[Model] = (), *, exact: bool = True
) -> Basis | None:
    """The basis in which all operators are their transfer functions, if there is one.

    Parameters
    ----------
    frames : sequence of Model
        Of one factor, which divides the image.
    penalties : sequence of Model
        Of factor one.
    exact : bool
        If not, boundaries are overlooked: the basis is that of similar operators. To precondition
        with, the cosine basis serves best where PSFs are symmetric, else the Fourier basis where
        there are zeros outside; elsewhere neither was seen to save iterations.
    """
    rows, columns = frames[0].rows, frames[0].columns
    shape, factor = (rows.size, columns.size), (step(rows), step(columns))
    if any(
        (step(model.rows), step(model.columns)) != factor
        or (model.rows.outputs * factor[0], model.columns.outputs * factor[1]) != shape
        for model in frames
    ):
        return None
    for basis in (Cosine(shape, factor), Fourier(shape, factor)):
        if all(basis.holds(model, exact) for model in [*frames, *penalties]):
            return basis
    return None


def _rounds_to(one: Array, other: Array) -> bool:
    """Whether two arrays differ by no more than the folding of a PSF rounds."""
    bound = 8 * np.finfo(np.float64).eps * np.abs(other).max()
    return bool((np.abs(one - other) <= bound).all())


def _waves(size: int, positions: Index) -> Array:
    """What a tap at each position adds to the transfer function of each frequency."""
    turns = np.multiply.outer(np.arange(size), positions) % size / size
    return np.asarray(np.exp(2j * np.pi * turns))


def _cosines(transform: Any, array: Array) -> Array:
    workers = _workers(array)
    return np.asarray(transform(array, axes=AXES, norm="ortho", overwrite_x=True, workers=workers))


def _workers(array: Array) -> int:
    return threads(array.size * TRANSFORM)


def step(axis: Axis) -> int:
    """High-resolution pixels per low-resolution pixel, also where there is one of these."""
    return axis.factor if axis.outputs > 1 else axis.size


def _cosine_classes(size: int, factor: int) -> Index:
    """Frequencies of each class; odd multiples of `m`, which vanish, are put into class 0."""
    m = size // factor
    k, r = np.arange(m)[:, None], np.arange(factor)
    return np.where((r % 2 == 1) & (k > 0), m * (r + 1) - k, m * r + k)


def _cosine_factors(axis: Axis, taps: int) -> Array:
    """What each tap adds to the transfer function of each frequency."""
    n, f = axis.size, step(axis)
    m = n // f
    K = np.arange(n)
    q = (K + m) // (2 * m)
    k = np.abs(K - 2 * m * q)
    norm = np.where(K == 0, np.sqrt(1 / n), np.sqrt(2 / n))
    low_norm = np.where(k == 0, np.sqrt(1 / m), np.sqrt(2 / m))
    sign = np.where(q % 2 == 0, 1.0, -1.0) * (k < m)
    offset = np.arange(taps) - (taps - 1) / 2
    return (sign * norm / low_norm)[:, None] * np.cos(np.pi / n * K[:, None] * offset)
