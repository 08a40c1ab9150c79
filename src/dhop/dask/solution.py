"""What a solver found, in chunks."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from dhop.dask.deviations import Deviations, Prior
from dhop.dask.metrics import compare
from dhop.dask.operator import DaskArray, da
from dhop.dask.problem import Problem
from dhop.dask.report import CentralRegion
from dhop.frames import layouts
from dhop.reconstruction.posterior.posterior import require_prior
from dhop.reconstruction.solution import Solution
from dhop.runtime import arguments
from dhop.runtime.progress import Progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dhop.reconstruction.posterior.uncertainty import What
    from dhop.reconstruction.report.panels import Stretch


@dataclass(frozen=True, eq=False, repr=False)
class ChunkedSolution(Solution):
    """A `dhop.Solution` in chunks: `image` and `frames` are Dask arrays, `operator` has no weights.

    Attributes
    ----------
    problem : Problem
        The least squares that `image` is of, with the weights that a loss ended with, of frames
        that are as bright as the first one.
    """

    problem: Problem = field(kw_only=True)

    @property
    def _uncertainty(self) -> NoReturn:
        """Refused: the methods that use it work in memory."""
        raise TypeError(
            "of a solution in chunks standard_deviation alone is computed; for more solve for a "
            "part in memory"
        )

    def standard_deviation(
        self,
        noise: float | None = None,
        what: "What" = "posterior",
        *,
        probes: int = 64,
        progress: Progress = None,
        return_error: bool = False,
    ) -> DaskArray:
        """How far each pixel of the image may be from the scene, see `Solution`; a Dask array.

        It is computed block by block, with what lies around: pixels that are correlated farther
        than 16 pixels of the frames are not, here. `return_error` and `progress` are for memory.
        """
        if return_error or progress is not None:
            raise ValueError(
                "return_error and progress are of deviations in memory: leave them out, or solve "
                "for a part there"
            )
        arguments.choice("what", what, ("posterior", "noise"))
        arguments.positive("probes", probes)
        require_prior(self.beta)
        prior = Prior(
            self.regulariser, self.beta, self.boundary, self.bounds, self.edge, self.target
        )
        blocks = Deviations(self.problem, layouts.inward(self.scene, self.channel_axis), prior)
        if noise is None:
            noise = blocks.noise(self.residual_norm)
        elif not arguments.real("noise", noise) >= 0:
            raise ValueError(f"noise must not be negative, got {noise!r}")
        found = blocks.of_pixels(noise, what, probes)
        return layouts.outward(found.rechunk(self.problem.operators[0].chunks), self.channel_axis)

    def metrics(self, truth: Any) -> dict[str, float]:
        """How near the image is to a known one, see `dhop.metrics.compare`, chunk by chunk.

        Parameters
        ----------
        truth : array_like or dask.array.Array, of the shape of `image`
        """
        known = truth if hasattr(truth, "shape") else np.asarray(truth)
        return compare(*(layouts.inward(each, self.channel_axis) for each in (self.image, known)))

    def plot(self, deviation: Any = None, stretch: "Stretch" = "linear") -> "Figure":
        """The report of the middle of the image, of 512 x 512 pixels of the frames, see `Solution`.

        Of volumes it is that of 64 pixels along each axis. The history is that of all.
        """
        if len(self.problem.operators[0].near.axes) == 1:
            raise TypeError("a report of lines is of a solution in memory: solve for a part there")
        if deviation is not None and np.shape(deviation) != self.image.shape:
            raise ValueError(
                f"deviation must have the shape of the image, {self.image.shape}, got "
                f"{np.shape(deviation)}"
            )
        part, own = CentralRegion.of(self, deviation)
        figure = part.plot(own, stretch)
        if part.image.shape != self.image.shape:
            figure.suptitle(f"the middle of {self.image.shape}")
        return figure

    def coverage(self) -> DaskArray:
        """How much the frames look at each pixel, see `Solution`, not yet computed."""
        A = self.problem.operators[0]
        ones = da.ones(A.dims, dtype=self.frames.dtype, chunks=A.chunks)
        return layouts.outward(self.problem.data(ones), self.channel_axis)

    def residuals(self) -> DaskArray:
        """The weighted residuals ``sqrt(w_i) (y_i - A_i x)``, not yet computed."""
        image = layouts.inward(self.scene, self.channel_axis)
        return da.stack(self.problem.residuals(image)).astype(self.frames.dtype)
