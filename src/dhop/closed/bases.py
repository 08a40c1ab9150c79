r"""Bases in which blur and decimation are small systems: Fourier and cosine.

In either basis a frequency of the high-resolution image reaches one frequency of the
low-resolution image; the `factor` of them that reach the same, per axis, are its aliases. A
convolution multiplies each frequency, so that for one class `k` of aliases

.. math:: (A x)^\wedge_k = \sum_{K \in \mathrm{class}(k)} T_K \hat x_K

with the transfer function `T`. Both transforms are orthonormal.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.model.axis import Axis
from dhop.model.boundary import Boundary
from dhop.model.geometry import Model
from dhop.model.relations import Index
from dhop.runtime.parallel import threads

Array = NDArray[Any]

TRANSFORM = 10.0  # nanoseconds a pixel
TAPS = 64  # a row; for more of them a fast Fourier transform is quicker


class Response:
    """A function of frequency as the product of two matrices, or the first alone.

    Its lines are computed when needed: all of them would take as much memory as an image.
    """

    def __init__(self, left: Array, right: Array | None = None) -> None:
        self._left = left
        self._right = right

    def lines(self, rows: Index) -> Array:
        """The values at some row frequencies and all column frequencies."""
        if self._right is None:
            return self._left[rows]
        from dhop.kernels.aliased_systems import product_rows

        out = np.empty((rows.size, self._right.shape[1]), self._left.dtype)
        product_rows(self._left, self._right, rows, out)
        return out


class Basis(ABC):
    """An orthonormal basis of images of a shape, sorted by the aliases of a decimation.

    Attributes
    ----------
    classes : tuple of int
        Number of classes on each axis: the shape of a decimated image.
    tables : sequence of ndarray of int, shapes (c, f)
        The frequencies of each class on each axis.
    rows, columns : ndarray of int, shapes (c0, f0) and (c1, f1)
        The same of either axis of a spectrum, of which the first is all leading axes of a volume.
    real : bool
        Whether the spectrum of a real image is real.
    boundary : str
        By which the waves continue an image.
    """

    real: ClassVar[bool]
    boundary: ClassVar[Boundary]

    def __init__(self, shape: tuple[int, ...], factor: tuple[int, ...]) -> None:
        self.shape = shape
        self.classes = tuple(n // f for n, f in zip(shape, factor, strict=True))
        self.tables = [self.table(*each) for each in zip(shape, factor, strict=True)]
        self.rows, self.columns = _paired(self.tables[:-1], shape), self.tables[-1]

    @staticmethod
    @abstractmethod
    def table(size: int, factor: int) -> Index:
        """The frequencies of each class on an axis."""

    @abstractmethod
    def analyse(self, image: Array) -> Array:
        """The spectrum of an image, or of a decimated one, which may be overwritten."""

    @abstractmethod
    def synthesise(self, spectrum: Array) -> Array:
        """The image of a spectrum, which may be overwritten."""

    @abstractmethod
    def opposite(self, rows: Index) -> Index:
        """The rows of the opposite frequencies."""

    @abstractmethod
    def filtered(self, image: Array, gain: Array) -> Array:
        """A real image of any shape, each frequency multiplied by a real even `gain`."""

    @abstractmethod
    def response(self, model: Model) -> Response:
        """The transfer function of an operator for which this basis `holds`."""

    def transfer(self, model: Model) -> Array:
        """The whole of it."""
        return self.response(model).lines(np.arange(prod(self.shape[:-1])))

    @abstractmethod
    def holds(self, model: Model, exact: bool) -> bool:
        """Whether the operator is its transfer function, or if not `exact` nearly so."""


class Fourier(Basis):
    """For operators that wrap: every convolution is diagonal."""

    real = False
    boundary = "wrap"

    @staticmethod
    def table(size: int, factor: int) -> Index:
        count = size // factor
        return np.arange(count)[:, None] + count * np.arange(factor)

    def analyse(self, image: Array) -> Array:
        settings = {"norm": "ortho", "overwrite_x": True, "workers": _workers(image)}
        return _flat(np.asarray(fft.fftn(image, **settings)))

    def synthesise(self, spectrum: Array) -> Array:
        settings = {"norm": "ortho", "overwrite_x": True, "workers": _workers(spectrum)}
        return np.asarray(fft.ifftn(_image(spectrum, self), **settings))

    def opposite(self, rows: Index) -> Index:
        places = np.unravel_index(rows, self.shape[:-1])
        negative = [-k % n for k, n in zip(places, self.shape, strict=False)]
        return np.ravel_multi_index(negative, self.shape[:-1])

    def filtered(self, image: Array, gain: Array) -> Array:
        spectrum = fft.rfftn(image, workers=_workers(image))
        spectrum *= gain.reshape(image.shape)[..., : spectrum.shape[-1]]
        return np.asarray(fft.irfftn(spectrum, image.shape, workers=_workers(image)))

    def response(self, model: Model) -> Response:
        scale = np.sqrt(prod(map(step, model.axes)))
        if model.columns.taps > TAPS:
            return Response(self._spectrum(model) / scale)
        *left, right = (_waves(axis.size, axis.start + np.arange(axis.taps)) for axis in model.axes)
        return Response(_summed(left, model) / scale, np.ascontiguousarray(right.T))

    def _spectrum(self, model: Model) -> Array:
        placed = np.zeros(self.shape, model.weights.dtype)
        places = [(axis.start + np.arange(axis.taps)) % axis.size for axis in model.axes]
        np.add.at(placed, np.ix_(*places), model.box)
        return _flat(np.asarray(fft.fftn(placed.conj(), workers=_workers(placed)).conj()))

    def holds(self, model: Model, exact: bool) -> bool:
        boundaries = _boundaries(model)
        return boundaries <= ({"wrap"} if exact else {"wrap", "constant"})


class Cosine(Basis):
    """For operators that continue symmetrically with a PSF that is symmetric in both axes.

    With half-sample symmetry the type II cosine transform does what the Fourier transform does for
    operators that wrap. A cosine of the frequency `K`, sampled where a block of pixels has its
    middle, is one of frequency `k` of the low-resolution image where :math:`K = 2 m q \\pm k`, with
    the sign :math:`(-1)^q`, and zero where `K` is an odd multiple of `m`.
    """

    real = True
    boundary = "symmetric"

    @staticmethod
    def table(size: int, factor: int) -> Index:
        # Odd multiples of `m`, which vanish, are put into class 0.
        m = size // factor
        k, r = np.arange(m)[:, None], np.arange(factor)
        return np.where((r % 2 == 1) & (k > 0), m * (r + 1) - k, m * r + k)

    def analyse(self, image: Array) -> Array:
        return _flat(_cosines(fft.dctn, image))

    def synthesise(self, spectrum: Array) -> Array:
        return _cosines(fft.idctn, _image(spectrum, self))

    def opposite(self, rows: Index) -> Index:
        return rows

    def filtered(self, image: Array, gain: Array) -> Array:
        spectrum = _cosines(fft.dctn, image.copy())
        spectrum *= gain.reshape(image.shape)
        return _cosines(fft.idctn, spectrum)

    def response(self, model: Model) -> Response:
        *left, right = map(_cosine_factors, model.axes)
        return Response(_summed(left, model), np.ascontiguousarray(right.T))

    def holds(self, model: Model, exact: bool) -> bool:
        if exact and not _boundaries(model) <= {"symmetric"}:
            return False
        box = model.box
        return all(
            2 * axis.start + axis.taps == step(axis) and _rounds_to(np.flip(box, k), box)
            for k, axis in enumerate(model.axes)
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
        If not, boundaries may differ: the basis is that of similar operators. To precondition, the
        cosine basis is best for symmetric PSFs, else the Fourier basis for zeros outside; elsewhere
        neither was seen to save iterations.
    """
    shape, factor = frames[0].size, tuple(map(step, frames[0].axes))
    if any(
        (step(axis), step(axis) * axis.outputs) != (f, n)
        for model in frames
        for axis, f, n in zip(model.axes, factor, shape, strict=True)
    ):
        return None
    for basis in (Cosine(shape, factor), Fourier(shape, factor)):
        if all(basis.holds(model, exact) for model in [*frames, *penalties]):
            return basis
    return None


