"""What is estimated from the frames before they are solved.

In this order: shifts or motions, outlier frames, brightness, the PSF and `beta`. All come from
windowed parts of the frames (`dhop.frames.spectra`), so that an estimate costs no more than a
solve, whatever the size of the frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from dhop.cautions import BetaWarning, Caution, PSFWarning, RegistrationWarning, warn
from dhop.estimation.photometry import Photometry, Terms, matched
from dhop.frames import motions
from dhop.frames.masks import each_weight
from dhop.frames.scene import Scene
from dhop.frames.spectra import Spectra
from dhop.frames.spikes import without_bright_spikes
from dhop.model.decimation import Decimation
from dhop.psf.estimation import fit_blur, given_blur
from dhop.psf.stencils import Stencils
from dhop.reconstruction import blurs, inputs, psf_mismatch, refining
from dhop.reconstruction.crop import Crop
from dhop.reconstruction.derotation import Derotated, derotate, least_rotated
from dhop.registration import MODELS, Model, Registration, left_out, register
from dhop.runtime import arguments
from dhop.runtime.progress import Progress, reporting
from dhop.selection import FALLBACK, BetaCurve, Rule, SpectralSolver, choose_beta

Array = NDArray[Any]

VISIBLE = 0.25  # pixels of a shift, from which on frames without shifts draw a warning
ROUNDING = 8  # times epsilon and the strength of the frames: the least `beta` that is chosen
SMALLEST = 32  # pixels a side of frames that warnings about their content need
SAMPLE = 128  # pixels a side of the crop that shifts are looked for in
DEEP = 3  # widths of the PSF along the axis: volumes that are thinner have no windows
WIDE = 2.355  # standard deviations in the full width at half maximum of a Gaussian


@dataclass
class Preparation:
    """Frames and what is known of them.

    Attributes
    ----------
    frames : ndarray, shape (F, ..., m0, m1)
    weights : list of ndarray or None
        A number or a map for each frame.
    factor : tuple of int
    decimation : str
    shifts : ndarray, shape (F, 2)
    photometry : Photometry
    psf : ndarray or list
        What `dhop.reconstruction.blurs.blurs` returns. The choice of `beta` takes the mean over
        channels.
    motion : list or None
        As `dhop.frames.motions` has it, of frames that have not only been shifted; `shifts` are
        those of their middles.
    registration : Registration or None
    curve : BetaCurve or None
    notes : list of str
        What the caller was warned of.
    noise_bound : float or None
        As for `dhop.frames.spectra.Spectra`, if the noise is not the same all over.
    check_psf : bool
        Whether a Gaussian of free width is fitted, too, and taken where it fits clearly better.
    """

    frames: Array
    weights: list[Array] | None
    factor: tuple[int, ...]
    decimation: Decimation
    shifts: Array
    photometry: Photometry
    psf: Any = None
    motion: list[Any] | None = None
    registration: Registration | None = None
    curve: BetaCurve | None = None
    notes: list[str] = field(default_factory=list)
    noise_bound: float | None = None
    check_psf: bool = True

    def warn(self, text: str, kind: type[Caution]) -> None:
        """Warn, and keep the text for reports."""
        self.notes.append(warn(text, kind))

    def align(self, shifts: Any, motion: Any, terms: Terms | None, progress: Progress) -> None:
        """Estimate, refine or take the shifts or motions, and a first guess of the brightness."""
        volumes = len(self.factor) == 3
        if motion is not None and shifts is not None:
            raise ValueError("give either shifts or motion, not both")
        model: Model = "shift"
        if isinstance(motion, str) and volumes:
            raise ValueError("the motion of volumes cannot be estimated; give 4 x 4 matrices")
        if isinstance(motion, str):
            model, shifts = arguments.choice("motion", motion, MODELS), "estimate"
        elif motion is not None:
            shifts = self._set_motion(motion)
        given, improve = inputs.asked_shifts(shifts, len(self.frames), len(self.factor))
        if volumes and improve:
            raise ValueError("shifts of volumes cannot be estimated; give them")
        if isinstance(given, str):
            self._register(model, progress)
        else:
            self.shifts = given
        found = self.registration
        gains = np.ones(len(self.frames)) if found is None else found.gains
        if improve and len(self.frames) > 1:
            with reporting(progress, 1, "refining") as advance:
                gains = self._refine(gains)
                advance(1)
        elif shifts is None and len(self.frames) > 1 and not volumes:
            self._warn_of_shifts()
        if terms is not None:
            self.photometry = matched(self.frames, self.weights, self.shifts, gains, terms)

    def _leave_out_spikes(self) -> None:
        """Refine shifts without spikes that outshine the scene, and warn of them.

        The spectra are fitted by least squares, which would follow these.
        """
        clean, spikes = without_bright_spikes(self.frames, self.shifts, self.weights)
        if spikes:
            self.frames = clean
            self.warn(
                f"{spikes} pixels outshine the scene by far, as cosmic rays do; the shifts were "
                "found without them, and loss='huber' keeps them out of the image, too",
                RegistrationWarning,
            )

    def _set_motion(self, motion: Any) -> Array:
        """Keep motions that are more than shifts; return the shifts, or those of the centres."""
        shape = self.frames.shape[-len(self.factor) :]
        given = motions.checked_motions(motion, len(self.frames), shape)
        shifts, alone = motions.as_shifts(given, shape)
        if not alone:
            self.motion = given
        return shifts

    def mask_outside(self, scene: tuple[int, ...], factor: tuple[float, ...]) -> None:
        """Give pixels weight zero if a motion puts their centres outside the scene.

        Shifts become motions first, if `factor` is not whole.
        """
        if self.motion is None and factor != self.factor:
            self.motion = [motions.of_shift(move) for move in self.shifts]
        if self.motion is None:
            return
        ndim = len(factor)
        shape = self.frames.shape[-ndim:]
        grid = motions.Grid.build(shape, factor, (1,) * ndim, (0,) * ndim, self.decimation)
        seen = [grid.seen(each, scene) for each in self.motion]
        if not all(each.all() for each in seen):
            weights = each_weight(self.weights, len(seen))
            frame = self.frames.shape[1:]
            self.weights = [
                np.broadcast_to(w * on, frame) for w, on in zip(weights, seen, strict=True)
            ]

    def set_psf(self, psf: Any, center: Any, factor: tuple[float, ...], progress: Progress) -> None:
        """Estimate the PSF, or take one on pixels of `factor` and resample it to `self.factor`."""
        if not isinstance(psf, str):
            channels = self.frames.shape[1] if self.frames.ndim == len(self.factor) + 2 else 0
            given = blurs.blurs(psf, len(self.frames), channels, center)
            self.psf = blurs.resampled(
                given, factor, self.factor, decimated=self.decimation != "sample"
            )
            text = blurs.off_centre(self.psf) if center is None else None
            if text:
                self.warn(text, PSFWarning)
            return
        arguments.choice("psf", psf, ("estimate",))
        if center is not None:
            raise ValueError("center is the origin of a psf that is given, not of an estimated one")
        with reporting(progress, 1, "estimating the psf") as advance:
            self.psf = fit_blur(self._spectra(), self.decimation)[0]
            advance(1)
        self.check_psf = False

    def choose_beta(
        self, regulariser: Any, rule: str, noise: Any, strength: float, progress: Progress
    ) -> float:
        """Choose `beta`, and warn if the frames contradict the PSF.

        It is large enough that the rounding of frames is not amplified to an image; `strength` is
        about the largest eigenvalue of ``A^H A``.
        """
        chosen: Rule = arguments.choice("beta", rule, get_args(Rule))
        if isinstance(regulariser, LinearOperator):
            raise ValueError(
                "a beta for a regulariser that is an operator must be given as a number"
            )
        if noise is not None:
            noise = arguments.real("noise", noise)
        if chosen == "discrepancy" and not (noise and noise > 0):
            raise ValueError('beta="discrepancy" needs noise, its standard deviation, positive')
        if self._thin and isinstance(regulariser, str):
            planes = self._planes()
            number = planes.choose_beta(regulariser, rule, noise, strength, progress)
            self.curve = planes.curve
            return number
        with reporting(progress, 1, "choosing beta") as advance:
            spectra = self._spectra()
            transfers = self._transfers(spectra)
            if not spectra.values.any():
                # For constant frames, or a single pixel, any beta will do.
                return self.fallback_beta(regulariser)
            scenes = self._scenes(spectra, self.check_psf)
            self.curve = choose_beta(spectra, transfers, scenes, regulariser, chosen, noise)
            advance(1)
        least = ROUNDING * float(np.finfo(self.frames.dtype).eps) * strength
        number = max(self.curve.beta, least)
        if not self.curve.settled:
            self.warn(
                f"the data do not settle beta by {rule!r}: {number:.3g} is at the end of "
                "what is sensible; look at the image, and try others",
                BetaWarning,
            )
        return number

    @property
    def _thin(self) -> bool:
        """Whether a volume is hardly deeper than the PSF, so that windows would cut off the blur.

        The depth of the PSF is that of a Gaussian with its standard deviation.
        """
        if len(self.factor) != 3:
            return False
        deep = WIDE * blurs.width(blurs.plain(self.psf).sum(axis=(1, 2)))
        return self.frames.shape[-3] * self.factor[0] < DEEP * deep

    def _planes(self) -> "Preparation":
        """The planes of volumes as images of their own, blurred by the sum of the PSF's planes.

        `beta` follows from noise and scene, which planes share with the volume. Their blur is not
        that of the PSF alone, which is not checked.
        """
        frames, shifts, weights = self._shifted_only()
        shape = frames.shape
        weights = weights and [
            w if w.ndim == 0 else np.broadcast_to(w, shape[1:]).reshape(-1, *shape[-2:])
            for w in weights
        ]
        return replace(
            self,
            frames=frames.reshape(len(frames), -1, *shape[-2:]),
            weights=weights,
            factor=self.factor[1:],
            shifts=shifts[:, 1:],
            motion=None,
            photometry=Photometry.none(len(frames)),
            psf=self.psf.sum(axis=0),
            check_psf=False,
        )

    def warn_of_outliers(self, robustness: Sequence[Array]) -> None:
        """Warn of frames of which all pixels are outliers of the loss."""
        most = [float(each.max(initial=0)) for each in robustness]
        odd = [i for i, one in enumerate(most) if one < 1]
        if odd:
            names = ", ".join(map(str, odd))
            counts = ", ".join(f"{most[i]:.2g}" for i in odd)
            self.warn(
                f"frames {names} do not fit the others; they count {counts} of these",
                RegistrationWarning,
            )

    def variance(self) -> float:
        """The noise variance of a pixel of weight one."""
        spectra = self._spectra()
        return self._scenes(spectra, False)[0][1].noise if spectra.values.any() else 0.0

    def fallback_beta(self, regulariser: Stencils) -> float:
        """A moderate `beta`, from the ratio of data and penalty alone."""
        spectra = self._spectra()
        transfers = self._transfers(spectra)
        if not transfers.size:
            return FALLBACK
        return FALLBACK * SpectralSolver(spectra, transfers, regulariser).balance

    def _register(self, model: Model, progress: Progress) -> None:
        grey, seen = self._grey()
        found = register(grey, seen, model=model, progress=progress)
        self.registration, self.shifts = found, self._set_motion(found.motions)
        weights = each_weight(self.weights, len(grey))
        outliers = [i for i, fits in enumerate(found.fits) if not fits and np.any(weights[i])]
        if outliers:
            self.weights = [0.0 * w if i in outliers else w for i, w in enumerate(weights)]
            self.warn(left_out(found, outliers), RegistrationWarning)

    def _refine(self, gains: Array) -> Array:
        """Refine shifts or motions; return the gains that belong to them."""
        if self.motion is None:
            self._leave_out_spikes()
        given = self.frames, self.weights, self.factor, self.decimation
        if self.motion is None:
            spread = refining.GIVEN if self.registration is None else refining.REGISTERED
            self.shifts, bright = refining.refined_shifts(*given, self.shifts, gains, spread)
            return bright
        assert self.registration is not None
        motion, bright = refining.refined_motions(*given, self.registration)
        self.shifts = self._set_motion(motion)
        return bright

    def _grey(self, part: Any = ...) -> tuple[Array, list[Array] | None]:
        """Means over channels or planes, of all or a part of the pixels, and their weights."""
        stack = np.nan_to_num(self.frames[part])
        grey = stack.reshape(len(stack), -1, *stack.shape[-2:]).mean(axis=1)
        if self.weights is None:
            return grey, None
        maps = [w if w.ndim < 2 else w.reshape(-1, *w.shape[-2:]) for w in self.weights]
        return grey, [w if w.ndim < 2 else w.min(axis=0)[part] for w in maps]

    def _warn_of_shifts(self) -> None:
        """Warn if frames without given shifts are shifted, or show different scenes."""
        first = (max((m - SAMPLE) // 2, 0) for m in self.frames.shape[-2:])
        part = (..., *(slice(b, b + SAMPLE) for b in first))
        grey, seen = self._grey(part)
        found = register(grey, seen)
        outliers = [i for i, fits in enumerate(found.fits) if not fits]
        if outliers and min(grey.shape[-2:]) >= SMALLEST:
            self.warn(
                f"frames {', '.join(map(str, outliers))} do not show the scene of frame "
                f"{found.reference}; if they are the channels or slices of one image, give "
                "channel_axis=0",
                RegistrationWarning,
            )
            return
        largest = float(np.abs(found.shifts).max())
        if largest > VISIBLE:
            self.warn(
                f"frames are shifted by up to {largest:.1f} of their pixels, but no shifts were "
                "given; shifts='estimate' finds them",
                RegistrationWarning,
            )

    @cached_property
    def _turned(self) -> list[Any] | None:
        """The motions, if some are more than shifts."""
        motion = self.motion
        return motion if motion and any(motions.as_shift(each) is None for each in motion) else None

    @cached_property
    def _derotated(self) -> Derotated:
        """Crops of frames that have turned, as if they had only been shifted."""
        assert self._turned is not None
        given = (*self._corrected(), self._turned, self.factor, self.decimation)
        return derotate(Crop.build(*given))

    def _corrected(self) -> tuple[Array, list[Array] | None]:
        return self.photometry.corrected(self.frames), self.photometry.weights(self.weights)

    def _shifted_only(self) -> tuple[Array, Array, list[Array] | None]:
        """Frames that differ by shifts alone, the shifts, and the weights."""
        frames, weights = self._corrected()
        if self._turned is None:
            return frames, self.shifts, weights
        if len(self.factor) == 3:
            return least_rotated(frames, weights, self._turned)
        return self._derotated[:3]

    def _spectra(self) -> Spectra:
        frames, shifts, weights = self._shifted_only()
        return Spectra(frames, self.factor, shifts, weights, noise_bound=self.noise_bound)

    def _transfers(self, spectra: Spectra) -> Array:
        pixels = spectra.pixels(self.decimation)
        if isinstance(self.psf, list):
            each = [blurs.mean(blurs.of_channels(self.psf[i])) for i in spectra.used]
            return np.stack([spectra.transfer(one) * pixels for one in each])
        return np.asarray(spectra.transfer(blurs.plain(self.psf)) * pixels)

    def _scenes(self, spectra: Spectra, check_psf: bool) -> list[tuple[float, Scene]]:
        """Models of scene and noise, and their parts: with the PSF, and a Gaussian if that fits."""
        if isinstance(self.psf, list):
            every = [one for i in spectra.used for one in blurs.of_channels(self.psf[i])]
            return [(1.0, given_blur(spectra, self.decimation, blurs.mean(every)))]
        plain = blurs.plain(self.psf)
        given = given_blur(spectra, self.decimation, plain)
        if not check_psf or len(self.factor) == 3:  # no PSF of a volume is round
            return [(1.0, given)]
        _, free = fit_blur(spectra, self.decimation)
        own = blurs.width(plain)
        if 1 in plain.shape and np.exp(free.parameters[0]) > own:
            return [(1.0, given)]  # the lines of spectra have widths of their own
        part = psf_mismatch.doubt(given, free, len(spectra))
        if part > 0:
            seen = spectra.values.shape[0] * spectra.values.shape[1]
            text = psf_mismatch.objection(free, own, seen)
            if text:
                self.warn(text, PSFWarning)
        models = (1 - part, given), (part, free)
        return [model for model in models if model[0] > 0]
