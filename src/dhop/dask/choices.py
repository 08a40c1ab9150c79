"""What is chosen from chunked frames: by the same code as in memory, from a few tiles of them.

Each thing is settled among all tiles, as a median, before the next is looked for; how far the tiles
agree is noted.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.cautions import Caution, RegistrationWarning, warn
from dhop.dask.moving import estimated
from dhop.dask.operator import DaskArray
from dhop.dask.tiles import Tile
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

APART = 0.25  # pixels by which shifts of tiles differ where it must be said


@dataclass
class Choices:
    """What tiles agree on.

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
    tiles : list of Tile
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
    tiles: list[Tile] = field(default_factory=list)
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

    def look(self, tiles: list[Tile]) -> None:
        """Look at tiles of the frames."""
        self.tiles = tiles
        if tiles[0].frames.shape != self.frames.shape:  # at the edges of tiles nothing is known
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
            self.notes.append(f"the motions: tiles of the scene agree to {apart:.2g} pixels")
            if apart > APART:
                self.warn(
                    f"the motions of tiles differ by up to {apart:.2g} pixels from those of whole "
                    f"frames: these may be distorted by more than {found.model} motions",
                    RegistrationWarning,
                )

    def take_motion(self) -> None:
        """Take shifts for motions, if no whole number of pixels of the scene is one of a frame."""
        if self.motion is None and self.ratio != self.factor:
            self.motion = [of_shift(move) for move in self.shifts]

    def align(self, shifts: Any, terms: Terms | None, progress: Progress) -> None:
        """Find or improve the shifts, and a first guess of the brightness."""

        def look(tile: Tile) -> None:
            known, own = tile.known, shifts
            if tile.motion is not None:
                own = None
            elif isinstance(own, tuple):
                own = own[0], known.shifts
            elif isinstance(own, np.ndarray):
                own = known.shifts
            known.frames = (
                tile.frames if tile.special is None else tile.special.despiked(tile.frames)
            )
            known.align(own, tile.motion, terms, None)

        self._each("aligning", look, progress)
        found = np.stack([tile.known.shifts + tile.moved for tile in self.tiles])
        fits = np.stack([
            np.ones(len(self.trust), bool) if (how := tile.known.registration) is None else how.fits
            for tile in self.tiles
        ])  # fmt: skip
        self.registration = self.registration or self.tiles[0].known.registration
        used = (np.mean(fits, axis=0) > 0.5) & (self.trust > 0)
        self.trust = self.trust * used
        if isinstance(shifts, str | tuple):
            self.shifts = np.median(found, axis=0)
            apart = float(np.abs(found - self.shifts)[:, used].max(initial=0))
            self._agree("the shifts", f"to {apart:.2g} pixels")
            if apart > APART:
                self.warn(
                    f"the shifts of tiles differ by up to {apart:.2g} pixels: frames may turn or "
                    "be distorted, and need motion=", RegistrationWarning,
                )  # fmt: skip
        for tile in self.tiles:
            if tile.motion is None:
                tile.known.shifts = self.shifts - tile.moved
            tile.known.mask_outside(self._size(tile)[-len(self.ratio) :], self.ratio)
            if not used.all():
                given = tile.known.weights or [np.ones(())] * len(used)
                tile.known.weights = [w * u for w, u in zip(given, used, strict=True)]
        if terms is not None:
            self._settle_brightness()

    def set_psf(self, psf: Any, center: Any, progress: Progress) -> None:
        """Estimate the PSF, or take what is given."""
        if isinstance(psf, str):
            self._each(
                "estimating the psf",
                lambda tile: tile.known.set_psf(psf, center, self.ratio, None), progress,
            )  # fmt: skip
            found = [tile.known.psf for tile in self.tiles]
            widths = [width(each) for each in found]
            self.psf = found[_middle(widths)]
            self._agree("the width of the psf", _spread(widths))
        for tile in self.tiles:
            tile.known.psf = self.psf
            tile.known.frames = tile.frames

    def choose_beta(self, beta: float | str, noise: Any, progress: Progress) -> float:
        """Take or choose `beta`, and how large a step is an edge."""
        if not self.tiles:
            return float(beta)
        found: list[float] = []

        def look(tile: Tile) -> None:
            known = tile.known
            posed = self._posed(tile, 1.0)
            stack = FrameStack(posed.operator.operators, known.weights)
            strength = sum(stack.strengths())
            if tile.special is not None:
                found.append(tile.special.choose_beta(known, posed, beta, noise, strength, None))
            elif isinstance(beta, str):
                problem.check_squares(stack, tile.frames)
                found.append(known.choose_beta(self.regulariser, beta, noise, strength, None))
            else:
                found.append(beta)

        self._each("choosing beta", look, progress)
        number = found[_middle(found)]
        edges = [tile.special.edge for tile in self.tiles if tile.special is not None]
        for tile in self.tiles:
            if tile.special is not None:
                tile.special.edge = float(np.median(edges))
        if isinstance(beta, str):
            self.curve = self.tiles[_middle(found)].known.curve
            if self.curve is not None:
                self._agree("beta", _spread(found))
        return number

    def brighten(self, terms: Terms, beta: float, progress: Progress) -> None:
        """Find the brightness of the frames from what solutions predict."""
        starts: dict[int, Array] = {}

        def look(tile: Tile) -> None:
            posed = self._posed(tile, beta)
            settings: Any = {"x0": starts.get(id(tile)), "rtol": ROUGH}
            if tile.special is None:
                found = solvers.solve(posed, "auto", **settings)
            else:
                found = tile.special.solve(posed, **settings)
            starts[id(tile)] = found.x
            predicted = FrameStack(posed.operator.operators).matvec(found.x)
            counts = found.total_weights(tile.known.weights)
            tile.known.photometry = fitted(
                tile.frames, predicted.reshape(tile.frames.shape), counts, terms
            )

        for _ in range(ROUNDS):
            self._each("comparing brightness", look, progress)
            self._settle_brightness()

    def how(self, beta: float, background: Any, progress: Progress) -> Variational | None:
        """How to solve, if not by least squares: with what is an outlier, and the background."""
        if not self.tiles or self.tiles[0].special is None:
            return None
        special = replace(self.tiles[0].special)
        if special.robust:
            special.threshold, frames = self._outlying(beta, progress)
            used = np.where(self.trust > 0, frames, 1.0)  # what is left out has been named
            replace(self.tiles[0].known, notes=self.notes).warn_of_outliers(list(used))
            self.trust = self.trust * frames
        if special.photon_noise is not None:
            special.photon_noise = replace(special.photon_noise, background=background)
        return special

    def strongest(self, largest: Sequence[float]) -> list[float]:
        """The largest weight that least squares would give to a pixel of each frame."""
        maps = [tile.known.weights or list(map(np.array, largest)) for tile in self.tiles]
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

        def look(tile: Tile) -> None:
            assert tile.special is not None
            posed = tile.special.quadratic(self._posed(tile, beta))
            root = solvers.root_of_two(max(posed.scales()))
            start = np.zeros(posed.operator.shape[1], posed.operator.dtype)
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                seen = robust_fit(posed.divided(root), start.clip(*tile.special.box))
            given = tile.special.threshold
            found.append((root * seen.threshold if given is None else given, seen.frames))

        self._each("looking for outliers", look, progress)
        thresholds = [each for each, _ in found]
        if len(set(thresholds)) > 1:
            self._agree("the threshold of outliers", _spread(thresholds))
        return float(np.median(thresholds)), np.median([each for _, each in found], axis=0)

    def _posed(self, tile: Tile, beta: float) -> problem.Problem:
        known = tile.known
        operators = frame_operators.operators(self._size(tile), known, self.ratio, self.options)
        operator = FrameStack(operators, known.photometry.weights(known.weights))
        return problem.Problem(
            operator, known.photometry.corrected(tile.frames), self.regulariser, beta,
            self.options["boundary"], len(self.factor),
        )  # fmt: skip

    def _size(self, tile: Tile) -> tuple[int, ...]:
        """The shape of the scene that a tile shows."""
        return scene_dims(tile.frames.shape, self.ratio, None)

    def _settle_brightness(self) -> None:
        each = [tile.known.photometry for tile in self.tiles]
        gains = np.stack([one.gains for one in each])
        offsets = np.stack([one.offsets for one in each])
        self.photometry = Photometry(np.median(gains, axis=0), np.median(offsets, axis=0))
        apart = float(np.abs(gains - self.photometry.gains).max())
        brightest = max(float(np.abs(tile.frames).max()) for tile in self.tiles) or 1.0
        more = float(np.abs(offsets - self.photometry.offsets).max()) / brightest
        self._agree("gains and offsets", f"to {apart:.2g} and {more:.2g} of the brightest pixel")
        for tile in self.tiles:
            tile.known.photometry = self.photometry

    def _each(self, what: str, look: Callable[[Tile], None], progress: Progress) -> None:
        """Look at all tiles; what must be said of most of them is said once."""
        said: dict[Any, list[str]] = {}
        with reporting(progress, len(self.tiles), what) as advance:
            for tile in self.tiles:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    look(tile)
                for kind in dict.fromkeys(each.category for each in caught):
                    texts = [str(each.message) for each in caught if each.category is kind]
                    said.setdefault(kind, []).append(texts[0])
                advance(1)
        for kind, texts in said.items():
            if 2 * len(texts) > len(self.tiles):
                self.warn(texts[0], kind)

    def _agree(self, what: str, how: str) -> None:
        """Note how far tiles agree."""
        if len(self.tiles) > 1:
            note = f"{what}: medians of {len(self.tiles)} tiles of the scene, which agree {how}"
            self.notes[:] = [each for each in self.notes if not each.startswith(f"{what}: ")]
            self.notes.append(note)


def _middle(numbers: Sequence[float]) -> int:
    """Where the median is, the lower of two."""
    return int(np.argsort(numbers, kind="stable")[(len(numbers) - 1) // 2])


def _spread(numbers: Sequence[float]) -> str:
    """How far positive numbers lie apart."""
    low, high = min(numbers), max(numbers)
    return f"within a factor of {high / low:.3g}" if low > 0 else f"from {low:.3g} to {high:.3g}"