def _boundaries(model: Model) -> set[Boundary]:
    """The boundaries, but for axes of one pixel, where all but zeros are the same."""
    return {axis.boundary for axis in model.axes if axis.size > 1 or axis.boundary == "constant"}


def _paired(tables: Sequence[Index], shape: tuple[int, ...]) -> Index:
    """The classes of leading axes that are seen as one."""
    found = tables[0]
    for table, size in zip(tables[1:], shape[1:], strict=False):
        found = found[:, None, :, None] * size + table[None, :, None, :]
        found = found.reshape(found.shape[0] * found.shape[1], -1)
    return found


def _flat(spectrum: Array) -> Array:
    """With two axes."""
    return spectrum.reshape(-1, spectrum.shape[-1])


def _image(spectrum: Array, basis: Basis) -> Array:
    """With the axes of an image, or of a decimated one."""
    return spectrum.reshape(basis.shape if spectrum.size == prod(basis.shape) else basis.classes)


def _summed(left: Sequence[Array], model: Model) -> Array:
    """The taps times the waves of all axes but the last, which are seen as one."""
    found = model.box
    for k, waves in enumerate(left):
        found = np.moveaxis(np.tensordot(waves, found, (1, k)), 0, k)
    return _flat(np.ascontiguousarray(found))


def _rounds_to(one: Array, other: Array) -> bool:
    """Whether two arrays are equal up to the rounding of folded PSFs."""
    bound = 8 * np.finfo(np.float64).eps * np.abs(other).max()
    return bool((np.abs(one - other) <= bound).all())


def _waves(size: int, positions: Index) -> Array:
    """The contribution of a tap at each position to the transfer function at each frequency."""
    turns = np.multiply.outer(np.arange(size), positions) % size / size
    return np.asarray(np.exp(2j * np.pi * turns))


def _cosines(transform: Any, array: Array) -> Array:
    workers = _workers(array)
    return np.asarray(transform(array, norm="ortho", overwrite_x=True, workers=workers))


def _workers(array: Array) -> int:
    return threads(array.size * TRANSFORM)


def step(axis: Axis) -> int:
    """High-resolution pixels per low-resolution pixel, also where there is one of these."""
    return axis.factor if axis.outputs > 1 else axis.size


def _cosine_factors(axis: Axis) -> Array:
    """The contribution of each tap to the transfer function at each frequency."""
    n, f = axis.size, step(axis)
    m = n // f
    K = np.arange(n)
    q = (K + m) // (2 * m)
    k = np.abs(K - 2 * m * q)
    norm = np.where(K == 0, np.sqrt(1 / n), np.sqrt(2 / n))
    low_norm = np.where(k == 0, np.sqrt(1 / m), np.sqrt(2 / m))
    sign = np.where(q % 2 == 0, 1.0, -1.0) * (k < m)
    offset = np.arange(axis.taps) - (axis.taps - 1) / 2
    return (sign * norm / low_norm)[:, None] * np.cos(np.pi / n * K[:, None] * offset)
