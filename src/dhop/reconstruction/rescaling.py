"""Super-resolution of very bright or very faint frames: in another unit, and back.

Frames are divided by a power of two, and with them all arguments that are in their unit. The
solution of these is that of the frames, in that unit.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.estimation.photometry import Photometry
from dhop.frames.unit import times_power
from dhop.operators.base import dense
from dhop.operators.stack import FrameStack
from dhop.reconstruction.history import Step
from dhop.reconstruction.requests import Request
from dhop.reconstruction.solution import Solution
from dhop.runtime import arguments
from dhop.selection import BetaCurve

Array = NDArray[Any]

NUMBERS = "noise", "threshold"  # arguments in the unit of the frames
OF_PHOTONS = "gain", "read_noise"
IMAGES = "background", "x0"
ROOM = 3  # powers of two above the frames, for their image
OVERFLOW = "frames are so bright that their image would overflow, too large for {}; scale them down"
EXTREME = 480  # exponent of a unit whose square is a number that can be divided by


class Rescaling:
    """Two to the power `exponent` as the unit of frames.

    Parameters
    ----------
    exponent : int
    request : Request
        Of the frames as they are.

    Raises
    ------
    ValueError
        If the weights of photon counts, one over their variance, would over- or underflow.
    """

    def __init__(self, exponent: int, request: Request) -> None:
        self._request = request
        self._photons = request.loss == "poisson"
        if self._photons and abs(exponent) > EXTREME:
            raise ValueError(
                f"frames of about 2**{exponent} have variances that overflow or underflow; "
                'for loss="poisson" give them in another unit, and gain with them'
            )
        self._unit = exponent
        # The loss of photons has no unit, and a prior that is no square has that of the image.
        self._loss = 0 if self._photons else 2 * exponent
        self._beta = self._loss - (exponent if request.prior else 2 * exponent)

    def divided(self, given: dict[str, Any], frames: Array) -> dict[str, Any]:
        """The arguments of `dhop.super_resolve` in the new unit.

        Raises
        ------
        ValueError
            If an image a little brighter than the frames would overflow.
        """
        precision = _precision(frames)
        if self._unit > np.finfo(precision).maxexp - ROOM:
            raise ValueError(OVERFLOW.format(precision.__name__))
        made = {"frames": times_power(frames.astype(precision), -self._unit)}
        for name in (*NUMBERS, *(OF_PHOTONS if self._photons else ())):
            if given[name] is not None:
                made[name] = float(times_power(arguments.real(name, given[name]), -self._unit))
        for name in IMAGES:
            if given[name] is not None:
                made[name] = self._divided(dense(given[name], name))
        if given["bounds"] is not None:
            made["bounds"] = tuple(times_power(np.array(self._request.bounds, float), -self._unit))
        if not isinstance(given["beta"], str):
            beta = arguments.real("beta", given["beta"])
            made["beta"] = float(times_power(beta, -self._beta))
        for name, wrapped in ("denoiser", self._denoiser), ("callback", self._callback):
            if callable(given[name]):
                made[name] = wrapped(given[name])
        return given | made

    def multiplied(self, found: Solution, frames: Array) -> Solution:
        """The solution for the frames as they are, in their unit."""
        if not np.isfinite(times_power(found.scene, self._unit)).all():
            raise ValueError(OVERFLOW.format(found.scene.dtype))
        B, unit, weights = found.operator, self._unit, found.operator.weights
        if self._photons and weights is not None:
            weights = [times_power(w, -2 * unit) for w in weights]
        registration = found.registration
        if registration is not None:
            offsets = times_power(registration.offsets, unit)
            registration = replace(registration, offsets=offsets)
        return replace(
            found,
            image=times_power(found.image, unit),
            estimate=None if found.estimate is None else times_power(found.estimate, unit),
            residual_norm=float(times_power(found.residual_norm, self._loss // 2)),
            beta=float(times_power(found.beta, self._beta)),
            beta_curve=None if found.beta_curve is None else self._curve(found.beta_curve),
            photometry=Photometry(
                found.photometry.gains, times_power(found.photometry.offsets, unit)
            ),
            registration=registration,
            history=[self._step(step) for step in found.history],
            operator=FrameStack(B.operators, weights),
            frames=frames,
            bounds=self._request.limits,
            edge=None if found.edge is None else float(times_power(found.edge, unit)),
        )

    def _divided(self, numbers: Array) -> Array:
        """Numbers in the new unit; what is no real number is refused later."""
        if numbers.dtype.kind not in "biuf":
            return numbers
        return np.asarray(times_power(numbers.astype(np.float64), -self._unit))

    def _curve(self, curve: BetaCurve) -> BetaCurve:
        return replace(
            curve,
            beta=float(times_power(curve.beta, self._beta)),
            betas=times_power(curve.betas, self._beta),
            residuals=times_power(curve.residuals, 0 if self._request.prior else self._loss // 2),
            penalties=times_power(curve.penalties, self._unit),
            errors=times_power(curve.errors, self._unit),
        )

    def _step(self, step: Step) -> Step:
        def rescaled(number: Any, power: int) -> Any:
            return None if number is None else times_power(number, power)

        return replace(
            step,
            image=rescaled(step.image, self._unit),
            loss=rescaled(step.loss, self._loss),
            prior=rescaled(step.prior, self._loss),
        )

    def _callback(self, callback: Callable[[Step], Any]) -> Callable[[Step], Any]:
        return lambda step: callback(self._step(step))

    def _denoiser(self, denoiser: Callable[[Array, float], Array]) -> Callable[..., Any]:
        def called(image: Array, level: float) -> Array:
            level = float(times_power(level, self._unit))
            clean = np.asarray(denoiser(times_power(image, self._unit), level))
            return times_power(clean, -self._unit) if clean.dtype.kind == "f" else clean

        return called


def _precision(frames: Array) -> Any:
    return np.float32 if frames.dtype.newbyteorder("=") == np.float32 else np.float64
