r"""Normal equations of frames whose pixels have different weights, zero among them.

A frame with the weights :math:`w_0 \omega`, :math:`\omega` from 0 to 1, has the matrix
:math:`M = M_0 - A^H D A` with :math:`D = 1 - \omega`, where :math:`\sqrt{w_0}` is taken into
`A`, and :math:`M_0 = A^H A + \beta P` has a closed form. By the Woodbury identity

.. math:: M^{-1} = M_0^{-1} + M_0^{-1} A^H (D^{-1} - H)^{-1} A M_0^{-1}, \quad
    H = A M_0^{-1} A^H.

The inverse in brackets is on the pixels of the frame that lack weight: the missing data are the
unknowns. `H` multiplies each frequency of the frame by a number from 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.closed.aliased import AliasedEquations, AliasedInverse, merged
from dhop.closed.bases import Basis, common_basis, step
from dhop.closed.diagonal import DiagonalEquations, diagonal_equations
from dhop.closed.gaps import Gaps, around_gaps
from dhop.closed.inverse import Inverse
from dhop.iteration.steps import conjugate_gradients, norm
from dhop.model.axis import Axis
from dhop.model.geometry import Model

Array = NDArray[Any]
Frames = Sequence[tuple[Model, float | Array]]

MOST_WEIGHT = 4.0  # times the mean of those that are not zero, at which weights are clipped
NOTHING = 1e-9  # part of the weight whose absence is ignored
TOLERANCE = 1e-7  # of the residual by the missing data
STEPS = 200
MOST_RATIO = 1e200  # of data to penalty, at which it is clipped
LEAST = 3  # pixels of a frame: the width of wide gaps


class MaskedEquations:
    """The equations of one frame, given by those with its full weight all over.

    Relative to that the weights of each image are `omega`, (m0, m1). If the equations are `exact`
    the missing data are solved for to a tolerance, else by one step.

    Workspace: of `AliasedEquations`, the spectrum of another image, four frames, and `Gaps`.
    """

    def __init__(
        self,
        equations: AliasedEquations,
        omega: Sequence[Array],
        penalties: Sequence[Model],
        exact: bool,
    ) -> None:
        self.equations = equations
        self.omega = omega
        self.exact = exact
        basis = equations.basis
        shape = basis.classes
        self.penalties = [_resized(model, shape) for model in penalties]
        self.grid = type(basis)(shape, (1,) * len(shape))

    def inverse(self, beta: float, *, once: bool = False) -> "MaskedInverse":
        """The inverse for one `beta`."""
        return MaskedInverse(self, beta)

    def symbols(self, beta: float) -> tuple[Array, Array, float]:
        """The gains of `H` and of a blur on the frame's own grid, and the scale of its penalty.

        The penalty on the grid is scaled to that on the image at low frequencies; how they differ
        at high ones is put into the blur.
        """
        equations, basis = self.equations, self.equations.basis
        ((response, weight),) = equations.frames
        own = np.sum([np.abs(self.grid.transfer(model)) ** 2 for model in self.penalties], axis=0)
        scale = self._scale(own)
        ratio, square = np.empty_like(own), np.empty_like(own)

        def work(start: int, stop: int) -> None:
            data = weight * np.abs(equations.transfer(response, start, stop)) ** 2
            penalty = equations.penalty(start, stop)
            data, penalty = (
                each.reshape(stop - start, -1, basis.columns.size)[:, :, basis.columns]
                for each in (data, penalty)
            )
            grid = scale * own[start:stop, None, :, None]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                known = np.nan_to_num(data / (beta * penalty), nan=0.0).clip(0, MOST_RATIO)
                ratio[start:stop] = known.sum(axis=(1, 3))
                relative = np.nan_to_num(grid / penalty, nan=1.0).clip(0, 1 / NOTHING)
            square[start:stop] = (data * relative).sum(axis=(1, 3))

        equations.by_bands(work, whole=True)
        return ratio / (1 + ratio), np.sqrt(square), scale

    def _scale(self, own: Array) -> float:
        """The mean ratio of both penalties at the lowest frequencies."""
        basis = self.equations.basis
        found = []
        for k0, k1 in (0, 1), (1, 0), (1, 1):
            if k0 < len(basis.rows) and k1 < len(basis.columns) and own[k0, k1] > 0:
                line = self.equations.penalty(k0, k0 + 1)[0, basis.columns[k1, 0]]
                found.append(line / own[k0, k1])
        found = [ratio for ratio in found if ratio > 0]
        return float(np.exp(np.mean(np.log(found)))) if found else 1.0


class MaskedInverse(Inverse):
    """The function that solves for images; made by `MaskedEquations`."""

    def __init__(self, masked: MaskedEquations, beta: float) -> None:
        self._masked = masked
        self._inverse: AliasedInverse = masked.equations.inverse(beta)
        self._fit, blur, scale = masked.symbols(beta)
        self._gain = float(blur.max())
        settings = blur, masked.penalties, scale * beta, LEAST
        self._gaps = _for_each(masked.omega, lambda omega: Gaps(masked.grid, omega, *settings))

    def _solved(self, image: Array, number: int) -> Array:
        equations, basis = self._masked.equations, self._masked.equations.basis
        ((response, weight),) = equations.frames
        from dhop.kernels.aliased_systems import add_transfer_adjoint, apply_transfer

        spectrum = basis.analyse(image.astype(np.float64)).astype(equations.dtype, copy=False)
        rhs = spectrum.copy()
        self._inverse.solve(spectrum)
        seen = np.empty((len(basis.rows), len(basis.columns)), equations.dtype)

        def forward(start: int, stop: int) -> None:
            transfer = equations.transfer(response, start, stop)
            tables = basis.rows[start:stop], basis.columns
            apply_transfer(transfer, *tables, spectrum, seen[start:stop])

        equations.by_bands(forward, whole=True)
        fit = basis.synthesise(seen).real
        goal = TOLERANCE * norm(image) / self._gain if self._gain else inf
        missing = self._missing(sqrt(weight) * fit, number % len(self._gaps), goal)
        missing *= sqrt(weight)
        seen = basis.analyse(missing).astype(equations.dtype, copy=False)

        def backward(start: int, stop: int) -> None:
            transfer = equations.transfer(response, start, stop)
            tables = basis.rows[start:stop], basis.columns
            add_transfer_adjoint(transfer, *tables, seen[start:stop], rhs)

        equations.by_bands(backward, whole=True)
        self._inverse.solve(rhs)
        return np.asarray(basis.synthesise(rhs).real)

    def _missing(self, fit: Array, number: int, goal: float) -> Array:
        """Solve for the missing data, times `D`."""
        gaps = self._gaps[number]
        missing = 1 - self._masked.omega[number]
        if not self._masked.exact:
            return gaps(fit)
        some = missing > NOTHING
        inverse = np.divide(1, missing, out=np.zeros_like(missing), where=some)

        def normal(data: Array) -> Array:
            return inverse * data - some * self._masked.grid.filtered(data, self._fit)

        rhs = some * fit
        steps = conjugate_gradients(normal, rhs, np.zeros_like(rhs), lambda r: some * gaps(r))
        data, residual = next(steps)
        for _ in range(STEPS):
            if residual <= goal:
                break
            data, residual = next(steps)
        return np.asarray(data)


class GappedEquations:
    """The equations of several frames that all leave a part of the scene unobserved.

    All frames together are approximated by one with the pixels of the image. The equations are
    those with full weights all over; relative to that the weights of each image are `omega`,
    (n0, n1). Gaps are wide from a width of `least` on.

    Workspace: of `DiagonalEquations`, three images more, and `Gaps`.
    """

    def __init__(
        self,
        equations: DiagonalEquations,
        omega: Sequence[Array],
        penalties: Sequence[Model],
        least: int,
    ) -> None:
        self.equations = equations
        self.omega = omega
        self.penalties = penalties
        self.least = least

    def inverse(self, beta: float, *, once: bool = False) -> "GappedInverse":
        """The inverse for one `beta`."""
        return GappedInverse(self, beta)


class GappedInverse(Inverse):
    """The function that solves for images; made by `GappedEquations`."""

    def __init__(self, gapped: GappedEquations, beta: float) -> None:
        equations = gapped.equations
        blur = np.sqrt(equations.data)
        settings = blur, gapped.penalties, beta, gapped.least
        basis = self._basis = equations.basis
        self._gain = equations.inverse(beta).gain
        self._blur = blur
        self._gaps = _for_each(gapped.omega, lambda omega: Gaps(basis, omega, *settings))

    def _solved(self, image: Array, number: int) -> Array:
        basis = self._basis
        spectrum = basis.analyse(image.astype(np.float64)) * self._gain
        fit = basis.synthesise(self._blur * spectrum).real
        missing = self._gaps[number % len(self._gaps)](fit)
        spectrum += self._blur * self._gain * basis.analyse(missing)
        return np.asarray(basis.synthesise(spectrum).real)


def masked_equations(
    frames: Frames, penalties: Sequence[Model]
) -> MaskedEquations | GappedEquations | None:
    """The equations if they are of one frame, or of several that leave a wide gap.

    There are none for volumes.
    """
    frames = [(model, weight) for model, weight in merged(frames) if np.any(weight)]
    models = [model for model, _ in frames]
    if not frames or any(model.dtype.kind == "c" for model in [*models, *penalties]):
        return None
    if len(models[0].axes) == 3:
        return None
    full = [(model, full_weight(weight)) for model, weight in frames]
    if len(frames) == 1:
        ((model, weight),) = full
        omega = list((_images(model, frames[0][1]) / weight).clip(0, 1))
        for exact in (True, False):
            basis = common_basis(models, penalties, exact=exact)
            if basis is not None and (exact or _wide(omega, basis, LEAST)):
                equations = AliasedEquations(basis, full, penalties)
                return MaskedEquations(equations, omega, penalties, exact)
        return None
    diagonal = diagonal_equations(full, penalties)
    if diagonal is None:
        return None
    factor = max(step(axis) for axis in models[0].axes)
    least = 2 * factor + 1
    omega = list(_on_image(frames, full))
    wide = _wide(omega, diagonal.basis, least)
    return GappedEquations(diagonal, omega, penalties, least) if wide else None


def full_weight(weight: float | Array) -> float:
    """The largest weight of a frame, unless few have it."""
    weights = np.asarray(weight)
    return float(min(weights.max(), MOST_WEIGHT * weights[weights > 0].mean()))


def _wide(omega: Sequence[Array], basis: Basis, least: int) -> bool:
    return any(around_gaps(each, basis.boundary, least).any() for each in omega)


def _for_each(omega: Sequence[Array], make: Any) -> list[Any]:
    """What `make` makes of each, once for those that are equal to the one before."""
    made: list[Any] = []
    for number, each in enumerate(omega):
        same = number and np.array_equal(each, omega[number - 1])
        made.append(made[-1] if same else make(each))
    return made


def _resized(model: Model, shape: tuple[int, ...]) -> Model:
    """A model of factor one for images of another shape."""
    axes = [
        replace(axis, size=size, outputs=size) for axis, size in zip(model.axes, shape, strict=True)
    ]
    return replace(model, axes=tuple(axes), around=(1,) * (len(axes) + 1))


def _images(model: Model, weight: float | Array) -> Array:
    """The weights of each image that the operator has, one after the other."""
    b0, b1, b2 = model.around
    m0, m1 = model.low
    if np.ndim(weight) == 0:
        return np.full((1, m0, m1), weight)
    maps = np.reshape(weight, (b0, m0, b1, m1, b2))
    return np.moveaxis(maps, (1, 3), (-2, -1)).reshape(-1, m0, m1)


def _on_image(frames: Frames, full: Sequence[tuple[Model, float]]) -> Array:
    """The weights of all frames on the pixels of the image, relative to their full weights."""
    total: Any = 0.0
    for (model, weight), (_, most) in zip(frames, full, strict=True):
        squares = np.abs(model.weights) ** 2
        down, across = (
            _nearest(axis, squares.sum(axis=1 - k)) for k, axis in enumerate(model.axes)
        )
        total = total + _images(model, weight).clip(0, most)[:, down][:, :, across]
    return np.asarray(total / sum(most for _, most in full))


def _nearest(axis: Axis, taps: Array) -> NDArray[np.intp]:
    """The output that lies nearest to each pixel."""
    middle = axis.start + np.arange(taps.size) @ taps / taps.sum()
    output = np.rint((np.arange(axis.size) - middle) / step(axis)).astype(np.intp)
    return output % axis.outputs if axis.boundary == "wrap" else output.clip(0, axis.outputs - 1)
