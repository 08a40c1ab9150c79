"""Normal equations that are diagonal, or nearly so."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dhop.closed.aliased import merged
from dhop.closed.bases import Basis, Cosine, Fourier, common_basis, step
from dhop.closed.inverse import Inverse
from dhop.closed.variances import diagonal_of, pairs_of
from dhop.model.boundary import Boundary
from dhop.model.geometry import Model

Array = NDArray[Any]

# By boundaries, of several frames and of one. For others no basis always saves time.
BASES: dict[type[Fourier | Cosine], tuple[set[Boundary], set[Boundary]]] = {
    Fourier: ({"wrap"}, set()),
    Cosine: ({"symmetric", "constant"}, {"symmetric", "edge"}),
}


class DiagonalEquations:
    r"""The diagonal of :math:`N + \beta P` in a basis of waves.

    With the shifts of several frames the elements between aliases nearly cancel. In a single frame
    they do not, but most of what a PSF passes is below the aliases. The diagonal is the sum of
    squared transfer functions :math:`w_i |T_i|^2 / f_0 f_1`, for a cosine the mean over its waves
    in both directions, whatever the symmetry of the PSF.

    Workspace: five images in double precision.

    Parameters
    ----------
    basis : Basis
        Of factor one.
    data, penalty : ndarray
        The diagonals of `N` and `P`, of the shape of spectra.
    """

    def __init__(self, basis: Basis, data: Array, penalty: Array) -> None:
        self.basis = basis
        self.data = data
        self.penalty = penalty

    def inverse(self, beta: float, *, once: bool = False) -> "DiagonalInverse":
        """The inverse for one `beta`."""
        return DiagonalInverse(self.basis, self.data, self.data + beta * self.penalty)


class DiagonalInverse(Inverse):
    """The function that solves for images; made by `DiagonalEquations`."""

    def __init__(self, basis: Basis, data: Array, total: Array) -> None:
        self._basis = basis
        self._data = data
        self.gain = 1 / total.clip(np.finfo(np.float64).eps * total.max())

    def diagonal(self, noise: bool = False) -> Array:
        gain = self.gain**2 * self._data if noise else self.gain
        lines = gain @ pairs_of(self._basis)[1].matrix(np.ones(gain.shape[1])).T
        return diagonal_of(self._basis, lines[:, None, None], np.ones(len(gain)))

    def _solved(self, image: Array, number: int) -> Array:
        return self._basis.filtered(image.astype(np.float64), self.gain)

    def _noise_product(self, image: Array) -> Array:
        return self._basis.filtered(image.astype(np.float64), self.gain**2 * self._data)


def diagonal_equations(
    frames: Sequence[tuple[Model, float]], penalties: Sequence[Model]
) -> DiagonalEquations | None:
    """The equations of real frames, if the boundaries are suitable.

    A single frame must see all of the image.
    """
    frames = merged(frames)
    models = [*(model for model, _ in frames), *penalties]
    if any(model.dtype.kind == "c" for model in models):
        return None
    alone = len(frames) == 1
    if alone and any(step(axis) * axis.outputs < axis.size for axis in models[0].axes):
        return None
    boundaries = {axis.boundary for model in models for axis in model.axes}
    for basis, suitable in BASES.items():
        if boundaries <= suitable[alone]:
            shape = models[0].size
            waves = basis(shape, (1,) * len(shape))
            parts = [(model, 1.0) for model in penalties]
            return DiagonalEquations(waves, power(waves, frames), power(waves, parts))
    return None


def undecimated_equations(
    frames: Sequence[tuple[Model, float]], penalties: Sequence[Model]
) -> DiagonalEquations | None:
    """The equations of real frames on the pixels of the image, if they have a common basis.

    There are no aliases then. Each product takes one transform of real numbers either way.
    """
    models = [*(model for model, _ in frames), *penalties]
    coarse = any(step(axis) > 1 for model in models for axis in model.axes)
    if coarse or any(model.dtype.kind == "c" for model in models):
        return None
    basis = common_basis([model for model, _ in frames], penalties)
    if basis is None:
        return None
    data, penalty = (
        np.sum([weight * np.abs(basis.transfer(model)) ** 2 for model, weight in some], axis=0)
        for some in (frames, [(model, 1.0) for model in penalties])
    )
    return DiagonalEquations(basis, data, penalty)


def power(basis: Basis, models: Sequence[tuple[Model, float]]) -> Array:
    """The sum of squared transfer functions, over factors.

    From the autocorrelations of the taps, which are few, by the waves of their lags.
    """
    ndim = len(basis.shape)
    sizes = [max(model.axes[k].taps for model, _ in models) for k in range(ndim)]
    lags = np.zeros([2 * size - 1 for size in sizes])
    for model, weight in models:
        taps, pixels = model.box, prod(map(step, model.axes))
        at = tuple(slice(n - t, n + t - 1) for n, t in zip(sizes, taps.shape, strict=True))
        shape = [2 * t - 1 for t in taps.shape]
        squares = np.abs(fft.rfftn(taps.astype(np.float64), shape)) ** 2
        lags[at] += weight / pixels * fft.fftshift(fft.irfftn(squares, shape))
    *left, right = (
        np.exp(1j * np.pi * (1 if basis.real else 2) / n * np.outer(np.arange(n), _lags(size)))
        for n, size in zip(basis.shape, sizes, strict=True)
    )
    found = lags
    for k, waves in enumerate(left):
        # Waves in both directions, of cosines, sum to the product of the real parts.
        waves = waves.real if basis.real else waves
        found = np.moveaxis(np.tensordot(waves, found, (1, k)), 0, k)
    found = found.reshape(-1, found.shape[-1])
    squares = found.real @ right.real.T
    if not basis.real:
        squares -= found.imag @ right.imag.T
    return np.asarray(squares.clip(0))


def _lags(size: int) -> NDArray[np.intp]:
    return np.arange(1 - size, size)
