"""The central crop of frames that have moved, and the image `G` that all of them sample.

`G` is the scene blurred by the optics alone: each pixel of a frame is a mean, or a sample, of it.
So no PSF is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.estimation.photometry import Photometry
from dhop.frames import motions
from dhop.frames.masks import each_weight
from dhop.frames.spectra import Spectra
from dhop.model.decimation import Decimation
from dhop.operators.moved import MovedOperator
from dhop.operators.stack import FrameStack
from dhop.psf.estimation import fit_blur
from dhop.reconstruction import problem, solvers
from dhop.selection import choose_beta

Array = NDArray[Any]

LARGEST = 256  # pixels a side, by default
ROUGH = 1e-3  # tolerance of `G`
ITERATIONS = 100
POINT = np.ones((1, 1))


@dataclass(frozen=True, eq=False)
class Crop:
    """The same part of each frame.

    Attributes
    ----------
    frames : ndarray, shape (F, ..., n0, n1)
        Zero where the weights are.
    weights : list of ndarray, shapes (..., n0, n1)
    motion : list
        As `dhop.frames.motions` has it, of the parts.
    factor : (int, int)
    decimation : str
    first : (int, int)
        Where the part begins in a frame.
    """

    frames: Array
    weights: list[Array]
    motion: list[Any]
    factor: tuple[int, ...]
    decimation: Decimation
    first: tuple[int, int]

    @classmethod
    def build(
        cls,
        frames: Array,
        weights: Sequence[Array] | None,
        motion: Sequence[Any],
        factor: tuple[int, ...],
        decimation: Decimation,
        largest: int = LARGEST,
    ) -> "Crop":
        """The central part of frames of at most `largest` pixels a side.

        Frames are finite where they have a weight, which is a number or a map for each.
        """
        shape = frames.shape[-2], frames.shape[-1]
        size = min(shape[0], largest), min(shape[1], largest)
        first = (shape[0] - size[0]) // 2, (shape[1] - size[1]) // 2
        part: Any = (..., *(slice(b, b + n) for b, n in zip(first, size, strict=True)))
        given = each_weight(weights, len(frames))
        cuts = [frame[part] for frame in frames]
        maps = [
            np.broadcast_to(w[part] if w.ndim else w, y.shape)
            for w, y in zip(given, cuts, strict=True)
        ]
        known = np.stack([np.where(w > 0, y, 0) for w, y in zip(maps, cuts, strict=True)])
        moves = [motions.cut(each, first, size) for each in motion]
        return cls(known, maps, moves, factor, decimation, first)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the part."""
        return self.frames.shape[-2], self.frames.shape[-1]

    @property
    def scene(self) -> tuple[int, ...]:
        """Shape of `G`."""
        size = (n * f for n, f in zip(self.size, self.factor, strict=True))
        return *self.frames.shape[1:-2], *size

    @cached_property
    def grid(self) -> motions.Grid:
        """The grid of any frame, with a PSF of one pixel."""
        return motions.Grid.build(self.size, self._ratio, (1, 1), (0, 0), self.decimation)

    @property
    def _ratio(self) -> tuple[float, float]:
        return float(self.factor[0]), float(self.factor[1])

    def seen(self, motion: Sequence[Any]) -> list[Array]:
        """The weights, zero for pixels that the motions put outside the scene."""
        return [
            w * self.grid.seen(each, self.scene[-2:])
            for w, each in zip(self.weights, motion, strict=True)
        ]

    def operators(
        self, motion: Sequence[Any], make: Callable[..., Any] = MovedOperator
    ) -> list[Any]:
        """The operators from `G` to frames with these motions, which `make` makes."""
        return [
            make(
                self.scene, POINT, self._ratio, self.size, each, center=(0, 0),
                decimation=self.decimation, boundary="symmetric", dtype=self.frames.dtype,
            )
            for each in motion
        ]  # fmt: skip

    def corrected(self, photometry: Photometry) -> "Crop":
        """The same, with frames as bright as the first one."""
        weights = photometry.weights(self.weights)
        assert weights is not None
        return replace(self, frames=photometry.corrected(self.frames), weights=weights)

    def centred(self, photometry: Photometry) -> Photometry:
        """The same for a scene of mean zero, so that tolerances are relative to what varies."""
        bright = self.corrected(photometry)
        total = float(sum(w.sum() for w in bright.weights))
        level = sum(np.sum(w * y) for w, y in zip(bright.weights, bright.frames, strict=True))
        mean = float(level) / total if total else 0.0
        return Photometry(photometry.gains, photometry.offsets + mean * photometry.gains)


def common_image(stack: FrameStack, frames: Array, beta: float, start: Array | None) -> Array:
    """`G` by least squares, with the Laplacian as regulariser.

    The stack has operators from `G` to the frames; `start` is a first guess.
    """
    posed = problem.Problem(stack, frames, "laplacian", beta, "symmetric")
    return solvers.solve(posed, "cg", x0=start, rtol=ROUGH, maxiter=ITERATIONS).x


def beta_of_common_image(spectra: Spectra, decimation: Decimation) -> float:
    """The weight of the Laplacian for which the expected error of `G` is least."""
    blur, scene = fit_blur(spectra, decimation)
    pixels = spectra.pixels(decimation)
    through = np.abs(spectra.transfer(blur)) ** 2
    seen = replace(scene, power=through * scene.power, transfer=pixels)
    return choose_beta(spectra, pixels, [(1.0, seen)], "laplacian", "auto").beta
