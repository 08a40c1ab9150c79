"""What is chosen from chunked frames: by the same code as in memory, from a few regions of them.

Each thing is settled among all regions, as a median, before the next is looked for; how far the
regions agree is noted.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.cautions import Caution, RegistrationWarning, warn
from dhop.dask.operator import DaskArray
from dhop.dask.regions import Region
from dhop.dask.registration import estimated
from dhop.estimation.photometry import Photometry, Terms, fitted
from dhop.frames.motions import as_shifts, of_shift
from dhop.frames.observations import scene_dims
from dhop.operators.stack import FrameStack
from dhop.reconstruction import frame_operators, problem, solvers
from dhop.reconstruction.blurs import width
from dhop.reconstruction.reconstruction import ROUGH, ROUNDS
from dhop.reconstruction.robust import robust_fit
from dhop.reconstruction.variational import Variational
from dhop.registration import Registration, left_out
from dhop.runtime.progress import Progress, reporting
from dhop.selection import BetaCurve

Array = NDArray[Any]

APART = 0.25  # pixels by which shifts of regions differ where it must be said


@dataclass
class Choices:
    """What regions agree on.

    Attributes
    ----------
    frames : dask.array.Array, shape (F, ..., m0, m1)
    shifts : ndarray, shape (F, ndim)
    motion : list or None
        If they have moved by more than that.
    psf : ndarray or list
    regulariser
        That of squares.
    factor : tuple of int
        Pixels of the grid that frames are blurred on in one of a frame, and ...
    ratio : tuple of float
        ... pixels of the scene, as `dhop.frames.observations.checked_factor` has them.
    options : dict
        Of operators.
    photometry : Photometry
    trust : ndarray, shape (F,)
        How much each frame counts.
    regions : list of Region
        The first one is that of the middle. None if there is nothing to choose.
    registration : Registration or None
    curve : BetaCurve or None
    notes : list of str
        How far they agree, and what the caller was warned of.
    """

    frames: DaskArray
    shifts: Array
    motion: list[Any] | None
    psf: Any
    regulariser: Any
    factor: tuple[int, ...]
    ratio: tuple[float, ...]
    options: dict[str, Any]
    photometry: Photometry
    trust: Array
    regions: list[Region] = field(default_factory=list)
    registration: Registration | None = None
    curve: BetaCurve | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def none(
        cls, frames: DaskArray, shifts: Array, motion: list[Any] | None, psf: Any,
        regulariser: Any, factor: tuple[int, ...], ratio: tuple[float, ...],
        options: dict[str, Any],
    ) -> "Choices":  # fmt: skip
        """What is known without a look at the frames."""
        count = len(frames)
        return cls(
            frames, shifts, motion, psf, regulariser, factor, ratio, options,
            Photometry.none(count), np.ones(count),
        )  # fmt: skip

    def look(self, regions: list[Region]) -> None:
        """Look at regions of the frames."""
        self.regions = regions
        if regions[0].frames.shape != self.frames.shape:  # at the edges of regions nothing is known
            self.options = self.options | {"boundary": "symmetric"}

    def warn(self, text: str, kind: type[Caution]) -> None:
        """Warn, and note it for reports."""
        self.notes.append(text)
        warn(text, kind)

    def register(self, weights: Sequence[Any], model: Any, progress: Progress) -> None:
        """Find how the frames have moved."""
        rules = self.factor, self.options["decimation"]
        found, moves, apart = estimated(self.frames, weights, model, *rules, progress)
        given, shape = list(moves), self.frames.shape[-2:]
        self.shifts, alone = as_shifts(given, shape)
        self.motion = None if alone else given
        self.registration = found
        outliers = [i for i, fits in enumerate(found.fits) if not fits]
        if outliers:
            self.trust = self.trust * found.fits
            self.warn(left_out(found, outliers), RegistrationWarning)
        if apart is not None:
            self.notes.append(f"the motions: regions of the scene agree to {apart:.2g} pixels")
            if apart > APART:
                self.warn(
                    f"the motions of regions differ by up to {apart:.2g} pixels from those of "
                    f"whole frames: these may be distorted by more than {found.model} motions",
                    RegistrationWarning,
                )

    def take_motion(self) -> None:
        """Take shifts for motions, if no whole number of pixels of the scene is one of a frame."""
        if self.motion is None and self.ratio != self.factor:
            self.motion = [of_shift(move) for move in self.shifts]

    def align(self, shifts: Any, terms: Terms | None, progress: Progress) -> None:
        """Find or improve the shifts, and a first guess of the brightness."""

        def look(region: Region) -> None:
            known, own = region.known, shifts
            if region.motion is not None:
                own = None
            elif isinstance(own, tuple):
                own = own[0], known.shifts
            elif isinstance(own, np.ndarray):
                own = known.shifts
            known.frames = (
                region.frames if region.special is None else region.special.despiked(region.frames)
            )
            known.align(own, region.motion, terms, None)

        self._each("aligning", look, progress)
        found = np.stack([region.known.shifts + region.moved for region in self.regions])
        fits = np.stack([
            np.ones(len(self.trust), bool) if (fit := region.known.registration) is None
            else fit.fits
            for region in self.regions
        ])  # fmt: skip
        self.registration = self.registration or self.regions[0].known.registration
        used = (np.mean(fits, axis=0) > 0.5) & (self.trust > 0)
        self.trust = self.trust * used
        if isinstance(shifts, str | tuple):
            self.shifts = np.median(found, axis=0)
            apart = float(np.abs(found - self.shifts)[:, used].max(initial=0))
            self._agree("the shifts", f"to {apart:.2g} pixels")
            if apart > APART:
                self.warn(
                    f"the shifts of regions differ by up to {apart:.2g} pixels: frames may turn or "
                    "be distorted, and need motion=", RegistrationWarning,
                )  # fmt: skip
        for region in self.regions:
            if region.motion is None:
                region.known.shifts = self.shifts - region.moved
            region.known.mask_outside(self._size(region)[-len(self.ratio) :], self.ratio)
            if not used.all():
                given = region.known.weights or [np.ones(())] * len(used)
                region.known.weights = [w * u for w, u in zip(given, used, strict=True)]
        if terms is not None:
            self._settle_brightness()

    def set_psf(self, psf: Any, center: Any, progress: Progress) -> None:
        """Estimate the PSF, or take what is given."""
        if isinstance(psf, str):
            self._each(
                "estimating the psf",
                lambda region: region.known.set_psf(psf, center, self.ratio, None), progress,
            )  # fmt: skip
            found = [region.known.psf for region in self.regions]
            widths = [width(each) for each in found]
            self.psf = found[_middle(widths)]
            self._agree("the width of the psf", _spread(widths))
        for region in self.regions:
            region.known.psf = self.psf
            region.known.frames = region.frames

    def choose_beta(self, beta: float | str, noise: Any, progress: Progress) -> float:
        """Take or choose `beta`, and how large a step is an edge."""
        if not self.regions:
            return float(beta)
        found: list[float] = []

        def look(region: Region) -> None:
            known = region.known
            posed = self._posed(region, 1.0)
            stack = FrameStack(posed.operator.operators, known.weights)
            strength = sum(stack.strengths())
            if region.special is not None:
                found.append(region.special.choose_beta(known, posed, beta, noise, strength, None))
            elif isinstance(beta, str):
                problem.check_squares(stack, region.frames)
                found.append(known.choose_beta(self.regulariser, beta, noise, strength, None))
            else:
                found.append(beta)

        self._each("choosing beta", look, progress)
        number = found[_middle(found)]
        edges = [region.special.edge for region in self.regions if region.special is not None]
        for region in self.regions:
            if region.special is not None:
                region.special.edge = float(np.median(edges))
        if isinstance(beta, str):
            self.curve = self.regions[_middle(found)].known.curve
            if self.curve is not None:
                self._agree("beta", _spread(found))
        return number

    def brighten(self, terms: Terms, beta: float, progress: Progress) -> None:
        """Find the brightness of the frames from what solutions predict."""
        starts: dict[int, Array] = {}

        def look(region: Region) -> None:
            posed = self._posed(region, beta)
            settings: Any = {"x0": starts.get(id(region)), "rtol": ROUGH}
            if region.special is None:
                found = solvers.solve(posed, "auto", **settings)
            else:
                found = region.special.solve(posed, **settings)
            starts[id(region)] = found.x
            predicted = FrameStack(posed.operator.operators).matvec(found.x)
            counts = found.total_weights(region.known.weights)
            region.known.photometry = fitted(
                region.frames, predicted.reshape(region.frames.shape), counts, terms
            )

        for _ in range(ROUNDS):
            self._each("comparing brightness", look, progress)
            self._settle_brightness()

    def variational(self, beta: float, background: Any, progress: Progress) -> Variational | None:
        """How to solve, if not by least squares: with what is an outlier, and the background."""
        if not self.regions or self.regions[0].special is None:
            return None
        special = replace(self.regions[0].special)
        if special.robust:
            special.threshold, frames = self._outlying(beta, progress)
            used = np.where(self.trust > 0, frames, 1.0)  # what is left out has been named
            replace(self.regions[0].known, notes=self.notes).warn_of_outliers(list(used))
            self.trust = self.trust * frames
        if special.photon_noise is not None:
            special.photon_noise = replace(special.photon_noise, background=background)
        return special

    def strongest(self, largest: Sequence[float]) -> list[float]:
        """The largest weight that least squares would give to a pixel of each frame."""
        maps = [region.known.weights or list(map(np.array, largest)) for region in self.regions]
        return [max(float(own[i].max()) for own in maps) for i in range(len(largest))]

    def corrected(self, frames: DaskArray) -> DaskArray:
        """The frames as bright as the first one."""
        if self.photometry.trivial:
            return frames
        shape = (-1,) + (1,) * (frames.ndim - 1)
        change = frames - self.photometry.offsets.reshape(shape)
        return (change / self.photometry.gains.reshape(shape)).astype(frames.dtype)

    def _outlying(self, beta: float, progress: Progress) -> tuple[float, Array]:
        """The threshold of a robust loss, and how much each frame counts."""
        found: list[tuple[float, Array]] = []

        def look(region: Region) -> None:
            assert region.special is not None
            posed = region.special.quadratic(self._posed(region, beta))
            root = solvers.root_of_two(max(posed.scales()))
            start = np.zeros(posed.operator.shape[1], posed.operator.dtype)
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                seen = robust_fit(posed.divided(root), start.clip(*region.special.box))
            given = region.special.threshold
            found.append((root * seen.threshold if given is None else given, seen.frames))

        self._each("looking for outliers", look, progress)
        thresholds = [each for each, _ in found]
        if len(set(thresholds)) > 1:
            self._agree("the threshold of outliers", _spread(thresholds))
        return float(np.median(thresholds)), np.median([each for _, each in found], axis=0)

    def _posed(self, region: Region, beta: float) -> problem.Problem:
        known = region.known
        operators = frame_operators.operators(self._size(region), known, self.ratio, self.options)
        operator = FrameStack(operators, known.photometry.weights(known.weights))
        return problem.Problem(
            operator, known.photometry.corrected(region.frames), self.regulariser, beta,
            self.options["boundary"], len(self.factor),
        )  # fmt: skip

    def _size(self, region: Region) -> tuple[int, ...]:
        """The shape of the scene that a region shows."""
        return scene_dims(region.frames.shape, self.ratio, None)

    def _settle_brightness(self) -> None:
        each = [region.known.photometry for region in self.regions]
        gains = np.stack([one.gains for one in each])
        offsets = np.stack([one.offsets for one in each])
        self.photometry = Photometry(np.median(gains, axis=0), np.median(offsets, axis=0))
        apart = float(np.abs(gains - self.photometry.gains).max())
        brightest = max(float(np.abs(region.frames).max()) for region in self.regions) or 1.0
        more = float(np.abs(offsets - self.photometry.offsets).max()) / brightest
        self._agree("gains and offsets", f"to {apart:.2g} and {more:.2g} of the brightest pixel")
        for region in self.regions:
            region.known.photometry = self.photometry

    def _each(self, what: str, look: Callable[[Region], None], progress: Progress) -> None:
        """Look at all regions; what must be said of most of them is said once."""
        said: dict[Any, list[str]] = {}
        with reporting(progress, len(self.regions), what) as advance:
            for region in self.regions:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    look(region)
                for kind in dict.fromkeys(each.category for each in caught):
                    texts = [str(each.message) for each in caught if each.category is kind]
                    said.setdefault(kind, []).append(texts[0])
                advance(1)
        for kind, texts in said.items():
            if 2 * len(texts) > len(self.regions):
                self.warn(texts[0], kind)

    def _agree(self, what: str, how: str) -> None:
        """Note how far regions agree."""
        if len(self.regions) > 1:
            note = f"{what}: medians of {len(self.regions)} regions of the scene, which agree {how}"
            self.notes[:] = [each for each in self.notes if not each.startswith(f"{what}: ")]
            self.notes.append(note)


def _middle(numbers: Sequence[float]) -> int:
    """Where the median is, the lower of two."""
    return int(np.argsort(numbers, kind="stable")[(len(numbers) - 1) // 2])


def _spread(numbers: Sequence[float]) -> str:
    """How far positive numbers lie apart."""
    low, high = min(numbers), max(numbers)
    return f"within a factor of {high / low:.3g}" if low > 0 else f"from {low:.3g} to {high:.3g}"
