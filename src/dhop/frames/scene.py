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
import scipy
from numpy.typing import NDArray

from dhop.frames.spectra import Spectra

Array = NDArray[Any]
Maker = Callable[[Array], Array]  # a transfer function from the logarithms of its parameters

SMOOTHEST = 4.0  # exponent of the scene, p, at most; at least that of edges ...
ROUGHER = 1.0  # ... or less, of a single frame with a known blur
LEVELS = (-20.0, 30.0)  # logarithm of the scene's power over that of the noise
FLOORS = (-12.0, 8.0)  # the same of the floor
NOISES = (-16.0, 3.0)  # logarithm of the noise's power over that of the spectra
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
        best: Any = None
        for start in starts:
            guess = [*start, edges + 0.1, 4.0, -2.0, np.clip(np.log(0.05), low, high)]
            found = scipy.optimize.minimize(
                self._cost, guess, (make,), "L-BFGS-B", jac=True, bounds=limits,
                options={"maxiter": 80, "ftol": 1e-8},
            )  # fmt: skip
            if best is None or found.fun < best.fun:
                best = found
        *parameters, exponent, level, floor, noise = best.x
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
            cost=float(best.fun),
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
            covariance = self._covariance(power, variance)
            gain = power[:, :, None] * (self._back @ np.linalg.inv(covariance))
            known = np.sum(gain * self._phases.swapaxes(1, 2), axis=2).real
            squares = np.sum((gain @ self._moments) * gain.conj(), axis=2).real
            expected = squares + power * (1 - known)
            ratios = np.bincount(rings, (expected / model).ravel()) / counts
            power = model * ratios[rings].reshape(power.shape)
        return power

    def _covariance(self, power: Array, variance: float) -> Array:
        """The covariance of the spectra, with enough noise that it is not singular."""
        covariance = (self._phases * power[:, None, :]) @ self._back
        diagonal = np.arange(covariance.shape[1])
        smallest = 1e-14 * np.trace(covariance.real, axis1=1, axis2=2)[:, None]
        covariance[:, diagonal, diagonal] += variance + smallest
        return covariance

    def _noises(self) -> tuple[float, float]:
        """Bounds of the noise's logarithm, narrow where no more frames than aliases show it."""
        if len(self.spectra) > self._phases.shape[2]:
            return NOISES
        with np.errstate(divide="ignore"):
            quiet = np.log(self.spectra.noise_bound**2 / self._scale)
        low, high = (quiet + np.log(np.square(QUIETER))).clip(*NOISES)
        return float(low), float(high)

    def _cost(self, numbers: Array, make: Maker) -> tuple[float, Array]:
        *given, exponent, level, floor, noise = numbers
        parameters = np.array(given)
        transfer = np.abs(make(parameters) * self._pixels) ** 2
        power = np.exp(level - 2 * exponent * self._log_radius)
        signal, common = transfer * power, np.exp(floor)
        covariance = self._covariance(signal + common, 1.0)
        inverse = np.linalg.inv(covariance)
        variance = self._scale * np.exp(noise)
        left = np.sum(inverse * self._moments.swapaxes(1, 2)).real / len(power) + self._rest
        count = len(self.spectra)
        value = count * np.log(variance) + np.linalg.slogdet(covariance)[1].mean() + left / variance
        # The derivative by the power at each frequency.
        slopes = inverse - inverse @ self._moments @ inverse / variance
        slope = np.sum(self._back.swapaxes(1, 2) * (slopes @ self._phases), axis=1).real
        slope /= len(power)
        by_signal = slope * signal
        gradient = [
            *(np.sum(slope * power * each) for each in self._slopes(make, parameters, transfer)),
            -2 * np.sum(by_signal * self._log_radius),
            np.sum(by_signal),
            np.sum(slope) * common,
            count - left / variance,
        ]
        return float(value), np.array(gradient)

    def _slopes(self, make: Maker, parameters: Array, transfer: Array) -> list[Array]:
        """Derivatives of the transferred power by each parameter, as differences."""
        step = 1e-4
        found = []
        for k in range(parameters.size):
            ahead = parameters.copy()
            ahead[k] += step
            found.append((np.abs(make(ahead) * self._pixels) ** 2 - transfer) / step)
        return found
