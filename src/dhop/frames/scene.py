r"""A model of scene, noise and blur with few parameters, fitted to the frames.

The scene is taken as random, with a power that falls as that of edges does, :math:`S(K) = \rho
|K|^{-2p}` with :math:`p = 3/2` or more: edges in all directions have the power :math:`|K|^{-3}`,
smooth scenes less at high frequencies. (So it is in two dimensions; in three, edges have
:math:`p = 2`. Spectra may have lines instead, whose power is the same at all frequencies.)
Optics, of the transfer function `H`, and pixels, `B`, pass :math:`|H B|^2 S` of it. Power beyond
that which frames have in common, up to the highest frequencies, is the `floor`, an error of the
model. What they do not have in common is noise. So the spectra of a class of aliases, see
`dhop.frames.spectra`, have the covariance

.. math:: C = \sigma^2 I + E (|H B|^2 S + \kappa) E^H

with `E` the phases. The parameters maximise the marginal, or Whittle, likelihood.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.frames.spectra import Spectra
from dhop.iteration.scoring import scoring

Array = NDArray[Any]
Maker = Callable[[Array], Array]  # a transfer function from the logarithms of its parameters

SMOOTHEST = 4.0  # exponent of the scene, p, at most; at least that of edges ...
ROUGHER = 1.0  # ... or less, of a single frame with a known blur
LEVELS = (-20.0, 30.0)  # logarithm of the scene's power over that of the noise
FLOORS = (-12.0, 8.0)  # the same of the floor
NOISES = (-16.0, 3.0)  # logarithm of the noise's power over that of the spectra
TELLING = 200  # classes of aliases that show the expected second derivatives of the likelihood
RINGS = 40  # of frequencies of about one radius
STEPS = 8
EXCESS = 2.0  # times the power that the model passes: power beyond is floor
QUIETER = (0.3, 1.1)  # of the noise in the quiet parts of a frame: bounds of the noise


@dataclass(frozen=True, eq=False)
class Scene:
    """The model that fits.

    Attributes
    ----------
    noise : float
        Variance of the noise of a pixel of weight one.
    floor : ndarray, shape (C, a)
        Power that frames have in common, but the optics do not pass.
    power : ndarray, shape (C, a)
        Of the scene at each frequency of the spectra.
    transfer : ndarray, shape (C, a)
        Of optics and pixels.
    exponent : float
    parameters : ndarray
        Logarithms of the blur's parameters, those of the best fit.
    cost : float
        Negative logarithm of the likelihood, for each class of aliases and tile; 0.1 is a lot.
    """

    noise: float
    floor: Array
    power: Array
    transfer: Array
    exponent: float
    parameters: Array
    cost: float


class Likelihood:
    """The likelihood of spectra as a function of the parameters, with its gradient.

    Parameters
    ----------
    spectra : Spectra
    pixels : ndarray, shape (C, a)
        Transfer function of the frames' pixels.
    """

    def __init__(self, spectra: Spectra, pixels: Array) -> None:
        self.spectra, self._pixels = spectra, pixels
        Y = spectra.values
        squares = float(np.mean(np.abs(Y) ** 2, axis=(0, 1)).sum())
        # Of more frames than aliases, the signal is in as many combinations as there are aliases,
        # those of an orthonormal basis of the phases.
        basis, phases = np.linalg.qr(spectra.phases)
        self._unit = float(np.mean(spectra.weights)) or 1.0  # that powers are counted in
        self._phases = phases / np.sqrt(self._unit)
        moved = np.einsum("cfb,rcf->rcb", basis.conj(), Y)
        self._back = np.ascontiguousarray(self._phases.conj().swapaxes(1, 2))
        self._moments = np.einsum("rca,rcb->cab", moved, moved.conj()) / len(Y)
        self._rest = squares - float(np.mean(np.abs(moved) ** 2, axis=(0, 1)).sum())
        self._scale = squares / len(spectra) or 1.0
        self._log_radius = np.log(spectra.radius)

    def fit(
        self, make: Maker, starts: Sequence[Sequence[float]], bounds: Sequence[tuple[float, float]]
    ) -> Scene:
        """The most likely parameters.

        `make` gives the transfer function of the optics from logarithms of its parameters, whose
        first guesses are `starts`.
        """
        low, high = self._noises()
        axes = sum(size > 1 for size in self.spectra.tile)
        edges = (axes + 1) / 2
        limits = [*bounds, (edges, SMOOTHEST), LEVELS, FLOORS, (low, high)]
        alone = len(self.spectra) == 1
        if alone:  # no floor without others
            limits[-2] = (FLOORS[0], FLOORS[0])
        if alone and not bounds:  # rather texture than noise
            limits[-4] = (edges - ROUGHER, SMOOTHEST)
        if self.spectra.sparse or axes == 1:  # points and lines have one power at all frequencies
            limits[-4] = (0.0, SMOOTHEST)
        fits = [
            scoring(
                lambda numbers: self._cost(numbers, make),
                [*start, edges + 0.1, 4.0, -2.0, np.log(0.05)],
                limits,
            )
            for start in starts
        ]
        numbers, cost = min(fits, key=lambda fit: fit[1])
        *parameters, exponent, level, floor, noise = numbers
        variance = self._scale * np.exp(noise)
        power = variance * np.exp(level - 2 * exponent * self._log_radius)
        transfer = make(np.array(parameters)) * self._pixels
        signal = np.abs(transfer) ** 2 * power
        common = signal + variance * np.exp(floor)
        seen = common if alone else self._observed(common, variance)
        return Scene(
            noise=float(variance),
            floor=np.maximum(seen - EXCESS * signal, 0) / self._unit,
            power=power / self._unit,
            transfer=transfer,
            exponent=float(exponent),
            parameters=np.array(parameters),
            cost=cost,
        )

    def _observed(self, power: Array, variance: float) -> Array:
        """The observed power of `G` at each frequency, as a function of the radius.

        By expectation maximisation from that of the model: the posterior mean of the squares of the
        frequencies, given the spectra.
        """
        order = np.argsort(self._log_radius, axis=None)
        rings = np.empty(order.size, int)
        rings[order] = np.arange(order.size) * RINGS // order.size
        counts = np.maximum(np.bincount(rings), 1)  # few frequencies leave rings empty
        model = power
        for _ in range(STEPS):
            inverse = self._inverse(power, variance)
            known, squares = self._projections(inverse @ self._phases)
            expected = power * (1 + power * (squares - known))
            ratios = np.bincount(rings, (expected / model).ravel()) / counts
            power = model * ratios[rings].reshape(power.shape)
        return power

    def _inverse(self, power: Array, variance: float) -> Array:
        """Of the covariance of the spectra, with enough noise that it is not singular."""
        C = (self._phases * power[:, None, :]) @ self._back
        diagonal = np.arange(C.shape[1])
        smallest = 1e-14 * np.trace(C.real, axis1=1, axis2=2)[:, None]
        C[:, diagonal, diagonal] += variance + smallest
        return np.linalg.inv(C)

    def _projections(self, solved: Array) -> tuple[Array, Array]:
        """The diagonals of ``E^H C^-1 E`` and ``E^H C^-1 M C^-1 E``, of ``C^-1 E``.

        `M` are the moments of the spectra, for which `C` is the covariance.
        """
        known = np.sum(self._phases.conj() * solved, axis=1).real
        squares = np.sum(solved.conj() * (self._moments @ solved), axis=1).real
        return known, squares

    def _noises(self) -> tuple[float, float]:
        """Bounds of the noise's logarithm, narrow where no more frames than aliases show it."""
        if len(self.spectra) > self._phases.shape[2]:
            return NOISES
        with np.errstate(divide="ignore"):
            quiet = np.log(self.spectra.noise_bound**2 / self._scale)
        low, high = (quiet + np.log(np.square(QUIETER))).clip(*NOISES)
        return float(low), float(high)

    def _cost(self, numbers: Array, make: Maker) -> tuple[float, Array, Array]:
        """The negative logarithm of the likelihood, its slopes, and Fisher's information."""
        *given, exponent, level, floor, noise = numbers
        parameters = np.array(given)
        transfer = np.abs(make(parameters) * self._pixels) ** 2
        power = np.exp(level - 2 * exponent * self._log_radius)
        signal, common = transfer * power, np.exp(floor)
        inverse = self._inverse(signal + common, 1.0)
        solved = inverse @ self._phases
        known, squares = self._projections(solved)
        variance, count = self._scale * np.exp(noise), len(self.spectra)
        mean_square = np.sum(inverse * self._moments.swapaxes(1, 2)).real / len(power)
        left = (mean_square + self._rest) / variance
        value = count * np.log(variance) - np.linalg.slogdet(inverse)[1].mean() + left
        changes = [  # of the power, with each parameter but the noise
            *(power * each for each in self._slopes(make, parameters, transfer)),
            -2 * self._log_radius * signal,
            signal,
            np.full(signal.shape, common),
        ]
        slope = known - squares / variance
        slopes = [np.vdot(slope, change) / len(power) for change in changes]
        # Changes of the covariance, times its inverse, of as many classes as tell enough.
        some = slice(None, None, max(len(power) // TELLING, 1))
        moves = np.stack(
            [(solved[some] * change[some, None, :]) @ self._back[some] for change in changes]
        )
        mixed = np.trace(moves, axis1=2, axis2=3).real.mean(axis=1)
        crossed = np.tensordot(moves, moves, ((1, 2, 3), (1, 3, 2))).real / moves.shape[1]
        information = np.block([[crossed, mixed[:, None]], [mixed, np.array(count)]])
        return float(value), np.array([*slopes, count - left]), information

    def _slopes(self, make: Maker, parameters: Array, transfer: Array) -> list[Array]:
        """Derivatives of the transferred power by each parameter, as differences."""
        step = 1e-4
        found = []
        for k in range(parameters.size):
            ahead = parameters.copy()
            ahead[k] += step
            found.append((np.abs(make(ahead) * self._pixels) ** 2 - transfer) / step)
        return found
